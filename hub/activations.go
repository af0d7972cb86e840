package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/activation"
	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/config"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/job"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/store/sqlite"
	"github.com/regulars/regulars/hub/workspace"
)

func (h *Hub) newPushes() *activation.Engine {
	return &activation.Engine{
		Store: h.store, Destination: remote{h}, Readiness: readiness{h}, Fields: fieldSource{h}, Clock: h.clock, Log: h.log, Observer: pushObserver{h},
	}
}

// activation returns an activation of the configuration.
func (st *state) activation(id string) (config.Activation, bool) {
	i := slices.IndexFunc(st.cfg.Activations, func(a config.Activation) bool { return a.ID == id })
	if i < 0 {
		return config.Activation{}, false
	}
	return st.cfg.Activations[i], true
}

// define joins an activation's configuration with what its connector can do. The error is for people.
func (st *state) define(a config.Activation) (activation.Definition, error) {
	c, ok := st.byName[a.To]
	if !ok {
		return activation.Definition{}, fmt.Errorf("connection %s is not configured", a.To)
	}
	if c.problem != nil {
		return activation.Definition{}, fmt.Errorf("connection %s cannot be used: %s", a.To, c.problem.Error())
	}
	spec, err := targetSpec(c.spec, a)
	if err != nil {
		return activation.Definition{}, err
	}
	if !st.hasSegment(a.Segment) {
		return activation.Definition{}, fmt.Errorf("segment %q is not defined, or its rule is wrong", a.Segment)
	}
	channel := a.Channel
	if channel == "" {
		channel = spec.Channel
	}
	if channel == "" {
		return activation.Definition{}, fmt.Errorf("neither the activation nor the connector names a channel; add `channel: email` (or sms, messenger, push, phone, none)")
	}
	def := activation.Definition{
		ID: a.ID, Segment: a.Segment, Connection: c.row.ID, ConnectionName: a.To, Target: a.Target, Spec: spec, Mode: activation.Mode(a.Mode), Tag: a.Tag, Fields: a.Fields,
		Channel: channel, Purpose: a.Purpose, LegalEntity: a.LegalEntity, Consent: st.consentPolicy(), PhoneRegion: st.cfg.Identity.PhoneRegion,
		FirstPushApproved: a.FirstPush == config.Approved, MaxShare: a.MaxChangeShare, MaxCount: a.MaxChangeCount, Paused: a.Paused,
	}
	return def, nil
}

// targetSpec picks the kind of target: the named one, or the only one that takes members.
func targetSpec(spec connector.Spec, a config.Activation) (connector.TargetSpec, error) {
	var fit []connector.TargetSpec
	var kinds []string
	for _, t := range spec.Targets {
		kinds = append(kinds, t.Kind)
		if slices.Contains(t.Actions, connector.ActionMember) && (a.Kind == "" || a.Kind == t.Kind) {
			fit = append(fit, t)
		}
	}
	switch {
	case len(spec.Targets) == 0:
		return connector.TargetSpec{}, fmt.Errorf("the connector of %s only reads; it has no targets", a.To)
	case len(fit) == 1:
		return fit[0], nil
	case len(fit) == 0:
		return connector.TargetSpec{}, fmt.Errorf("the connector of %s has no target of that kind that takes members; it has: %s", a.To, strings.Join(kinds, ", "))
	default:
		return connector.TargetSpec{}, fmt.Errorf("the connector of %s has several kinds of targets; name one with `kind:`: %s", a.To, strings.Join(kinds, ", "))
	}
}

// consentPolicy is what the workspace has decided about consent.
func (st *state) consentPolicy() consent.Policy {
	policy := consent.Policy{Mode: map[string]consent.Mode{}}
	for _, channel := range []string{"email", "sms", "messenger", "push", "phone"} {
		policy.Mode[channel] = consent.Mode(st.cfg.Consent.Mode(channel))
	}
	for _, name := range st.cfg.Consent.SystemOfRecord {
		policy.SystemOfRecord = append(policy.SystemOfRecord, st.connectionID(name))
	}
	return policy
}

