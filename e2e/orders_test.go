package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/run"
)

const dealsWorkspace = `workspace: shop
time_zone: Europe/Moscow
currency: RUB
business_date: 2026-03-31
connections:
  crm:
    connector: table
    config:
      folder: ../files
      contacts: {file: contacts.csv, columns: {key: id, name: name, anonymous: anonymous}}
      deals:
        file: deals.csv
        columns: {key: id, customer: contact, amount: amount, currency: currency, pipeline: pipeline, state: stage, moved_at: moved, closed_on: closed}
        values: {state: {success: won, failed: lost, talks: open}}
      refunds: {file: refunds.csv, columns: {key: id, deal: deal, refunded_on: day, amount: amount, currency: currency}}
    every: 1h
  bank:
    connector: table
    config: {folder: ../files, rates: {file: rates.csv, columns: {on: day, from: currency, rate: rate}, constant: {to: RUB}}}
    every: 1h
orders: {from: crm.deals, pipelines: [sales]}
rates: {from: bank.rates}
`

var dealsFiles = map[string]string{
	"files/contacts.csv": "id,name,anonymous\n1,Anna,no\n2,Boris,no\n9,Retail,yes\n",
	// d1 was won after midnight in Moscow, in March; d5 is of another pipeline; d6 is won nobody knows when.
	"files/deals.csv": `id,contact,amount,currency,pipeline,stage,moved,closed
d1,1,1000,RUB,sales,success,2026-02-28T22:30:00Z,2026-02-20
d2,1,,RUB,sales,success,,2026-03-02
d3,2,10,USD,sales,success,,2026-03-08
d4,2,500,RUB,sales,failed,2026-03-09T10:00:00Z,
d5,2,500,RUB,service,success,2026-03-09T10:00:00Z,
d6,2,500,RUB,sales,success,,
d7,9,50,RUB,sales,success,,2026-03-10
d8,2,70,EUR,sales,success,,2026-03-11
`,
	"files/refunds.csv": "id,deal,day,amount,currency\nr1,d3,2026-03-20,2,USD\nr2,d4,2026-03-20,100,RUB\n",
	"files/rates.csv":   "day,currency,rate\n2026-03-06,USD,90.50\n2026-03-20,USD,100\n",
}

func TestOrdersFromDeals(t *testing.T) {
	s := newSite(t, dealsWorkspace, dealsFiles)
	h, _ := s.openHub(t)
	for _, r := range sync(t, h, run.Incremental) {
		require.Equal(t, run.Done, r.State, "%s: %s", r.Subject, r.Cause)
	}
	shows := func(want map[string]string) {
		t.Helper()
		report, err := h.KPIs(t.Context(), "", kpi.Request{Period: "2026-03"})
		require.NoError(t, err)
		for id, value := range want {
			assert.Equal(t, value, figure(t, report, id), id)
		}
	}
	shows(map[string]string{
		"customers": "2", "orders": "5", "buyers": "2", "orders_without_customer": "1", "revenue_without_customer": "50.00",
		"gross_revenue": "1955.00", // 1000 + 0 + 10 * 90.50 + 50; the euros have no rate
		"net_revenue":   "1774.00", // minus 2 * 90.50: the order's day; a lost deal has nothing to give back
	})
	exported := export(t, h)
	assert.Contains(t, exported, `"rule":"no_date","state":"open"`)

	retried, err := h.RetryDeadLetters(t.Context(), "", nil)
	require.NoError(t, err)
	assert.Zero(t, retried.Resolved)
	settleDown(t, h)
	assert.Equal(t, exported, export(t, h), "a retry without a change at the source changes nothing")

	// The deal is reopened, another gets its date, and the missing rate comes.
	deals := strings.NewReplacer("d1,1,1000,RUB,sales,success", "d1,1,1000,RUB,sales,talks", "d6,2,500,RUB,sales,success,,", "d6,2,500,RUB,sales,success,,2026-03-12").Replace(dealsFiles["files/deals.csv"])
	s.write(t, "files/deals.csv", deals)
	s.write(t, "files/rates.csv", dealsFiles["files/rates.csv"]+"2026-03-11,EUR,100\n")
	sync(t, h, run.Incremental)
	shows(map[string]string{"orders": "5", "gross_revenue": "8455.00"}) // 0 + 905 + 50 + 7000 + 500
	assert.NotContains(t, export(t, h), "no_date")

	// The same files in a new hub give the same.
	again := newSite(t, dealsWorkspace, dealsFiles)
	again.write(t, "files/deals.csv", deals)
	again.write(t, "files/rates.csv", s.read(t, "files/rates.csv"))
	fresh, _ := again.openHub(t)
	sync(t, fresh, run.Incremental)
	assert.Equal(t, export(t, h), export(t, fresh))
}
