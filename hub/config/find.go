package config

import (
	"fmt"
	"os"
)

// EnvPath is the environment variable that names hub.yaml.
const EnvPath = "REGULARS_CONFIG"

// Find returns the path of hub.yaml: the one given explicitly, else the one $REGULARS_CONFIG names, else ./hub.yaml. A
// folder stands for the hub.yaml in it. The error says where was looked when there is no such file.
func Find(explicit string, getenv func(string) string) (string, error) {
	path, origin := explicit, "--config"
	if path == "" {
		path, origin = getenv(EnvPath), "$"+EnvPath
	}
	if path == "" {
		path, origin = "hub.yaml", ""
	}
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		path += "/hub.yaml"
		_, err = os.Stat(path)
	}
	switch {
	case err == nil:
		return path, nil
	case origin == "":
		return "", fmt.Errorf("no configuration: ./hub.yaml: %s; name the file with --config or $%s, or write one (docs/getting-started.md)", reason(err), EnvPath)
	default:
		return "", fmt.Errorf("no configuration: %s, given by %s: %s", path, origin, reason(err))
	}
}
