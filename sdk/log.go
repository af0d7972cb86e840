package sdk

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	hclog "github.com/hashicorp/go-hclog"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
)

// timestampForm is the only one go-plugin reads.
const timestampForm = "2006-01-02T15:04:05.000000Z07:00"

// newLogger writes one JSON line per record with the keys go-plugin expects.
func newLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) > 0 {
				return a
			}
			switch a.Key {
			case slog.TimeKey:
				return slog.String("@timestamp", a.Value.Time().Format(timestampForm))
			case slog.LevelKey:
				return slog.String("@level", strings.ToLower(a.Value.String()))
			case slog.MessageKey:
				return slog.String("@message", a.Value.String())
			default:
				return a
			}
		},
	}))
}

// pluginLogger is for go-plugin itself, which only speaks hclog and says nothing of interest when all is well.
func pluginLogger(w io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Name: "go-plugin", Level: hclog.Warn, Output: w, JSONFormat: true})
}

// logLevel is info unless the environment asks for another.
func logLevel() slog.Level {
	var level slog.Level // info
	if err := level.UnmarshalText([]byte(os.Getenv(connectorv1.LogLevelEnv))); err != nil {
		return slog.LevelInfo
	}
	return level
}

// mask replaces the secrets a process was handed wherever they are about to leave it in a log line or a message
// (R12). It is the second line of defence: the type Secret is the first.
type mask struct {
	mu     sync.RWMutex
	values map[string]bool
}

const (
	// minMasked: shorter values occur in ordinary text by chance.
	minMasked = 4
	// maxMasked bounds what is remembered of access tokens, which change every hour.
	maxMasked = 1024
)

func (m *mask) add(access *connectorv1.Access) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values == nil || len(m.values) > maxMasked {
		m.values = map[string]bool{}
	}
	for _, value := range slices.Concat([]string{access.GetToken(), access.GetProxy()}, slices.Collect(maps.Values(access.GetSecrets()))) {
		if len(value) < minMasked {
			continue
		}
		m.values[value] = true
		// The value as it looks inside a JSON string.
		if quoted, err := json.Marshal(value); err == nil {
			m.values[string(quoted[1:len(quoted)-1])] = true
		}
	}
}

// text returns s without secrets.
func (m *mask) text(s string) string { return string(m.bytes([]byte(s))) }

func (m *mask) bytes(line []byte) []byte {
	m.mu.RLock()
	defer m.mu.RUnlock()
	// Longest first, so that a secret that is part of another leaves no rest of it.
	for _, value := range slices.SortedFunc(maps.Keys(m.values), func(a, b string) int { return len(b) - len(a) }) {
		line = bytes.ReplaceAll(line, []byte(value), []byte(redacted))
	}
	return line
}

// problem returns a copy of p fit to leave the process.
func (m *mask) problem(p *Problem) *Problem {
	safe := *p
	safe.Message, safe.Place, safe.RequestID = m.text(p.Message), m.text(p.Place), m.text(p.RequestID)
	return &safe
}

// wire makes a problem in wire form fit to leave the process.
func (m *mask) wire(p *connectorv1.Problem) {
	p.Message, p.Place, p.RequestId = m.text(p.GetMessage()), m.text(p.GetPlace()), m.text(p.GetRequestId())
}

// maskedWriter masks every Write, which is one line from slog and hclog.
type maskedWriter struct {
	mask *mask
	next io.Writer
}

// Write implements io.Writer.
func (w maskedWriter) Write(line []byte) (int, error) {
	if _, err := w.next.Write(w.mask.bytes(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}

// Parts of foreign error texts that may be values of records or keys in addresses.
var scrubbed = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`"(?:[^"\\]|\\.)*"`), `"…"`},
	{regexp.MustCompile(`\?[^\s"]+`), "?…"},
	{regexp.MustCompile(`[^\s@<>]+@[^\s@<>]+`), "…@…"},
	{regexp.MustCompile(`\+?\d[\d\s()-]{5,}\d`), "…"},
}

// scrub makes the text of an error of unknown origin fit for a log: what is quoted, queries of addresses, e-mail
// addresses and long numbers go; what remains still tells what happened.
func scrub(text string) string {
	for _, s := range scrubbed {
		text = s.pattern.ReplaceAllString(text, s.with)
	}
	return text
}
