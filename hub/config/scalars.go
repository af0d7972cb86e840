package config

import (
	"errors"
	"io/fs"
	"net"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones must not depend on the machine

	"github.com/invopop/jsonschema"
	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/currency"

	"github.com/regulars/regulars/contracts/entity"
)

// Day is the length "1d" stands for. Schedules with an hour ("at") run by the calendar, whatever the length of a day.
const Day = 24 * time.Hour

var durationPart = regexp.MustCompile(`^([0-9]+)(ms|s|m|h|d|w)`)

var durationUnits = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": Day, "w": 7 * Day,
}

const durationRule = "write a number and a unit (s, m, h, d or w), e.g. 30s, 5m, 1h, 1d or 1h30m"

// parseDuration reads "90s", "5m", "1h30m", "1d", "2w".
func parseDuration(s string) (time.Duration, bool) {
	var total time.Duration
	for rest := s; rest != ""; {
		part := durationPart.FindStringSubmatch(rest)
		if part == nil {
			return 0, false
		}
		count, err := strconv.ParseInt(part[1], 10, 64)
		unit := durationUnits[part[2]]
		// A hundred years is more than any schedule needs and far from overflow.
		if err != nil || count > int64(100*365*Day/unit) {
			return 0, false
		}
		total += time.Duration(count) * unit
		rest = rest[len(part[0]):]
	}
	return total, s != ""
}

// formatDuration is the inverse of parseDuration, in the largest units that fit.
func formatDuration(d time.Duration) string {
	var b strings.Builder
	for _, unit := range [...]string{"d", "h", "m", "s", "ms"} {
		if count := d / durationUnits[unit]; count > 0 {
			b.WriteString(strconv.FormatInt(int64(count), 10) + unit)
			d -= count * durationUnits[unit]
		}
	}
	if b.Len() == 0 {
		return "0s"
	}
	return b.String()
}

// lasting is a duration within bounds.
func lasting(least, most time.Duration) shape[time.Duration] {
	schema := jsonschema.Schema{Type: "string", Pattern: `^([0-9]+(ms|s|m|h|d|w))+$`}
	return scalarOf(schema, func(_ *decoder, n *node) (time.Duration, string, string) {
		if !n.scalar() {
			return 0, "a duration is needed, not " + n.kind.String(), durationRule
		}
		d, ok := parseDuration(n.text)
		if !ok {
			return 0, "not a duration", durationRule
		}
		if d < least || d > most {
			return 0, "the duration must be from " + formatDuration(least) + " to " + formatDuration(most), ""
		}
		return d, "", ""
	})
}

// Zone is a time zone under its IANA name.
type Zone struct{ *time.Location }

var zone = scalarOf(jsonschema.Schema{Type: "string"}, func(_ *decoder, n *node) (Zone, string, string) {
	const rule = "use an IANA name, e.g. Europe/Moscow, Asia/Yekaterinburg or UTC"
	if n.kind != text || n.text == "" || n.text == "Local" {
		return Zone{time.UTC}, "not a time zone", rule
	}
	location, err := time.LoadLocation(n.text)
	if err != nil {
		return Zone{time.UTC}, "not a time zone", rule
	}
	return Zone{location}, "", ""
})

var money = scalarOf(jsonschema.Schema{Type: "string", Pattern: "^[A-Z]{3}$"}, func(_ *decoder, n *node) (string, string, string) {
	const rule = "use an ISO 4217 code in capitals, e.g. RUB, USD or EUR"
	if n.kind != text {
		return "", "not a currency", rule
	}
	unit, err := currency.ParseISO(n.text)
	if err != nil {
		return "", "not a currency", rule
	}
	if unit.String() != n.text {
		return "", "a currency is written in capitals", "write " + unit.String()
	}
	return n.text, "", ""
})

var day = scalarOf(jsonschema.Schema{Type: "string", Format: "date"}, func(_ *decoder, n *node) (*entity.Date, string, string) {
	date, err := entity.ParseDate(n.text)
	if err != nil {
		return nil, "not a date", "write YYYY-MM-DD, e.g. 1998-06-30"
	}
	return &date, "", ""
})

// Clock is a time of day in minutes since midnight.
type Clock int

// String returns "09:00".
func (c Clock) String() string {
	return time.Date(1, 1, 1, 0, int(c), 0, 0, time.UTC).Format("15:04")
}

var clockForm = regexp.MustCompile(`^([01][0-9]|2[0-3]):([0-5][0-9])$`)

var timeOfDay = scalarOf(jsonschema.Schema{Type: "string", Pattern: clockForm.String()}, func(_ *decoder, n *node) (*Clock, string, string) {
	parts := clockForm.FindStringSubmatch(n.text)
	if n.kind != text || parts == nil {
		return nil, "not a time of day", `write hours and minutes in quotes, e.g. "09:00"`
	}
	hour, _ := strconv.Atoi(parts[1])
	minute, _ := strconv.Atoi(parts[2])
	at := Clock(hour*60 + minute)
	return &at, "", ""
})