// applyActivations brings the schedule of pushes in line with the configuration.
func (h *Hub) applyActivations(ctx context.Context, tx store.Tx, st *state) error {
	var ids []string
	for _, a := range st.cfg.Activations {
		ids = append(ids, a.ID)
		entry := sqlite.ScheduleEntry{Workspace: st.ws.ID, Kind: scheduleActivation, Subject: a.ID, Every: a.Every, NextAt: nextAt(h.clock.Now(), a.Every, a.At, st.ws.Zone)}
		if a.At != nil {
			entry.At = a.At.String()
		}
		if err := h.store.PutSchedule(ctx, tx, entry); err != nil {
			return err
		}
	}
	return h.store.DropSchedules(ctx, tx, st.ws.ID, scheduleActivation, ids)
}

// requestPush requests a run of an activation. One whose connection is paused or cannot be used gets none.
func (h *Hub) requestPush(ctx context.Context, tx store.Tx, st *state, a config.Activation, trigger string) error {
	c, ok := st.byName[a.To]
	if !ok || !c.usable() {
		return nil
	}
	row, err := h.store.Connection(ctx, tx, st.ws.ID, c.row.ID)
	if err != nil || row.PauseReason != "" {
		return err
	}
	_, err = h.engine.Request(ctx, tx, run.Run{Workspace: st.ws.ID, Connection: c.row.ID, Kind: run.Activation, Subject: a.ID, Trigger: trigger})
	return err
}

// Push implements job.Work.
func (h *Hub) Push(ctx context.Context, id store.WorkspaceID, r run.Run, hold func(tx store.Tx) (bool, error)) (job.PushOutcome, error) {
	st, ok := h.state(id)
	if !ok {
		return job.PushOutcome{Cause: "the workspace is not in the configuration", CauseKind: "invalid_config"}, nil
	}
	a, ok := st.activation(r.Subject)
	if !ok {
		return job.PushOutcome{Cause: "the activation is not in the configuration", CauseKind: "invalid_config"}, nil
	}
	def, err := st.define(a)
	if err != nil {
		return job.PushOutcome{}, fmt.Errorf("%w", &connector.Problem{Kind: connector.Rejected, Message: err.Error()})
	}
	out, err := h.pushes.Push(ctx, st.ws, def, r, hold)
	if err != nil {
		return job.PushOutcome{}, err
	}
	return job.PushOutcome{WaitUntil: out.WaitUntil, Cancelled: out.Cancelled, Cause: out.Cause, CauseKind: out.CauseKind}, nil
}

// readiness implements activation.Readiness (R5).
type readiness struct{ hub *Hub }

// Ready says what keeps a workspace's data from being acted on: every stream that says who somebody is, what they
// bought or what they agreed to has finished its first sync and is fresh, nothing waits for settle, and the segment
// was evaluated for today.
func (r readiness) Ready(ctx context.Context, ws workspace.Workspace, def activation.Definition) (string, error) {
	h := r.hub
	st, ok := h.state(ws.ID)
	if !ok {
		return "the workspace is not in the configuration", nil
	}
	streams, err := h.store.Streams(ctx, nil, ws.ID)
	if err != nil {
		return "", err
	}
	for _, s := range streams {
		c, configured := st.connections[s.Connection]
		if !configured || s.Virtual {
			continue
		}
		switch s.Entity {
		case entity.KindContact, entity.KindCompany, entity.KindOrder, entity.KindRefund, entity.KindConsent:
		case entity.KindDeal:
			// What they bought, where won deals are the orders.
			if !slices.Contains(st.orderStreams(), s.ID) {
				continue
			}
		default:
			continue
		}
		if s.LastComplete.IsZero() {
			return fmt.Sprintf("the first sync of %s.%s has not finished", c.row.Name, s.Name), nil
		}
		if !h.fresh(c, s) {
			return fmt.Sprintf("%s.%s was last read to its end at %s; that is too long ago", c.row.Name, s.Name, s.LastComplete.In(ws.Zone).Format("2006-01-02 15:04")), nil
		}
	}
	standing, err := h.store.Standing(ctx, ws.ID)
	switch {
	case err != nil:
		return "", err
	case standing.Dirty > 0:
		return fmt.Sprintf("%d records wait to be settled", standing.Dirty), nil
	case standing.FiguresDirty || standing.RefreshQueued:
		return "segments are being evaluated", nil
	case standing.Refreshed.On == nil || *standing.Refreshed.On != h.asOf(st):
		return "segments have not been evaluated for today yet", nil
	}
	states, err := h.store.SegmentStates(ctx, nil, ws.ID)
	if err != nil {
		return "", err
	}
	if state, evaluated := states[def.Segment]; evaluated && state.RuleHash != st.ruleOf(def.Segment) {
		return fmt.Sprintf("the rule of segment %s failed for somebody; see the log, and correct the rule", def.Segment), nil
	}
	return "", nil
}

