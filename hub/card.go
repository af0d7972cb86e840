package hub

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/segment"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/store/sqlite"
)

// cardRows is how many orders, refunds and membership events a card shows.
const cardRows = 20

// Customer implements api.Customers.
func (h *Hub) Customer(ctx context.Context, name string, id customer.ID) (api.FullCard, error) {
	st, err := h.named(name)
	if err != nil {
		return api.FullCard{}, err
	}
	full := api.FullCard{Consents: map[string]*api.Verdict{}}
	if full.CustomerCard, err = h.card(ctx, st, id); err != nil {
		return full, err
	}
	now := cmp.Or(full.AliasOf, id)
	explanation, err := h.explain(ctx, st, now, nil)
	if err != nil {
		return full, fmt.Errorf("explaining customer %d: %w", now, err)
	}
	full.FormerIDs, full.Evidence, full.Refused, full.Decisions = explanation.FormerIDs, explanation.Evidence, explanation.Refused, explanation.Decisions
	full.Quarantine, full.ComponentSize = explanation.Quarantine, explanation.ComponentSize
	seen, err := h.lookAt(ctx, st, now)
	if err != nil {
		return full, fmt.Errorf("reading customer %d: %w", now, err)
	}
	full.AsOf, full.OwnerName = seen.facts.AsOf, seen.subject.OwnerName
	full.Totals = totalsView(seen.facts, now, st.ws.Currency)
	full.Traits = st.language.Whole().All(seen.facts, &seen.subject)
	h.showRows(st, &full, seen)
	full.Sources = sourceViews(seen.sources)
	full.Memberships = membershipViews(st, seen)
	events, err := h.store.MembershipEventsOf(ctx, st.ws.ID, now, cardRows)
	if err != nil {
		return full, err
	}
	if full.History, err = eventViews(events); err != nil {
		return full, err
	}
	for _, channel := range []string{"email", "sms"} {
		verdict, err := h.MayContact(ctx, name, now, channel, consent.Marketing)
		if err != nil {
			return full, err
		}
		full.Consents[channel] = &verdict
	}
	return full, nil
}

// looked is what the store and the ledger know of one customer as of one moment.
type looked struct {
	subject     segment.Subject
	facts       *kpi.Facts
	rows        kpi.Rows
	datesFrom   map[store.RecordKey]string
	sources     []sqlite.Source
	memberships []sqlite.Membership
}

// lookAt reads what a card shows. Ranks and scores are those frozen for the day, as segments see them.
func (h *Hub) lookAt(ctx context.Context, st *state, id customer.ID) (seen looked, err error) {
	c, err := h.store.Customer(ctx, st.ws.ID, id)
	if err != nil {
		return seen, err
	}
	err = h.store.InView(ctx, func(tx store.Tx) error {
		if seen.facts, err = h.frozenFactsIn(ctx, tx, st, []customer.ID{id}); err != nil {
			return err
		}
		subjects, err := h.subjects(ctx, tx, st, st.language.Whole(), []customer.Customer{c})
		if err != nil {
			return err
		}
		seen.subject = subjects[0]
		rows, err := h.store.RowsOf(ctx, tx, st.ws.ID, st.orderStreams(), st.refundStreams(), []customer.ID{id})
		if err != nil {
			return err
		}
		seen.rows = rows[id]
		if seen.datesFrom, err = h.store.DatesFrom(ctx, tx, st.ws.ID, id); err != nil {
			return err
		}
		if seen.sources, err = h.store.SourcesOf(ctx, tx, st.ws.ID, id); err != nil {
			return err
		}
		seen.memberships, err = h.store.MembershipsOf(ctx, tx, st.ws.ID, id)
		return err
	})
	return seen, err
}

func totalsView(facts *kpi.Facts, id customer.ID, currency string) api.CardTotals {
	fact := facts.Of(id)
	if fact == nil {
		fact = &kpi.Fact{}
	}
	totals := api.CardTotals{
		Orders: int(fact.Orders), Currency: currency,
		Gross: entity.FormatMinor(fact.Gross, currency), Net: entity.FormatMinor(fact.Net, currency), NetYear: entity.FormatMinor(fact.NetYear, currency),
	}
	if fact.Orders > 0 {
		totals.FirstOn, totals.LastOn = &fact.FirstOn, &fact.LastOn
	}
	if check, ok := fact.AverageCheck(); ok {
		text := entity.FormatMinor(check, currency)
		totals.AverageCheck = &text
	}
	return totals
}

