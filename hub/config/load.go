package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Options are what Load needs from outside.
type Options struct {
	// LookupEnv finds environment variables; nil means os.LookupEnv.
	LookupEnv func(name string) (string, bool)
}

// Load reads hub.yaml and the workspace files it names. A workspace with a problem is left out and takes no other down
// with it. The hub is nil when hub.yaml itself has a problem; the workspace files are checked even then where it can be
// known which they are.
func Load(path string, o Options) (*Hub, Problems) {
	l := loader{lookup: o.LookupEnv, readFile: os.ReadFile}
	if l.lookup == nil {
		l.lookup = os.LookupEnv
	}
	hub, problems := l.hub(path)
	if hub == nil {
		return nil, problems
	}
	broken := len(problems) > 0
	workspaces, more := l.workspaces(hub)
	hub.Workspaces = workspaces
	problems = append(problems, more...)
	problems.sort()
	problems = slices.Compact(problems) // files that several workspaces extend
	if broken {
		return nil, problems
	}
	return hub, problems
}

// loader reads files; tests replace what it reads with.
type loader struct {
	lookup   func(string) (string, bool)
	readFile func(string) ([]byte, error)
}

// expander returns a view of the loader that reports to a list.
func (l loader) expander(problems *Problems) expander {
	return expander{lookup: l.lookup, readFile: l.readFile, report: func(p Problem) { *problems = append(*problems, p) }}
}

// file reads and parses one file; nil when that failed.
func (l loader) file(path, shown string, problems *Problems) *node {
	report := l.expander(problems).report
	data, err := l.readFile(path)
	if err != nil {
		report(Problem{Position: Position{File: shown}, Message: "the file cannot be read: " + reason(err)})
		return nil
	}
	from := &source{name: shown, dir: filepath.Dir(path)}
	before := len(*problems)
	root := parse(data, from, report)
	if root == nil && len(*problems) == before {
		return &node{kind: mapping, place: place{source: from}} // nothing but comments
	}
	return root
}

func (l loader) hub(path string) (*Hub, Problems) {
	var problems Problems
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, Problems{{Position: Position{File: path}, Message: "the current folder is unknown: " + reason(err)}}
	}
	root := l.file(full, path, &problems)
	if root == nil {
		return nil, problems
	}
	d := &decoder{expander: l.expander(&problems)}
	d.tree(root, "")
	file := hubForm.read(d, root, "")
	return &Hub{
		Path: path, Dir: filepath.Dir(full),
		Listen: file.listen, PublicURL: file.publicURL,
		StorePath: file.store.path, StoreURL: file.store.url, VaultKey: file.vaultKey,
		Connectors: file.connectors, Limits: file.limits, WorkspaceFiles: file.workspaces,
	}, problems
}

// workspaces loads every workspace file and returns those in order.
func (l loader) workspaces(hub *Hub) ([]Workspace, Problems) {
	var paths []string
	for _, pattern := range hub.WorkspaceFiles {
		matches, _ := filepath.Glob(pattern) // a bad pattern was reported when it was read
		paths = append(paths, matches...)
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)

	loaded := make([]Workspace, len(paths))
	faults := make([]Problems, len(paths))
	for i, path := range paths {
		loaded[i], faults[i] = l.workspace(path, shownAs(hub, path))
	}
	sharedNames(loaded, faults)

	var good []Workspace
	var problems Problems
	for i, w := range loaded {
		if len(faults[i]) == 0 {
			good = append(good, w)
		}
		problems = append(problems, faults[i]...)
	}
	slices.SortFunc(good, func(a, b Workspace) int { return strings.Compare(a.Name, b.Name) })
	return good, problems
}

// shownAs is a path as a person would open it from where hub.yaml was named.
func shownAs(hub *Hub, path string) string {
	relative, err := filepath.Rel(hub.Dir, path)
	if err != nil {
		return path
	}
	return filepath.Join(filepath.Dir(hub.Path), relative)
}