var share = scalarOf(jsonschema.Schema{Type: "number", Minimum: "0", Maximum: "1"}, func(_ *decoder, n *node) (float64, string, string) {
	const rule = "a share from 0 to 1 is needed"
	value, err := strconv.ParseFloat(n.text, 64)
	if !n.scalar() || n.kind == text && !n.foreign || err != nil {
		return 0, rule + ", not " + n.kind.String(), "20 % is written 0.2"
	}
	if !(value >= 0 && value <= 1) {
		return 0, rule, "20 % is written 0.2"
	}
	return value, "", ""
})

// years is a length of time.
var years = scalarOf(jsonschema.Schema{Type: "number", Minimum: "0.1", Maximum: "100"}, func(_ *decoder, n *node) (float64, string, string) {
	value, err := strconv.ParseFloat(n.text, 64)
	if !n.scalar() || n.kind == text && !n.foreign || err != nil || !(value >= 0.1 && value <= 100) {
		return 0, "a number from 0.1 to 100 is needed", ""
	}
	return value, "", ""
})

var decimalForm = regexp.MustCompile(`^[0-9]{1,15}(\.[0-9]{1,4})?$`)

// decimal is an amount of money, kept as it is written.
var decimal = scalarOf(jsonschema.Schema{Type: "number", Minimum: "0"}, func(_ *decoder, n *node) (string, string, string) {
	if !n.scalar() || !decimalForm.MatchString(n.text) {
		return "", "an amount of money is needed", "e.g. 50000 or 99.90"
	}
	return n.text, "", ""
})

var region = scalarOf(jsonschema.Schema{Type: "string", Pattern: "^[A-Z]{2}$"}, func(_ *decoder, n *node) (string, string, string) {
	if !phonenumbers.GetSupportedRegions()[n.text] {
		return "", "not a country", "use an ISO 3166-1 code of two capitals, e.g. RU, KZ or US"
	}
	return n.text, "", ""
})

var address = scalarOf(jsonschema.Schema{Type: "string"}, func(_ *decoder, n *node) (string, string, string) {
	_, port, err := net.SplitHostPort(n.text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if n.kind != text || err != nil {
		return "", "not an address to listen on", "write host:port, e.g. 127.0.0.1:8080, or :8080 for every interface"
	}
	return n.text, "", ""
})

var webURL = scalarOf(jsonschema.Schema{Type: "string"}, func(_ *decoder, n *node) (string, string, string) {
	u, err := url.Parse(n.text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return "", "not a web address", "write it with http:// or https://, e.g. https://regulars.example.com"
	}
	return strings.TrimSuffix(n.text, "/"), "", ""
})

// proxy is hidden because its address may hold a password.
var proxy = scalarOf(jsonschema.Schema{Type: "string"}, func(_ *decoder, n *node) (Secret, string, string) {
	u, err := url.Parse(n.text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" {
		return Secret{}, "not the address of a proxy", "write it with http://, https:// or socks5://, e.g. http://10.0.0.1:3128"
	}
	return NewSecret(n.text), "", ""
})

// filePath is a path, made absolute.
var filePath = scalarOf(jsonschema.Schema{Type: "string"}, func(_ *decoder, n *node) (string, string, string) {
	if n.kind != text || n.text == "" {
		return "", "a path is needed, not " + n.kind.String(), ""
	}
	return absolute(n.place.source, n.text), "", ""
})

var globEscape = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

// filePattern is a path with * and ?, made absolute.
var filePattern = scalarOf(jsonschema.Schema{Type: "string"}, func(_ *decoder, n *node) (string, string, string) {
	if _, err := filepath.Match(n.text, ""); n.kind != text || n.text == "" || err != nil {
		return "", "a path with * and ? is needed", "e.g. workspaces/*.yaml"
	}
	if filepath.IsAbs(n.text) || n.place.source == nil {
		return filepath.Clean(n.text), "", ""
	}
	// The folder is taken literally, whatever characters it has.
	return filepath.Join(globEscape.Replace(n.place.source.dir), n.text), "", ""
})

// readableFile is the path of a file that can be read now.
var readableFile = scalarOf(jsonschema.Schema{Type: "string"}, func(d *decoder, n *node) (string, string, string) {
	if n.kind != text || n.text == "" {
		return "", "a path is needed, not " + n.kind.String(), ""
	}
	at := absolute(n.place.source, n.text)
	if _, err := d.readFile(at); err != nil {
		return "", "the file cannot be read: " + reason(err), "the path is relative to the file it is written in"
	}
	return at, "", ""
})

// reason is why a file cannot be used, without its path, which may have come from a variable.
func reason(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err.Error()
	}
	return "unknown error"
}

// wildcard is a pattern with * and ?.
var wildcard = scalarOf(jsonschema.Schema{Type: "string"}, func(_ *decoder, n *node) (string, string, string) {
	if _, err := path.Match(n.text, ""); n.kind != text || n.text == "" || err != nil {
		return "", "not a pattern", `use * and ?, in quotes, e.g. "info@*"`
	}
	return n.text, "", ""
})

var checksumForm = regexp.MustCompile("^[0-9a-f]{64}$")

// checksum is a SHA-256 in hexadecimal digits.
var checksum = scalarOf(jsonschema.Schema{Type: "string", Pattern: checksumForm.String()}, func(_ *decoder, n *node) (string, string, string) {
	if !checksumForm.MatchString(n.text) {
		return "", "not a SHA-256", "write its 64 hexadecimal digits, as sha256sum prints them"
	}
	return n.text, "", ""
})
