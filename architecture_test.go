package regulars_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/regulars/regulars"

// A layer is a set of packages with one rule for what they import of this module. Packages of one layer may import
// each other.
type layer struct {
	name string
	// Folders, each with all that is below it; the longest that matches decides. "hub/" is what is below hub, without
	// hub itself.
	at []string
	// Names of the layers it may import.
	may []string
	// Layers that only its tests may import besides.
	testsMay []string
	// Each folder directly below is on its own: they do not import one another.
	apart bool
	// Anybody's tests may import it.
	forTests bool
	// What the rule is for.
	why string
}

// Who may import whom. Imports point inward: what changes for a vendor or a store stays at the edge, and a connector
// shares nothing with the hub but the contracts.
var layers = []layer{
	{
		name: "entity", at: []string{"contracts/entity"},
		why: "the entities are what both sides of the process border agree on; they stand alone",
	},
	{
		name: "protocol", at: []string{"contracts/connector"},
		why: "the protocol carries entities as bytes, so that it does not change with them",
	},
	{
		name: "http contract", at: []string{"contracts/api"}, may: []string{"entity"},
		why: "contracts import contracts only",
	},

	{
		name: "sdk", at: []string{"sdk"}, may: []string{"entity", "protocol"},
		why: "a connector's author imports the sdk without the hub",
	},
	{
		name: "connectors", at: []string{"plugins"}, may: []string{"sdk", "entity", "protocol"}, apart: true,
		why: "a connector is written as anybody outside would write it: on the sdk, without the hub or another connector",
	},
	{
		name: "sandbox", at: []string{"sandbox"}, may: []string{"sdk", "entity", "protocol"},
		why: "the sandbox stands in for the vendors; the hub must not be able to tell",
	},
	{
		name: "examples", at: []string{"docs/examples"}, may: []string{"sdk", "entity", "protocol"},
		why: "examples show what an author outside has",
	},

	{
		name: "domain", at: []string{"hub/"}, may: []string{"entity"}, testsMay: []string{"stores"},
		why: "what the hub knows about customers depends on no database, transport or process; it declares the small " +
			"interfaces it needs, and others satisfy them",
	},
	{
		name: "runner", at: []string{"hub/runner"}, may: []string{"domain", "entity", "protocol"},
		why: "only the runner speaks the protocol; the rest of the hub uses the words of hub/connector",
	},
	{
		name: "stores", at: []string{"hub/store/sqlite", "hub/store/postgres"},
		may: []string{"domain", "entity"}, testsMay: []string{"store suite"},
		why: "stores know the domain's types, never the other way round",
	},
	{
		name: "store suite", at: []string{"hub/store/storetest"}, may: []string{"domain", "jobs", "entity", "properties"},
		why: "the suite knows what everybody asks of a store, and no store",
	},
	{
		name: "jobs", at: []string{"hub/job"}, may: []string{"domain", "entity"}, testsMay: []string{"stores"},
		why: "jobs call the domain; nothing in the domain knows that there are jobs",
	},
	{
		name: "http", at: []string{"hub/api", "hub/web"}, may: []string{"domain", "entity", "http contract"},
		testsMay: []string{"stores"},
		why:      "the HTTP side reaches the domain through small interfaces of its own, and no store",
	},
	{
		name: "hub", at: []string{"hub"}, may: []string{"domain", "runner", "stores", "jobs", "http", "entity"},
		why: "package hub assembles what is below it, and never a connector",
	},

	{
		name: "programs", at: []string{"cmd"},
		may: []string{"hub", "domain", "runner", "stores", "jobs", "http", "sandbox", "sdk", "entity", "protocol", "http contract", "configs"},
		why: "programs wire",
	},
	{
		name: "properties", at: []string{"internal/property"}, forTests: true,
		why: "it runs claims over random cases; only tests import it, from anywhere",
	},
	{
		name: "e2e", at: []string{"e2e"},
		may: []string{
			"programs", "hub", "domain", "runner", "stores", "jobs", "http", "connectors", "sandbox", "sdk", "entity",
			"protocol", "http contract", "examples",
		},
		why: "these tests cross the borders on purpose",
	},
	{
		name: "configs", at: []string{"configs"}, may: []string{"entity"},
		why: "what makes the demo data knows the data only",
	},
	{
		name: "root", at: []string{"."},
		why: "the root of the module holds no code",
	},
}

func TestImportsPointInward(t *testing.T) {
	for _, edge := range edges(t) {
		from, to := layerOf(edge.from), layerOf(edge.to)
		switch {
		case from == nil:
			t.Errorf("%s: %s belongs to no layer: add it to the table in architecture_test.go", edge.file, edge.from)
		case to == nil:
			t.Errorf("%s: %s belongs to no layer: add it to the table in architecture_test.go", edge.file, edge.to)
		case !from.allows(edge, to):
			t.Errorf("%s imports %s/%s\n%s", edge.file, module, edge.to, from.explain(to))
		}
	}
}

// A name with a slip in it would forbid or allow nothing, silently.
func TestLayersNameEachOther(t *testing.T) {
	var names []string
	for _, l := range layers {
		names = append(names, l.name)
		assert.NotEmpty(t, l.why, l.name)
	}
	for _, l := range layers {
		assert.Subset(t, names, append(slices.Clone(l.may), l.testsMay...), l.name)
	}
}