// sharedNames refuses all workspaces of one name: which of them owns the data cannot be known (R10).
func sharedNames(loaded []Workspace, faults []Problems) {
	files := map[string][]string{}
	for _, w := range loaded {
		if w.Name != "" {
			files[w.Name] = append(files[w.Name], w.File)
		}
	}
	for i, w := range loaded {
		if len(files[w.Name]) > 1 {
			others := slices.DeleteFunc(slices.Clone(files[w.Name]), func(f string) bool { return f == w.File })
			faults[i] = append(faults[i], w.Problem("workspace",
				"another file has a workspace of this name: "+strings.Join(others, ", "), "rename or remove one of them; none is used until then"))
		}
		if w.RenamedFrom != "" && len(files[w.RenamedFrom]) > 0 {
			faults[i] = append(faults[i], w.Problem("renamed_from",
				"there is still a workspace of this name in "+files[w.RenamedFrom][0], "remove renamed_from or the other file"))
		}
	}
}

// workspace loads one workspace file with what it extends.
func (l loader) workspace(path, shown string) (Workspace, Problems) {
	var problems Problems
	root, files := l.layers(path, shown, nil, &problems)
	if root == nil {
		return Workspace{File: shown, Files: files}, problems
	}
	d := &decoder{expander: l.expander(&problems)}
	d.tree(root, "")
	file := workspaceForm.read(d, root, "")
	file.File, file.Files = shown, files
	w := finish(file, root)
	problems = append(problems, check(w)...)
	problems.sort()
	return w, problems
}

// finish puts together what more than one key or the whole tree decides.
func finish(file workspaceFile, root *node) Workspace {
	w := file.Workspace
	w.tree = root
	w.TimeZone = file.zone.Location
	w.Window, w.Lifespan, w.RFM = file.kpi.window, file.kpi.lifespan, file.kpi.rfm
	for i := range w.Connections {
		c := &w.Connections[i]
		c.tree, c.path = root, "connections."+c.Name
	}
	for i := range w.Segments {
		s := &w.Segments[i]
		if s.Title.EN == "" {
			s.Title.EN = s.ID
		}
		if s.Title.RU == "" {
			s.Title.RU = s.Title.EN
		}
	}
	strong := w.Identity.StrongKinds
	w.Identity.StrongKinds = nil
	for _, name := range strong {
		if parts := streamForm.FindStringSubmatch(name); parts != nil {
			w.Identity.StrongStreams = append(w.Identity.StrongStreams, StreamRef{Connection: parts[1], Stream: parts[2]})
		} else if name != "" {
			w.Identity.StrongKinds = append(w.Identity.StrongKinds, name)
		}
	}
	return w
}

// layers reads a workspace file and lays it over what it extends. Files come back base first.
func (l loader) layers(path, shown string, chain []string, problems *Problems) (*node, []string) {
	root := l.file(path, shown, problems)
	if root == nil || root.kind != mapping {
		return root, []string{path}
	}
	extends := root.get("extends")
	if extends == nil {
		return root, []string{path}
	}
	x := l.expander(problems)
	x.tree(extends, "extends")
	if extends.kind != text {
		return root, []string{path} // reported when the tree is decoded
	}
	chain = append(chain, path)
	basePath := absolute(extends.place.source, extends.text)
	if slices.Contains(chain, basePath) {
		x.report(Problem{
			Position: extends.place.position(), Path: "extends",
			Message: "the files extend each other in a circle", Suggestion: "take extends out of one of them",
		})
		return root, []string{path}
	}
	if _, err := l.readFile(basePath); err != nil {
		x.report(Problem{
			Position: extends.place.position(), Path: "extends",
			Message: "the file cannot be read: " + reason(err), Suggestion: "the path is relative to the file it is written in",
		})
		return root, []string{path}
	}
	baseShown := basePath
	if !filepath.IsAbs(extends.text) && !extends.foreign {
		baseShown = filepath.Join(filepath.Dir(shown), extends.text)
	}
	base, files := l.layers(basePath, baseShown, chain, problems)
	if base == nil {
		return root, append(files, path)
	}
	if base.kind != mapping {
		x.report(Problem{Position: base.place.position(), Message: fmt.Sprintf("a mapping is needed, not %s", base.kind)})
		return root, append(files, path)
	}
	// A base has no name to give: two workspaces would share it.
	base.entries = slices.DeleteFunc(base.entries, func(e entry) bool {
		return slices.Contains([]string{"workspace", "renamed_from", "extends"}, e.key)
	})
	return merge(base, root), append(files, path)
}
