package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
	"github.com/regulars/regulars/contracts/entity"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// sample uses every type and rule a configuration can have.
type sample struct {
	Domain   string            `cfg:"domain" doc:"Account address." validate:"required,hostname" example:"shop.example.com"`
	Token    Secret            `cfg:"token" doc:"Private access token." validate:"required"`
	Window   Days              `cfg:"window" doc:"How far back the first sync goes." default:"365" validate:"min=1,max=3650"`
	Timeout  time.Duration     `cfg:"timeout" doc:"Longest wait for an answer." default:"30s" validate:"max=5m"`
	Zone     *time.Location    `cfg:"zone" doc:"Time zone of the account."`
	Mode     string            `cfg:"mode" doc:"What to read." default:"all" validate:"oneof=all new"`
	Ratio    float64           `cfg:"ratio" doc:"A share." validate:"min=0,max=1"`
	Archived bool              `cfg:"archived" doc:"Read archived records too." default:"true"`
	Since    *entity.Date      `cfg:"since" doc:"First day to read." example:"2024-01-31"`
	Folder   Path              `cfg:"folder" doc:"Where the files are."`
	Contact  string            `cfg:"contact" doc:"Whom to tell." validate:"email"`
	Site     string            `cfg:"site" doc:"Address of the shop." validate:"url"`
	Currency string            `cfg:"currency" doc:"Currency of amounts." validate:"currency"`
	Tags     []string          `cfg:"tags" doc:"Only these tags." validate:"max=3,each,min=2"`
	Names    map[string]string `cfg:"names" doc:"Names by field."`
	Orders   *part             `cfg:"orders" doc:"Where orders are."`
	Limits   limits            `cfg:"limits" doc:"How fast to go."`
	Accounts map[string]login  `cfg:"accounts" doc:"Further accounts."`
	Parts    []part            `cfg:"parts" doc:"Further files."`
}

type part struct {
	File    string            `cfg:"file" doc:"File name." validate:"required"`
	Columns map[string]string `cfg:"columns" doc:"Column by field." validate:"required"`
	From    int               `cfg:"from" doc:"First line." default:"1"`
	To      int               `cfg:"to" doc:"Last line; 0 for all."`
}

func (p part) Validate() error {
	var faults []error
	if p.To != 0 && p.To < p.From {
		faults = append(faults, InvalidConfig("to", "must not be before from"))
	}
	if _, ok := p.Columns["key"]; !ok {
		faults = append(faults, InvalidConfig("columns", "must name the column of key"))
	}
	return errors.Join(faults...)
}

type limits struct {
	PerSecond int `cfg:"per_second" doc:"Calls per second." default:"5"`
}

type login struct {
	User     string `cfg:"user" doc:"User name." validate:"required"`
	Password Secret `cfg:"password" doc:"Password." validate:"required"`
}

func TestConfigDecodesEverything(t *testing.T) {
	cfg, problems := ConfigOf[sample]().decode([]byte(`{
		"domain": "shop.example.com", "window": 30, "timeout": "1m30s", "zone": "Europe/Moscow", "mode": "new", "ratio": 0.5,
		"archived": false, "since": "2024-02-29", "folder": "in", "contact": "it@example.com", "site": "https://example.com",
		"currency": "RUB", "tags": ["vip", "new"], "names": {"a": "b"}, "orders": {"file": "o.csv", "columns": {"key": "id"}},
		"limits": {"per_second": 7}, "accounts": {"main": {"user": "u"}}, "parts": [{"file": "p", "columns": {"key": "k"}, "to": 9}]
	}`), map[string]string{"token": "t-1", "accounts.main.password": "p-1"})
	require.Empty(t, problems)
	got := cfg.Interface().(sample)
	require.Equal(t, "Europe/Moscow", got.Zone.String())
	day := entity.NewDate(2024, time.February, 29)
	want := sample{
		Domain: "shop.example.com", Token: NewSecret("t-1"), Window: 30, Timeout: 90 * time.Second, Zone: got.Zone, Mode: "new",
		Ratio: 0.5, Since: &day, Folder: "in", Contact: "it@example.com", Site: "https://example.com", Currency: "RUB",
		Tags: []string{"vip", "new"}, Names: map[string]string{"a": "b"},
		Orders: &part{File: "o.csv", Columns: map[string]string{"key": "id"}, From: 1}, Limits: limits{PerSecond: 7},
		Accounts: map[string]login{"main": {User: "u", Password: NewSecret("p-1")}},
		Parts:    []part{{File: "p", Columns: map[string]string{"key": "k"}, From: 1, To: 9}},
	}
	require.Equal(t, want, got)
}

