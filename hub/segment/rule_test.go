package segment_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/segment"
)

func TestCompileSaysWhereAndWhat(t *testing.T) {
	language := newLanguage(t)
	for _, c := range []struct {
		rule         string
		line, column int
		message      string
		suggestion   string
	}{
		{"", 1, 1, "the rule is empty", ""},
		{" \n ", 1, 1, "the rule is empty", ""},
		{"net_valeu > 5", 1, 1, `unknown field "net_valeu"`, "net_value"},
		{"lifecycle == 'dormant' &&\n  Net_Value > 5", 2, 3, `unknown field "Net_Value"`, "net_value"},
		{"orders > 1 and любой > 1", 1, 16, `unknown field "любой"`, ""},
		{"let x = orders; x > y", 1, 21, `unknown field "y"`, ""},
		{"any(tags, # == 'a') and len(tag) > 1", 1, 29, `unknown field "tag"`, "tags"},
		{"now() > last_order_on", 1, 1, `unknown field "now"`, "days_since_last_order"},
		{"orders > 'x'", 1, 8, "invalid operation: > (mismatched types number and string)", ""},
		{"last_order_on < '2024-01-01'", 1, 15, "invalid operation: < (mismatched types date and string)", "date('2006-01-31')"},
		{"tags contains 'x'", 1, 6, "invalid operation: contains (mismatched types list and string)", ""},
		{"orders", 1, 1, "the rule must be true or false, not a number", ""},
		{"fromJSON(city)", 1, 1, "the rule must be true or false, not a value of no certain type", ""},
		{"orders >", 1, 8, "unexpected token EOF", ""},
		{"orders > 1 &&\n  net_value => 3", 2, 13, `unexpected token Operator("=")`, ""},
		{"lifecycle == 'dormnat'", 1, 14, `lifecycle is never "dormnat"; it is one of active, dormant, lost`, ""},
		{"'champions' != rfm", 1, 1, `rfm is never "champions"`, ""},
		{"kind in ['person', 'firm']", 1, 20, `kind is never "firm"; it is one of person, company`, ""},
		{"consent_email == 'yes'", 1, 18, `consent_email is never "yes"`, ""},
		{"$env['orders'] > 1", 1, 1, "$env is not available in rules", ""},
		{"city matches '['", 1, 6, "error parsing regexp", ""},
		{strings.Repeat("orders > 1 and ", 400) + "true", 1, 1, "the rule has 6004 characters, more than 4000", ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			_, err := language.Compile(c.rule)
			var problem *segment.RuleError
			require.ErrorAs(t, err, &problem)
			require.Contains(t, problem.Message, c.message)
			require.Equal(t, [2]int{c.line, c.column}, [2]int{problem.Line, problem.Column})
			require.Equal(t, c.suggestion, problem.Suggestion)
		})
	}
}

func TestRuleErrorReads(t *testing.T) {
	_, err := newLanguage(t).Compile("net_valeu > 5")
	require.EqualError(t, err, `line 1, column 1: unknown field "net_valeu"; did you mean net_value?`)
}

func TestRuleNamesItsFields(t *testing.T) {
	rule, err := newLanguage(t).Compile("let x = net_value; lifecycle == 'dormant' && x / orders > 5 && any(tags, # == city)")
	require.NoError(t, err)
	var names []string
	for _, field := range rule.Fields() {
		names = append(names, field.Name)
	}
	require.Equal(t, []string{"city", "lifecycle", "net_value", "orders", "tags"}, names)
}

func TestLanguageRefusesFields(t *testing.T) {
	for _, c := range []struct {
		field segment.Field
		why   string
	}{
		{segment.Field{Name: "net_value", Type: segment.Money}, "taken"},
		{segment.Field{Name: "Город", Type: segment.Text}, "Latin"},
		{segment.Field{Name: "len", Type: segment.Integer}, "word of the rule language"},
		{segment.Field{Name: "not", Type: segment.Boolean}, "word of the rule language"},
		{segment.Field{Name: "size", Type: "number"}, "unknown type"},
	} {
		_, err := segment.NewLanguage(c.field)
		require.ErrorContains(t, err, c.why, c.field.Name)
	}
}

func TestSetReportsEveryWrongDefinition(t *testing.T) {
	_, err := segment.NewSet(newLanguage(t), []segment.Definition{
		{ID: "good", Rule: "orders > 1"},
		{ID: "bad-rule", Rule: "order > 1"},
		{ID: "good", Rule: "orders > 2"},
		{ID: "vip", Rule: "orders > 2"},
		{ID: "no_such", Builtin: true},
		{ID: "Ид", Rule: "orders > 2"},
	})
	require.EqualError(t, err, strings.Join([]string{
		`segment "bad-rule": line 1, column 1: unknown field "order"; did you mean orders?`,
		`segment "good": the id is used twice`,
		`segment "vip": the id is that of a built-in segment`,
		`segment "no_such": there is no such built-in segment`,
		`segment "Ид": an id has small Latin letters, digits, hyphens and underscores, at most 63 of them`,
	}, "\n"))
	var definition *segment.DefinitionError
	require.ErrorAs(t, err, &definition)
	require.Equal(t, "bad-rule", definition.Segment)
}

// FuzzCompile looks for rules that panic, that are refused without a position, or that fail in other ways than with a
// RuleError once compiled.
func FuzzCompile(f *testing.F) {
	for _, rule := range []string{
		"lifecycle == 'dormant' && net_value > 50000", "not (city in ['Москва', nil]) or r + f > m",
		"any(tags, # startsWith 'a') ? visits % 0 == 1 : last_order_on < date('2024-01-01')",
		"let x = -average_check; x ** 2 / 0 > len(name)", "tags[5] matches city", "1..100000000 == nil", "last_order_on.Year() < 2000",
	} {
		f.Add(rule)
	}
	language := newLanguage(f)
	f.Fuzz(func(t *testing.T, rule string) {
		set, err := segment.NewSet(language, []segment.Definition{{ID: "fuzzed", Rule: rule}})
		var problem *segment.RuleError
		if err != nil {
			require.ErrorAs(t, err, &problem)
			require.Positive(t, problem.Line)
			require.Positive(t, problem.Column)
			return
		}
		for _, membership := range evaluate(t, set, twoCustomers()...) {
			if membership.Err != nil && !errors.As(membership.Err, &problem) {
				t.Fatal(membership.Err)
			}
		}
	})
}
