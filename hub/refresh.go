package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/segment"
	"github.com/regulars/regulars/hub/settle"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/store/sqlite"
	"github.com/regulars/regulars/hub/workspace"
)

// largeChange is the share of a base, one in so many, whose change makes ranks and scores of the day stale: then
// everybody is looked at, as on a new day. Smaller changes are taken in customer by customer (R11).
const largeChange = 20

// refresh is one evaluation of figures and segments.
type refresh struct {
	st      *state
	day     entity.Date
	last    sqlite.Refreshed
	ledger  *kpi.Ledger
	version int64 // of the facts it sees
	stale   ledgerDebt
	// everybody is looked at; otherwise those who changed, with ranks and scores as frozen for the day.
	everybody bool
	newDay    bool
	movingIn  bool
	changed   map[customer.ID]bool // true: who they are changed
	scores    *kpi.Scores
	facts     *kpi.Facts
	subjects  []segment.Subject
	before    map[string]map[customer.ID]int64 // net value of members by segment, of those looked at
	states    map[string]sqlite.SegmentState
}

// Refresh implements job.Work: it brings figures and segments up to date as of the business day. Customers whose facts
// did not change are not looked at, unless the day, a rule or much of the base is new.
func (h *Hub) Refresh(ctx context.Context, id store.WorkspaceID) error {
	st, ok := h.state(id)
	if !ok {
		return nil
	}
	r := &refresh{st: st, day: h.asOf(st)}
	if err := h.store.InView(ctx, func(tx store.Tx) error { return h.look(ctx, tx, r) }); err != nil {
		return err
	}
	if r.everybody {
		facts, err := factsOf(r.ledger, st, r.day)
		if err != nil {
			return err
		}
		r.facts, r.scores = facts, facts.Scores()
	} else {
		r.facts = r.ledger.FactsOf(r.day, st.cfg.Window, ids(r.subjects), r.scores)
	}
	memberships, err := st.set.Evaluate(ctx, r.facts, each(r.subjects))
	if err != nil {
		return fmt.Errorf("evaluating segments: %w", err)
	}
	values, err := h.headlines(r)
	if err != nil {
		return err
	}
	stored := false
	err = h.store.InTx(ctx, func(tx store.Tx) error {
		stored = false
		// After a crash two refreshes may run. The one that saw older facts has nothing to say.
		now, err := h.store.Refreshed(ctx, tx, id)
		if err != nil || now.Version > r.version {
			return err
		}
		if !sameRefresh(now, r.last) {
			return h.store.MarkFiguresDirty(ctx, tx, id)
		}
		stored = true
		return h.storeRefresh(ctx, tx, r, memberships, values)
	})
	if err != nil || !stored {
		return err
	}
	st.ledger.keepScores(r.scores)
	h.opts.Metrics.Refreshed(st.ws.Name, len(r.subjects), r.everybody)
	if err := h.storeLedger(ctx, r); err != nil {
		return err
	}
	h.log.Debug("figures and segments refreshed", "workspace", st.ws.Name, "as_of", r.day.String(), "customers", len(r.subjects), "everybody", r.everybody)
	return nil
}

func sameRefresh(a, b sqlite.Refreshed) bool {
	return a.Version == b.Version && a.Hash == b.Hash && a.At.Equal(b.At)
}

