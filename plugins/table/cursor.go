package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/regulars/regulars/sdk"
)

const cursorVersion = 1

// cursor says which files were read completely, in which state, and how far a read under way has come.
type cursor struct {
	Version int `json:"v"`
	// Config is the fingerprint of the block the files were read with.
	Config string      `json:"config,omitempty"`
	Files  []fileState `json:"files,omitempty"`
	// Run is set between the pages of a read.
	Run *run `json:"run,omitempty"`
}

// fileState is one file as it was found. During a run, files that are still to be given out have no sum.
type fileState struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
	// MTime in nanoseconds since 1970.
	MTime int64  `json:"mtime"`
	Sum   string `json:"sha256,omitempty"`
	// Fresh: the file was so young when it was found that it may have changed once more without a trace in size and
	// time, so the next read compares the sum.
	Fresh bool `json:"fresh,omitempty"`
	// Give is set during a run for files whose rows are all given out; of others the rows that a changed file
	// affects.
	Give bool `json:"give,omitempty"`
}

// same says whether a file is where it was, by size and time.
func (f fileState) same(now fileState) bool {
	return f.Path == now.Path && f.Size == now.Size && f.MTime == now.MTime
}

// run is a read under way: the position after the last row given out, and what must outlive the process.
type run struct {
	Index  int   `json:"index"`
	Offset int64 `json:"offset,omitempty"`
	// Snapshot names the complete read, see delete_missing.
	Snapshot string `json:"snapshot,omitempty"`
	// Doubt: a row could not be told, so nothing may be concluded from what is absent.
	Doubt bool `json:"doubt,omitempty"`
	// Restarts counts how often the files changed under the read.
	Restarts int `json:"restarts,omitempty"`
}

func decodeCursor(data []byte) (cursor, error) {
	if len(data) == 0 {
		return cursor{}, nil
	}
	var c cursor
	if err := json.Unmarshal(data, &c); err != nil || c.Version != cursorVersion || c.Run != nil && (c.Run.Index < 0 || c.Run.Offset < 0) {
		return cursor{}, sdk.Bug("the cursor has a form this version does not know; read the stream again in full")
	}
	return c, nil
}

func (c cursor) encode() []byte {
	c.Version = cursorVersion
	return sdk.EncodeCursor(c)
}

// finished returns the files that were read completely and not given out again since.
func (c cursor) finished(config string) []fileState {
	if c.Config != config {
		return nil
	}
	if c.Run == nil {
		return c.Files
	}
	return slices.DeleteFunc(slices.Clone(c.Files), func(f fileState) bool { return f.Give })
}

// snapshotName sums up the state of the files that a complete read is of.
func snapshotName(config string, files []fileState) string {
	h := sha256.New()
	_, _ = fmt.Fprintln(h, config) // a hash never fails
	for _, f := range files {
		_, _ = fmt.Fprintln(h, f.Path, f.Size, f.MTime)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
