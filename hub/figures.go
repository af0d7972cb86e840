package hub

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/segment"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/store/sqlite"
)

// ledgerCache keeps a workspace's ledger in memory until settle changes something.
type ledgerCache struct {
	loading sync.Mutex // one load at a time
	mu      sync.Mutex
	ledger  *kpi.Ledger
	version int64 // of the facts the ledger was made from
	day     *entity.Date
}

// newDay says whether a day is another than the last one that saw done for.
func (c *ledgerCache) newDay(day entity.Date) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.day == nil || *c.day != day
}

// saw remembers the day that what a new day calls for was done for.
func (c *ledgerCache) saw(day entity.Date) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.day = &day
}

func (c *ledgerCache) get(version int64) *kpi.Ledger {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version != version {
		return nil
	}
	return c.ledger
}

func (c *ledgerCache) put(l *kpi.Ledger, version int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ledger, c.version = l, version
}

// ledger returns a workspace's ledger, loading it when something has changed.
func (h *Hub) ledger(ctx context.Context, st *state) (*kpi.Ledger, error) {
	st.ledger.loading.Lock()
	defer st.ledger.loading.Unlock()
	// The version is read before the rows: rows that change meanwhile make the next call load again.
	version, err := h.store.FactsVersion(ctx, nil, st.ws.ID)
	if err != nil {
		return nil, err
	}
	if l := st.ledger.get(version); l != nil {
		return l, nil
	}
	orders, ordersErr := h.store.Orders(ctx, st.ws.ID, st.orderStreams())
	refunds, refundsErr := h.store.Refunds(ctx, st.ws.ID, st.refundStreams())
	l, _, err := kpi.Build(st.ws.Currency, st.ws.Zone, orders, refunds)
	for _, err := range []error{err, *ordersErr, *refundsErr} {
		if err != nil {
			return nil, fmt.Errorf("loading the ledger of workspace %s: %w", st.ws.Name, err)
		}
	}
	st.ledger.put(l, version)
	return l, nil
}

// Refresh implements job.Work: it recomputes figures and segments as of the business day and stores what changed.
func (h *Hub) Refresh(ctx context.Context, id store.WorkspaceID) error {
	st, ok := h.state(id)
	if !ok {
		return nil
	}
	version, err := h.store.FactsVersion(ctx, nil, id)
	if err != nil {
		return err
	}
	ledger, err := h.ledger(ctx, st)
	if err != nil {
		return err
	}
	day := h.asOf(st)
	facts := ledger.Facts(day, st.cfg.Window)
	subjects, err := h.subjects(ctx, st)
	if err != nil {
		return err
	}
	memberships, err := st.set.Evaluate(ctx, facts, subjects)
	if err != nil {
		return fmt.Errorf("evaluating segments: %w", err)
	}
	query, err := kpi.Resolve(kpi.Request{Today: day, Window: st.cfg.Window})
	if err != nil {
		return err
	}
	values := map[string]*float64{}
	for _, figure := range ledger.Figures(query) {
		values[figure.ID] = nil
		if v, defined := figure.Value.Float(); defined {
			values[figure.ID] = &v
		}
	}
	states, err := h.store.SegmentStates(ctx, id)
	if err != nil {
		return err
	}
	err = h.store.InTx(ctx, func(tx store.Tx) error {
		// Two refreshes may run after a crash: the one with older facts stores nothing, and asks for another.
		now, err := h.store.FactsVersion(ctx, tx, id)
		if err != nil {
			return err
		}
		if now != version {
			return h.store.MarkFiguresDirty(ctx, tx, id)
		}
		var kept []string
		for _, m := range memberships {
			kept = append(kept, m.Segment)
			if m.Err != nil {
				h.log.Error("segment could not be evaluated; its members stay as they are", "workspace", st.ws.Name, "segment", m.Segment, "error", m.Err)
				continue
			}
			if err := h.storeMembership(ctx, tx, st, day, facts, m, states); err != nil {
				return fmt.Errorf("storing segment %s: %w", m.Segment, err)
			}
		}
		if err := h.store.DropSegments(ctx, tx, id, kept); err != nil {
			return err
		}
		if err := h.store.PutFigures(ctx, tx, id, day, values); err != nil {
			return err
		}
		return h.store.SetRefreshed(ctx, tx, id, day, h.clock.Now())
	})
	if err != nil {
		return err
	}
	h.log.Debug("figures and segments refreshed", "workspace", st.ws.Name, "as_of", day.String())
	return nil
}

