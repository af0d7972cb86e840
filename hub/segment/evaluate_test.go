package segment_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/segment"
)

const asOf = entity.Date(10000)

func newLanguage(t testing.TB) *segment.Language {
	t.Helper()
	language, err := segment.NewLanguage(
		segment.Field{Name: "visits", Type: segment.Integer}, segment.Field{Name: "weight", Type: segment.Decimal},
		segment.Field{Name: "debt", Type: segment.Money}, segment.Field{Name: "shop", Type: segment.Text},
		segment.Field{Name: "wholesale", Type: segment.Boolean}, segment.Field{Name: "renewal_on", Type: segment.Date},
		segment.Field{Name: "interests", Type: segment.Texts},
	)
	require.NoError(t, err)
	return language
}

// known is a subject with the orders that make its facts.
type known struct {
	segment.Subject
	orders []order
}

type order struct {
	on    entity.Date
	minor int64
}

func ago(days int, minor int64) order { return order{asOf - entity.Date(days), minor} }

// twoCustomers are one about whom everything is known, and one about whom nothing is.
func twoCustomers() []known {
	return []known{
		{
			Subject: segment.Subject{
				Customer: customer.Customer{ID: 1, Kind: customer.Person, Profile: customer.Profile{
					Name: "Анна Петрова", Greeting: "Анна", City: "Москва", Country: "RU", Language: "ru", Channel: "search",
					Tags: []string{"a", "b"}, Birthday: &entity.Birthday{Month: 5, Day: 20},
				}},
				OwnerName: "Ольга", Goods: customer.Goods{Products: []string{"T-1", "tea"}, Categories: []string{"drinks"}},
				ConsentEmail: entity.OptedIn, ConsentSMS: entity.OptedOut,
				Custom: entity.Custom{
					"visits": []byte(`"7"`), "weight": []byte(`1.5`), "debt": []byte(`"100.10"`), "shop": []byte(`12`),
					"wholesale": []byte(`true`), "renewal_on": []byte(`"1997-01-05"`), "interests": []byte(`["tea"]`),
				},
			},
			orders: []order{ago(120, 5010), ago(100, 3000)},
		},
		{Subject: segment.Subject{Customer: customer.Customer{ID: 2}}},
	}
}

func facts(t testing.TB, customers ...known) *kpi.Facts {
	t.Helper()
	b := kpi.NewBuilder("RUB", nil)
	for _, c := range customers {
		for i, o := range c.orders {
			b.AddOrder(kpi.OrderRow{
				Customer: c.ID, Connection: 1, Stream: "orders", Key: fmt.Sprint(c.ID, "-", i), On: o.on, Base: o.minor, Converted: true,
			})
		}
	}
	ledger, _, err := b.Ledger()
	require.NoError(t, err)
	return ledger.Facts(asOf, 90)
}

func subjects(customers []known) iter.Seq2[segment.Subject, error] {
	return func(yield func(segment.Subject, error) bool) {
		for i := len(customers) - 1; i >= 0; i-- { // the order does not matter
			if !yield(customers[i].Subject, nil) {
				return
			}
		}
	}
}

func evaluate(t testing.TB, set *segment.Set, customers ...known) []segment.Membership {
	t.Helper()
	memberships, err := set.Evaluate(t.Context(), facts(t, customers...), subjects(customers))
	require.NoError(t, err)
	return memberships
}

// holding returns who satisfies a rule.
func holding(t *testing.T, rule string, customers ...known) []customer.ID {
	t.Helper()
	set, err := segment.NewSet(newLanguage(t), []segment.Definition{{ID: "tried", Rule: rule}})
	require.NoError(t, err)
	memberships := evaluate(t, set, customers...)
	require.NoError(t, memberships[0].Err)
	return memberships[0].Members
}

// TestFields pins the value of every field, for a customer who has it and for one who has nothing.
func TestFields(t *testing.T) {
	for _, rule := range []string{
		"orders == 2", "first_order_on == date('1997-01-19')", "last_order_on == date('1997-02-08')", "days_since_last_order == 100",
		"gross_value == 80.10", "net_value == 80.1", "net_value_year == 80.10", "net_value_year_rank == 0", "average_check == 40.05",
		"mean_gap_days == 20", "lifecycle == 'dormant'", "r == 1", "f == 1", "m == 1", "rfm == 'rfm_lost'", "kind == 'person'",
		"name == 'Анна Петрова'", "greeting_name == 'Анна'", "city == 'Москва'", "country == 'RU'", "language == 'ru'",
		"channel == 'search'", "tags == ['a', 'b']", "birthday == '05-20'", "days_to_birthday == 1", "owner == 'Ольга'",
		"'tea' in products", "categories == ['drinks']", "consent_email == 'opted_in'", "consent_sms == 'opted_out'",
		"visits == 7", "weight == 1.5", "debt == 100.1", "shop == '12'", "wholesale == true", "renewal_on == date('1997-01-05')",
		"interests == ['tea']",
	} {
		require.Equal(t, []customer.ID{1}, holding(t, rule, twoCustomers()...), rule)
	}
	for _, rule := range []string{
		"orders == 0", "gross_value == 0", "net_value == 0", "net_value_year == 0", "len(tags) == 0", "len(interests) == 0",
		"first_order_on == nil", "last_order_on == nil", "days_since_last_order == nil", "net_value_year_rank == nil",
		"average_check == nil", "mean_gap_days == nil", "lifecycle == nil", "r == nil", "f == nil", "m == nil", "rfm == nil",
		"kind == nil", "name == nil", "greeting_name == nil", "city == nil", "country == nil", "language == nil", "channel == nil",
		"birthday == nil", "days_to_birthday == nil", "owner == nil", "len(products) == 0", "len(categories) == 0",
		"consent_email == nil", "consent_sms == nil", "visits == nil", "weight == nil", "debt == nil", "shop == nil",
		"wholesale == nil", "renewal_on == nil",
	} {
		require.Equal(t, []customer.ID{2}, holding(t, rule, twoCustomers()...), rule)
	}
	require.Len(t, segment.Fields(), 30)
}