// look reads what an evaluation needs, all as of one moment, and decides whom it looks at.
func (h *Hub) look(ctx context.Context, tx store.Tx, r *refresh) (err error) {
	st, ws := r.st, r.st.ws.ID
	if r.last, err = h.store.Refreshed(ctx, tx, ws); err != nil {
		return err
	}
	if r.ledger, r.version, r.stale, err = h.bringUp(ctx, tx, st); err != nil {
		return err
	}
	if r.states, err = h.store.SegmentStates(ctx, tx, ws); err != nil {
		return err
	}
	changed, known, err := h.store.ChangedSince(ctx, tx, ws, r.last.Version)
	if err != nil {
		return err
	}
	r.changed = make(map[customer.ID]bool, len(changed))
	var among []customer.ID
	for _, c := range changed {
		r.changed[c.Customer] = c.Identity
		if c.Customer > 0 {
			among = append(among, c.Customer)
		}
	}
	if r.movingIn, err = h.movingIn(ctx, tx, st); err != nil {
		return err
	}
	r.newDay = r.last.On == nil || *r.last.On != r.day
	// A pinned business date does not move, and ranks and scores are still computed once a day.
	stale := r.newDay || entity.DateIn(r.last.At, st.ws.Zone) != entity.DateIn(h.clock.Now(), st.ws.Zone)
	// After a rule failed for somebody, who was passed over then is looked at again.
	for id, state := range r.states {
		stale = stale || st.hasSegment(id) && state.RuleHash != st.ruleOf(id)
	}
	r.everybody = stale || !known || r.last.Hash != st.figuresHash || len(among)*largeChange > r.ledger.Customers()
	if !r.everybody {
		if r.scores, err = h.frozenScores(ctx, tx, r); err != nil {
			return err
		}
		r.everybody = r.scores == nil
	}
	var customers []customer.Customer
	if r.everybody {
		customers, err = h.store.Customers(ctx, tx, ws)
		among = nil
	} else {
		customers, err = h.store.CustomersByID(ctx, tx, ws, among)
	}
	if err != nil {
		return fmt.Errorf("loading customers: %w", err)
	}
	if r.subjects, err = h.subjects(ctx, tx, st, st.set, customers); err != nil {
		return err
	}
	if !r.everybody && among == nil {
		among = []customer.ID{}
	}
	r.before, err = h.store.MembersNet(ctx, tx, ws, among)
	return err
}

// frozenScores are the ranks and scores of the last look at everybody; nil when there are none that can be used.
func (h *Hub) frozenScores(ctx context.Context, tx store.Tx, r *refresh) (*kpi.Scores, error) {
	usable := func(s *kpi.Scores) bool { return s != nil && s.AsOf == r.day && s.Window == r.st.cfg.Window }
	if kept := r.st.ledger.scored(); usable(kept) {
		return kept, nil
	}
	blobs, err := h.store.ScoreChunks(ctx, tx, r.st.ws.ID)
	if err != nil {
		return nil, err
	}
	scores, err := kpi.DecodeScores(blobs)
	if err != nil {
		h.log.Warn("stored scores cannot be read; they are computed again", "workspace", r.st.ws.Name, "error", err)
		return nil, nil
	}
	if !usable(scores) {
		return nil, nil
	}
	return scores, nil
}

// movingIn says whether a first sync of what customers and orders are made from is not over: whoever comes by it was
// there before, and enters no segment by anything they did.
func (h *Hub) movingIn(ctx context.Context, tx store.Tx, st *state) (bool, error) {
	streams, err := h.store.Streams(ctx, tx, st.ws.ID)
	if err != nil {
		return false, err
	}
	for _, s := range streams {
		c, configured := st.connections[s.Connection]
		if s.Virtual || !configured || !c.usable() || c.cfg.Paused || c.row.PauseReason != "" || !slices.Contains(feeding, s.Entity) {
			continue
		}
		offered := slices.ContainsFunc(c.streams, func(o workspace.Stream) bool { return o.ID == s.ID })
		if offered && s.FirstComplete.IsZero() {
			return true, nil
		}
	}
	return false, nil
}

// feeding are the entities that customers and orders are made from.
var feeding = []entity.Kind{entity.KindContact, entity.KindCompany, entity.KindDeal, entity.KindOrder, entity.KindRefund}