func (h *Hub) storeMembership(ctx context.Context, tx store.Tx, st *state, day entity.Date, facts *kpi.Facts, m segment.Membership, states map[string]sqlite.SegmentState) error {
	before, err := h.store.Members(ctx, tx, st.ws.ID, m.Segment)
	if err != nil {
		return err
	}
	rule := st.ruleOf(m.Segment)
	last, evaluated := states[m.Segment]
	diff := segment.Compare(before, m.Members)
	if !evaluated || last.RuleHash != rule {
		diff = segment.Baseline(before, m.Members)
	}
	change := sqlite.MembershipChange{Segment: m.Segment, RuleHash: rule, Entered: diff.Entered, Left: diff.Left, Size: len(m.Members), Baseline: diff.Baseline}
	for _, id := range m.Members {
		if fact := facts.Of(id); fact != nil {
			change.NetValue += fact.Net
		}
	}
	return h.store.ChangeMembership(ctx, tx, st.ws.ID, day, change)
}

// ruleOf names the rule a membership was made by, so that an edit is seen.
func (st *state) ruleOf(id string) string {
	for _, d := range st.set.Definitions() {
		if d.ID == id && !d.Builtin {
			return d.Rule
		}
	}
	return fmt.Sprintf("builtin; window %d; identity %s", st.cfg.Window, st.identityHash)
}

// subjects are all customers as rules see them.
func (h *Hub) subjects(ctx context.Context, st *state) (iter.Seq2[segment.Subject, error], error) {
	customers, err := h.store.Customers(ctx, st.ws.ID)
	if err != nil {
		return nil, fmt.Errorf("loading customers: %w", err)
	}
	states, err := h.consentStates(ctx, st, customers)
	if err != nil {
		return nil, err
	}
	return func(yield func(segment.Subject, error) bool) {
		for _, c := range customers {
			if !yield(segment.Subject{Customer: c, ConsentEmail: states["email"][c.ID], ConsentSMS: states["sms"][c.ID]}, nil) {
				return
			}
		}
	}, nil
}

// consentStates are the effective states for marketing by channel, where a rule names them; looking them up for
// everybody costs more than all other fields together.
func (h *Hub) consentStates(ctx context.Context, st *state, customers []customer.Customer) (map[string]map[customer.ID]entity.ConsentState, error) {
	named := slices.ContainsFunc(st.set.Definitions(), func(d segment.Definition) bool { return strings.Contains(d.Rule, "consent_") })
	if !named {
		return nil, nil
	}
	ids := make([]customer.ID, 0, len(customers))
	for _, c := range customers {
		ids = append(ids, c.ID)
	}
	records, err := h.store.Consents(ctx, nil, st.ws.ID, ids)
	if err != nil {
		return nil, fmt.Errorf("loading consents: %w", err)
	}
	// Only records count here: that a channel's consent is assumed says nothing about anybody.
	policy := consent.Policy{SystemOfRecord: st.consentPolicy().SystemOfRecord}
	states := map[string]map[customer.ID]entity.ConsentState{"email": {}, "sms": {}}
	for _, c := range customers {
		for channel, addresses := range map[string][]string{"email": c.Emails, "sms": c.Phones} {
			for _, address := range append(slices.Clone(addresses), "") {
				verdict := consent.Decide(policy, consent.Question{Channel: channel, Address: address, Now: h.clock.Now()}, records[c.ID])
				if state := consentState(verdict.Reason); state != "" {
					states[channel][c.ID] = state
				}
				if verdict.Allowed {
					break
				}
			}
		}
	}
	return states, nil
}

// consentState is the state that a verdict's reason stands for; empty where there is no record.
func consentState(reason consent.Reason) entity.ConsentState {
	switch reason {
	case consent.Permitted:
		return entity.OptedIn
	case consent.HasOptedOut:
		return entity.OptedOut
	case consent.HasComplained:
		return entity.Complained
	case consent.HasBounced:
		return entity.Bounced
	default:
		return ""
	}
}

// KPIs implements api.Figures.
func (h *Hub) KPIs(ctx context.Context, name string, request kpi.Request) (kpi.Report, error) {
	st, query, err := h.query(name, request)
	if err != nil {
		return kpi.Report{}, err
	}
	ledger, err := h.ledger(ctx, st)
	if err != nil {
		return kpi.Report{}, err
	}
	return ledger.Report(query), nil
}