// fieldSource implements activation.FieldSource: the values that come from orders, as texts.
type fieldSource struct{ hub *Hub }

// Values implements activation.FieldSource.
func (f fieldSource) Values(ctx context.Context, ws workspace.Workspace, fields []string, customers []customer.ID) (map[customer.ID]map[string]string, error) {
	st, ok := f.hub.state(ws.ID)
	if !ok {
		return nil, nil
	}
	facts, err := f.hub.frozenFacts(ctx, st, customers)
	if err != nil {
		return nil, err
	}
	values := make(map[customer.ID]map[string]string, len(customers))
	for _, id := range customers {
		fact := facts.Of(id)
		if fact == nil {
			continue
		}
		values[id] = map[string]string{}
		for _, field := range fields {
			if text, known := factText(fact, field, st.ws.Currency); known {
				values[id][field] = text
			}
		}
	}
	return values, nil
}

// frozenFacts are the facts of some customers as segments see them: ranks and scores as frozen for the day, so that what
// is pushed does not change with every order of somebody else.
func (h *Hub) frozenFacts(ctx context.Context, st *state, ids []customer.ID) (facts *kpi.Facts, err error) {
	err = h.store.InView(ctx, func(tx store.Tx) error {
		facts, err = h.frozenFactsIn(ctx, tx, st, ids)
		return err
	})
	return facts, err
}

// frozenFactsIn is frozenFacts as of the moment that tx sees.
func (h *Hub) frozenFactsIn(ctx context.Context, tx store.Tx, st *state, ids []customer.ID) (*kpi.Facts, error) {
	day := h.asOf(st)
	ledger, _, _, err := h.bringUp(ctx, tx, st)
	if err != nil {
		return nil, err
	}
	scores, err := h.frozenScores(ctx, tx, &refresh{st: st, day: day})
	if err != nil {
		return nil, err
	}
	return ledger.FactsOf(day, st.cfg.Window, ids, scores), nil
}

// factText gives one field of a customer's orders as a text: days as YYYY-MM-DD, money as a plain decimal.
func factText(f *kpi.Fact, field, currency string) (string, bool) {
	if f.Group == kpi.NoGroup && slices.Contains([]string{"r", "f", "m", "rfm"}, field) {
		return "", false // ranked when everybody is looked at next
	}
	if field == "orders" {
		return fmt.Sprint(f.Orders), true
	}
	if field == "gross_value" {
		return entity.FormatMinor(f.Gross, currency), true
	}
	if field == "net_value" {
		return entity.FormatMinor(f.Net, currency), true
	}
	if f.Orders == 0 {
		return "", false
	}
	switch field {
	case "first_order_on":
		return f.FirstOn.String(), true
	case "last_order_on":
		return f.LastOn.String(), true
	case "days_since_last_order":
		return fmt.Sprint(f.SinceLast), true
	case "net_value_year":
		return entity.FormatMinor(f.NetYear, currency), true
	case "average_check":
		check, known := f.AverageCheck()
		return entity.FormatMinor(check, currency), known
	case "lifecycle":
		return f.Lifecycle.String(), true
	case "rfm":
		return f.Group.String(), true
	case "r":
		return fmt.Sprint(f.R), true
	case "f":
		return fmt.Sprint(f.F), true
	case "m":
		return fmt.Sprint(f.M), true
	}
	return "", false
}

