package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every file under testdata/bad is a workspace (hub_*.yaml: a hub.yaml) with mistakes; the .txt beside it holds every
// problem that must be found.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			files := map[string]string{"empty": " \n", "binary": "\xff\xfe", "secret": "s3cret"}
			if strings.HasPrefix(name, "hub_") {
				files["hub.yaml"] = string(content)
			} else {
				files["workspaces/w.yaml"] = string(content)
				files["circle.yaml"] = "extends: other.yaml\n"
				files["other.yaml"] = "extends: circle.yaml\n"
				files["list.yaml"] = "- 1\n"
				files["mistake.yaml"] = "currency: rub\n"
			}
			path := folder(t, files)
			hub, problems := Load(path, Options{LookupEnv: env("SET", "s3cret-value", "EMPTY", "")})
			require.NotEmpty(t, problems)
			if hub != nil {
				require.Empty(t, hub.Workspaces)
			}
			got := lines(path, problems)
			require.NotContains(t, got, "s3cret")
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", got)
		})
	}
}
