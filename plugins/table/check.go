package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/regulars/regulars/plugins/table/internal/csvfile"
	"github.com/regulars/regulars/sdk"
)

// checkRows is how many rows at the start of each file Check looks at.
const checkRows = 200

// checker tries a configuration on the files there are.
type checker struct{ now func() time.Time }

// check looks for every fault at once, see sdk.CheckOf. The account has no id: a folder may be moved.
func (c *checker) check(ctx context.Context, cfg config, req sdk.CheckRequest) (sdk.Account, error) {
	var faults []error
	if cfg.Folder != "" {
		faults = append(faults, c.checkStreams(ctx, cfg)...)
	}
	if cfg.Targets != nil {
		if err := checkTargets(string(cfg.Targets.Folder)); err != nil {
			faults = append(faults, err)
		}
	}
	return sdk.Account{}, errors.Join(faults...)
}

func (c *checker) checkStreams(ctx context.Context, cfg config) []error {
	root, err := openFolder(cfg.Folder)
	if err != nil {
		return []error{err}
	}
	defer root.Close() // nothing was written
	var faults []error
	for _, d := range definitions() {
		b := cfg.block(d.stream)
		if b == nil {
			continue
		}
		files, err := listFiles(root, cfg.Folder, d.stream, b, c.now())
		if err != nil {
			faults = append(faults, err)
			continue
		}
		for _, f := range files {
			if ctx.Err() != nil {
				return append(faults, ctx.Err())
			}
			for _, p := range checkFile(root, f.Path, b, d) {
				faults = append(faults, p)
			}
		}
	}
	return faults
}

// checkFile looks at a file's header and first rows. Bad rows are dead letters, not faults of the configuration; but
// rows in another encoding mean that the configuration names the wrong one.
func checkFile(root *os.Root, path string, b *block, d definition) []*sdk.Problem {
	file, err := root.Open(path)
	if err != nil {
		return []*sdk.Problem{unreadable(root, d.stream, path, err)}
	}
	defer file.Close() // nothing was written
	opened, l, problems := openTable(file, path, b, d)
	if len(problems) > 0 {
		return problems
	}
	for range checkRows {
		_, err := opened.Next()
		var broken *csvfile.RowError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &broken) && broken.Rule == csvfile.RuleEncoding:
			other := csvfile.Windows1251
			if b.Encoding == string(csvfile.Windows1251) {
				other = csvfile.UTF8
			}
			p := sdk.InvalidConfig(d.stream+".encoding", "the file is not %s; try %s", b.Encoding, other)
			p.Rule = broken.Rule
			return []*sdk.Problem{p.At("%s", l.place(broken.Line, ""))}
		case err != nil && !errors.As(err, &broken):
			return []*sdk.Problem{sdk.Upstream("%s cannot be read: %s", path, reason(err))}
		}
	}
	return nil
}

// checkTargets says whether lists can be written. Nothing is made yet: a check leaves no traces.
func checkTargets(folder string) error {
	info, err := os.Stat(folder)
	if errors.Is(err, fs.ErrNotExist) {
		above := filepath.Dir(filepath.Clean(folder))
		if info, err := os.Stat(above); err != nil || !info.IsDir() {
			return sdk.InvalidConfig("targets.folder", "the folder %s does not exist, nor does the one above it", folder)
		}
		return nil
	}
	switch {
	case err != nil:
		return sdk.InvalidConfig("targets.folder", "the folder %s cannot be opened: %s", folder, reason(err))
	case !info.IsDir():
		return sdk.InvalidConfig("targets.folder", "%s is not a folder", folder)
	}
	return nil
}
