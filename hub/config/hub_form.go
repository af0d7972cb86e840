package config

import (
	"net/url"
	"strings"
	"time"

	"github.com/invopop/jsonschema"
)

// hubFile is hub.yaml as written.
type hubFile struct {
	listen, publicURL string
	store             storeAddress
	vaultKey          Secret
	connectors        Connectors
	limits            Limits
	workspaces        []string
}

// storeAddress is where the store is: a file or a server.
type storeAddress struct {
	path string
	url  Secret
}

var storeForm = scalarOf(jsonschema.Schema{Type: "string"}, func(_ *decoder, n *node) (storeAddress, string, string) {
	if n.kind != text || n.text == "" {
		return storeAddress{}, "a path or a postgres:// address is needed, not " + n.kind.String(), ""
	}
	scheme, _, found := strings.Cut(n.text, "://")
	if !found {
		return storeAddress{path: absolute(n.place.source, n.text)}, "", ""
	}
	if scheme != "postgres" && scheme != "postgresql" {
		return storeAddress{}, "no such kind of store", "write the path of a SQLite file or a postgres:// address"
	}
	if u, err := url.Parse(n.text); err != nil || u.Host == "" {
		return storeAddress{}, "not a postgres:// address", "write postgres://user:${PASSWORD}@host:5432/database"
	}
	return storeAddress{url: NewSecret(n.text)}, "", ""
})

var hubForm = object(
	key("listen", address, func(h *hubFile) *string { return &h.listen },
		"Address of the HTTP server (API, metrics, pages), host:port.", byDefault("127.0.0.1:8080")),
	key("public_url", webURL, func(h *hubFile) *string { return &h.publicURL },
		"How browsers and vendors reach the hub from outside; needed for OAuth and webhooks."),
	key("store", storeForm, func(h *hubFile) *storeAddress { return &h.store },
		"SQLite file, or a postgres:// address.", byDefault("./data/regulars.db"), orFile),
	key("vault_key", secret, func(h *hubFile) *Secret { return &h.vaultKey },
		"Key that stored credentials will be encrypted with, once connectors with OAuth come; nothing is stored encrypted yet.", orFile),
	key("connectors", connectorsForm, func(h *hubFile) *Connectors { return &h.connectors },
		"Connector processes.", byDefault("{}")),
	key("limits", limitsForm, func(h *hubFile) *Limits { return &h.limits },
		"What the hub does at once.", byDefault("{}")),
	key("workspaces", listOf(filePattern), func(h *hubFile) *[]string { return &h.workspaces },
		"Workspace files, as patterns with * and ?.", byDefault("[workspaces/*.yaml, workspaces/*.yml]")),
)

var connectorsForm = object(
	key("folder", filePath, func(c *Connectors) *string { return &c.Folder },
		"Folder of the connector executables. Left out, connectors/ beside the program."),
	key("max_alive", whole(1, 10_000), func(c *Connectors) *int { return &c.MaxAlive },
		"Connector processes at once.", byDefault("16")),
	key("memory_mb", whole(16, 1<<20), func(c *Connectors) *int { return &c.MemoryMB },
		"Resident memory in MiB above which a connector process is ended.", byDefault("512")),
	key("idle", lasting(time.Second, Day), func(c *Connectors) *time.Duration { return &c.Idle },
		"How long an unused connector process stays.", byDefault("60s")),
	key("checksums", dictionary[string](checksum, nil), func(c *Connectors) *map[string]string { return &c.Checksums },
		"SHA-256 of connector executables by connector name; one that differs is not started."),
)

var limitsForm = object(
	key("read_workers", whole(1, 1000), func(l *Limits) *int { return &l.ReadWorkers },
		"Slices of syncs read at once.", byDefault("8")),
	key("write_workers", whole(1, 1000), func(l *Limits) *int { return &l.WriteWorkers },
		"Activations written at once.", byDefault("4")),
	key("compute_workers", whole(1, 1000), func(l *Limits) *int { return &l.ComputeWorkers },
		"Figures and segments computed at once.", byDefault("2")),
	key("stop", lasting(time.Second, time.Hour), func(l *Limits) *time.Duration { return &l.Stop },
		"How long a stopping hub waits for jobs under way.", byDefault("15s")),
)
