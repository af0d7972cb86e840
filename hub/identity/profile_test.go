package identity_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/store"
)

func rulesRU() identity.Rules {
	rules := identity.DefaultRules()
	rules.PhoneRegion = "RU"
	return rules
}

func TestIdentifiers(t *testing.T) {
	at := store.RecordKey{Connection: 3, Stream: "customers", Key: "42"}
	tests := []struct {
		name   string
		source identity.Source
		want   []customer.Identifier
	}{
		{
			name: "a person",
			source: identity.Source{Key: at, Contact: &entity.Contact{
				Emails: []entity.Address{{Value: "Ann@Shop.example"}, {Value: "ann@shop.example "}, {Value: "none"}},
				Phones: []entity.Address{{Value: "8 912 345 67 89"}, {Value: "12"}},
				IDs: []entity.ID{
					{Kind: "Loyalty_Card", Value: " 100 "},
					{Kind: "messenger", Value: "u1"},
					{Kind: "external", Namespace: "crm", Value: "5"},
					{Kind: "inn", Value: ""},
					{Kind: "inn", Value: "7707083894"},
					{Kind: "inn", Value: "0000000000"},
					{Kind: "inn", Value: "1234567890"},
					{Kind: "inn", Namespace: "kz", Value: "990440000385"},
					{Kind: "", Value: "1"},
					{Kind: "record", Value: "1"},
				},
			}},
			want: []customer.Identifier{
				{Kind: "email", Value: "ann@shop.example"},
				{Kind: "external", Namespace: "crm", Value: "5"},
				{Kind: "inn", Value: "7707083894"},
				{Kind: "inn", Namespace: "kz", Value: "990440000385", Strong: true},
				{Kind: "loyalty_card", Value: "100", Strong: true},
				{Kind: "messenger", Namespace: "3", Value: "u1"},
				{Kind: "phone", Value: "+79123456789"},
			},
		},
		{
			name:   "a company",
			source: identity.Source{Key: at, Company: &entity.Company{IDs: []entity.ID{{Kind: "inn", Value: "7707083893"}}}},
			want:   []customer.Identifier{{Kind: "inn", Value: "7707083893", Strong: true}},
		},
		{
			name:   "a record key that is a strong id, and one merged into it at the source",
			source: identity.Source{Key: at, PersonKey: true, MergedKeys: []string{"41", "42"}},
			want: []customer.Identifier{
				{Kind: "record", Namespace: "3/customers", Value: "41", Strong: true},
				{Kind: "record", Namespace: "3/customers", Value: "42", Strong: true},
			},
		},
		{name: "nothing known", source: identity.Source{Key: at}},
		{
			name: "the till's retail customer",
			source: identity.Source{Key: at, PersonKey: true, Contact: &entity.Contact{
				Anonymous: true, Emails: []entity.Address{{Value: "shop@shop.example"}},
			}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			assert.Equal(t, test.want, identity.Identifiers(test.source, rulesRU()))
		})
	}

	t.Run("strong by kind and namespace", func(t *testing.T) {
		rules := rulesRU()
		rules.StrongKinds = []string{"external/crm"}
		source := identity.Source{Key: at, Contact: &entity.Contact{IDs: []entity.ID{
			{Kind: "external", Namespace: "crm", Value: "1"}, {Kind: "external", Namespace: "shop", Value: "1"},
		}}}
		assert.Equal(t, []customer.Identifier{
			{Kind: "external", Namespace: "crm", Value: "1", Strong: true},
			{Kind: "external", Namespace: "shop", Value: "1"},
		}, identity.Identifiers(source, rules))
	})
}

func TestProfile(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC) }
	crm := identity.Source{Key: key("crm"), UpdatedAt: day(2), Contact: &entity.Contact{
		Name:     entity.Name{Full: "Anna Lee"},
		Emails:   []entity.Address{{Value: "work@shop.example"}, {Value: "Ann@shop.example", Primary: true}},
		Phones:   []entity.Address{{Value: "8 912 345 67 89"}},
		Place:    entity.Place{City: " Perm "},
		Owner:    &entity.Ref{Stream: "owners", Key: "1"},
		Birthday: &entity.Birthday{Month: 5, Day: 9},
		Tags:     []string{"vip", " "},
	}}
	shop := identity.Source{Key: key("shop"), UpdatedAt: day(1), Contact: &entity.Contact{
		Name:     entity.Name{First: "Ann", Last: "Lee"},
		Emails:   []entity.Address{{Value: "shop@shop.example"}, {Value: "ann@shop.example"}, {Value: "junk"}},
		Phones:   []entity.Address{{Value: "+7 912 345-67-80"}},
		Place:    entity.Place{City: "Kazan", Country: "RU"},
		Language: "ru",
		Origin:   entity.Origin{Channel: "search"},
		Tags:     []string{"retail", "vip"},
	}}
	undated := identity.Source{Key: key("a"), Contact: &entity.Contact{Language: "en", Place: entity.Place{Region: "x"}}}
	till := identity.Source{Key: key("till"), UpdatedAt: day(9), Contact: &entity.Contact{Anonymous: true, Name: entity.Name{Full: "Retail"}}}
	want := customer.Profile{
		Name: "Anna Lee", Greeting: "Ann",
		Emails: []string{"ann@shop.example", "shop@shop.example", "work@shop.example"},
		Phones: []string{"+79123456789", "+79123456780"},
		City:   "Perm", Country: "RU", Language: "ru", Channel: "search",
		Birthday: &entity.Birthday{Month: 5, Day: 9}, Owner: &entity.Ref{Stream: "owners", Key: "1"},
		Tags: []string{"retail", "vip"},
	}
	records := []identity.Source{crm, shop, undated, till}
	rapid.Check(t, func(rt *rapid.T) {
		require.Equal(rt, want, identity.Profile(rapid.Permutation(records).Draw(rt, "records"), rulesRU()))
	})

	t.Run("the smaller key wins between equal times", func(t *testing.T) {
		later := shop
		later.UpdatedAt = crm.UpdatedAt
		assert.Equal(t, "Anna Lee", identity.Profile([]identity.Source{later, crm}, rulesRU()).Name)
	})
	t.Run("priority goes before time", func(t *testing.T) {
		preferred := shop
		preferred.ConnectionPriority = 1
		assert.Equal(t, "Ann Lee", identity.Profile([]identity.Source{crm, preferred}, rulesRU()).Name)
	})
	t.Run("a company", func(t *testing.T) {
		profile := identity.Profile([]identity.Source{{Key: key("c"), Company: &entity.Company{
			Name: "Romashka", Emails: []entity.Address{{Value: "info@romashka.example"}}, Place: entity.Place{City: "Perm"},
		}}}, rulesRU())
		assert.Equal(t, customer.Profile{Name: "Romashka", Emails: []string{"info@romashka.example"}, City: "Perm"}, profile)
	})
	t.Run("nothing known", func(t *testing.T) {
		assert.Equal(t, customer.Profile{}, identity.Profile([]identity.Source{{Key: key("x")}}, rulesRU()))
	})
}