func TestConfigDefaults(t *testing.T) {
	cfg, problems := ConfigOf[sample]().decode([]byte(`{"domain": "a.example"}`), map[string]string{"token": "t"})
	require.Empty(t, problems)
	require.Equal(t, sample{
		Domain: "a.example", Token: NewSecret("t"), Window: 365, Timeout: 30 * time.Second, Mode: "all", Archived: true, Limits: limits{PerSecond: 5},
	}, cfg.Interface())
}

// TestConfigProblems: every fault is found at once, with its place, and no message shows a value.
func TestConfigProblems(t *testing.T) {
	tests := []struct {
		name, config string
		secrets      map[string]string
		want         map[string]string // field to message
	}{
		{"nothing", ``, nil, map[string]string{"domain": "is required", "token": "is required"}},
		{"null", `null`, nil, map[string]string{"domain": "is required", "token": "is required"}},
		{"no JSON", `{`, nil, map[string]string{"": "the configuration is not JSON"}},
		{"two values", `{} {}`, nil, map[string]string{"": "the configuration is more than one JSON value"}},
		{"no map", `[]`, nil, map[string]string{"": "must be a map, not a list"}},
		{
			"wrong types and rules",
			`{"domain": "https://PRIVATE/x", "token": "PRIVATE", "window": "PRIVATE", "timeout": 5, "zone": "PRIVATE", "mode": "PRIVATE",
			  "ratio": 2, "archived": "yes", "since": "PRIVATE", "folder": 1, "contact": "PRIVATE", "site": "ftp://PRIVATE", "currency": "private",
			  "tags": ["x", 1, "PRIVATE"], "names": ["PRIVATE"], "limits": 1}`, nil,
			map[string]string{
				"domain":   "must be a host name such as shop.example.com, without https:// and path",
				"token":    "is a secret and may not stand in the configuration itself; use ${ENV} or token_file",
				"window":   "must be a whole number, not text",
				"timeout":  "must be a duration such as 90s or 1h30m",
				"zone":     "must be a time zone such as Europe/Moscow",
				"mode":     "must be one of all, new",
				"ratio":    "must be at most 1",
				"archived": "must be true or false, not text",
				"since":    "not a date in the form YYYY-MM-DD",
				"folder":   "must be text, not a number",
				"contact":  "must be an e-mail address",
				"site":     "must be an address that starts with http:// or https://",
				"currency": "must be a currency code such as RUB",
				"tags.0":   "must be at least 2 characters",
				"tags.1":   "must be text, not a number",
				"names":    "must be a map, not a list",
				"limits":   "must be a map, not a number",
			},
		},
		{
			"too large, too small, too many",
			`{"domain": "a.example", "window": 0, "timeout": "1h", "ratio": -1, "tags": ["aa","bb","cc","dd"]}`,
			map[string]string{"token": "t"},
			map[string]string{
				"window": "must be at least 1", "timeout": "must be at most 5m", "ratio": "must be at least 0", "tags": "must be at most 3 elements",
			},
		},
		{
			"numbers", `{"domain": "a.example", "window": 1.5, "limits": {"per_second": 99999999999999999999}}`,
			map[string]string{"token": "t"},
			map[string]string{
				"window":            "must be a whole number that is not too large",
				"limits.per_second": "must be a whole number that is not too large",
			},
		},
		{
			"unknown fields",
			`{"domian": "a", "orders": {"file": "f", "colums": {}, "Columns": {"key": "k"}, "zzzzzzzz": 1}, "accounts": {"a.b": {"user": ""}}}`,
			map[string]string{"token": "t"},
			map[string]string{
				"domian":                "is no field; did you mean domain?",
				"domain":                "is required",
				"orders.colums":         "is no field; did you mean columns?",
				"orders.Columns":        "is no field; did you mean columns?",
				"orders.zzzzzzzz":       "is no field; known here: file, columns, from, to",
				"orders.columns":        "is required",
				"accounts.a.b.user":     "must not be empty",
				"accounts.a.b.password": "is required",
			},
		},
		{
			"empty where something is needed",
			`{"domain": "", "orders": {"file": "", "columns": {}}, "parts": [null], "accounts": {"x": null}}`,
			map[string]string{"token": ""},
			map[string]string{
				"domain": "must be a host name such as shop.example.com, without https:// and path",
				"token":  "is required", "orders.file": "must not be empty", "orders.columns": "must not be empty",
				"parts.0": "must not be empty", "accounts.x": "must not be empty",
			},
		},
		{
			"rules across fields",
			`{"domain": "a.example", "orders": {"file": "f", "columns": {"x": "y"}, "from": 9, "to": 2}, "parts": [{"file": "f", "columns": {"x": "y"}}]}`,
			map[string]string{"token": "t"},
			map[string]string{
				"orders.to": "must not be before from", "orders.columns": "must name the column of key", "parts.0.columns": "must name the column of key",
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, problems := ConfigOf[sample]().decode([]byte(test.config), test.secrets)
			got := map[string]string{}
			for _, p := range problems {
				require.Equal(t, ProblemInvalidConfig, p.Kind)
				require.NotContains(t, p.Message, "PRIVATE")
				require.NotContains(t, got, p.Field, "two problems of one field")
				got[p.Field] = p.Message
			}
			require.Equal(t, test.want, got)
		})
	}
}

