package segment

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/types"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
)

// Type is what a customer field holds in a rule.
type Type string

// The types of customer fields. Any field but those of type Texts can be missing for a customer.
const (
	Integer Type = "integer"
	Decimal Type = "decimal"
	// Money is in major units of the workspace's currency: net_value > 50000 means 50,000 roubles.
	Money   Type = "money"
	Text    Type = "text"
	Boolean Type = "boolean"
	// Date is a civil day; compare it with date('2006-01-02').
	Date Type = "date"
	// Texts is a list, empty where the customer has none.
	Texts Type = "texts"
)

var expressionTypes = map[Type]types.Type{
	Integer: types.Int,
	Decimal: types.Float64,
	Money:   types.Float64,
	Text:    types.String,
	Boolean: types.Bool,
	Date:    types.TypeOf(time.Time{}),
	Texts:   types.TypeOf([]string(nil)),
}

// Field is a customer field that rules can name.
type Field struct {
	Name string
	Type Type
	// OneOf lists the only values there are, where they are fixed; a rule that compares with another is refused.
	OneOf []string
	// Custom marks a field that the workspace maps itself.
	Custom bool
}

// consents are the states that consent_email and consent_sms tell apart.
var consents = []string{
	string(entity.OptedIn), string(entity.OptedOut), string(entity.Complained), string(entity.Bounced), string(entity.Unknown),
}

func groupIDs() []string {
	var ids []string
	for _, group := range kpi.Groups() {
		ids = append(ids, group.String())
	}
	return ids
}

// Fields returns the fields every workspace has.
func Fields() []Field {
	return []Field{
		{Name: "orders", Type: Integer},
		{Name: "first_order_on", Type: Date},
		{Name: "last_order_on", Type: Date},
		{Name: "days_since_last_order", Type: Integer},
		{Name: "gross_value", Type: Money},
		{Name: "net_value", Type: Money},
		{Name: "net_value_year", Type: Money},
		{Name: "net_value_year_rank", Type: Decimal},
		{Name: "average_check", Type: Money},
		{Name: "mean_gap_days", Type: Decimal},
		{Name: "lifecycle", Type: Text, OneOf: []string{kpi.Active.String(), kpi.Dormant.String(), kpi.Lost.String()}},
		{Name: "r", Type: Integer},
		{Name: "f", Type: Integer},
		{Name: "m", Type: Integer},
		{Name: "rfm", Type: Text, OneOf: groupIDs()},
		{Name: "kind", Type: Text, OneOf: []string{string(customer.Person), string(customer.Company)}},
		{Name: "name", Type: Text},
		{Name: "greeting_name", Type: Text},
		{Name: "city", Type: Text},
		{Name: "country", Type: Text},
		{Name: "language", Type: Text},
		{Name: "birthday", Type: Text},
		{Name: "days_to_birthday", Type: Integer},
		{Name: "channel", Type: Text},
		{Name: "owner", Type: Text},
		{Name: "tags", Type: Texts},
		{Name: "products", Type: Texts},
		{Name: "categories", Type: Texts},
		{Name: "consent_email", Type: Text, OneOf: consents},
		{Name: "consent_sms", Type: Text, OneOf: consents},
	}
}

// fieldForm is a name that the rule language reads as one.
var fieldForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// words of the rule language that cannot be fields.
var reserved = []string{"and", "or", "not", "in", "contains", "matches", "startswith", "endswith", "let", "if", "else", "true", "false", "nil"}

// Language is the fields that the rules of one workspace can name. It does not change and may be used by many
// goroutines.
type Language struct {
	fields map[string]Field
	names  []string // sorted
	typed  types.Map
}

// NewLanguage makes the language of a workspace with its own mapped fields beside the common ones. It refuses names
// that are taken, that the rule language cannot read, and unknown types.
func NewLanguage(custom ...Field) (*Language, error) {
	l := &Language{fields: map[string]Field{}, typed: types.Map{}}
	for _, field := range Fields() {
		l.add(field)
	}
	for _, field := range custom {
		field.Custom = true
		switch _, taken := l.fields[field.Name]; {
		case !fieldForm.MatchString(field.Name):
			return nil, fmt.Errorf("field %q: a name has small Latin letters, digits and underscores, and begins with a letter", field.Name)
		case taken:
			return nil, fmt.Errorf("field %q: the name is taken", field.Name)
		case slices.Contains(reserved, field.Name) || isFunction(field.Name):
			return nil, fmt.Errorf("field %q: the name is a word of the rule language", field.Name)
		case expressionTypes[field.Type] == nil:
			return nil, fmt.Errorf("field %q: unknown type %q", field.Name, field.Type)
		}
		l.add(field)
	}
	return l, nil
}

// Whole returns a set without segments that names every field of the language, for Set.All.
func (l *Language) Whole() *Set {
	set := &Set{}
	for _, name := range l.names {
		set.fields = append(set.fields, l.fields[name])
	}
	return set
}

func isFunction(name string) bool {
	_, found := builtin.Index[name]
	return found
}

func (l *Language) add(field Field) {
	l.fields[field.Name] = field
	l.typed[field.Name] = expressionTypes[field.Type]
	i, _ := slices.BinarySearch(l.names, field.Name)
	l.names = slices.Insert(l.names, i, field.Name)
}
