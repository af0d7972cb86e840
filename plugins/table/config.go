package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/regulars/regulars/plugins/table/internal/cell"
	"github.com/regulars/regulars/plugins/table/internal/csvfile"
	"github.com/regulars/regulars/sdk"
)

type config struct {
	Folder sdk.Path `cfg:"folder" doc:"Folder that the files of the streams lie in. Links that lead out of it are not followed." example:"./1c"`

	Contacts      *block `cfg:"contacts" doc:"People: a list of customers or a newsletter's subscribers."`
	Companies     *block `cfg:"companies" doc:"Organisations."`
	Deals         *block `cfg:"deals" doc:"Sales in progress, won or lost."`
	Orders        *block `cfg:"orders" doc:"Paid purchases, one row each."`
	Refunds       *block `cfg:"refunds" doc:"Money given back, one row each."`
	Activities    *block `cfg:"activities" doc:"Calls, visits, messages, complaints and so on."`
	Consents      *block `cfg:"consents" doc:"Opt-ins, opt-outs, bounces and complaints."`
	SurveyAnswers *block `cfg:"survey_answers" doc:"Answers to NPS, CSAT and other questions with a scale."`
	Loyalty       *block `cfg:"loyalty" doc:"Memberships in loyalty programmes."`
	Owners        *block `cfg:"owners" doc:"Colleagues who look after customers."`
	Rates         *block `cfg:"rates" doc:"Exchange rates by day."`

	Targets *targets `cfg:"targets" doc:"Mailing lists to write, one CSV file each."`
}

type targets struct {
	Folder sdk.Path `cfg:"folder" doc:"Folder of the list files; made on the first write if the folder above it exists." example:"./lists" validate:"required"`
}

// block says where a stream's records are and which column holds which field.
type block struct {
	File       string                       `cfg:"file" doc:"File name or pattern within the folder; several files are read in the order of their paths." example:"orders-*.csv" validate:"required"`
	Where      map[string]string            `cfg:"where" doc:"Column and text: rows with another text in the column do not belong to the stream." example:"{\"kind\": \"order\"}"`
	Columns    map[string]string            `cfg:"columns" doc:"Field and the column that holds it." example:"{\"key\": \"id\", \"amount\": \"Сумма\"}" validate:"required"`
	Custom     map[string]string            `cfg:"custom" doc:"Custom field and the column that holds it." example:"{\"level\": \"Уровень\"}"`
	Constant   map[string]string            `cfg:"constant" doc:"Field and the value it has in every row, for what the file has no column for." example:"{\"channel\": \"email\"}"`
	Values     map[string]map[string]string `cfg:"values" doc:"Field, and what its cells' texts mean." example:"{\"state\": {\"subscribed\": \"opted_in\"}}"`
	Delimiter  string                       `cfg:"delimiter" doc:"What separates cells: a comma, a semicolon, \"tab\" or \"|\"; \"auto\" finds it from the header line." default:"auto"`
	Encoding   string                       `cfg:"encoding" doc:"How the file's bytes stand for characters." default:"utf-8" validate:"oneof=utf-8 windows-1251"`
	DateFormat []string                     `cfg:"date_format" doc:"How dates are written, from YYYY YY MM M DD D HH H mm ss Z and separators, or RFC3339, unix, unix_ms. Without it: ISO dates and times." example:"[\"DD.MM.YYYY\", \"DD.MM.YYYY H:mm:ss\"]"`
	Decimal    string                       `cfg:"decimal" doc:"What separates the fraction of a number: a point or a comma." default:"."`
	Thousands  string                       `cfg:"thousands" doc:"What separates thousands: \"space\", a point, a comma or an apostrophe. Without it nothing may." example:"space"`
	TimeZone   *time.Location               `cfg:"time_zone" doc:"Zone of times without an offset. Without it: the workspace's." example:"Europe/Moscow"`
	// DeleteMissing makes every reading of a changed file set a snapshot.
	DeleteMissing bool `cfg:"delete_missing" doc:"Rows that have gone from the files are deleted. Switch it on only where the files always hold everything." default:"false"`
}

// block returns the configuration of a stream; nil when the stream is not used.
func (c config) block(stream string) *block {
	switch stream {
	case "contacts":
		return c.Contacts
	case "companies":
		return c.Companies
	case "deals":
		return c.Deals
	case "orders":
		return c.Orders
	case "refunds":
		return c.Refunds
	case "activities":
		return c.Activities
	case "consents":
		return c.Consents
	case "survey_answers":
		return c.SurveyAnswers
	case "loyalty":
		return c.Loyalty
	case "owners":
		return c.Owners
	case "rates":
		return c.Rates
	default:
		return nil
	}
}

// streams lists the streams that are configured.
func (c config) streams() []string {
	names := []string{}
	for _, d := range definitions() {
		if c.block(d.stream) != nil {
			names = append(names, d.stream)
		}
	}
	return names
}

// Validate implements sdk.Validator.
func (c config) Validate() error {
	var faults []error
	used := 0
	for _, d := range definitions() {
		if b := c.block(d.stream); b != nil {
			used++
			faults = append(faults, b.validate(d)...)
		}
	}
	if used > 0 && c.Folder == "" {
		faults = append(faults, sdk.InvalidConfig("folder", "is required to read files from"))
	}
	if used == 0 && c.Targets == nil {
		faults = append(faults, sdk.InvalidConfig("", "nothing is configured: give at least one stream (contacts, orders, ...) or targets"))
	}
	return errors.Join(faults...)
}

