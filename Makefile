# Targets with a "## text" behind them are what `make help` prints.

.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# What is shipped is static, so that is what is tested.
export CGO_ENABLED := 0

# Without paths of the machine it was built on, and free of git's state beyond VERSION, so that an unchanged tree is
# not linked again.
GOBUILD := go build -trimpath -buildvcs=false -ldflags "-X main.version=$(VERSION)"

programs   := $(patsubst %/main.go,./%,$(wildcard cmd/*/main.go))
connectors := $(patsubst %/main.go,./%,$(wildcard plugins/*/main.go))

.PHONY: help
help: ## Print this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/regulars and bin/connectors/*
	@mkdir -p bin/connectors
	$(GOBUILD) -o bin/ $(programs)
	$(GOBUILD) -o bin/connectors/ $(connectors)

.PHONY: demo
demo: build ## See Regulars do its job on a real shop's purchase history; stays up until Ctrl-C
	bin/regulars demo

.PHONY: demo-check
demo-check: build ## The same, once, compared with the expected figures
	bin/regulars demo --check

.PHONY: test
test: ## Run the tests
	go test ./...

.PHONY: race
race: ## Run the tests with the race detector; needs a C compiler
	CGO_ENABLED=1 REGULARS_PROPERTY_CASES=30 go test -race -timeout 20m ./...

.PHONY: soak
soak: ## Run every property over 100,000 random cases, which takes hours; CI runs 1,000
	REGULARS_PROPERTY_CASES=100000 go test -count=1 -timeout 24h ./hub/identity ./hub/kpi ./hub/settle ./hub/store/... ./sandbox/world

.PHONY: bench
bench: ## Run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: lint
lint: .tools/golangci-lint ## Look for mistakes and style; the first run builds the linter, which takes minutes
	.tools/golangci-lint run ./...

.PHONY: fmt
fmt: .tools/golangci-lint ## Format the Go code as lint wants it
	.tools/golangci-lint fmt ./...

.PHONY: generate
generate: .tools/buf ## Generate everything that is generated: protobuf code, JSON Schemas
	cd contracts && ../.tools/buf generate
	go generate ./...

.PHONY: generate-check
generate-check: .tools/buf ## Fail when generated files differ from what generate makes
	.ci/generate-check

.PHONY: contracts-check
contracts-check: .tools/buf ## Fail when the connector protocol breaks what the last release promised
	cd contracts && ../.tools/buf lint && ../.tools/buf format --diff --exit-code
	cd contracts && ../.tools/buf breaking --against connector/v1/released.txtpb

.PHONY: metrics-check
metrics-check: build .tools/promtool ## Fail when a running demo's /metrics or its way to stop are not as they should be
	.ci/metrics-check

.PHONY: hygiene
hygiene: ## Fail on sleeping or skipped tests, credentials and merge leftovers
	.ci/hygiene

.PHONY: check
check: ## All of the above, as CI runs it
	.ci/run

.PHONY: release-contracts
release-contracts: .tools/buf contracts-check ## At a release: promise what the connector protocol is now
	cd contracts && ../.tools/buf build --exclude-source-info -o connector/v1/released.txtpb

.PHONY: clean
clean: ## Remove what was built, but not the tools
	rm -rf bin

# Tools that are Go programs have modules of their own, so that their dependencies stay out of ours.

.PHONY: tools
tools: .tools/buf .tools/golangci-lint

.tools/buf: tools/buf/go.mod tools/buf/go.sum
	go -C tools/buf build -buildvcs=false -ldflags '-s -w' -o ../../$@ github.com/bufbuild/buf/cmd/buf

.tools/golangci-lint: tools/lint/go.mod tools/lint/go.sum
	go -C tools/lint build -buildvcs=false -ldflags '-s -w' -o ../../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.tools/promtool:
	.ci/promtool $@
