package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/connector"
)

var fields = []connector.ConfigField{
	{Path: "folder", Type: connector.FieldPath},
	{Path: "token", Type: "string", Secret: true},
	{Path: "api.key", Type: "string", Secret: true},
	{Path: "headers.*", Type: "string", Secret: true},
	{Path: "headers.accept", Type: "string"},
	{Path: "columns.*", Type: "string"},
	{Path: "log_file", Type: connector.FieldPath},
	{Path: "log", Type: "string", Secret: true},
}

func loadOne(t *testing.T, rest string, more map[string]string, variables ...string) Workspace {
	t.Helper()
	files := map[string]string{"workspaces/w.yaml": workspaceNamed("w", rest)}
	for name, content := range more {
		files[name] = content
	}
	hub, problems := Load(folder(t, files), Options{LookupEnv: env(variables...)})
	require.Empty(t, problems)
	require.Len(t, hub.Workspaces, 1)
	return hub.Workspaces[0]
}

func TestSplit(t *testing.T) {
	w := loadOne(t, `
connections:
  c:
    connector: x
    config:
      zebra: 9007199254740993
      folder: ./in
      token_file: token
      api: {key: "${KEY}"}
      headers: {x-auth: h3ader, accept: json}
      columns: {contract_file: "Договор", nothing: }
      log_file: ./log
      list: [1.50, true, {a: null, b: 0x10}]
`, map[string]string{"workspaces/token": "\nt0ken\n"}, "KEY", "k3y")
	c := w.Connections[0]
	config, secrets, problems := c.Split(fields)
	require.Empty(t, problems)
	dir := filepath.Dir(w.Files[0])
	require.Equal(t, `{"zebra":9007199254740993,"folder":"`+dir+`/in","api":{},"headers":{"accept":"json"},`+
		`"columns":{"contract_file":"Договор"},"log_file":"`+dir+`/log","list":[1.50,true,{"b":16}]}`, string(config))
	revealed := map[string]string{}
	for path, s := range secrets {
		revealed[path] = s.Reveal()
	}
	require.Equal(t, map[string]string{"token": "t0ken", "api.key": "k3y", "headers.x-auth": "h3ader"}, revealed)

	again, _, _ := c.Split(fields)
	require.Equal(t, config, again, "splitting changes nothing")

	empty, secrets, problems := Connection{}.Split(fields)
	require.Equal(t, "{}", string(empty))
	require.Empty(t, secrets)
	require.Empty(t, problems)
}

func TestSplitProblems(t *testing.T) {
	w := loadOne(t, `
connections:
  c:
    connector: x
    config:
      token: [s3cret]
      api:
        key: s3cret
        key_file: none
      headers: {x_file: none}
`, nil)
	_, _, problems := w.Connections[0].Split(fields)
	shown := problems.Err().Error()
	require.NotContains(t, shown, "s3cret")
	require.Equal(t, `w.yaml:9:7: connections.c.config.token: a text is needed, not a list
w.yaml:12:19: connections.c.config.api.key_file: both key and key_file are given; remove one of them`,
		strings.ReplaceAll(shown, filepath.Dir(w.File)+"/", ""))
}

func TestConnectorProblemsFindTheirLine(t *testing.T) {
	w := loadOne(t, `
connections:
  c:
    connector: x
    config:
      token_file: token
      orders:
        columns: {amount: "Сумма", "odd.name": x}
segments:
  s: {rule: "orders >"}
`, map[string]string{"workspaces/token": "t"})
	c := w.Connections[0]
	for field, want := range map[string]string{
		"orders.columns.amount":   "11:27",
		"orders.columns.odd.name": "11:48",
		"orders.columns":          "11:9",
		"orders.columns.absent":   "11:9",
		"token":                   "9:19",
		"absent":                  "8:5",
		"":                        "8:5",
	} {
		require.True(t, strings.HasSuffix(c.Locate(field).String(), "w.yaml:"+want), "%s: %s", field, c.Locate(field))
	}
	p := c.Problem("orders.columns.amount", "no such column", "")
	require.True(t, strings.HasSuffix(p.String(), "w.yaml:11:27: connections.c.config.orders.columns.amount: no such column"))
	require.True(t, strings.HasSuffix(w.Problem("segments.s.rule", "unexpected end", "").String(), "w.yaml:13:13: segments.s.rule: unexpected end"))
	require.Equal(t, Position{}, Connection{}.Locate("x"))
}

func TestSecretsDoNotPrint(t *testing.T) {
	s := NewSecret("s3cret")
	encoded, err := json.Marshal(map[string]Secret{"a": s})
	require.NoError(t, err)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", s, "in", struct{ S Secret }{s})
	out := fmt.Sprint(s, &s, []Secret{s}, struct{ S Secret }{s}) + fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, s, s, s, s) + string(encoded) + log.String()
	require.NotContains(t, out, "s3cret")
	require.NotContains(t, out, "733363726574")
	require.Contains(t, out, "[secret]")
}

func TestCanonical(t *testing.T) {
	written := `
connections:
  b: {connector: y, config: {literal: s3cret, token: "${KEY}"}}
  a:
    connector: x
    every: 90m
    proxy: http://user:s3cret@proxy:3128
    auth: {client_secret: s3cret, client_id: s3cret}
    config:
      token: s3cret
      account: ${ACCOUNT}
      api: {key: "x${KEY}"}
      folder: ./in
orders: {from: a.deals}
identity: {strong: [loyalty_card, a.contacts]}
activations:
  x: {segment: vip, to: a, target: 15, every: 2w, at: "08:30"}
`
	known := func(name string) ([]connector.ConfigField, bool) { return fields, name == "x" }
	w := loadOne(t, written, nil, "KEY", "s3cret", "ACCOUNT", "romashka")
	got := w.Canonical(known)
	require.NotContains(t, string(got), "s3cret")
	golden(t, "testdata/canonical.json", string(got)+"\n")

	require.NotContains(t, string(w.Canonical(nil)), "romashka")
	other := loadOne(t, written, nil, "KEY", "another", "ACCOUNT", "romashka")
	require.Equal(t, string(got), string(other.Canonical(known)), "neither folder nor variables count")
	changed := loadOne(t, strings.Replace(written, "90m", "91m", 1), nil, "KEY", "s3cret", "ACCOUNT", "romashka")
	require.NotEqual(t, string(got), string(changed.Canonical(known)))
}
