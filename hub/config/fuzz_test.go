package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// FuzzWorkspace: no file makes the loader panic, a file that loads does so again with the same result, and no problem
// shows the value of a variable or of a file.
func FuzzWorkspace(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "../../configs/*/workspaces/*.yaml"} {
		files, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for _, file := range files {
			content, err := os.ReadFile(file)
			require.NoError(f, err)
			f.Add(content)
		}
	}
	const marker = "MARKER_of_a_value"
	f.Fuzz(func(t *testing.T, content []byte) {
		l := loader{
			lookup: func(string) (string, bool) { return marker, true },
			readFile: func(path string) ([]byte, error) {
				switch path {
				case "/conf/w.yaml":
					return content, nil
				case "/conf/base.yaml":
					return []byte("extends: w.yaml\ncurrency: RUB\n"), nil
				case "/conf/secret":
					return []byte(marker), nil
				}
				return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
			},
		}
		w, problems := l.workspace("/conf/w.yaml", "w.yaml")
		if !strings.Contains(string(content), "MARKER") {
			for _, p := range problems {
				require.NotContains(t, p.String(), marker)
			}
		}
		again, same := l.workspace("/conf/w.yaml", "w.yaml")
		require.Equal(t, problems, same)
		if len(problems) == 0 {
			require.Equal(t, w.Canonical(nil), again.Canonical(nil))
			for _, c := range w.Connections {
				_, _, _ = c.Split(fields)
			}
		}
	})
}

func TestDurationsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(1, int64(1000*Day/time.Millisecond)).Draw(t, "milliseconds")) * time.Millisecond
		got, ok := parseDuration(formatDuration(d))
		require.True(t, ok)
		require.Equal(t, d, got)
	})
	for _, bad := range []string{"", "5", "m", "5 m", "-5m", "1.5h", "5mo", "5m ", "99999999999999999999d"} {
		_, ok := parseDuration(bad)
		require.False(t, ok, bad)
	}
}

func TestMergeIsIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, over := drawNode(t, 3), drawNode(t, 3)
		merged := merge(base, over)
		require.Equal(t, string(merged.json()), string(merge(base, merged).json()), "what was won is kept")
	})
}

// drawNode makes a mapping without null.
func drawNode(t *rapid.T, depth int) *node {
	n := &node{kind: mapping}
	for _, name := range []string{"a", "b", "c"} {
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			n.entries = append(n.entries, entry{key: name, value: &node{kind: text, text: rapid.StringMatching("[xyz]").Draw(t, "text")}})
		case 1:
			if depth > 0 {
				n.entries = append(n.entries, entry{key: name, value: drawNode(t, depth-1)})
			}
		}
	}
	return n
}

// A short workspace whose activation names a connection that is not declared; with that, and nothing else, added it
// loads.
func TestTheShortSample(t *testing.T) {
	sample, err := os.ReadFile("testdata/short.yaml")
	require.NoError(t, err)
	variables := Options{LookupEnv: env("AMO_ID", "i", "AMO_SECRET", "s")}
	path := folder(t, map[string]string{"workspaces/romashka.yaml": string(sample)})
	_, problems := Load(path, variables)
	require.Equal(t, "workspaces/romashka.yaml:18:41: activations.win-back.to: there is no such connection; use one of crm, money\n", lines(path, problems))

	complete := strings.Replace(string(sample), "connections:\n", "connections:\n  mail: {connector: unisender}\n", 1)
	path = folder(t, map[string]string{"workspaces/romashka.yaml": complete})
	hub, problems := Load(path, variables)
	require.Empty(t, problems)
	require.Len(t, hub.Workspaces, 1)
}
