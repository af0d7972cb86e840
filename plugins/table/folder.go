package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/regulars/regulars/sdk"
)

// maxFiles bounds the files of one stream: their states travel in the cursor.
const maxFiles = 1500

// freshFor is how long after a change a file may change again without another time stamp, on the coarsest file
// systems in use.
const freshFor = 2 * time.Second

// openFolder opens the folder of the source files. Nothing outside of it can be reached through the root, not even by
// a link.
func openFolder(folder sdk.Path) (*os.Root, error) {
	root, err := os.OpenRoot(string(folder))
	if err != nil {
		return nil, sdk.InvalidConfig("folder", "the folder %s cannot be opened: %s", folder, reason(err))
	}
	return root, nil
}

// listFiles finds the files of a block, sorted by path. None at all is a mistake in the configuration.
func listFiles(root *os.Root, folder sdk.Path, stream string, b *block, now time.Time) ([]fileState, error) {
	paths, err := fs.Glob(root.FS(), b.File)
	if err != nil {
		return nil, sdk.InvalidConfig(stream+".file", "the pattern is malformed")
	}
	slices.Sort(paths)
	var files []fileState
	for _, p := range paths {
		// Names that editors and spreadsheet programs give to files of their own while one is open.
		if name := path.Base(p); strings.HasPrefix(name, ".") || strings.HasPrefix(name, "~$") {
			continue
		}
		f, err := statFile(root, stream, p, now)
		if err != nil {
			return nil, err
		}
		if f != nil {
			files = append(files, *f)
		}
	}
	switch {
	case len(files) == 0:
		p := sdk.InvalidConfig(stream+".file", "no file in the folder %s matches %q", folder, b.File)
		p.Rule = "no_file"
		return nil, p
	case len(files) > maxFiles:
		return nil, sdk.InvalidConfig(stream+".file",
			"%d files match %q, more than the %d a stream may have; join the older ones or move them away", len(files), b.File, maxFiles)
	}
	return files, nil
}

// statFile returns the state of a file, nil when it is none or has gone.
func statFile(root *os.Root, stream, p string, now time.Time) (*fileState, error) {
	info, err := root.Stat(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, unreadable(root, stream, p, err)
	case !info.Mode().IsRegular():
		return nil, nil
	}
	return &fileState{
		Path: p, Size: info.Size(), MTime: info.ModTime().UnixNano(),
		Fresh: now.Sub(info.ModTime()) < freshFor,
	}, nil
}

// unreadable says why a file cannot be read. A link out of the folder and missing rights need a person; anything else,
// such as a network drive that is away, may pass.
func unreadable(root *os.Root, stream, p string, err error) *sdk.Problem {
	if errors.Is(err, fs.ErrPermission) {
		return sdk.InvalidConfig(stream+".file", "%s cannot be read: %s", p, reason(err))
	}
	if info, statErr := root.Lstat(p); statErr == nil && info.Mode()&fs.ModeSymlink != 0 {
		return sdk.InvalidConfig(stream+".file", "%s is a link that cannot be followed within the folder; put the file itself there", p)
	}
	return sdk.Upstream("%s cannot be read: %s", p, reason(err))
}

// sumFile returns the SHA-256 of a file.
func sumFile(root *os.Root, stream, p string) (string, error) {
	f, err := root.Open(p)
	if err != nil {
		return "", unreadable(root, stream, p, err)
	}
	defer f.Close() // nothing was written
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", sdk.Upstream("%s cannot be read: %s", p, reason(err))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// plan compares the files with those that were read before.
type plan struct {
	files []fileState
	// changed says that something has to be read.
	changed bool
}

// compare decides which files to read: those whose content is new. With a snapshot any change makes it all of them, as
// a complete read is wanted then.
func compare(root *os.Root, stream string, before, now []fileState, snapshot bool) (plan, error) {
	known := make(map[string]fileState, len(before))
	for _, f := range before {
		known[f.Path] = f
	}
	result := plan{files: slices.Clone(now)}
	for i := range result.files {
		f := &result.files[i]
		old, ok := known[f.Path]
		delete(known, f.Path)
		switch {
		case !ok || old.Size != f.Size:
			f.Give = true
		case old.Fresh || old.MTime != f.MTime:
			sum, err := sumFile(root, stream, f.Path)
			if err != nil {
				return plan{}, err
			}
			f.Give, f.Sum = sum != old.Sum, old.Sum
		default:
			f.Sum = old.Sum
		}
		result.changed = result.changed || f.Give
	}
	if snapshot && len(known) > 0 {
		result.changed = true
	}
	for i := range result.files {
		f := &result.files[i]
		f.Give = f.Give || snapshot && result.changed
		if f.Give {
			f.Sum = ""
		}
	}
	return result, nil
}

// reason is what the operating system says, without the path, which the caller names in its own words.
func reason(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return fmt.Sprintf("%v", err)
}
