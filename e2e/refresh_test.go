package e2e

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/run"
)

// daysClock is the real clock, some days on.
type daysClock struct{ days atomic.Int64 }

func (c *daysClock) Now() time.Time { return time.Now().UTC().AddDate(0, 0, int(c.days.Load())) }

const agingWorkspace = `workspace: shop
time_zone: Europe/Moscow
currency: RUB
connections:
  shop:
    connector: table
    config:
      folder: ../files
      contacts: {file: customers.csv, columns: {key: id, name: name, email: email}}
      orders: {file: orders.csv, columns: {key: number, customer: customer, ordered_on: date, amount: amount}}
    every: 365d
orders: {from: shop.orders}
segments:
  big: {rule: "net_value >= 5000"}
`

// shopOf makes a shop of some customers with two orders each: c's are of c+1 roubles, within 15 days before a day.
func shopOf(customers int, today time.Time) map[string]string {
	people, orders := strings.Builder{}, strings.Builder{}
	people.WriteString("id,name,email\n")
	orders.WriteString("number,customer,date,amount\n")
	for c := range customers {
		fmt.Fprintf(&people, "%d,Customer %d,c%d@example.com\n", c, c, c)
		for i := range 2 {
			fmt.Fprintf(&orders, "%d-%d,%d,%s,%d\n", c, i, c, today.AddDate(0, 0, -1-c%5-10*i).Format(time.DateOnly), c+1)
		}
	}
	return map[string]string{"files/customers.csv": people.String(), "files/orders.csv": orders.String()}
}

func standing(t *testing.T, h api.Syncing) api.Standing {
	t.Helper()
	st, err := h.Standing(t.Context(), "")
	require.NoError(t, err)
	return st
}

// A few changes are looked at alone; a new day, or a change of much of the base, is for everybody (R11).
func TestARefreshLooksAtWhoChanged(t *testing.T) {
	const customers = 400
	clock := &daysClock{}
	moscow, err := time.LoadLocation("Europe/Moscow")
	require.NoError(t, err)
	today := clock.Now().In(moscow)
	s := newSite(t, agingWorkspace, shopOf(customers, today))
	h, stop := s.openHubAt(t, clock)
	sync(t, h, run.Incremental)
	first := standing(t, h)
	assert.True(t, first.RefreshedAll)
	assert.EqualValues(t, customers, first.Refreshed)
	events, err := h.SegmentHistory(t.Context(), "", "lifecycle_active", 10)
	require.NoError(t, err)
	assert.Empty(t, events, "whoever came with the first sync was there before")
	assert.Empty(t, members(t, h, "rfm_champions"), "all have two orders")

	// One order of one customer.
	s.write(t, "files/orders.csv", s.read(t, "files/orders.csv")+"new,7,"+today.Format(time.DateOnly)+",9000\n")
	sync(t, h, run.Incremental)
	one := standing(t, h)
	assert.False(t, one.RefreshedAll)
	assert.EqualValues(t, 1, one.Refreshed)
	events, err = h.SegmentHistory(t.Context(), "", "big", 10)
	require.NoError(t, err)
	require.Len(t, events, 1)
	assert.Equal(t, "entered", events[0].Event)
	assert.Equal(t, &api.Why{Because: "data", Fields: map[string]any{"net_value": 9016.0}}, events[0].Why)
	assert.Empty(t, members(t, h, "rfm_champions"), "scores are frozen for the day")
	assert.Equal(t, "9016.00", segmentNamed(t, h, "big").NetValue)

	// A hub that starts anew goes on from what is stored, and does not look at anybody without need.
	stop()
	h, stop = s.openHubAt(t, clock)
	s.write(t, "files/orders.csv", s.read(t, "files/orders.csv")+"newer,8,"+today.Format(time.DateOnly)+",9000\n")
	sync(t, h, run.Incremental)
	again := standing(t, h)
	assert.False(t, again.RefreshedAll)
	assert.EqualValues(t, 1, again.Refreshed)
	assert.Equal(t, 2, segmentNamed(t, h, "big").Size)

	// A new day: everybody, and time is why.
	clock.days.Add(89)
	require.Eventually(t, func() bool { return standing(t, h).RefreshedOn != again.RefreshedOn }, time.Minute, 20*time.Millisecond)
	settleDown(t, h)
	aged := standing(t, h)
	assert.True(t, aged.RefreshedAll)
	assert.EqualValues(t, customers, aged.Refreshed)
	events, err = h.SegmentHistory(t.Context(), "", "lifecycle_dormant", customers)
	require.NoError(t, err)
	require.Len(t, events, customers-2, "all but the two who bought today")
	assert.Equal(t, "time", events[0].Why.Because)
	assert.Equal(t, "dormant", events[0].Why.Fields["lifecycle"])
	assert.Equal(t, []string{"shop.contacts/7", "shop.contacts/8"}, members(t, h, "rfm_champions"), "a new day has new scores")

	// A fifth of the base: ranks of the day would describe another base.
	var more strings.Builder
	for c := range customers / 5 {
		fmt.Fprintf(&more, "import-%d,%d,%s,1\n", c, c, today.Format(time.DateOnly))
	}
	s.write(t, "files/orders.csv", s.read(t, "files/orders.csv")+more.String())
	sync(t, h, run.Incremental)
	assert.True(t, standing(t, h).RefreshedAll)
	stop()
}

