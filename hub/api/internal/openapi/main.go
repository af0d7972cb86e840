// Openapi writes the description of the HTTP API to a file.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/regulars/regulars/hub/api"
)

func main() {
	out := flag.String("out", "openapi.json", "file to write")
	flag.Parse()
	if err := generate(*out); err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

func generate(path string) error {
	text, err := api.OpenAPI()
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}