// query resolves what a person asked for with the workspace's day and window.
func (h *Hub) query(name string, request kpi.Request) (*state, kpi.Query, error) {
	st, err := h.named(name)
	if err != nil {
		return nil, kpi.Query{}, err
	}
	request.Today = h.asOf(st)
	if request.Window == 0 {
		request.Window = st.cfg.Window
	}
	query, err := kpi.Resolve(request)
	if err != nil {
		return nil, kpi.Query{}, fmt.Errorf("%w: %w", api.ErrRefused, err)
	}
	return st, query, nil
}

// RFM implements api.Figures.
func (h *Hub) RFM(ctx context.Context, name string, request kpi.Request) (kpi.RFM, error) {
	facts, _, err := h.facts(ctx, name, request)
	if err != nil {
		return kpi.RFM{}, err
	}
	return facts.RFM(), nil
}

func (h *Hub) facts(ctx context.Context, name string, request kpi.Request) (*kpi.Facts, *state, error) {
	st, query, err := h.query(name, request)
	if err != nil {
		return nil, nil, err
	}
	ledger, err := h.ledger(ctx, st)
	if err != nil {
		return nil, nil, err
	}
	return ledger.Facts(query.AsOf, query.Window), st, nil
}

// RFMCustomers implements api.Figures.
func (h *Hub) RFMCustomers(ctx context.Context, name string, request kpi.Request) ([]api.RFMCustomer, error) {
	facts, st, err := h.facts(ctx, name, request)
	if err != nil {
		return nil, err
	}
	keys, err := h.store.MemberKeys(ctx, st.ws.ID)
	if err != nil {
		return nil, err
	}
	var rows []api.RFMCustomer
	for _, row := range facts.RFMCustomers() {
		rows = append(rows, api.RFMCustomer{RFMCustomer: row, Keys: keys[row.Customer]})
	}
	return rows, nil
}

// Segments implements api.Segments.
func (h *Hub) Segments(ctx context.Context, name string) ([]api.Segment, error) {
	st, err := h.named(name)
	if err != nil {
		return nil, err
	}
	states, err := h.store.SegmentStates(ctx, st.ws.ID)
	if err != nil {
		return nil, err
	}
	var all []api.Segment
	for _, d := range st.set.Definitions() {
		one := api.Segment{ID: d.ID, Title: d.Title, ManagedBy: d.Managed, Rule: d.Rule}
		last, evaluated := states[d.ID]
		one.NetValue = entity.FormatMinor(last.NetValue, st.ws.Currency)
		if evaluated {
			one.Size, one.EvaluatedOn = last.Size, last.EvaluatedOn.String()
		}
		all = append(all, one)
	}
	return all, nil
}

func (st *state) hasSegment(id string) bool {
	for _, d := range st.set.Definitions() {
		if d.ID == id {
			return true
		}
	}
	return false
}

// SegmentMembers implements api.Segments.
func (h *Hub) SegmentMembers(ctx context.Context, name, id string) ([]api.Member, error) {
	st, err := h.named(name)
	if err != nil {
		return nil, err
	}
	if !st.hasSegment(id) {
		return nil, fmt.Errorf("segment %q: %w", id, api.ErrNotFound)
	}
	ids, err := h.store.Members(ctx, nil, st.ws.ID, id)
	if err != nil {
		return nil, err
	}
	keys, err := h.store.MemberKeys(ctx, st.ws.ID)
	if err != nil {
		return nil, err
	}
	members := make([]api.Member, 0, len(ids))
	for _, id := range ids {
		members = append(members, api.Member{Customer: id, Keys: keys[id]})
	}
	return members, nil
}

// SegmentHistory implements api.Segments.
func (h *Hub) SegmentHistory(ctx context.Context, name, id string, limit int) ([]api.MembershipEvent, error) {
	st, err := h.named(name)
	if err != nil {
		return nil, err
	}
	if !st.hasSegment(id) {
		return nil, fmt.Errorf("segment %q: %w", id, api.ErrNotFound)
	}
	events, err := h.store.MembershipEvents(ctx, st.ws.ID, id, limit)
	if err != nil {
		return nil, err
	}
	all := make([]api.MembershipEvent, 0, len(events))
	for _, e := range events {
		all = append(all, api.MembershipEvent(e))
	}
	return all, nil
}

// customerExists says whether a number is a customer's or an alias.
func (h *Hub) customerExists(ctx context.Context, st *state, id customer.ID) (customer.ID, error) {
	found, err := h.store.ResolveCustomer(ctx, st.ws.ID, id)
	if err != nil {
		return 0, fmt.Errorf("customer %d: %w", id, api.ErrNotFound)
	}
	return found, nil
}