func members(t *testing.T, h api.Segments, id string) []string {
	t.Helper()
	all, err := h.SegmentMembers(t.Context(), "", id)
	require.NoError(t, err)
	var keys []string
	for _, m := range all {
		keys = append(keys, m.Keys...)
	}
	return keys
}

func segmentNamed(t *testing.T, h api.Segments, id string) api.Segment {
	t.Helper()
	all, err := h.Segments(t.Context(), "")
	require.NoError(t, err)
	for _, s := range all {
		if s.ID == id {
			return s
		}
	}
	t.Fatalf("no segment %s", id)
	return api.Segment{}
}

// Joining two records is nothing a customer did: it makes no events.
func TestAMergeEntersNoSegment(t *testing.T) {
	files := shopOf(60, time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC))
	s := newSite(t, strings.Replace(agingWorkspace, "currency: RUB\n", "currency: RUB\nbusiness_date: 2026-03-31\n", 1)+`  pairs: {rule: "orders >= 4"}`+"\n", files)
	h, stop := s.openHub(t)
	sync(t, h, run.Incremental)
	s.write(t, "files/customers.csv", strings.Replace(files["files/customers.csv"], "c7@example.com", "c8@example.com", 1))
	sync(t, h, run.Incremental)
	assert.EqualValues(t, 1, standing(t, h).Refreshed, "the one that two became")
	assert.Equal(t, 1, segmentNamed(t, h, "pairs").Size)
	for _, id := range []string{"pairs", "lifecycle_active", "repeat"} {
		events, err := h.SegmentHistory(t.Context(), "", id, 10)
		require.NoError(t, err)
		assert.Empty(t, events, id)
	}
	assert.Equal(t, 59, segmentNamed(t, h, "repeat").Size)
	stop()
}

func TestAPreviewStoresNothing(t *testing.T) {
	s := newSite(t, shopWorkspace, shopFiles)
	h, _ := s.openHub(t)
	sync(t, h, run.Incremental)
	before := export(t, h)
	p, err := h.PreviewSegment(t.Context(), "", api.PreviewRequest{Rule: "net_value > 600 && city == nil", Sample: 1})
	require.NoError(t, err)
	assert.Equal(t, 2, p.Size)
	assert.Equal(t, 4, p.Customers)
	assert.Equal(t, "2200.50", p.NetValue)
	assert.Contains(t, p.Overlap, api.SegmentOverlap{Segment: "buyers", Both: 2, Size: 4})
	require.Len(t, p.Sample, 1)
	assert.Equal(t, map[string]any{"net_value": 1500.5, "city": nil}, p.Sample[0].Fields)
	assert.Equal(t, []string{"shop.contacts/1"}, p.Sample[0].Keys)

	p, err = h.PreviewSegment(t.Context(), "", api.PreviewRequest{Segment: "buyers"})
	require.NoError(t, err)
	require.NotNil(t, p.Enter)
	assert.Zero(t, *p.Enter+*p.Leave)

	_, err = h.PreviewSegment(t.Context(), "", api.PreviewRequest{Rule: "net_valu > 600"})
	require.ErrorIs(t, err, api.ErrRefused)
	assert.ErrorContains(t, err, "line 1, column 1")
	assert.ErrorContains(t, err, "did you mean net_value?")
	_, err = h.PreviewSegment(t.Context(), "", api.PreviewRequest{Segment: "nobody"})
	require.ErrorIs(t, err, api.ErrNotFound)
	assert.Equal(t, before, export(t, h))
}