// TestConfigSchemaAgrees: where the schema and the decoder can both judge, they judge alike.
func TestConfigSchemaAgrees(t *testing.T) {
	tests := []struct {
		config string
		valid  bool
	}{
		{`{"domain": "a.example"}`, true},
		{`{"domain": "a.example", "window": 1, "timeout": "1m3.5s", "since": "2024-01-01", "orders": {"file": "f", "columns": {"key": "k"}}}`, true},
		{`{}`, false},
		{`{"domain": ""}`, false},
		{`{"domain": "not a host"}`, false},
		{`{"domain": "a.example", "window": 0}`, false},
		{`{"domain": "a.example", "window": "1"}`, false},
		{`{"domain": "a.example", "timeout": "soon"}`, false},
		{`{"domain": "a.example", "mode": "other"}`, false},
		{`{"domain": "a.example", "site": "ftp://x"}`, false},
		{`{"domain": "a.example", "currency": "rub"}`, false},
		{`{"domain": "a.example", "tags": ["a"]}`, false},
		{`{"domain": "a.example", "tags": ["aa","aa","aa","aa"]}`, false},
		{`{"domain": "a.example", "names": {"a": 1}}`, false},
		{`{"domain": "a.example", "orders": {"file": "f"}}`, false},
		{`{"domain": "a.example", "orders": {"file": "f", "columns": {}}}`, false},
		{`{"domain": "a.example", "nope": 1}`, false},
		{`{"domain": "a.example", "accounts": {"m": {}}}`, false},
	}
	schema := compileSchema(t, ConfigOf[sample]().JSONSchema())
	for _, test := range tests {
		t.Run(test.config, func(t *testing.T) {
			_, problems := ConfigOf[sample]().decode([]byte(test.config), map[string]string{"token": "t"})
			require.Equal(t, test.valid, len(problems) == 0, "decoder: %v", problems)
			document, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(test.config)))
			require.NoError(t, err)
			require.Equal(t, test.valid, schema.Validate(document) == nil, "schema")
		})
	}
}

func compileSchema(t *testing.T, data []byte) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	require.NoError(t, compiler.AddResource("config.json", document))
	schema, err := compiler.Compile("config.json")
	require.NoError(t, err)
	return schema
}

