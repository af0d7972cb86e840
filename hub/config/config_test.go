package config

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/connector"
)

var update = flag.Bool("update", false, "rewrite golden files")

// golden compares with a file under testdata.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// env is an environment of its own.
func env(pairs ...string) func(string) (string, bool) {
	values := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}

// folder writes files into a new folder and returns the path of its hub.yaml.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if _, ok := files["hub.yaml"]; !ok {
		files["hub.yaml"] = "{}"
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return filepath.Join(dir, "hub.yaml")
}

// lines are problems with the folder cut off.
func lines(hubPath string, problems Problems) string {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(strings.ReplaceAll(p.String(), filepath.Dir(hubPath)+"/", "") + "\n")
	}
	return b.String()
}

const small = "workspace: %s\ntime_zone: Europe/Moscow\ncurrency: RUB\n"

func workspaceNamed(name, rest string) string { return fmt.Sprintf(small, name) + rest }

func TestSample(t *testing.T) {
	path := "../../configs/sample/hub.yaml"
	hub, problems := Load(path, Options{LookupEnv: env(
		"REGULARS_VAULT_KEY", "k", "AMO_ID", "id", "AMO_SECRET", "s3cret", "UNISENDER_KEY", "u")})
	require.Empty(t, problems)
	require.Equal(t, "127.0.0.1:8080", hub.Listen)
	require.Equal(t, "k", hub.VaultKey.Reveal())
	require.Equal(t, filepath.Join(hub.Dir, "data/regulars.db"), hub.StorePath)
	require.Equal(t, time.Minute, hub.Connectors.Idle)
	require.Len(t, hub.Workspaces, 1)

	w := hub.Workspaces[0]
	require.Equal(t, "romashka", w.Name)
	require.Equal(t, "../../configs/sample/workspaces/romashka.yaml", w.File)
	require.Len(t, w.Files, 2)
	require.Equal(t, "Europe/Moscow", w.TimeZone.String())
	require.Equal(t, 90, w.Window)
	require.Nil(t, w.BusinessDate)
	crm, ok := w.Connection("crm")
	require.True(t, ok)
	require.Equal(t, 5*time.Minute, crm.Every)
	require.Equal(t, "s3cret", crm.Auth["client_secret"].Reveal())
	require.Equal(t, "День рождения", crm.Fields[entity.KindContact]["birthday"])
	require.Equal(t, StreamRef{"money", "orders"}, w.Orders.From)
	require.Equal(t, WonOnce, w.Orders.Won)
	require.Equal(t, ByContact, w.Orders.Customer)
	require.Equal(t, []string{"info@*", "noreply@*"}, w.Identity.NeverMatch, "from the agency's file")
	require.Equal(t, Explicit, w.Consent.Mode("email"))
	require.Equal(t, Explicit, w.Consent.Mode("sms"))
	require.Equal(t, Title{RU: "Спящие VIP", EN: "Sleeping VIPs"}, w.Segments[0].Title)
	a := w.Activations[0]
	require.Equal(t, "09:00", a.At.String())
	require.Equal(t, Day, a.Every)
	require.Equal(t, Mirror, a.Mode)
	require.Equal(t, "marketing", a.Purpose)
	require.Equal(t, Ask, a.FirstPush)
	require.InDelta(t, 0.2, a.MaxChangeShare, 0)
}

func TestDemo(t *testing.T) {
	hub, problems := Load("../../configs/demo/hub.yaml", Options{LookupEnv: env()})
	require.Empty(t, problems)
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(root, "data/demo/regulars.db"), hub.StorePath)
	require.Equal(t, filepath.Join(root, "bin/connectors"), hub.Connectors.Folder)
	w := hub.Workspaces[0]
	require.Equal(t, "1998-06-30", w.BusinessDate.String())
	require.Equal(t, []StreamRef{{"shop", "contacts"}}, w.Identity.StrongStreams)
	require.Equal(t, Approved, w.Activations[0].FirstPush)
	mailing, _ := w.Connection("mailing")
	config, _, problems := mailing.Split([]connector.ConfigField{{Path: "targets.folder", Type: connector.FieldPath}})
	require.Empty(t, problems)
	require.JSONEq(t, `{"targets":{"folder":"`+filepath.Join(root, "data/demo/lists")+`"}}`, string(config))
}

func TestDefaults(t *testing.T) {
	path := folder(t, map[string]string{"hub.yaml": "# nothing but comments\n", "workspaces/a.yml": workspaceNamed("a", "")})
	hub, problems := Load(path, Options{LookupEnv: env()})
	require.Empty(t, problems)
	require.Equal(t, Connectors{MaxAlive: 16, MemoryMB: 512, Idle: time.Minute}, hub.Connectors)
	require.Equal(t, Limits{ReadWorkers: 8, WriteWorkers: 4, ComputeWorkers: 2, Stop: 15 * time.Second}, hub.Limits)
	require.True(t, hub.VaultKey.Empty())
	require.Len(t, hub.Workspaces, 1)
	w := hub.Workspaces[0]
	require.Equal(t, Identity{Match: []string{"email", "phone"}, PhoneRegion: "RU", Branches: BranchesTogether}, w.Identity)
	require.Equal(t, OrdersRule{Won: WonOnce, Customer: ByContact}, w.Orders)
}

