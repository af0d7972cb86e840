package runner

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func testScreen(secrets ...string) (*screen, *bytes.Buffer) {
	var out bytes.Buffer
	redact := newRedactor()
	for _, secret := range secrets {
		redact.add(map[string]string{"s": secret})
	}
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	return newScreen(log, redact), &out
}

func TestLogLines(t *testing.T) {
	for line, want := range map[string]string{
		"plain":                             `level=DEBUG msg="connector log" stream=e line=plain`,
		"[WARN] careful":                    `level=WARN msg="connector log" stream=e line="[WARN] careful"`,
		"[ERROR] bad":                       `level=ERROR msg="connector log" stream=e line="[ERROR] bad"`,
		"panic: oh":                         `level=ERROR msg="connector log" stream=e line="panic: oh"`,
		`{"@message":"hi","@level":"info"}`: `level=INFO msg="connector log" stream=e line=hi`,
		`{"msg":"hi","level":"ERROR","n":1,"time":"now"}`: `level=ERROR msg="connector log" stream=e line=hi fields="{\"n\":1}"`,
		`{"@message": 1}`:                 `level=DEBUG msg="connector log" stream=e line="{\"@message\": 1}"`,
		`{"@level": [], "@message":"hi"}`: `level=DEBUG msg="connector log" stream=e line=hi fields="{\"@level\":[]}"`,
		`{"broken`:                        `level=DEBUG msg="connector log" stream=e line="{\"broken"`,
		"[]":                              `level=DEBUG msg="connector log" stream=e line=[]`,
		"bell\x07 and \xff and\ttab\r":    `level=DEBUG msg="connector log" stream=e line="bell? and ? and tab"`,
		"mail ann@example.com":            `level=DEBUG msg="connector log" stream=e line="mail [personal]"`,
		"call +79161234567 now":           `level=DEBUG msg="connector log" stream=e line="call [personal] now"`,
		" ":                               "",
	} {
		s, out := testScreen()
		s.copy("e", strings.NewReader(line))
		s.flush()
		require.Equal(t, want, strings.TrimSpace(out.String()), line)
	}
}

func TestSecretsInTheLog(t *testing.T) {
	const key = "-----BEGIN KEY-----\nMIIEvgIBADANBgkqhkiG\n-----END KEY-----"
	s, out := testScreen("hush", "hush-hush", `qu"ote & co`, key, "abc")
	for _, line := range []string{
		"is hush-hush here",
		`{"msg":"is \u0068ush here"}`, // another spelling of the same
		`{"msg":"ok","deep":{"list":["hush"]}}`,
		"/path?token=qu%22ote+%26+co",
		`{"msg":"ok","json":"qu\"ote & co"}`,
		"MIIEvgIBADANBgkqhkiG",
		strings.Repeat("x", maxRawLine-6) + " hush-hush", // cut within the secret
		"too short to look for: abc",
	} {
		s.copy("e", strings.NewReader(line+"\n"))
	}
	for _, secret := range []string{"hush", "hus", "qu", "MIIE"} {
		require.NotContains(t, out.String(), secret)
	}
	require.Contains(t, out.String(), "abc")
	require.Contains(t, out.String(), `line="is [secret] here"`)
}

// No secret gets through, wherever the chunks of the stream are cut.
func TestSecretsAcrossChunks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := "S3CRET" + rapid.StringMatching(`[A-Za-z0-9+/=&%"]{2,20}`).Draw(t, "secret")
		s, out := testScreen(secret)
		text := rapid.SliceOfN(rapid.SampledFrom([]string{secret, " ", "\n", "text", "{\"msg\":\"", "\"}", strings.Repeat("y", 3000)}), 1, 40).Draw(t, "text")
		w := s.writer("e")
		for rest := strings.Join(text, ""); rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "chunk")
			_, err := io.WriteString(w, rest[:n])
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		s.flush()
		if strings.Contains(out.String(), "S3CRET") {
			t.Fatalf("a secret got through: %s", out)
		}
	})
}

func TestLogIsBounded(t *testing.T) {
	s, out := testScreen()
	s.unthrottle()
	var flood strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&flood, "line %d\n", i)
	}
	s.copy("e", strings.NewReader(flood.String()))
	s.copy("e", strings.NewReader(strings.Repeat("long", 1<<20)))
	s.flush()
	logged, dropped := 0, 0
	for line := range strings.Lines(out.String()) {
		if _, count, found := strings.Cut(line, `msg="connector log lines dropped" count=`); found {
			n, err := strconv.Atoi(strings.TrimSpace(count))
			require.NoError(t, err)
			dropped += n
			continue
		}
		logged++
		require.Less(t, len(line), maxLogLine+200)
	}
	require.Equal(t, 5001, logged+dropped, "every line is logged or counted")
	require.Less(t, logged, 1000)
}

func FuzzLogLine(f *testing.F) {
	f.Add([]byte(`{"@message": 1}`))
	f.Add([]byte(`{"@message":"x","@level":"warn","@timestamp":7}`))
	f.Add([]byte("panic: \xff\x00 hush-hush"))
	f.Fuzz(func(t *testing.T, output []byte) {
		s, out := testScreen("hush-hush")
		s.copy("e", bytes.NewReader(output))
		s.flush()
		require.True(t, utf8.Valid(out.Bytes()))
		require.NotContains(t, out.String(), "hush-hush")
	})
}

func TestRedactorForgetsTheOldest(t *testing.T) {
	r := newRedactor()
	for i := range 3 * maxSecrets {
		r.add(map[string]string{"token": fmt.Sprintf("token-%d", i)})
	}
	require.LessOrEqual(t, len(r.secrets), maxSecrets)
	require.Equal(t, "[secret]", r.clean(fmt.Sprintf("token-%d", 3*maxSecrets-1)))
}