// subjects are customers as the rules of a set see them.
func (h *Hub) subjects(ctx context.Context, tx store.Tx, st *state, set *segment.Set, customers []customer.Customer) ([]segment.Subject, error) {
	states, err := h.consentStates(ctx, tx, st, set, customers)
	if err != nil {
		return nil, err
	}
	goods, err := h.goods(ctx, tx, st, set, customers)
	if err != nil {
		return nil, err
	}
	owners, err := h.ownerNames(ctx, tx, st, set)
	if err != nil {
		return nil, err
	}
	subjects := make([]segment.Subject, 0, len(customers))
	for _, c := range customers {
		subjects = append(subjects, segment.Subject{
			Customer: c, Custom: c.Custom, OwnerName: owners.of(c), Goods: goods[c.ID], ConsentEmail: states["email"][c.ID], ConsentSMS: states["sms"][c.ID],
		})
	}
	return subjects, nil
}

// goods are what customers bought, where a rule asks.
func (h *Hub) goods(ctx context.Context, tx store.Tx, st *state, set *segment.Set, customers []customer.Customer) (map[customer.ID]customer.Goods, error) {
	if !set.Names("products") && !set.Names("categories") {
		return nil, nil
	}
	among := make([]customer.ID, 0, len(customers))
	for _, c := range customers {
		among = append(among, c.ID)
	}
	goods, err := h.store.ProductsOf(ctx, tx, st.ws.ID, st.orderStreams(), among)
	if err != nil {
		return nil, fmt.Errorf("loading what customers bought: %w", err)
	}
	return goods, nil
}

// ownerNames are the names of colleagues by their record.
type ownerNames map[entity.Ref]string

// of is who looks after a customer; the key where no name is known.
func (n ownerNames) of(c customer.Customer) string {
	if c.Owner == nil {
		return ""
	}
	return cmp.Or(n[*c.Owner], c.Owner.Key)
}

// ownerNames returns them where a rule asks. A profile names its owner by stream and key; where two connections have
// colleagues under one key, one name stands for both.
func (h *Hub) ownerNames(ctx context.Context, tx store.Tx, st *state, set *segment.Set) (ownerNames, error) {
	if !set.Names("owner") {
		return nil, nil
	}
	all, err := h.store.OwnerNames(ctx, tx, st.ws.ID)
	if err != nil {
		return nil, fmt.Errorf("loading the names of colleagues: %w", err)
	}
	names := ownerNames{}
	for _, record := range slices.Sorted(maps.Keys(all)) {
		_, ref, _ := strings.Cut(record, ".")
		stream, key, _ := strings.Cut(ref, "/")
		names[entity.Ref{Stream: stream, Key: key}] = all[record]
	}
	return names, nil
}

func ids(subjects []segment.Subject) []customer.ID {
	all := make([]customer.ID, 0, len(subjects))
	for i := range subjects {
		all = append(all, subjects[i].ID)
	}
	return all
}

func each(subjects []segment.Subject) iter.Seq2[segment.Subject, error] {
	return func(yield func(segment.Subject, error) bool) {
		for i := range subjects {
			if !yield(subjects[i], nil) {
				return
			}
		}
	}
}

// headlines are the figures that metrics show, by id. Of a few changed customers only what these contribute is
// counted anew; the figures about concentration then stay as of the last look at everybody.
func (h *Hub) headlines(r *refresh) (map[string]*float64, error) {
	query, err := kpi.Resolve(kpi.Request{Today: r.day, Window: r.st.cfg.Window, Lifespan: lifespan(r.st.cfg)})
	if err != nil {
		return nil, err
	}
	var changed []customer.ID
	for id := range r.changed {
		changed = append(changed, id)
	}
	slices.Sort(changed)
	values := map[string]*float64{}
	for _, figure := range r.st.ledger.figures(query, r, changed) {
		values[figure.ID] = nil
		if v, defined := figure.Value.Float(); defined {
			values[figure.ID] = &v
		}
	}
	return values, nil
}