func TestMissingValues(t *testing.T) {
	var none []customer.ID
	first, second, both := []customer.ID{1}, []customer.ID{2}, []customer.ID{1, 2}
	for _, c := range []struct {
		rule string
		want []customer.ID
	}{
		// A comparison with a missing value is false, whatever it is.
		{"days_since_last_order > 5", first},
		{"days_since_last_order < 5", none},
		{"days_since_last_order <= 100", first},
		{"days_since_last_order >= 0", first},
		{"city != 'Тверь'", first},
		{"city == city", first},
		{"r in [0, 1]", first},
		{"city in ['Москва', 'Тверь']", first},
		{"city contains 'оск'", first},
		{"city startsWith 'М'", first},
		{"city endsWith 'а'", first},
		{"city matches '^М.*а$'", first},
		{"'Москва' matches city", first},
		{"city in [nil]", none},
		{"last_order_on < date('2020-01-01')", first},
		{"date('2020-01-01') - last_order_on > duration('24h')", first},
		// Only == nil and != nil ask for it.
		{"city == nil", second},
		{"city != nil", first},
		{"(city ?? 'нет') == 'нет'", second},
		// Denied, a false comparison is true.
		{"not (days_since_last_order > 500)", both},
		{"city not in ['Тверь']", both},
		{"!(city == 'Москва')", second},
		// The rest of the rule still counts.
		{"days_since_last_order > 500 || orders == 0", second},
		{"lifecycle == 'dormant' && net_value > 50", first},
		// Arithmetic and functions hand missing values on.
		{"-average_check < 0", first},
		{"average_check * 2 + 1 - 1 > 80", first},
		{"mean_gap_days ** 2 == 400", first},
		{"2 * mean_gap_days <= days_since_last_order", first},
		{"days_since_last_order % 7 == 2", first},
		{"lower(trim(city)) == 'москва'", first},
		{"max(r, f) < 5", first},
		{"int(last_order_on.Month()) == 2", first},
		{"last_order_on.Year() < 2000", first},
		{"round(mean_gap_days) == 20", first},
		// Division by zero too.
		{"net_value / orders > 1", first},
		{"net_value / orders <= 1", none},
		{"1 % orders == 1", first},
		// A missing truth value is false.
		{"wholesale", first},
		{"not wholesale", second},
		{"wholesale and orders >= 0", first},
		{"wholesale or orders == 0", both},
		{"wholesale ? orders > 0 : orders == 0", both},
		{"any(tags, wholesale)", first},
		{"none(['x'], wholesale)", second},
		// Lists are never missing; what is beyond their end is.
		{"'a' in tags", first},
		{"'z' not in tags", both},
		{"any(tags, # startsWith 'a')", first},
		{"all(tags, # == 'z')", second},
		{"tags[0] == 'a'", first},
		{"tags[9] == 'a'", none},
		{"tags[-1] == 'b'", first},
		{"tags[9] == nil", both},
		{"any(tags, lower(#) == 'b')", first},
		{"count(tags, # != city) == 2", first},
		{"sum(map(tags, len(#))) == 2", first},
		{"let c = city; c == 'Москва'", first},
		{"tags | any(# == 'b')", first},
	} {
		require.Equal(t, c.want, holding(t, c.rule, twoCustomers()...), c.rule)
	}
}

// TestMoneyIsExact compares amounts with decimal literals of the amounts beside them.
func TestMoneyIsExact(t *testing.T) {
	language := newLanguage(t)
	rapid.Check(t, func(t *rapid.T) {
		minor := rapid.OneOf(rapid.Int64Range(0, 100000), rapid.Int64Range(1, 1<<52)).Draw(t, "minor")
		b := kpi.NewBuilder("RUB", nil)
		b.AddOrder(kpi.OrderRow{Customer: 1, Connection: 1, Stream: "orders", Key: "1", On: asOf, Base: minor, Converted: true})
		ledger, _, err := b.Ledger()
		require.NoError(t, err)
		set, err := segment.NewSet(language, []segment.Definition{
			{ID: "same", Rule: "net_value == " + entity.FormatMinor(minor, "RUB")},
			{ID: "above", Rule: "net_value > " + entity.FormatMinor(minor, "RUB")},
			{ID: "above-less", Rule: "net_value > " + entity.FormatMinor(minor-1, "RUB")},
			{ID: "below-more", Rule: "net_value < " + entity.FormatMinor(minor+1, "RUB")},
		})
		require.NoError(t, err)
		all := func(yield func(segment.Subject, error) bool) {
			yield(segment.Subject{Customer: customer.Customer{ID: 1}}, nil)
		}
		memberships, err := set.Evaluate(t.Context(), ledger.Facts(asOf, 90), all)
		require.NoError(t, err)
		for i, want := range []int{1, 0, 1, 1} {
			require.Len(t, memberships[i].Members, want, memberships[i].Segment)
		}
	})
}

