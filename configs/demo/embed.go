// Package demo holds what `regulars demo` starts from: a shop's export, its newsletter's export, and a configuration
// that brings them together.
package demo

import "embed"

// Files are the configuration and the two exports, as they lie in this folder. Paths in the configuration lead out of
// the folder they are copied to: the store and the lists lie beside it.
//
//go:embed hub.yaml workspaces shop newsletter
var Files embed.FS

// Expected are the figures, segment sizes and pushes that the demo must come to, as JSON.
//
//go:embed expected.json
var Expected []byte
