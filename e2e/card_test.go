package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/run"
)

const cardWorkspace = `workspace: shop
time_zone: Europe/Moscow
currency: RUB
business_date: 2026-03-31
connections:
  shop:
    connector: table
    config:
      folder: ../files
      contacts: {file: customers.csv, columns: {key: id, name: name, email: email, phone: phone, city: city, updated_at: changed}}
      orders: {file: orders.csv, columns: {key: number, customer: customer, ordered_on: date, amount: amount}}
      refunds: {file: refunds.csv, columns: {key: number, order: order, customer: customer, refunded_on: date, amount: amount}}
    every: 1h
  newsletter:
    connector: table
    config:
      folder: ../files
      consents:
        file: newsletter.csv
        columns: {email: email, state: status, at: changed, source: form}
        values: {state: {subscribed: opted_in, unsubscribed: opted_out}}
        constant: {channel: email}
    every: 1h
orders: {from: shop.orders}
identity: {match: [email, phone]}
consent: {email: explicit}
segments:
  regulars: {title: {ru: "Постоянные", en: "Regulars"}, rule: "orders >= 2 && net_value > 1000"}
`

var cardFiles = map[string]string{
	"files/customers.csv": `id,name,email,phone,city,changed
1,Anna Petrova,anna@example.com,+79161234567,Moscow,2026-01-05T10:00:00Z
2,A. Petrova,anna@example.com,,,2026-02-01T10:00:00Z
3,Boris Ivanov,boris@example.com,,,2026-02-02T10:00:00Z
`,
	"files/orders.csv":     "number,customer,date,amount\no1,1,2026-01-10,1000.00\no2,2,2026-03-01,500.50\n",
	"files/refunds.csv":    "number,order,customer,date,amount\nr1,o2,,2026-03-05,100.00\nr2,,1,2026-03-06,50.00\n",
	"files/newsletter.csv": "email,status,changed,form\nanna@example.com,subscribed,2026-01-02T00:00:00Z,checkout\n",
}

func TestCustomerCard(t *testing.T) {
	s := newSite(t, cardWorkspace, cardFiles)
	h, stop := s.openHub(t)
	for _, r := range sync(t, h, run.Incremental) {
		require.Equal(t, run.Done, r.State, "%s: %s", r.Subject, r.Cause)
	}
	found, err := h.FindCustomers(t.Context(), "", "anna@example.com")
	require.NoError(t, err)
	require.Len(t, found, 1)
	card, err := h.Customer(t.Context(), "", found[0].ID)
	require.NoError(t, err)
	assert.Len(t, card.Sources, 2)
	assert.Len(t, card.Evidence, 1)
	assert.Equal(t, "1350.50", card.Totals.Net)
	assert.EqualValues(t, 2, card.Traits["orders"])
	assert.Equal(t, "opted_in", card.Traits["consent_email"])
	assert.True(t, card.Consents["email"].Allowed)
	boris, err := h.FindCustomers(t.Context(), "", "boris@example.com")
	require.NoError(t, err)
	other, err := h.Customer(t.Context(), "", boris[0].ID)
	require.NoError(t, err)
	assert.Empty(t, other.Orders)
	assert.Nil(t, other.Totals.AverageCheck)
	_, err = h.Customer(t.Context(), "", 999)
	require.ErrorIs(t, err, api.ErrNotFound)

	// Boris turns out to be Anna's second name: the number he had leads to the card of both.
	_, err = h.Decide(t.Context(), "", api.DecisionRequest{Action: api.Pin, Records: []string{"shop.contacts/1", "shop.contacts/3"}})
	require.NoError(t, err)
	settleDown(t, h)
	both, err := h.Customer(t.Context(), "", other.ID)
	require.NoError(t, err)
	assert.Equal(t, found[0].ID, both.AliasOf)
	assert.Len(t, both.Sources, 3)
	assert.Equal(t, card.Totals, both.Totals)
	assert.Contains(t, both.FormerIDs, other.ID)
	assert.Len(t, both.Decisions, 1)
	_, err = h.Decide(t.Context(), "", api.DecisionRequest{Action: api.Unpin, Records: []string{"shop.contacts/1", "shop.contacts/3"}})
	require.NoError(t, err)
	settleDown(t, h)
	stop()

	t.Setenv("TZ", "UTC") // tables show times of the reader's machine
	for name, who := range map[string]string{"card_buyer": "anna@example.com", "card_nobody": "shop.contacts/3"} {
		code, out, problems := s.exit(t, "customer", "show", who)
		require.Zero(t, code, problems)
		path := filepath.Join("testdata", name+".golden")
		if os.Getenv("UPDATE_GOLDEN") != "" {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile(path, []byte(out), 0o600))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err, "run UPDATE_GOLDEN=1 go test ./e2e -run TestCustomerCard")
		assert.Equal(t, string(want), out)
	}
}