func (h *Hub) storeRefresh(ctx context.Context, tx store.Tx, r *refresh, memberships []segment.Membership, values map[string]*float64) error {
	ws := r.st.ws.ID
	var kept []string
	for _, m := range memberships {
		kept = append(kept, m.Segment)
		if m.Err != nil {
			h.log.Error("segment could not be evaluated; its members stay as they are", "workspace", r.st.ws.Name, "segment", m.Segment, "error", m.Err)
			if err := h.store.DoubtSegment(ctx, tx, ws, m.Segment); err != nil {
				return err
			}
			continue
		}
		if err := h.store.ChangeMembership(ctx, tx, ws, r.day, r.change(m)); err != nil {
			return fmt.Errorf("storing segment %s: %w", m.Segment, err)
		}
	}
	for id := range r.states {
		if !slices.Contains(kept, id) {
			if err := h.store.DropSegments(ctx, tx, ws, kept); err != nil {
				return err
			}
			break
		}
	}
	if err := h.store.PutFigures(ctx, tx, ws, r.day, values); err != nil {
		return err
	}
	if r.everybody {
		chunks := map[int64][]byte{}
		for _, chunk := range r.scores.Chunks() {
			chunks[chunk] = r.scores.Encode(chunk)
		}
		if err := h.store.PutScores(ctx, tx, ws, chunks); err != nil {
			return err
		}
	}
	return h.store.SetRefreshed(ctx, tx, ws, sqlite.Refreshed{
		On: &r.day, At: h.clock.Now(), Version: r.version, Hash: r.st.figuresHash, Customers: int64(len(r.subjects)), All: r.everybody, MovingIn: r.movingIn,
	})
}

// change compares a segment's members among those looked at with what is stored.
func (r *refresh) change(m segment.Membership) sqlite.MembershipChange {
	rule := r.st.ruleOf(m.Segment)
	last, evaluated := r.states[m.Segment]
	had := r.before[m.Segment]
	diff := segment.Compare(customersOf(had), m.Members)
	change := sqlite.MembershipChange{
		Segment: m.Segment, RuleHash: rule, Entered: diff.Entered, Left: diff.Left, Net: map[customer.ID]int64{}, Quiet: map[customer.ID]bool{},
		// The refresh that follows the end of the first syncs still takes in what they brought.
		Baseline: !evaluated || last.RuleHash != rule || r.movingIn || r.last.MovingIn,
	}
	if !r.everybody {
		change.Size, change.NetValue = last.Size-len(had), last.NetValue
		for _, net := range had {
			change.NetValue -= net
		}
	}
	change.Size += len(m.Members)
	for _, id := range m.Members {
		net := int64(0)
		if fact := r.facts.Of(id); fact != nil {
			net = fact.Net
		}
		change.NetValue += net
		if old, member := had[id]; !member || old != net {
			change.Net[id] = net
		}
	}
	for _, id := range slices.Concat(diff.Entered, diff.Left) {
		if r.changed[id] {
			change.Quiet[id] = true
		}
	}
	change.Why = func(id customer.ID) string { return r.why(m.Segment, id) }
	return change
}

// why says, as JSON, what made a customer enter or leave a segment.
func (r *refresh) why(segmentID string, id customer.ID) string {
	why := api.Why{Because: "ranks"}
	if _, changed := r.changed[id]; changed {
		why.Because = "data"
	} else if r.newDay {
		why.Because = "time"
	}
	if subject := subjectOf(r.subjects, id); subject != nil {
		why.Fields = r.st.set.Seen(segmentID, r.facts, subject)
	}
	b, err := json.Marshal(why)
	if err != nil {
		return "" // a field that JSON has no form for says nothing; the event counts
	}
	return string(b)
}

// changedIDs are the customers and bins of a list of changes.
func changedIDs(changed []settle.Changed) []customer.ID {
	all := make([]customer.ID, 0, len(changed))
	for _, c := range changed {
		all = append(all, c.Customer)
	}
	return all
}