func TestMoneyHasTheCurrencysDigits(t *testing.T) {
	b := kpi.NewBuilder("JPY", nil)
	b.AddOrder(kpi.OrderRow{Customer: 1, Connection: 1, Stream: "orders", Key: "1", On: asOf, Base: 5000, Converted: true})
	ledger, _, err := b.Ledger()
	require.NoError(t, err)
	set, err := segment.NewSet(newLanguage(t), []segment.Definition{{ID: "x", Rule: "net_value == 5000 && average_check == 5000"}})
	require.NoError(t, err)
	all := func(yield func(segment.Subject, error) bool) {
		yield(segment.Subject{Customer: customer.Customer{ID: 1}}, nil)
	}
	memberships, err := set.Evaluate(t.Context(), ledger.Facts(asOf, 90), all)
	require.NoError(t, err)
	require.Equal(t, []customer.ID{1}, memberships[0].Members)
}

func TestCustomValuesThatDoNotFitAreMissing(t *testing.T) {
	one := twoCustomers()[0]
	for rule, custom := range map[string]entity.Custom{
		"visits == nil":          {"visits": []byte(`"seven"`)},
		"weight == nil":          {"weight": []byte(`"NaN"`)},
		"wholesale == nil":       {"wholesale": []byte(`"yes"`)},
		"renewal_on == nil":      {"renewal_on": []byte(`"5 January"`)},
		"shop == nil":            {"shop": []byte(`null`)},
		"len(interests) == 0":    {"interests": []byte(`"tea"`)},
		"interests == ['a']":     {"interests": []byte(`["a"]`)},
		"visits == 3":            {"visits": []byte(`3`)},
		"debt == -0.5":           {"debt": []byte(`-0.50`)},
		"'tea' not in interests": {"interests": []byte(`null`)},
	} {
		one.Custom = custom
		require.Equal(t, []customer.ID{1}, holding(t, rule, one), rule)
	}
}

// TestFailingRule has a rule that some customer makes fail: the others go on, and the error tells no value.
func TestFailingRule(t *testing.T) {
	set, err := segment.NewSet(newLanguage(t), []segment.Definition{
		{ID: "fails", Rule: "orders >= 0 and\n int(name) > 1"}, {ID: "holds", Rule: "orders > 0"}, {ID: "no_orders", Builtin: true},
	})
	require.NoError(t, err)
	memberships := evaluate(t, set, twoCustomers()...)
	require.Nil(t, memberships[0].Members)
	require.EqualError(t, memberships[0].Err,
		`segment "fails" failed for customer 1: line 2, column 2: the rule cannot be computed for this customer`)
	require.Equal(t, []customer.ID{1}, memberships[1].Members)
	require.Equal(t, []customer.ID{2}, memberships[2].Members)
}

func TestEvaluateEndsWithItsSource(t *testing.T) {
	set, err := segment.NewSet(newLanguage(t), segment.Builtins())
	require.NoError(t, err)
	broken := errors.New("the store is gone")
	_, err = set.Evaluate(t.Context(), facts(t), func(yield func(segment.Subject, error) bool) {
		yield(segment.Subject{}, broken)
	})
	require.ErrorIs(t, err, broken)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = set.Evaluate(ctx, facts(t), func(yield func(segment.Subject, error) bool) {
		for yield(segment.Subject{}, nil) {
		}
	})
	require.ErrorIs(t, err, context.Canceled)
}

func BenchmarkEvaluate(b *testing.B) {
	const customers = 100_000
	people := make([]known, customers)
	for i := range people {
		people[i].Customer = customer.Customer{ID: customer.ID(i + 1), Kind: customer.Person, Profile: customer.Profile{City: "Москва"}}
		for n := range i % 4 {
			people[i].orders = append(people[i].orders, ago(n*40+i%50, int64(i)))
		}
	}
	var definitions []segment.Definition
	for i := range 20 {
		definitions = append(definitions, segment.Definition{
			ID: fmt.Sprint("rule-", i), Rule: fmt.Sprintf("lifecycle == 'dormant' && net_value > %d or city == 'Тверь'", i*100),
		})
	}
	set, err := segment.NewSet(newLanguage(b), definitions)
	require.NoError(b, err)
	f := facts(b, people...)
	for b.Loop() {
		_, err := set.Evaluate(b.Context(), f, subjects(people))
		require.NoError(b, err)
	}
}