func TestRulesNameTheWorkspacesOwnFields(t *testing.T) {
	workspace := strings.NewReplacer(
		"orders: {from: shop.orders}\n", "orders: {from: shop.orders}\ncustomer_fields: {level: text, points: integer}\n",
		`email: email, phone: phone}, delete_missing: true}`, `email: email, phone: phone}, custom: {UF_LEVEL: level, UF_POINTS: points}, delete_missing: true}`,
		"    every: 1h\n  newsletter", "    every: 1h\n    fields: {contact: {level: UF_LEVEL, points: UF_POINTS}}\n  newsletter",
		"segments:\n", "segments:\n  gold: {rule: \"level == 'gold' && points >= 100\"}\n",
	).Replace(shopWorkspace)
	files := copyFiles(shopFiles)
	files["files/customers.csv"] = `id,name,email,phone,level,points
1,Anna Petrova,anna@example.com,+79161234567,gold,150
2,Boris Ivanov,boris@example.com,,gold,many
3,Vera Orlova,vera@example.com,+79161234569,silver,900
4,Gleb Smirnov,,+79161234570,gold,100
`
	s := newSite(t, workspace, files)
	h, _ := s.openHub(t)
	sync(t, h, run.Incremental)
	assert.Equal(t, []string{"shop.contacts/1", "shop.contacts/4"}, members(t, h, "gold"), "what is no number counts as missing")
}

// Who buys for the first time today has no rank before everybody is looked at: neither the best nor the worst.
func TestANewcomerHasNoRankYet(t *testing.T) {
	today := time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC)
	s := newSite(t, strings.Replace(agingWorkspace, "currency: RUB\n", "currency: RUB\nbusiness_date: 2026-03-31\n", 1)+`  winback: {rule: "r <= 2"}`+"\n", shopOf(60, today))
	h, stop := s.openHub(t)
	sync(t, h, run.Incremental)
	s.write(t, "files/orders.csv", s.read(t, "files/orders.csv")+"first,newcomer,2026-03-31,0.01\n")
	sync(t, h, run.Incremental)
	require.False(t, standing(t, h).RefreshedAll)
	for _, id := range []string{"vip", "winback"} {
		assert.NotContains(t, members(t, h, id), "shop.contacts/newcomer", id)
	}
	assert.Contains(t, members(t, h, "one_time"), "shop.contacts/newcomer")
	stop()
}

// While a connector is missing, what it brought still counts.
func TestAMissingConnectorEmptiesNothing(t *testing.T) {
	s := newSite(t, agingWorkspace, shopOf(40, time.Now()))
	h, stop := s.openHub(t)
	sync(t, h, run.Incremental)
	before := members(t, h, "repeat")
	require.Len(t, before, 40)
	stop()
	s.write(t, "hub.yaml", hubYAML+"connectors: {folder: empty}\n")
	s.write(t, "empty/.keep", "")
	h, stop = s.openHub(t)
	require.Eventually(t, func() bool { return h.Ready(t.Context()) == nil }, time.Minute, 10*time.Millisecond)
	settleDown(t, h)
	report, err := h.KPIs(t.Context(), "", kpi.Request{})
	require.NoError(t, err)
	assert.Equal(t, "40", figure(t, report, "customers"))
	assert.Equal(t, before, members(t, h, "repeat"))
	stop()
}

// A rule that fails for one customer keeps the members there are, and nothing is pushed by it until it is mended (R5).
func TestAFailingRuleHoldsItsPush(t *testing.T) {
	failing := strings.Replace(shopWorkspace, `rule: "orders > 0"`, `rule: "orders > 0 && int(name) > 0"`, 1)
	s := newSite(t, shopWorkspace, shopFiles)
	h, stop := s.openHub(t)
	sync(t, h, run.Incremental)
	before := members(t, h, "buyers")
	require.Len(t, before, 4)
	stop()
	s.write(t, "workspaces/shop.yaml", failing)
	h, stop = s.openHub(t)
	sync(t, h, run.Incremental)
	assert.Equal(t, before, members(t, h, "buyers"))
	r, err := h.RunActivation(t.Context(), "", "buyers")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		r, err = h.GetRun(t.Context(), "", r.ID)
		require.NoError(t, err)
		return strings.Contains(r.Cause, "the rule of segment buyers failed")
	}, 20*time.Second, 20*time.Millisecond, "it waits for the rule")
	stop()
}
