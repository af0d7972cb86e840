package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/regulars/regulars/configs/demo"
)

// demoPaths are the places in the demo's configuration that hold only where it lies in the repository, with what
// stands for them in a copy: there the store and the lists lie beside the folder, and the connectors beside the program.
var demoPaths = map[string][][2]string{
	"hub.yaml": {
		{"# yaml-language-server: $schema=../../hub/config/schema/hub.json\n#\n", ""},
		{"# The hub of the demo. Paths are relative to this file; all it makes lies in data/demo, which can be removed at any time.", "# The hub of the demo. Paths are relative to this file."},
		{"listen: 127.0.0.1:8080", "listen: " + demoListen},
		{"store: ../../data/demo/regulars.db", "store: ../regulars.db"},
		{"connectors: {folder: ../../bin/connectors}\n", ""},
	},
	"workspaces/demo.yaml": {
		{"# yaml-language-server: $schema=../../../hub/config/schema/workspace.json\n#\n", ""},
		{"folder: ../../../data/demo/lists", "folder: ../../lists"},
		{" (../README.md)", ""},
	},
}

// writeDemo writes the demo's configuration and exports to a folder. Files that are there stay as they are: they may
// have been added to.
func writeDemo(folder string) error {
	return fs.WalkDir(demo.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path := filepath.Join(folder, filepath.FromSlash(name))
		if entry.IsDir() {
			if err := os.MkdirAll(path, 0o755); err != nil {
				return fmt.Errorf("making the demo's folder: %w", err)
			}
			return nil
		}
		text, err := demo.Files.ReadFile(name)
		if err != nil {
			return err
		}
		if text, err = moved(name, text); err != nil {
			return err
		}
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("writing the demo's files: %w", err)
		}
		_, err = file.Write(text)
		if err := errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("writing the demo's files: %w", err)
		}
		return nil
	})
}

// moved makes a file of the demo fit for its new place.
func moved(name string, text []byte) ([]byte, error) {
	for _, pair := range demoPaths[name] {
		if !bytes.Contains(text, []byte(pair[0])) {
			return nil, fmt.Errorf("the demo's %s holds no %q, which a copy of it needs changed", name, pair[0])
		}
		text = bytes.ReplaceAll(text, []byte(pair[0]), []byte(pair[1]))
	}
	return text, nil
}