// validate checks a block against its stream's definition, without looking at any file.
func (b *block) validate(d definition) []error {
	var faults []error
	fault := func(field, format string, args ...any) {
		faults = append(faults, sdk.InvalidConfig(d.stream+"."+field, format, args...))
	}
	if !localPattern(b.File) {
		fault("file", "must be a file name or pattern below the folder, such as orders-*.csv")
	}
	if _, err := b.delimiter(); err != nil {
		fault("delimiter", "%v", err)
	}
	if _, err := cell.NewNumbers(b.Decimal, b.Thousands); err != nil {
		fault("decimal", "%v", err)
	}
	if _, err := cell.NewDates(b.DateFormat, time.UTC); err != nil {
		fault("date_format", "%v", err)
	}
	for _, at := range []struct {
		place  string
		fields []string
	}{{"columns", sortedKeys(b.Columns)}, {"constant", sortedKeys(b.Constant)}, {"values", sortedKeys(b.Values)}} {
		for _, field := range at.fields {
			if d.knows(field) {
				continue
			}
			if guess := nearest(field, d.names()); guess != "" {
				fault(at.place+"."+field, "is no field of %s; did you mean %s?", d.stream, guess)
			} else {
				fault(at.place+"."+field, "is no field of %s; its fields are %s", d.stream, strings.Join(d.names(), ", "))
			}
		}
	}
	for _, maps := range []struct {
		place string
		texts map[string]string
	}{{"columns", b.Columns}, {"custom", b.Custom}, {"constant", b.Constant}} {
		for _, name := range sortedKeys(maps.texts) {
			if strings.TrimSpace(maps.texts[name]) == "" {
				fault(maps.place+"."+name, "must not be empty")
			}
		}
	}
	for _, field := range sortedKeys(b.Constant) {
		if _, both := b.Columns[field]; both {
			fault("constant."+field, "the field has a column already; give one of the two")
		}
		if field == fieldKey || field == fieldUpdatedAt {
			fault("constant."+field, "differs from row to row and needs a column")
		}
	}
	for _, field := range sortedKeys(b.Values) {
		_, column := b.Columns[field]
		if !column && d.knows(field) {
			fault("values."+field, "the field has no column to translate the texts of")
		}
	}
	for _, n := range d.needs {
		given := slices.DeleteFunc(slices.Clone(n.anyOf), func(field string) bool { return !b.gives(field) })
		switch {
		case len(given) == 0 && len(n.anyOf) == 1:
			fault("columns."+n.anyOf[0], "is required: name the column that holds it%s", orConstant(n.anyOf[0]))
		case len(given) == 0:
			fault("columns", "one of %s is required", strings.Join(n.anyOf, ", "))
		case len(given) > 1 && n.onlyOne:
			fault("columns."+given[1], "says the same as %s; give one of the two", given[0])
		}
	}
	return faults
}

func orConstant(field string) string {
	if field == fieldKey {
		return ""
	}
	return ", or give it under constant"
}

// gives says whether a field has a column or a constant.
func (b *block) gives(field string) bool {
	_, column := b.Columns[field]
	_, constant := b.Constant[field]
	return column || constant
}

// delimiter returns 0 for one that the header must tell.
func (b *block) delimiter() (rune, error) {
	switch b.Delimiter {
	case "auto", "":
		return 0, nil
	case "tab", "\t":
		return '\t', nil
	case ",", ";", "|":
		return rune(b.Delimiter[0]), nil
	default:
		return 0, errors.New(`must be auto, ",", ";", tab or "|"`)
	}
}

// columnsUsed lists every column the block names.
func (b *block) columnsUsed() []string {
	used := map[string]bool{}
	for _, columns := range []map[string]string{b.Columns, b.Custom} {
		for _, column := range columns {
			used[strings.TrimSpace(column)] = true
		}
	}
	for column := range b.Where {
		used[strings.TrimSpace(column)] = true
	}
	return sortedKeys(used)
}

// readingOptions say how to open the block's files.
func (b *block) readingOptions() csvfile.Options {
	delimiter, _ := b.delimiter() // checked by validate
	return csvfile.Options{Delimiter: delimiter, Encoding: csvfile.Encoding(b.Encoding), Columns: b.columnsUsed()}
}

// zone is where the block's times without an offset are local to.
func (b *block) zone(workspace *time.Location) *time.Location {
	if b.TimeZone != nil {
		return b.TimeZone
	}
	return workspace
}

// readingVersion is raised when the same cells come to mean something else, so that all files are read once more.
const readingVersion = 1

// fingerprint names everything beside the files that decides what the records are. When it changes, files are read
// again although they are the same.
func (b *block) fingerprint(folder sdk.Path, call sdk.Call) string {
	shown := *b
	shown.TimeZone = nil
	text, err := json.Marshal(struct {
		Version  int
		Folder   sdk.Path
		Block    block
		Zone     string
		Currency string
	}{readingVersion, folder, shown, b.zone(call.Zone).String(), call.Currency})
	if err != nil {
		panic(err) // texts, maps of texts and a boolean
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// localPattern says whether a pattern is valid and stays within its folder.
func localPattern(pattern string) bool {
	if pattern == "" || path.IsAbs(pattern) || strings.Contains(pattern, `\`) || slices.Contains(strings.Split(pattern, "/"), "..") {
		return false
	}
	_, err := path.Match(pattern, "")
	return err == nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