// pushObserver gives metrics the names behind numbers.
type pushObserver struct{ hub *Hub }

// Pushed implements activation.Observer.
func (o pushObserver) Pushed(ws workspace.Workspace, def activation.Definition, outcome activation.Outcome) {
	o.hub.opts.Metrics.Pushed(ws.Name, def.ID, outcome.Result.Tally())
}

// Activations implements api.Activations.
func (h *Hub) Activations(ctx context.Context, name string) ([]api.Activation, error) {
	st, err := h.named(name)
	if err != nil {
		return nil, err
	}
	last, err := h.store.LastRuns(ctx, st.ws.ID)
	if err != nil {
		return nil, err
	}
	views := []api.Activation{}
	for _, a := range st.cfg.Activations {
		state, err := h.store.ActivationState(ctx, nil, st.ws.ID, a.ID)
		if err != nil {
			return nil, err
		}
		v := api.Activation{
			ID: a.ID, Segment: a.Segment, Connection: a.To, Target: a.Target, Mode: string(a.Mode), Channel: a.Channel, Purpose: a.Purpose,
			Approved: !state.ApprovedAt.IsZero() || a.FirstPush == config.Approved, Held: state.Held, Paused: state.PauseReason, LastDone: moment(state.LastDone),
		}
		if a.Paused {
			v.Paused = pausedByConfig
		}
		if def, err := st.define(a); err != nil {
			v.Problem = err.Error()
		} else {
			v.Channel = def.Channel
		}
		for _, r := range last {
			if r.Kind == run.Activation && r.Subject == a.ID {
				view := h.runView(st, r)
				v.LastRun = &view
			}
		}
		views = append(views, v)
	}
	return views, nil
}

// push finds an activation and what it needs to be carried out.
func (h *Hub) push(name, id string) (*state, config.Activation, activation.Definition, error) {
	st, err := h.named(name)
	if err != nil {
		return nil, config.Activation{}, activation.Definition{}, err
	}
	a, ok := st.activation(id)
	if !ok {
		return nil, config.Activation{}, activation.Definition{}, fmt.Errorf("activation %q: %w", id, api.ErrNotFound)
	}
	def, err := st.define(a)
	if err != nil {
		return nil, config.Activation{}, activation.Definition{}, fmt.Errorf("%w: activation %s: %w", api.ErrRefused, id, err)
	}
	return st, a, def, nil
}

// RunActivation implements api.Activations.
func (h *Hub) RunActivation(ctx context.Context, name, id string) (api.Run, error) {
	st, _, def, err := h.push(name, id)
	if err != nil {
		return api.Run{}, err
	}
	row, err := h.store.Connection(ctx, nil, st.ws.ID, def.Connection)
	if err != nil {
		return api.Run{}, err
	}
	if row.PauseReason != "" {
		return api.Run{}, fmt.Errorf("%w: connection %s is paused: %s", api.ErrRefused, row.Name, row.PauseReason)
	}
	var r run.Run
	err = h.store.InTx(ctx, func(tx store.Tx) (err error) {
		r, err = h.engine.Request(ctx, tx, run.Run{Workspace: st.ws.ID, Connection: def.Connection, Kind: run.Activation, Subject: id, Trigger: "hand"})
		return err
	})
	if err != nil {
		return api.Run{}, err
	}
	h.engine.Wake()
	return h.runView(st, r), nil
}

// activationView returns one activation.
func (h *Hub) activationView(ctx context.Context, name, id string) (api.Activation, error) {
	all, err := h.Activations(ctx, name)
	if err != nil {
		return api.Activation{}, err
	}
	for _, a := range all {
		if a.ID == id {
			return a, nil
		}
	}
	return api.Activation{}, fmt.Errorf("activation %q: %w", id, api.ErrNotFound)
}

