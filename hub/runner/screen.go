package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"sync"

	"golang.org/x/time/rate"
)

// Bounds of a connector's log (R8): enough for a stack trace at once, far too little to fill a disk or keep the hub
// busy.
const (
	logLinesPerSecond = 20
	logLinesAtOnce    = 200
	// Output beyond this rate is read late, so a connector that floods slows itself and not the hub.
	logBytesPerSecond = 4 << 20
	logBytesAtOnce    = 256 << 10
	// maxRawLine is how much of a line is looked at, maxLogLine how much of it is logged, in bytes.
	maxRawLine = 8 << 10
	maxLogLine = 2 << 10
)

// screen turns whatever a connector writes into safe lines of the hub's log: split, shortened, printable, without the
// secrets of its calls (R12), and not too many. One screen serves all output of one process.
type screen struct {
	log    *slog.Logger
	redact *redactor
	lines  *rate.Limiter
	volume *rate.Limiter

	alive context.Context // ends with the process: what is left in the pipes is read without delay
	ended context.CancelFunc

	mu      sync.Mutex
	dropped int
	writers []*lineWriter
}

func newScreen(log *slog.Logger, redact *redactor) *screen {
	s := &screen{
		log: log, redact: redact,
		lines:  rate.NewLimiter(logLinesPerSecond, logLinesAtOnce),
		volume: rate.NewLimiter(logBytesPerSecond, logBytesAtOnce),
	}
	s.alive, s.ended = context.WithCancel(context.Background())
	return s
}

// unthrottle lets the rest of the output through at full speed, once there can be no more of it.
func (s *screen) unthrottle() { s.ended() }

// writer returns a writer whose lines are logged as coming from the stream.
func (s *screen) writer(stream string) io.Writer {
	w := &lineWriter{screen: s, stream: stream}
	s.mu.Lock()
	s.writers = append(s.writers, w)
	s.mu.Unlock()
	return w
}

// copy logs all that comes from r until its end or first error.
func (s *screen) copy(stream string, r io.Reader) { _, _ = io.Copy(s.writer(stream), r) }

// flush logs lines that were not ended, and how many were left out.
func (s *screen) flush() {
	s.mu.Lock()
	writers := s.writers
	s.mu.Unlock()
	for _, w := range writers {
		w.flush()
	}
	s.mu.Lock()
	dropped := s.dropped
	s.dropped = 0
	s.mu.Unlock()
	s.reportDropped(dropped)
}

func (s *screen) reportDropped(count int) {
	if count > 0 {
		s.log.Warn("connector log lines dropped", "count", count)
	}
}

// emit logs one line; cut says that its end is missing.
func (s *screen) emit(stream string, line []byte, cut bool) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return
	}
	s.mu.Lock()
	if !s.lines.Allow() {
		s.dropped++
		s.mu.Unlock()
		return
	}
	dropped := s.dropped
	s.dropped = 0
	s.mu.Unlock()
	s.reportDropped(dropped)

	entry := readLogLine(line)
	text := s.redact.clean(entry.text)
	if cut {
		// The cut may have left the beginning of a secret at the end.
		text = shorten(text, max(0, len(text)-s.redact.longest()))
	}
	attrs := []slog.Attr{slog.String("stream", stream), slog.String("line", printable(text, maxLogLine))}
	if entry.fields != "" {
		attrs = append(attrs, slog.String("fields", printable(s.redact.clean(entry.fields), maxLogLine)))
	}
	s.log.LogAttrs(context.Background(), entry.level, "connector log", attrs...)
}

// lineWriter splits a stream into lines and remembers at most maxRawLine of each.
type lineWriter struct {
	screen *screen
	stream string

	mu   sync.Mutex
	line []byte
	cut  bool
}

// Write implements io.Writer. It never fails, and blocks while the process writes too much.
func (w *lineWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		chunk := rest[:min(len(rest), logBytesAtOnce)]
		rest = rest[len(chunk):]
		_ = w.screen.volume.WaitN(w.screen.alive, len(chunk)) // fails only when throttling is over
		w.add(chunk)
	}
	return len(p), nil
}

func (w *lineWriter) add(chunk []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(chunk) > 0 {
		line, rest, ended := bytes.Cut(chunk, []byte{'\n'})
		chunk = rest
		room := maxRawLine - len(w.line)
		if len(line) > room {
			line, w.cut = line[:room], true
		}
		w.line = append(w.line, line...)
		if ended {
			w.end()
		}
	}
}

func (w *lineWriter) end() {
	w.screen.emit(w.stream, w.line, w.cut)
	w.line, w.cut = w.line[:0], false
}

func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.line) > 0 {
		w.end()
	}
}

// logLine is what a connector's line says.
type logLine struct {
	level  slog.Level
	text   string
	fields string // JSON of the other fields of a structured line
}

// readLogLine understands the JSON of hclog and slog, prefixes such as [WARN], and Go's panics. Everything else is
// text of level debug. It never fails: what looks like JSON of the wrong shape is text too.
func readLogLine(line []byte) logLine {
	if line[0] == '{' {
		var fields map[string]any
		if json.Unmarshal(line, &fields) == nil {
			entry := logLine{level: levelOf(take(fields, "@level", "level")), text: take(fields, "@message", "msg", "message")}
			if entry.text != "" {
				for _, name := range []string{"@timestamp", "@caller", "time"} {
					delete(fields, name)
				}
				if len(fields) > 0 {
					// Encoded anew, so that a secret has one spelling only.
					encoded, _ := json.Marshal(fields)
					entry.fields = string(encoded)
				}
				return entry
			}
		}
	}
	text := string(line)
	for _, prefix := range []string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR"} {
		if strings.HasPrefix(text, "["+prefix+"]") {
			return logLine{level: levelOf(prefix), text: text}
		}
	}
	if strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ") {
		return logLine{level: slog.LevelError, text: text}
	}
	return logLine{level: slog.LevelDebug, text: text}
}

// take removes the first of the named fields that is a text and returns it.
func take(fields map[string]any, names ...string) string {
	for _, name := range names {
		if text, ok := fields[name].(string); ok {
			delete(fields, name)
			return text
		}
	}
	return ""
}

func levelOf(name string) slog.Level {
	switch strings.ToUpper(name) {
	case "INFO":
		return slog.LevelInfo
	case "WARN", "WARNING":
		return slog.LevelWarn
	case "ERROR", "FATAL", "PANIC":
		return slog.LevelError
	default:
		return slog.LevelDebug
	}
}