func TestFind(t *testing.T) {
	path := folder(t, map[string]string{})
	none := func(string) string { return "" }

	got, err := Find(path, none)
	require.NoError(t, err)
	require.Equal(t, path, got)

	got, err = Find("", func(name string) string {
		require.Equal(t, "REGULARS_CONFIG", name)
		return filepath.Dir(path)
	})
	require.NoError(t, err)
	require.Equal(t, path, got)

	t.Chdir(filepath.Dir(path))
	got, err = Find("", none)
	require.NoError(t, err)
	require.Equal(t, "hub.yaml", got)

	_, err = Find("absent.yaml", none)
	require.EqualError(t, err, "no configuration: absent.yaml, given by --config: no such file or directory")
	t.Chdir(t.TempDir())
	_, err = Find("", none)
	require.ErrorContains(t, err, "getting-started")
}

func TestStoreOnAServerIsHidden(t *testing.T) {
	path := folder(t, map[string]string{"hub.yaml": "store: postgres://regulars:${PASSWORD}@db:5432/regulars\n"})
	hub, problems := Load(path, Options{LookupEnv: env("PASSWORD", "s3cret")})
	require.Empty(t, problems)
	require.Empty(t, hub.StorePath)
	require.Equal(t, "postgres://regulars:s3cret@db:5432/regulars", hub.StoreURL.Reveal())
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", *hub, *hub, *hub), "s3cret")
}

func TestABrokenWorkspaceLeavesTheOthers(t *testing.T) {
	path := folder(t, map[string]string{
		"workspaces/a.yaml": workspaceNamed("a", ""),
		"workspaces/b.yaml": "workspace: [",
		"workspaces/c.yaml": workspaceNamed("c", "kpi: {window_days: many}\n"),
		"workspaces/d.yaml": workspaceNamed("same", ""),
		"workspaces/e.yaml": workspaceNamed("same", ""),
		"workspaces/f.yaml": workspaceNamed("f", "renamed_from: a\n"),
		"workspaces/g.yaml": "# only a comment\n",
	})
	hub, problems := Load(path, Options{LookupEnv: env()})
	require.Len(t, hub.Workspaces, 1)
	require.Equal(t, "a", hub.Workspaces[0].Name)
	golden(t, "testdata/broken_workspaces.txt", lines(path, problems))
}

func TestAProblemInHubYAMLLeavesNoHub(t *testing.T) {
	path := folder(t, map[string]string{"hub.yaml": "lisen: :80\n", "workspaces/a.yaml": "workspace: a"})
	hub, problems := Load(path, Options{LookupEnv: env()})
	require.Nil(t, hub)
	require.Len(t, problems, 3, "those of the workspace too: %v", problems)
	require.Error(t, problems.Err())
}

func TestExtends(t *testing.T) {
	path := folder(t, map[string]string{
		"base/country.yaml": "time_zone: Europe/Moscow\ncurrency: RUB\nworkspace: ignored\n" +
			"connections: {crm: {connector: amocrm, every: 5m, auth: {client_secret_file: secret}}, old: {connector: x}}\n",
		"base/secret":       " s3cret\n",
		"base/agency.yaml":  "extends: country.yaml\nidentity: {never_match: [\"a@*\", \"b@*\"]}\nkpi: {window_days: 30}\n",
		"workspaces/a.yaml": "extends: ../base/agency.yaml\nworkspace: a\nconnections: {crm: {every: 1h}, old: }\nidentity: {never_match: [\"c@*\"]}\n",
	})
	hub, problems := Load(path, Options{LookupEnv: env()})
	require.Empty(t, problems)
	w := hub.Workspaces[0]
	require.Equal(t, "a", w.Name)
	require.Equal(t, 30, w.Window)
	require.Len(t, w.Connections, 1, "null takes a key of the base out")
	crm := w.Connections[0]
	require.Equal(t, "amocrm", crm.Connector)
	require.Equal(t, time.Hour, crm.Every, "the workspace wins")
	require.Equal(t, "s3cret", crm.Auth["client_secret"].Reveal(), "relative to the file that names it, trimmed")
	require.Equal(t, []string{"c@*"}, w.Identity.NeverMatch, "lists are replaced")
	require.Len(t, w.Files, 3)
}

func TestEnvironment(t *testing.T) {
	path := folder(t, map[string]string{"workspaces/a.yaml": workspaceNamed("a", `
kpi: {window_days: "${DAYS}"}
connections:
  c:
    connector: x
    paused: ${PAUSED}
    auth: {quoted: "${ID}", literal: "$${ID}", mixed: "a-${ID}-b$", fallback: "${NONE:-none}", empty: "${BLANK:-}x"}
    config:
      port: ${DAYS}
      text: "${DAYS}"
      id: ${ZEROS}
`)})
	hub, problems := Load(path, Options{LookupEnv: env("DAYS", "45", "ID", "i: d", "BLANK", "", "PAUSED", "true", "ZEROS", "0042")})
	require.Empty(t, problems)
	w := hub.Workspaces[0]
	require.Equal(t, 45, w.Window)
	c := w.Connections[0]
	require.True(t, c.Paused)
	for name, want := range map[string]string{
		"quoted": "i: d", "literal": "${ID}", "mixed": "a-i: d-b$", "fallback": "none", "empty": "x",
	} {
		require.Equal(t, want, c.Auth[name].Reveal(), name)
	}
	config, _, problems := c.Split(nil)
	require.Empty(t, problems)
	require.JSONEq(t, `{"port":45,"text":"45","id":"0042"}`, string(config), "without quotes a value has the type it looks like")
}