// TestConfigGolden pins what others read: the schema, the field list of the spec and the documentation.
func TestConfigGolden(t *testing.T) {
	c := ConfigOf[sample]()
	golden(t, "config_schema.json", c.JSONSchema())
	golden(t, "config.md", []byte(c.Markdown()))
	fields := describedFields(t, c)
	golden(t, "config_fields.json", fields)
}

func describedFields(t *testing.T, c Config) []byte {
	t.Helper()
	type field struct {
		Path, Type, Doc, Default, Example string
		Required, Secret                  bool
		OneOf                             []string
	}
	var fields []field
	for _, f := range c.describe() {
		fields = append(fields, field{f.GetPath(), f.GetType().String(), f.GetDoc(), f.GetDefaultJson(), f.GetExample(), f.GetRequired(), f.GetSecret(), f.GetOneOf()})
	}
	data, err := json.MarshalIndent(fields, "", "  ")
	require.NoError(t, err)
	return data
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run the test with -update and review the difference")
}

func TestConfigDeclarationFaults(t *testing.T) {
	type twice struct {
		A string `cfg:"a" doc:"x"`
		B string `cfg:"a" doc:"x"`
	}
	type recursive struct {
		Next []recursive `cfg:"next" doc:"x"`
	}
	tests := []struct {
		name   string
		config Config
		want   string
	}{
		{"no struct", ConfigOf[int](), "config: int is not a struct"},
		{"no doc", ConfigOf[struct {
			A string `cfg:"a"`
		}](), "config.a: it has no doc tag"},
		{"no tag", ConfigOf[struct{ A string }](), "config: the field A has no cfg tag"},
		{"a bad name", ConfigOf[struct {
			A string `cfg:"A-b" doc:"x"`
		}](), "config.A-b: a name is lower case letters, digits and _"},
		{"a name twice", ConfigOf[twice](), "config.a: two fields have this name"},
		{"a type unknown", ConfigOf[struct {
			A chan int `cfg:"a" doc:"x"`
		}](), "config.a: the type chan int cannot be configured"},
		{"keys that are no text", ConfigOf[struct {
			A map[int]string `cfg:"a" doc:"x"`
		}](), "config.a: a map needs string keys"},
		{"a rule unknown", ConfigOf[struct {
			A string `cfg:"a" doc:"x" validate:"hostnam"`
		}](), `config.a: the rule "hostnam" is unknown`},
		{"a rule for another type", ConfigOf[struct {
			A int `cfg:"a" doc:"x" validate:"hostname"`
		}](), "config.a: the rule hostname is for texts"},
		{"a default of another type", ConfigOf[struct {
			A int `cfg:"a" doc:"x" default:"many"`
		}](), "config.a: the default does not fit: it is not JSON: invalid character 'm' looking for beginning of value"},
		{"a default against the rules", ConfigOf[struct {
			A int `cfg:"a" doc:"x" default:"1" validate:"min=2"`
		}](), "config.a: the default does not fit: config.a: must be at least 2"},
		{"a secret with a default", ConfigOf[struct {
			A Secret `cfg:"a" doc:"x" default:"p"`
		}](), "config.a: a secret has no default, no example and no pointer"},
		{"required with a default", ConfigOf[struct {
			A string `cfg:"a" doc:"x" default:"p" validate:"required"`
		}](), "config.a: a required field needs no default"},
		{"itself within", ConfigOf[recursive](), "config.next.*: the type sdk.recursive holds itself"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			require.NotEmpty(t, test.config.faults)
			require.EqualError(t, test.config.faults[0], test.want)
		})
	}
	require.Empty(t, ConfigOf[sample]().faults)
}

type embedded struct {
	limits
	Name string `cfg:"name" doc:"x"`
	Note string `cfg:"-"`
	note string
}

func TestConfigEmbeddedAndLeftOutFields(t *testing.T) {
	c := ConfigOf[embedded]()
	require.Empty(t, c.faults)
	cfg, problems := c.decode([]byte(`{"name": "n", "per_second": 3}`), nil)
	require.Empty(t, problems)
	require.Equal(t, embedded{limits: limits{PerSecond: 3}, Name: "n"}, cfg.Interface())
	require.Empty(t, cfg.Interface().(embedded).note)
}

