package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/config"
	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/segment"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/store/sqlite"
)

// ruleOf names the rule a membership was made by, so that an edit is seen.
func (st *state) ruleOf(id string) string {
	for _, d := range st.set.Definitions() {
		if d.ID == id && !d.Builtin {
			return fmt.Sprintf("%s; %s", d.Rule, st.basis())
		}
	}
	return "builtin; " + st.basis()
}

// basis names what the fields of rules are made by: another one makes other members without anybody's doing.
func (st *state) basis() string {
	scores := ""
	if st.cfg.RFM.Method != config.RFMByShare {
		scores = fmt.Sprintf("; scores %+v", st.cfg.RFM)
	}
	return fmt.Sprintf("window %d; identity %s; orders %+v; fields %v%s", st.cfg.Window, st.identityHash, st.cfg.Orders, st.cfg.CustomerFields, scores)
}

// consentStates are the effective states for marketing by channel, where a rule names them; looking them up for
// everybody costs more than all other fields together.
func (h *Hub) consentStates(ctx context.Context, tx store.Tx, st *state, set *segment.Set, customers []customer.Customer) (map[string]map[customer.ID]entity.ConsentState, error) {
	if !set.Names("consent_email") && !set.Names("consent_sms") {
		return nil, nil
	}
	ids := make([]customer.ID, 0, len(customers))
	for _, c := range customers {
		ids = append(ids, c.ID)
	}
	records, err := h.store.Consents(ctx, tx, st.ws.ID, ids)
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
	request.Today, request.Lifespan = h.asOf(st), lifespan(st.cfg)
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
func (h *Hub) RFM(ctx context.Context, name, method string, request kpi.Request) (kpi.RFM, error) {
	facts, _, err := h.facts(ctx, name, method, request)
	if err != nil {
		return kpi.RFM{}, err
	}
	return facts.RFM(), nil
}

func (h *Hub) facts(ctx context.Context, name, method string, request kpi.Request) (*kpi.Facts, *state, error) {
	st, query, err := h.query(name, request)
	if err != nil {
		return nil, nil, err
	}
	ledger, err := h.ledger(ctx, st)
	if err != nil {
		return nil, nil, err
	}
	by, err := scoring(st.cfg, method)
	if err != nil {
		return nil, nil, err
	}
	return ledger.FactsScored(query.AsOf, query.Window, by), st, nil
}

// RFMCustomers implements api.Figures.
func (h *Hub) RFMCustomers(ctx context.Context, name, method string, request kpi.Request) ([]api.RFMCustomer, error) {
	facts, st, err := h.facts(ctx, name, method, request)
	if err != nil {
		return nil, err
	}
	keys, err := h.store.MemberKeys(ctx, st.ws.ID, nil)
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
	states, err := h.store.SegmentStates(ctx, nil, st.ws.ID)
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
	keys, err := h.store.MemberKeys(ctx, st.ws.ID, nil)
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
	return eventViews(events)
}

// eventViews turns stored events into the form of the API.
func eventViews(events []sqlite.MembershipEvent) ([]api.MembershipEvent, error) {
	all := make([]api.MembershipEvent, 0, len(events))
	for _, e := range events {
		view := api.MembershipEvent{Segment: e.Segment, Customer: e.Customer, Event: e.Event, On: e.On, At: e.At}
		if e.Why != "" {
			if err := json.Unmarshal([]byte(e.Why), &view.Why); err != nil {
				return nil, fmt.Errorf("reading why customer %d %s segment %s: %w", e.Customer, e.Event, e.Segment, err)
			}
		}
		all = append(all, view)
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
