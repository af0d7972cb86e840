package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/run"
)

const shopWorkspace = `workspace: shop
time_zone: Europe/Moscow
currency: RUB
business_date: 2026-03-31
connections:
  shop:
    connector: table
    config:
      folder: ../files
      contacts: {file: customers.csv, columns: {key: id, name: name, email: email, phone: phone}, delete_missing: true}
      orders: {file: orders.csv, columns: {key: number, customer: customer, ordered_on: date, amount: amount}}
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
  lists:
    connector: table
    config: {targets: {folder: ../lists}}
orders: {from: shop.orders}
identity: {match: [email, phone], strong: [shop.contacts]}
consent: {email: explicit}
segments:
  buyers: {title: {ru: "Покупатели", en: "Buyers"}, rule: "orders > 0"}
activations:
  buyers: {segment: buyers, to: lists, target: buyers, mode: mirror, first_push: approved, fields: {Name: name}, every: 1d}
`

var shopFiles = map[string]string{
	"files/customers.csv": `id,name,email,phone
1,Anna Petrova,anna@example.com,+79161234567
2,Boris Ivanov,boris@example.com,
3,Vera Orlova,vera@example.com,+79161234569
4,Gleb Smirnov,,+79161234570
`,
	"files/orders.csv": `number,customer,date,amount
o1,1,2026-01-10,1000.00
o2,1,2026-03-01,500.50
o3,2,2026-02-15,700
o4,3,2026-03-30,10.10
o5,4,2026-03-30,20
o6,,2026-03-30,5
`,
	"files/newsletter.csv": `email,status,changed,form
ANNA@example.com,subscribed,2026-01-01T10:00:00Z,checkout
boris@example.com,subscribed,2026-01-02T10:00:00Z,checkout
vera@example.com,unsubscribed,2026-01-03T10:00:00Z,checkout
`,
	"lists/.keep": "",
}

func figure(t *testing.T, report kpi.Report, id string) string {
	t.Helper()
	for _, f := range report.KPIs {
		if f.ID == id {
			text, err := f.Value.MarshalJSON()
			require.NoError(t, err)
			return strings.Trim(string(text), `"`)
		}
	}
	t.Fatalf("no figure %s", id)
	return ""
}

func TestThePathEndToEnd(t *testing.T) {
	s := newSite(t, shopWorkspace, shopFiles)
	h, _ := s.openHub(t)

	runs := sync(t, h, run.Incremental)
	require.Len(t, runs, 3)
	for _, r := range runs {
		require.Equal(t, run.Done, r.State, "%s: %s", r.Subject, r.Cause)
		c := r.Counts
		assert.Equal(t, c.Read, c.Stored+c.Unchanged+c.Deleted+c.Rejected+c.Ignored, "R1")
	}

	report, err := h.KPIs(t.Context(), "", kpi.Request{Period: "2026-03"})
	require.NoError(t, err)
	for id, want := range map[string]string{
		"customers": "4", "orders": "4", "buyers": "3", "gross_revenue": "535.60", "orders_without_customer": "1",
	} {
		assert.Equal(t, want, figure(t, report, id), id)
	}

	pushed := push(t, h, "buyers")
	require.Equal(t, run.Done, pushed.State, pushed.Cause)
	assert.EqualValues(t, 2, pushed.Result["added"])
	assert.EqualValues(t, 1, pushed.Result["held_opted_out"])
	assert.EqualValues(t, 1, pushed.Result["held_no_address"])
	list := s.read(t, "lists/buyers.csv")
	assert.Contains(t, list, "anna@example.com")
	assert.NotContains(t, list, "vera@example.com")

	found, err := h.FindCustomers(t.Context(), "", "VERA@example.com")
	require.NoError(t, err)
	require.Len(t, found, 1)
	verdict, err := h.MayContact(t.Context(), "", found[0].ID, "email", "")
	require.NoError(t, err)
	assert.False(t, verdict.Allowed)
	assert.Equal(t, "opted_out", verdict.Reason)
	require.Len(t, verdict.Evidence, 1)
	assert.Equal(t, "checkout", verdict.Evidence[0].Source)

	before := export(t, h)
	again := sync(t, h, run.Incremental)
	for _, r := range again {
		assert.Zero(t, r.Counts.Stored, r.Subject)
	}
	pushed = push(t, h, "buyers")
	assert.EqualValues(t, 0, pushed.Result["added"]+pushed.Result["updated"]+pushed.Result["removed"], "R3")
	assert.Equal(t, before, export(t, h))
	assert.Equal(t, list, s.read(t, "lists/buyers.csv"))

	// Boris opts out: he leaves the list with the next sync and push.
	s.write(t, "files/newsletter.csv", strings.Replace(shopFiles["files/newsletter.csv"], "boris@example.com,subscribed,2026-01-02T10:00:00Z", "boris@example.com,unsubscribed,2026-03-02T10:00:00Z", 1))
	sync(t, h, run.Incremental)
	pushed = push(t, h, "buyers")
	assert.EqualValues(t, 1, pushed.Result["removed_opted_out"])
	assert.NotContains(t, s.read(t, "lists/buyers.csv"), "boris@example.com")
}