// resultMap gives a push's stored result as counts by name; reasons of held people get the prefix "held_".
func resultMap(text string) map[string]int64 {
	var r activation.Result
	if err := json.Unmarshal([]byte(text), &r); err != nil || text == "{}" {
		return nil
	}
	counts := map[string]int64{"segment": int64(r.Segment), "members": int64(r.Members)}
	for outcome, n := range r.Tally() {
		counts[outcome] = int64(n)
	}
	return counts
}

// sampleActivations says which activations wait for a person.
func (h *Hub) sampleActivations(ctx context.Context, st *state, held map[string]bool) error {
	for _, a := range st.cfg.Activations {
		state, err := h.store.ActivationState(ctx, nil, st.ws.ID, a.ID)
		if err != nil {
			return err
		}
		held[a.ID] = state.Held != ""
	}
	return nil
}

// PreviewActivation implements api.Activations.
func (h *Hub) PreviewActivation(ctx context.Context, name, id string) (api.Plan, error) {
	st, _, def, err := h.push(name, id)
	if err != nil {
		return api.Plan{}, err
	}
	plan, err := h.pushes.Preview(ctx, st.ws, def)
	if err != nil {
		return api.Plan{}, err
	}
	view := api.Plan{
		Activation: id, Target: plan.Target, SegmentSize: plan.Segment, Members: plan.Members,
		Adds: plan.Counts.Add, Updates: plan.Counts.Update, Removes: plan.Counts.Remove + plan.Counts.RemoveOptedOut, Unchanged: plan.Unchanged,
		Held: map[string]int64{}, Stop: plan.Blocked,
	}
	if view.Stop == "" {
		view.Stop = plan.Hold
	}
	for reason, n := range plan.Held {
		view.Held[reason] = int64(n)
	}
	return view, nil
}

// ApproveActivation implements api.Activations.
func (h *Hub) ApproveActivation(ctx context.Context, name, id string) (api.Activation, error) {
	st, _, _, err := h.push(name, id)
	if err != nil {
		return api.Activation{}, err
	}
	if _, err := h.pushes.Approve(ctx, st.ws.ID, id); err != nil {
		if errors.Is(err, activation.ErrNothingToApprove) {
			return api.Activation{}, fmt.Errorf("%w: %w", api.ErrRefused, err)
		}
		return api.Activation{}, err
	}
	return h.activationView(ctx, name, id)
}

// PauseActivation implements api.Activations.
func (h *Hub) PauseActivation(ctx context.Context, name, id string, pause bool) (api.Activation, error) {
	st, a, _, err := h.push(name, id)
	if err != nil {
		return api.Activation{}, err
	}
	switch {
	case pause:
		err = h.pushes.Pause(ctx, st.ws.ID, id, "paused by hand; go on with `regulars activation resume "+id+"`")
	case a.Paused:
		return api.Activation{}, fmt.Errorf("%w: activation %s is paused in the configuration; remove `paused: true` there", api.ErrRefused, id)
	default:
		err = h.pushes.Resume(ctx, st.ws.ID, id)
	}
	if err != nil {
		return api.Activation{}, err
	}
	return h.activationView(ctx, name, id)
}

// ActivationResults implements api.Activations.
func (h *Hub) ActivationResults(ctx context.Context, name, id string, of run.ID) ([]api.RecordResult, error) {
	st, _, _, err := h.push(name, id)
	if err != nil {
		return nil, err
	}
	if of == 0 {
		last, err := h.store.LastRuns(ctx, st.ws.ID)
		if err != nil {
			return nil, err
		}
		for _, r := range last {
			if r.Kind == run.Activation && r.Subject == id {
				of = r.ID
			}
		}
	}
	sendings, err := h.pushes.Results(ctx, st.ws.ID, of)
	if err != nil {
		return nil, err
	}
	results := []api.RecordResult{}
	for _, s := range sendings {
		if s.Activation == id {
			results = append(results, api.RecordResult{Customer: s.Customer, Identity: s.Identity, Action: string(s.Action), Reason: s.Reason, State: string(s.State), Message: s.Message})
		}
	}
	return results, nil
}