// What the rules are for, said once more as plain cases.
func TestRulesForbidWhatTheyAreFor(t *testing.T) {
	for _, c := range []struct {
		from, to string
		inTest   bool
		allowed  bool
	}{
		{from: "hub/runner", to: "sdk"},
		{from: "hub/runner", to: "sdk", inTest: true},
		{from: "hub", to: "plugins/table"},
		{from: "hub/kpi", to: "sandbox/amocrm"},
		{from: "sdk", to: "hub/connector"},
		{from: "plugins/table", to: "hub/config"},
		{from: "plugins/table", to: "plugins/amocrm"},
		{from: "sandbox/amocrm", to: "hub/customer"},
		{from: "contracts/entity", to: "contracts/connector/v1"},
		{from: "contracts/connector/v1", to: "sdk"},
		{from: "hub/kpi", to: "hub/store/sqlite"},
		{from: "hub/kpi", to: "hub/job"},
		{from: "hub/kpi", to: "hub/api"},
		{from: "hub/kpi", to: "hub"},
		{from: "hub/ingest", to: "contracts/connector/v1"},
		{from: "hub/api", to: "hub/store/sqlite"},
		{from: "hub/settle", to: "cmd/regulars"},
		{from: "hub/kpi", to: "internal/property"},

		{from: "hub/kpi", to: "hub/customer", allowed: true},
		{from: "hub/kpi", to: "hub/store", allowed: true},
		{from: "hub/ingest", to: "hub/store/sqlite", inTest: true, allowed: true},
		{from: "hub/kpi", to: "internal/property", inTest: true, allowed: true},
		{from: "hub/store/sqlite", to: "hub/ingest", allowed: true},
		{from: "hub/runner", to: "contracts/connector/v1", allowed: true},
		{from: "plugins/table", to: "plugins/table/internal/cell", allowed: true},
		{from: "plugins/table", to: "sdk/conformance", allowed: true},
		{from: "cmd/regulars", to: "hub", allowed: true},
	} {
		from, to := layerOf(c.from), layerOf(c.to)
		require.NotNil(t, from, c.from)
		require.NotNil(t, to, c.to)
		got := from.allows(edge{from: c.from, to: c.to, inTest: c.inTest}, to)
		assert.Equal(t, c.allowed, got, "%s -> %s, in a test: %t", c.from, c.to, c.inTest)
	}
}

// An edge is one import of a package of this module by another; both are folders seen from the module's root.
type edge struct {
	from, to string
	file     string
	inTest   bool
}

func (l *layer) allows(e edge, to *layer) bool {
	if l == to {
		return !l.apart || child(l, e.from) == child(l, e.to)
	}
	return slices.Contains(l.may, to.name) || e.inTest && (to.forTests || slices.Contains(l.testsMay, to.name))
}

func (l *layer) explain(to *layer) string {
	text := fmt.Sprintf("  layer %q may not import layer %q", l.name, to.name)
	if l == to {
		text = fmt.Sprintf("  packages of layer %q do not import one another", l.name)
	}
	text += ": " + l.why + "\n"
	text += fmt.Sprintf("  it may import: %s\n", orNothing(l.may))
	if len(l.testsMay) > 0 {
		text += fmt.Sprintf("  its tests also: %s\n", orNothing(l.testsMay))
	}
	return text + "  Turn the dependency round (a small interface where it is used), or move what is shared inward."
}

func orNothing(names []string) string {
	if len(names) == 0 {
		return "nothing of this module"
	}
	return strings.Join(names, ", ")
}

// layerOf returns the layer a package is in; nil for none.
func layerOf(dir string) *layer {
	var found *layer
	longest := -1
	for i := range layers {
		for _, at := range layers[i].at {
			inside := dir == at || strings.HasPrefix(dir, strings.TrimSuffix(at, "/")+"/")
			if inside && len(at) > longest {
				found, longest = &layers[i], len(at)
			}
		}
	}
	return found
}

// child returns the folder directly below the layer's that the package is in.
func child(l *layer, dir string) string {
	below := strings.TrimPrefix(strings.TrimPrefix(dir, l.at[0]), "/")
	name, _, _ := strings.Cut(below, "/")
	return name
}

// edges reads the imports of every Go file of the module, whatever its build constraints. It reads them itself, as
// go test repeats a cached result when files changed that only a program started by the test has read.
func edges(t *testing.T) []edge {
	t.Helper()
	var found []edge
	files := token.NewFileSet()
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && ignored(name):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		file, err := parser.ParseFile(files, name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if dir, ok := inModule(imported); ok {
				found = append(found, edge{
					from: path.Dir(name), to: dir,
					file:   files.Position(spec.Pos()).String(),
					inTest: strings.HasSuffix(name, "_test.go"),
				})
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, found, "no imports found: the test runs in the wrong folder")
	return found
}

func inModule(imported string) (dir string, ok bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

// ignored tells the folders that hold no package of this module; in data a hub may be at work.
func ignored(dir string) bool {
	base := filepath.Base(dir)
	if dir == "bin" || dir == "data" || base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil // a module of its own
}
