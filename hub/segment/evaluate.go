package segment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
)

// Subject is a customer as rules see one, beside the facts from orders.
type Subject struct {
	customer.Customer
	// OwnerName is who looks after the customer: a name where there is one, else the record key.
	OwnerName string
	// Goods are what the customer bought, as far as orders have lines.
	Goods customer.Goods
	// ConsentEmail and ConsentSMS are the effective states for marketing; empty where there is no record.
	ConsentEmail, ConsentSMS entity.ConsentState
	// Custom are the workspace's own mapped fields, by field name. A value that does not fit the field's type counts as
	// missing.
	Custom entity.Custom
}

// Membership is who belongs to a segment.
type Membership struct {
	Segment string
	// Members are ascending.
	Members []customer.ID
	// Err says that the rule failed for a customer; then there are no members, and the membership stored before must
	// stay as it is (R5).
	Err error
}

// Set is the segments of one workspace, ready to be evaluated. It does not change and may be used by many goroutines.
type Set struct {
	definitions []Definition
	compiled    []compiled
	fields      []Field // those that any rule names
}

// compiled is a segment of either kind.
type compiled struct {
	holds func(row *kpi.Fact, ranked int) bool
	sees  []string
	rule  *Rule
}

// NewSet checks definitions, built-in ones and those of rules, and compiles the rules. Its error joins a
// *DefinitionError for every segment that is wrong.
func NewSet(language *Language, definitions []Definition) (*Set, error) {
	set := &Set{definitions: slices.Clone(definitions)}
	var problems []error
	seen, used := map[string]bool{}, map[string]Field{}
	for _, definition := range definitions {
		c, err := compile(language, definition)
		if err == nil && seen[definition.ID] {
			err = errors.New("the id is used twice")
		}
		seen[definition.ID] = true
		if err != nil {
			problems = append(problems, &DefinitionError{Segment: definition.ID, Err: err})
			continue
		}
		if c.rule != nil {
			for _, field := range c.rule.fields {
				used[field.Name] = field
			}
		}
		set.compiled = append(set.compiled, c)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	for _, name := range language.names {
		if field, ok := used[name]; ok {
			set.fields = append(set.fields, field)
		}
	}
	return set, nil
}

func compile(language *Language, definition Definition) (compiled, error) {
	i := slices.IndexFunc(builtins, func(b builtinSegment) bool { return b.id == definition.ID })
	switch {
	case definition.Builtin && i < 0:
		return compiled{}, errors.New("there is no such built-in segment")
	case definition.Builtin:
		return compiled{holds: builtins[i].holds, sees: builtins[i].sees}, nil
	case i >= 0:
		return compiled{}, errors.New("the id is that of a built-in segment")
	case !idForm.MatchString(definition.ID):
		return compiled{}, errors.New("an id has small Latin letters, digits, hyphens and underscores, at most 63 of them")
	}
	rule, err := language.Compile(definition.Rule)
	return compiled{rule: rule}, err
}

// Definitions returns the segments in the order they were given.
func (s *Set) Definitions() []Definition { return slices.Clone(s.definitions) }

// Names says whether any of the rules names a field.
func (s *Set) Names(field string) bool {
	return slices.ContainsFunc(s.fields, func(f Field) bool { return f.Name == field })
}

// Evaluate finds the members of every segment, in the order of the definitions. Subjects are all customers of the
// workspace in any order, each once; those the facts do not know have no orders. It ends with an error only when
// subjects does or the context is done; a rule that fails spoils its own segment alone.
func (s *Set) Evaluate(ctx context.Context, facts *kpi.Facts, subjects iter.Seq2[Subject, error]) ([]Membership, error) {
	memberships := make([]Membership, len(s.compiled))
	for i := range memberships {
		memberships[i].Segment = s.definitions[i].ID
	}
	environment := make(map[string]any, len(s.fields))
	money := moneyScale(facts.Currency)
	var machine vm.VM
	n := 0
	for subject, err := range subjects {
		if err != nil {
			return nil, fmt.Errorf("read customers for segments: %w", err)
		}
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		row := facts.Of(subject.ID)
		if row == nil {
			row = &kpi.Fact{Customer: subject.ID}
		}
		for _, field := range s.fields {
			environment[field.Name] = value(field, &subject, row, facts, money)
		}
		for i := range s.compiled {
			membership := &memberships[i]
			if membership.Err != nil {
				continue
			}
			holds, err := s.compiled[i].test(&machine, row, facts.Ranked, environment)
			if err != nil {
				membership.Err = fmt.Errorf("segment %q failed for customer %d: %w", membership.Segment, subject.ID, err)
				membership.Members = nil
				continue
			}
			if holds {
				membership.Members = append(membership.Members, subject.ID)
			}
		}
	}
	for i := range memberships {
		slices.Sort(memberships[i].Members)
	}
	return memberships, nil
}

func (c *compiled) test(machine *vm.VM, row *kpi.Fact, ranked int, environment map[string]any) (bool, error) {
	if c.rule == nil {
		return c.holds(row, ranked), nil
	}
	result, err := machine.Run(c.rule.program, environment)
	if err != nil {
		// The language's own message may quote values of the customer (R12); the position is enough.
		problem := &RuleError{Line: 1, Column: 1, Message: "the rule cannot be computed for this customer"}
		var positioned *file.Error
		if errors.As(err, &positioned) {
			problem.Line, problem.Column = max(positioned.Line, 1), positioned.Column+1
		}
		return false, problem
	}
	holds, _ := result.(bool) // a missing value is false
	return holds, nil
}

// Seen returns the fields that decide on a segment as its rule sees them for a customer: money in major units, days as
// YYYY-MM-DD, nil for a missing value. It is nil for a segment that is not in the set.
func (s *Set) Seen(segment string, facts *kpi.Facts, subject *Subject) map[string]any {
	i := slices.IndexFunc(s.definitions, func(d Definition) bool { return d.ID == segment })
	if i < 0 {
		return nil
	}
	return seen(s.compiled[i].fields(), facts, subject)
}

// All returns every field that the rules of the set name, in the form of Seen. With the set that Language.Whole makes
// these are all fields there are.
func (s *Set) All(facts *kpi.Facts, subject *Subject) map[string]any {
	return seen(s.fields, facts, subject)
}

// seen are fields of a customer in a form that JSON has.
func seen(fields []Field, facts *kpi.Facts, subject *Subject) map[string]any {
	row := facts.Of(subject.ID)
	if row == nil {
		row = &kpi.Fact{Customer: subject.ID}
	}
	money := moneyScale(facts.Currency)
	values := make(map[string]any, len(fields))
	for _, field := range fields {
		values[field.Name] = value(field, subject, row, facts, money)
		if at, isDay := values[field.Name].(time.Time); isDay {
			values[field.Name] = entity.DateIn(at, time.UTC).String()
		}
	}
	return values
}

// fields are those that decide on the segment.
func (c *compiled) fields() []Field {
	if c.rule != nil {
		return c.rule.fields
	}
	fields := make([]Field, 0, len(c.sees))
	for _, name := range c.sees {
		fields = append(fields, Field{Name: name})
	}
	return fields
}

// moneyScale is how many minor units make a major one.
func moneyScale(currency string) float64 { return math.Pow10(entity.Digits(currency)) }

// value returns a field of a customer as a rule sees it, nil where it is missing.
func value(field Field, subject *Subject, row *kpi.Fact, facts *kpi.Facts, money float64) any {
	if field.Custom {
		return customValue(field, subject.Custom)
	}
	switch field.Name {
	case "orders":
		return int(row.Orders)
	case "gross_value":
		return float64(row.Gross) / money
	case "net_value":
		return float64(row.Net) / money
	case "net_value_year":
		return float64(row.NetYear) / money
	case "kind":
		return text(string(subject.Kind))
	case "name":
		return text(subject.Name)
	case "greeting_name":
		return text(subject.Greeting)
	case "city":
		return text(subject.City)
	case "country":
		return text(subject.Country)
	case "language":
		return text(subject.Language)
	case "channel":
		return text(subject.Channel)
	case "birthday":
		if subject.Birthday == nil {
			return nil
		}
		return fmt.Sprintf("%02d-%02d", subject.Birthday.Month, subject.Birthday.Day)
	case "days_to_birthday":
		return daysToBirthday(subject.Birthday, facts.AsOf)
	case "owner":
		return text(subject.OwnerName)
	case "tags":
		return texts(subject.Tags)
	case "products":
		return texts(subject.Goods.Products)
	case "categories":
		return texts(subject.Goods.Categories)
	case "consent_email":
		return text(string(subject.ConsentEmail))
	case "consent_sms":
		return text(string(subject.ConsentSMS))
	}
	if row.Orders == 0 {
		return nil
	}
	switch field.Name {
	case "first_order_on":
		return day(row.FirstOn)
	case "last_order_on":
		return day(row.LastOn)
	case "days_since_last_order":
		return int(row.SinceLast)
	case "net_value_year_rank":
		rank, ok := facts.YearRank(row)
		return present(rank, ok)
	case "average_check":
		check, ok := row.AverageCheck()
		return present(float64(check)/money, ok)
	case "mean_gap_days":
		gap, ok := row.MeanGap()
		return present(gap, ok)
	case "lifecycle":
		return row.Lifecycle.String()
	}
	if row.Group == kpi.NoGroup {
		switch field.Name {
		case "r", "f", "m", "rfm":
			return nil // ranked when everybody is looked at next
		}
	}
	switch field.Name {
	case "r":
		return int(row.R)
	case "f":
		return int(row.F)
	case "m":
		return int(row.M)
	case "rfm":
		return row.Group.String()
	}
	panic("segment: the field " + field.Name + " has no value") // a mistake in this package; tests see it
}

func present(number float64, ok bool) any {
	if !ok {
		return nil
	}
	return number
}

// texts is a list that is never missing.
func texts(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// daysToBirthday counts the days from a day to the next birthday, 0 on the day itself. Who was born on 29 February has
// it on 1 March in other years.
func daysToBirthday(b *entity.Birthday, from entity.Date) any {
	if b == nil {
		return nil
	}
	year, _, _ := from.Calendar()
	for {
		if next := entity.DateIn(time.Date(year, time.Month(b.Month), b.Day, 0, 0, 0, 0, time.UTC), time.UTC); next >= from {
			return int(next - from)
		}
		year++
	}
}

// text takes an empty text as missing.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// day is the form in which date('2006-01-02') compares with a civil day.
func day(d entity.Date) time.Time { return d.Start(time.UTC) }

func customValue(field Field, custom entity.Custom) any {
	raw, ok := custom[field.Name]
	if field.Type == Texts {
		list := []string{}
		if ok && json.Unmarshal(raw, &list) != nil || list == nil {
			return []string{}
		}
		return list
	}
	if !ok {
		return nil
	}
	if field.Type == Boolean {
		return decoded[bool](raw)
	}
	// Systems send numbers and dates as strings and the other way round.
	written, ok := decoded[string](raw).(string)
	if !ok {
		if number, isNumber := decoded[json.Number](raw).(json.Number); isNumber {
			written = number.String()
		}
	}
	if written == "" {
		return nil
	}
	switch field.Type {
	case Integer:
		if n, err := strconv.Atoi(written); err == nil {
			return n
		}
	case Decimal, Money:
		if f, err := strconv.ParseFloat(written, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f
		}
	case Date:
		if d, err := entity.ParseDate(written); err == nil {
			return day(d)
		}
	case Text:
		return written
	}
	return nil
}

// decoded reads JSON as one type; nil where it is another, or null.
func decoded[T any](raw json.RawMessage) any {
	var v *T
	if err := json.Unmarshal(raw, &v); err != nil || v == nil {
		return nil
	}
	return *v
}