// requireStable: a configuration written back decodes to itself, whatever it was.
func requireStable(t require.TestingT, c Config, cfg reflect.Value, secrets map[string]string) {
	written, err := c.encode(cfg)
	require.NoError(t, err)
	again, problems := c.decode(written, secrets)
	require.Empty(t, problems, "%s", written)
	rewritten, err := c.encode(again)
	require.NoError(t, err)
	require.Equal(t, string(written), string(rewritten))
	require.NotContains(t, string(written), "t-secret")
}

func TestConfigWrittenBackIsTheSame(t *testing.T) {
	c := ConfigOf[sample]()
	secrets := map[string]string{"token": "t-secret", "accounts.a.password": "t-secret", "accounts.b.password": "t-secret"}
	rapid.Check(t, func(t *rapid.T) {
		raw := map[string]any{"domain": "a.example"}
		maybe := func(name string, values ...any) {
			if rapid.Bool().Draw(t, name+" there") {
				raw[name] = rapid.SampledFrom(values).Draw(t, name)
			}
		}
		maybe("window", 1, 30)
		maybe("timeout", "0s", "1m")
		maybe("zone", "UTC", "Asia/Tokyo")
		maybe("mode", "all", "new")
		maybe("ratio", 0, 0.25)
		maybe("archived", true, false)
		maybe("since", "1970-01-01", "2024-02-29")
		maybe("folder", "", "in")
		maybe("tags", []string{}, []string{"aa"})
		maybe("names", map[string]string{}, map[string]string{"a": ""})
		maybe("orders", map[string]any{"file": "f", "columns": map[string]string{"key": "k"}, "from": 0})
		maybe("limits", map[string]any{}, map[string]any{"per_second": 0})
		maybe("accounts", map[string]any{"a": map[string]any{"user": "u"}})
		maybe("parts", []any{}, []any{map[string]any{"file": "f", "columns": map[string]string{"key": "k"}}})
		data, err := json.Marshal(raw)
		require.NoError(t, err)
		cfg, problems := c.decode(data, secrets)
		require.Empty(t, problems)
		written, err := c.encode(cfg)
		require.NoError(t, err)
		again, problems := c.decode(written, secrets)
		require.Empty(t, problems)
		require.Equal(t, normal(cfg.Interface().(sample)), normal(again.Interface().(sample)))
	})
}

// normal makes empty and absent lists and maps equal: they mean the same.
func normal(s sample) sample {
	if len(s.Tags) == 0 {
		s.Tags = nil
	}
	if len(s.Names) == 0 {
		s.Names = nil
	}
	if len(s.Parts) == 0 {
		s.Parts = nil
	}
	s.Zone, _ = time.LoadLocation(zoneName(s.Zone))
	return s
}

func zoneName(z *time.Location) string {
	if z == nil {
		return ""
	}
	return z.String()
}

func FuzzConfigDecode(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `{"domain":"a.example","window":3}`, `{"orders":{"file":"f","columns":{"key":"k"}},"domain":"x"}`,
		`{"domain":"a","parts":[{}],"accounts":{"":{"user":"u"}}}`, `{"domain":"a","tags":[null]}`, `[[[`, `{"domain":"a","zone":"../etc"}`,
	} {
		f.Add([]byte(seed), "t-secret")
	}
	c := ConfigOf[sample]()
	f.Fuzz(func(t *testing.T, data []byte, token string) {
		secrets := map[string]string{"token": token}
		cfg, problems := c.decode(data, secrets)
		for _, p := range problems {
			require.Equal(t, ProblemInvalidConfig, p.Kind)
			require.NotEmpty(t, p.Message)
		}
		if len(problems) == 0 {
			requireStable(t, c, cfg, secrets)
		}
	})
}

func TestConfigFieldTypesAreKnownToTheWire(t *testing.T) {
	for _, f := range ConfigOf[sample]().describe() {
		require.NotEqual(t, connectorv1.ConfigField_TYPE_UNSPECIFIED, f.GetType(), f.GetPath())
	}
}