// showRows puts the newest orders with their refunds on a card, and the newest refunds that belong to none of them.
func (h *Hub) showRows(st *state, full *api.FullCard, seen looked) {
	orders, refunds := slices.Clone(seen.rows.Orders), slices.Clone(seen.rows.Refunds)
	slices.SortFunc(orders, func(a, b kpi.OrderRow) int {
		return cmp.Or(cmp.Compare(b.On, a.On), b.At.Compare(a.At), cmp.Compare(b.Sequence, a.Sequence), keyOf(b).Compare(keyOf(a)))
	})
	slices.SortFunc(refunds, func(a, b kpi.RefundRow) int {
		return cmp.Or(cmp.Compare(a.On, b.On), refundKey(a).Compare(refundKey(b)))
	})
	known := make(map[store.RecordKey]bool, len(orders))
	for _, o := range orders {
		known[keyOf(o)] = true
	}
	of := map[store.RecordKey][]api.CardRefund{}
	var unlinked []api.CardRefund
	for _, f := range refunds {
		view := api.CardRefund{
			Record: h.recordName(st, refundKey(f)), On: f.On, Amount: f.Amount.Decimal(), Currency: f.Amount.Currency, Base: baseText(f.Base, f.Converted, st.ws.Currency),
		}
		if f.Order != nil && known[*f.Order] {
			of[*f.Order] = append(of[*f.Order], view)
			continue
		}
		unlinked = append(unlinked, view)
	}
	slices.Reverse(unlinked)
	full.Totals.Listed, full.Totals.Unlinked = len(orders), len(unlinked)
	full.Unlinked = append([]api.CardRefund{}, unlinked[:min(cardRows, len(unlinked))]...)
	full.Orders = []api.CardOrder{}
	for _, o := range orders[:min(cardRows, len(orders))] {
		key := keyOf(o)
		full.Orders = append(full.Orders, api.CardOrder{
			Record: h.recordName(st, key), On: o.On, Amount: o.Amount.Decimal(), Currency: o.Amount.Currency, Base: baseText(o.Base, o.Converted, st.ws.Currency),
			DateFrom: seen.datesFrom[key], Channel: o.Channel, Owner: o.Owner, City: o.City, Refunds: append([]api.CardRefund{}, of[key]...),
		})
	}
}

func keyOf(o kpi.OrderRow) store.RecordKey {
	return store.RecordKey{Connection: o.Connection, Stream: o.Stream, Key: o.Key}
}

func refundKey(f kpi.RefundRow) store.RecordKey {
	return store.RecordKey{Connection: f.Connection, Stream: f.Stream, Key: f.Key}
}

// baseText is an amount in the workspace's currency; nil where there is no exchange rate.
func baseText(base int64, converted bool, currency string) *string {
	if !converted {
		return nil
	}
	text := entity.FormatMinor(base, currency)
	return &text
}

func sourceViews(sources []sqlite.Source) []api.CardSource {
	views := make([]api.CardSource, 0, len(sources))
	for _, s := range sources {
		views = append(views, api.CardSource{Record: s.Record, UpdatedAt: moment(s.UpdatedAt), Placeholder: s.Placeholder, Quarantined: s.Quarantined})
	}
	return views
}

// membershipViews leaves out segments that are no longer defined: the next refresh forgets them.
func membershipViews(st *state, seen looked) []api.CardMembership {
	definitions := st.set.Definitions()
	views := make([]api.CardMembership, 0, len(seen.memberships))
	for _, m := range seen.memberships {
		at := slices.IndexFunc(definitions, func(d segment.Definition) bool { return d.ID == m.Segment })
		if at < 0 {
			continue
		}
		views = append(views, api.CardMembership{
			Segment: m.Segment, Title: definitions[at].Title, Rule: definitions[at].Rule, EnteredOn: m.EnteredOn, Baseline: m.Baseline,
			Fields: st.set.Seen(m.Segment, seen.facts, &seen.subject),
		})
	}
	return views
}
