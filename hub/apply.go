package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/config"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/runner"
	"github.com/regulars/regulars/hub/segment"
	"github.com/regulars/regulars/hub/settle"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/store/sqlite"
	"github.com/regulars/regulars/hub/workspace"
)

// state is one workspace as it is configured and stored. It is replaced whole, never changed.
type state struct {
	ws          workspace.Workspace
	cfg         config.Workspace
	connections map[store.ConnectionID]*connection
	byName      map[string]*connection
	set         *segment.Set
	language    *segment.Language
	rules       settle.Rules
	ledger      *ledgerCache
	// identityHash names the rules of identity: segments begin anew when they change. figuresHash names all that figures
	// and segments are made by: when it changes everybody is looked at.
	identityHash, figuresHash string
}

// connection is one connection ready to be called.
type connection struct {
	row     workspace.Connection
	cfg     config.Connection
	spec    connector.Spec
	config  []byte
	secrets map[string]string
	streams []workspace.Stream // offered, in the order they are read
	problem *connector.Problem // why it cannot be used
}

// usable says that nothing is wrong with the connection's configuration.
func (c *connection) usable() bool { return c.problem == nil }

func (c *connection) process(st *state) runner.Connection {
	return runner.Connection{ID: st.ws.Name + "/" + c.row.Name, Connector: c.row.Connector}
}

func (c *connection) call(st *state) connector.Call {
	return connector.Call{Config: c.config, Secrets: c.secrets, TimeZone: st.ws.Zone.String(), Currency: st.ws.Currency}
}

// apply brings the store in line with the configuration of one workspace. What is wrong with a connection or a
// segment becomes a problem with its place and takes nothing else down.
func (h *Hub) apply(ctx context.Context, cfg config.Workspace) (*state, config.Problems, error) {
	st := &state{cfg: cfg, connections: map[store.ConnectionID]*connection{}, byName: map[string]*connection{}, ledger: &ledgerCache{}}
	var problems config.Problems
	prepared, found := h.prepare(ctx, cfg)
	problems = append(problems, found...)
	language, set, found := segments(cfg)
	problems = append(problems, found...)
	st.language, st.set = language, set
	globs, found := identityPatterns(cfg)
	problems = append(problems, found...)
	problems = append(problems, ordersProblems(cfg, prepared)...)
	problems = append(problems, ratesProblems(cfg, prepared)...)

	err := h.store.InTx(ctx, func(tx store.Tx) error {
		clear(st.connections)
		clear(st.byName)
		if cfg.RenamedFrom != "" {
			if err := h.store.RenameWorkspace(ctx, tx, cfg.RenamedFrom, cfg.Name); err != nil {
				return err
			}
		}
		ws, _, err := h.store.EnsureWorkspace(ctx, tx, cfg.Name, cfg.TimeZone, cfg.Currency)
		if err != nil {
			return err
		}
		st.ws = ws
		names := make([]string, 0, len(prepared))
		for _, c := range prepared {
			if err := h.applyConnection(ctx, tx, st, c); err != nil {
				return fmt.Errorf("connection %s: %w", c.cfg.Name, err)
			}
			names = append(names, c.cfg.Name)
		}
		if err := h.store.RetireConnections(ctx, tx, ws.ID, names); err != nil {
			return err
		}
		if err := h.store.DropSchedules(ctx, tx, ws.ID, scheduleSync, names); err != nil {
			return err
		}
		if err := h.applyActivations(ctx, tx, st); err != nil {
			return err
		}
		st.rules = rulesOf(st, globs)
		return h.applyRules(ctx, tx, st)
	})
	if err != nil {
		return nil, problems, fmt.Errorf("workspace %s: %w", cfg.Name, err)
	}
	return st, problems, nil
}

// prepare asks the connectors what they are and checks what the configuration says to them. It happens before the
// transaction: processes are started here.
func (h *Hub) prepare(ctx context.Context, cfg config.Workspace) ([]*connection, config.Problems) {
	var all []*connection
	var problems config.Problems
	for _, c := range cfg.Connections {
		prepared := &connection{cfg: c}
		all = append(all, prepared)
		fail := func(p config.Problem) {
			problems = append(problems, p)
			if prepared.problem == nil {
				prepared.problem = &connector.Problem{Kind: connector.InvalidConfig, Message: p.String()}
			}
		}
		spec, err := h.pool.Describe(ctx, c.Connector)
		if err != nil {
			fail(cfg.Problem("connections."+c.Name+".connector", asProblem(err).Error(), ""))
			continue
		}
		prepared.spec = spec
		settings, secrets, found := c.Split(spec.Config)
		for _, p := range found {
			fail(p)
		}
		prepared.config, prepared.secrets = settings, map[string]string{}
		for path, secret := range secrets {
			prepared.secrets[path] = secret.Reveal()
		}
		offered := streamNames(spec.Streams)
		result, err := h.pool.Check(ctx, runner.Connection{ID: cfg.Name + "/" + c.Name, Connector: c.Connector},
			connector.Call{Config: settings, Secrets: prepared.secrets, TimeZone: cfg.TimeZone.String(), Currency: cfg.Currency, Offline: true})
		if err != nil {
			p := asProblem(err)
			fail(c.Problem(p.Field, p.Message, ""))
		}
		for _, p := range result.Problems {
			fail(c.Problem(p.Field, p.Message, ""))
		}
		if result.Streams != nil {
			offered = result.Streams
		}
		if len(c.Streams) > 0 {
			for i, name := range c.Streams {
				if !slices.Contains(offered, name) {
					fail(cfg.Problem(fmt.Sprintf("connections.%s.streams.%d", c.Name, i), fmt.Sprintf("the connector offers no stream %q here; it offers %s", name, strings.Join(offered, ", ")), ""))
				}
			}
			offered = c.Streams
		}
		for kind, mapping := range c.Fields {
			for field := range mapping {
				_, own := cfg.CustomerFields[field]
				if known := settle.MappableFields(kind); !slices.Contains(known, field) && (!own || known == nil) {
					fail(cfg.Problem(fmt.Sprintf("connections.%s.fields.%s.%s", c.Name, kind, field), "this field cannot be filled from another; fields that can are: "+strings.Join(known, ", ")+", and those of customer_fields", ""))
				}
			}
		}
		for _, spec := range inReadingOrder(spec.Streams) {
			if slices.Contains(offered, spec.Name) {
				prepared.streams = append(prepared.streams, workspace.Stream{Name: spec.Name, Entity: spec.Entity, PersonKey: spec.PersonKey})
			}
		}
	}
	return all, problems
}

func streamNames(specs []connector.StreamSpec) []string {
	names := make([]string, 0, len(specs))
	for _, s := range specs {
		names = append(names, s.Name)
	}
	return names
}

// entityOrder is the order streams are read in where the spec does not say: what is referred to comes first.
var entityOrder = []entity.Kind{
	entity.KindRate, entity.KindOwner, entity.KindCompany, entity.KindContact, entity.KindConsent, entity.KindDeal, entity.KindOrder,
	entity.KindRefund, entity.KindLoyalty, entity.KindActivity, entity.KindSurveyAnswer, entity.KindOwnershipChange,
}

// inReadingOrder sorts streams so that those a stream says it comes after are read before it.
func inReadingOrder(specs []connector.StreamSpec) []connector.StreamSpec {
	rest := slices.Clone(specs)
	slices.SortStableFunc(rest, func(a, b connector.StreamSpec) int {
		return slices.Index(entityOrder, a.Entity) - slices.Index(entityOrder, b.Entity)
	})
	var sorted []connector.StreamSpec
	for len(rest) > 0 {
		next := slices.IndexFunc(rest, func(s connector.StreamSpec) bool {
			return !slices.ContainsFunc(rest, func(o connector.StreamSpec) bool { return slices.Contains(s.After, o.Name) && o.Name != s.Name })
		})
		next = max(next, 0) // a ring of "after" in a spec: take them as they come
		sorted = append(sorted, rest[next])
		rest = slices.Delete(rest, next, next+1)
	}
	return sorted
}

func (h *Hub) applyConnection(ctx context.Context, tx store.Tx, st *state, c *connection) error {
	row, err := h.store.EnsureConnection(ctx, tx, st.ws.ID, c.cfg.Name, c.cfg.RenamedFrom, c.cfg.Connector)
	if err != nil {
		return err
	}
	reason := ""
	switch {
	case c.problem != nil:
		reason = c.problem.Error()
	case c.cfg.Paused:
		reason = pausedByConfig
	}
	// A pause from an earlier fault of the configuration ends when the configuration is in order; one by hand or by a
	// vendor stays until somebody resumes the connection.
	if reason != row.PauseReason && !strings.HasPrefix(row.PauseReason, pausedByHand) && (reason != "" || strings.HasPrefix(row.PauseReason, pausedByConfig) || isConfigPause(row.PauseReason)) {
		if err := h.store.PauseConnection(ctx, tx, st.ws.ID, row.ID, reason); err != nil {
			return err
		}
		row.PauseReason = reason
	}
	c.row = row
	if c.problem != nil && len(c.streams) == 0 {
		// What it brought goes on counting while it cannot be asked what it offers.
		if c.streams, err = h.knownStreams(ctx, tx, row); err != nil {
			return err
		}
	}
	names := make([]string, 0, len(c.streams))
	for i, s := range c.streams {
		if c.streams[i], err = h.store.EnsureStream(ctx, tx, st.ws.ID, row.ID, s.Name, s.Entity, s.PersonKey); err != nil {
			return err
		}
		names = append(names, s.Name)
	}
	if c.problem == nil {
		if err := h.store.RetireStreams(ctx, tx, st.ws.ID, row.ID, names); err != nil {
			return err
		}
	}
	st.connections[row.ID], st.byName[row.Name] = c, c
	if len(c.streams) == 0 {
		return h.store.DropSchedule(ctx, tx, st.ws.ID, scheduleSync, row.Name)
	}
	return h.store.PutSchedule(ctx, tx, sqlite.ScheduleEntry{Workspace: st.ws.ID, Kind: scheduleSync, Subject: row.Name, Every: c.cfg.Every, NextAt: h.clock.Now()})
}

// knownStreams are those that a connection was last read for.
func (h *Hub) knownStreams(ctx context.Context, tx store.Tx, row workspace.Connection) ([]workspace.Stream, error) {
	all, err := h.store.Streams(ctx, tx, row.Workspace)
	if err != nil {
		return nil, err
	}
	var known []workspace.Stream
	for _, s := range all {
		if s.Connection == row.ID && !s.Virtual {
			known = append(known, s)
		}
	}
	return known, nil
}

// pausedByConfig begins the reason of a pause that the configuration asks for.
const pausedByConfig = "paused in the configuration"

// pausedByHand begins the reason of a pause that somebody asked for.
const pausedByHand = "paused by hand"

// decided says that somebody wants a connection paused, or its configuration is wrong; other pauses come from faults
// that may be mended by now.
func decided(reason string) bool {
	return strings.HasPrefix(reason, pausedByHand) || strings.HasPrefix(reason, pausedByConfig) || isConfigPause(reason)
}

// isConfigPause says whether a pause came from a fault that was found in the configuration: such a reason begins
// with its place in a file.
func isConfigPause(reason string) bool {
	return strings.Contains(reason, ".yaml:") || strings.Contains(reason, ".yml:")
}

// segments compiles the workspace's segments with the built-in ones. One with a wrong rule is left out.
func segments(cfg config.Workspace) (*segment.Language, *segment.Set, config.Problems) {
	var problems config.Problems
	var own []segment.Field
	for _, name := range slices.Sorted(maps.Keys(cfg.CustomerFields)) {
		field := segment.Field{Name: name, Type: segment.Type(cfg.CustomerFields[name])}
		if _, err := segment.NewLanguage(field); err != nil {
			problems = append(problems, cfg.Problem("customer_fields."+name, err.Error(), ""))
			continue
		}
		own = append(own, field)
	}
	language, err := segment.NewLanguage(own...)
	if err != nil {
		return nil, nil, config.Problems{cfg.Problem("customer_fields", err.Error(), "")}
	}
	definitions := segment.Builtins()
	for _, s := range cfg.Segments {
		d := segment.Definition{ID: s.ID, Title: map[string]string{"ru": s.Title.RU, "en": s.Title.EN}, Rule: s.Rule, Managed: cfg.File}
		if _, err := segment.NewSet(language, []segment.Definition{d}); err != nil {
			var wrong *segment.DefinitionError
			message := err.Error()
			if errors.As(err, &wrong) {
				message = wrong.Err.Error()
			}
			problems = append(problems, cfg.Problem("segments."+s.ID+".rule", message, ""))
			continue
		}
		definitions = append(definitions, d)
	}
	set, err := segment.NewSet(language, definitions)
	if err != nil {
		problems = append(problems, cfg.Problem("segments", err.Error(), ""))
	}
	return language, set, problems
}

// identityGlobs are the patterns of a workspace's identity.
type identityGlobs struct{ never, anonymous []identity.Glob }

// identityPatterns reads them; one that is wrong is a problem with its place.
func identityPatterns(cfg config.Workspace) (identityGlobs, config.Problems) {
	var globs identityGlobs
	var problems config.Problems
	for _, list := range []struct {
		key      string
		patterns []string
		into     *[]identity.Glob
	}{{"never_match", cfg.Identity.NeverMatch, &globs.never}, {"anonymous", cfg.Identity.Anonymous, &globs.anonymous}} {
		for i, pattern := range list.patterns {
			glob, err := identity.ParseGlob(pattern)
			if err != nil {
				problems = append(problems, cfg.Problem(fmt.Sprintf("identity.%s.%d", list.key, i), err.Error(), ""))
				continue
			}
			*list.into = append(*list.into, glob)
		}
	}
	return globs, problems
}

// rulesOf turns the configuration into what settle works by.
func rulesOf(st *state, globs identityGlobs) settle.Rules {
	cfg := st.cfg
	rules := identity.DefaultRules()
	rules.MatchEmail = slices.Contains(cfg.Identity.Match, identity.EmailKind)
	rules.MatchPhone = slices.Contains(cfg.Identity.Match, identity.PhoneKind)
	rules.NeverMatch, rules.Anonymous = globs.never, globs.anonymous
	rules.BranchesApart = cfg.Identity.Branches == config.BranchesApart
	rules.PhoneRegion = cfg.Identity.PhoneRegion
	rules.StrongKinds = append(rules.StrongKinds, cfg.Identity.StrongKinds...)
	strong := map[config.StreamRef]bool{}
	for _, ref := range cfg.Identity.StrongStreams {
		strong[ref] = true
	}
	keys := map[streamKey]bool{}
	for id, c := range st.connections {
		for _, s := range c.spec.Streams {
			keys[streamKey{id, s.Name}] = s.PersonKey
		}
		for ref := range strong {
			if ref.Connection == c.row.Name {
				keys[streamKey{id, ref.Stream}] = true
			}
		}
	}
	return settle.Rules{
		Mapping:  st.mapping,
		Identity: rules, ByCompany: cfg.Orders.Customer == config.ByCompany, Deals: st.dealRule(), RateStream: st.usesRates,
		StrongStream: func(conn store.ConnectionID, stream string) bool { return keys[streamKey{conn, stream}] },
	}
}

type streamKey struct {
	connection store.ConnectionID
	stream     string
}

// fieldMappings are the workspace's mappings of remote fields by connection and entity.
func (st *state) fieldMappings() map[string]map[entity.Kind]map[string]string {
	all := map[string]map[entity.Kind]map[string]string{}
	for name, c := range st.byName {
		if len(c.cfg.Fields) > 0 {
			all[name] = c.cfg.Fields
		}
	}
	return all
}

// mapping returns which remote field fills which field of an entity of a connection.
func (st *state) mapping(conn store.ConnectionID, kind entity.Kind) map[string]string {
	if c, ok := st.connections[conn]; ok {
		return c.cfg.Fields[kind]
	}
	return nil
}

// applyRules marks everything for settle when what settle works by has changed: nothing is read again.
func (h *Hub) applyRules(ctx context.Context, tx store.Tx, st *state) error {
	h.logAssumedConsent(st)
	fingerprint, err := json.Marshal([]any{
		st.ws.Zone.String(), st.ws.Currency, st.cfg.Identity, st.cfg.Orders.Customer, st.rules.Deals, st.cfg.Rates, st.fieldMappings(), settleVersion,
	})
	if err != nil {
		return err
	}
	// A changed segment must not be acted on with the members of the old one (R5).
	made, err := json.Marshal([]any{st.cfg.Orders, st.cfg.Window, st.cfg.BusinessDate, st.cfg.Consent, st.cfg.Segments, st.cfg.CustomerFields, st.cfg.RFM, st.cfg.Lifespan, st.ledgerHash()})
	if err != nil {
		return err
	}
	madeSum := sha256.Sum256(made)
	edited, err := h.store.SetFiguresHash(ctx, tx, st.ws.ID, hex.EncodeToString(madeSum[:8]))
	if err != nil {
		return err
	}
	if edited {
		if err := h.store.MarkFiguresDirty(ctx, tx, st.ws.ID); err != nil {
			return err
		}
	}
	sum := sha256.Sum256(fingerprint)
	st.identityHash = hex.EncodeToString(sum[:8])
	st.figuresHash = hex.EncodeToString(madeSum[:8]) + "." + st.identityHash
	changed, err := h.store.SetRulesHash(ctx, tx, st.ws.ID, st.identityHash)
	if err != nil || !changed {
		return err
	}
	if err := h.logRulesChange(ctx, tx, st); err != nil {
		return err
	}
	if err := h.store.MarkFiguresDirty(ctx, tx, st.ws.ID); err != nil {
		return err
	}
	return h.store.MarkAllDirty(ctx, tx, st.ws.ID)
}

// logRulesChange writes down what changed rules do to the customers there are, before they apply.
func (h *Hub) logRulesChange(ctx context.Context, tx store.Tx, st *state) error {
	has, err := h.store.HasCustomers(ctx, tx, st.ws.ID)
	if err != nil || !has {
		return err
	}
	p, err := h.settler(st).Preview(ctx, tx, h.store, 0)
	if err != nil {
		return fmt.Errorf("previewing the changed rules: %w", err)
	}
	if p.Merges > 0 || p.Splits > 0 {
		h.log.Warn("the changed rules of identity merge and split customers; put the old ones back to undo it", "workspace", st.ws.Name,
			"customers_before", p.Before, "customers_after", p.After, "merges", p.Merges, "merged_customers", p.Merged, "splits", p.Splits, "customers_from_splits", p.Parted)
	}
	return nil
}

// logAssumedConsent writes down that a workspace has decided to write to people without a permission (R4).
// A hub that lives for one command does not repeat it.
func (h *Hub) logAssumedConsent(st *state) {
	if !h.opts.Schedules {
		return
	}
	for _, channel := range []string{"email", "sms", "messenger", "push", "phone"} {
		if st.cfg.Consent.Mode(channel) == config.Assumed {
			h.log.Warn("consent is assumed by the workspace's decision: people without a refusal count as willing", "workspace", st.ws.Name, "channel", channel)
		}
	}
}

// settleVersion grows when settle derives something new from the same records.
const settleVersion = 3

// ordersProblems says what is wrong with where the orders come from.
func ordersProblems(cfg config.Workspace, prepared []*connection) config.Problems {
	from := cfg.Orders.From
	if from == (config.StreamRef{}) {
		return nil
	}
	for _, c := range prepared {
		if c.cfg.Name != from.Connection || c.problem != nil {
			continue
		}
		i := slices.IndexFunc(c.streams, func(s workspace.Stream) bool { return s.Name == from.Stream })
		switch {
		case i < 0:
			return config.Problems{cfg.Problem("orders.from", fmt.Sprintf("connection %s has no stream %q here", from.Connection, from.Stream), "")}
		case c.streams[i].Entity != entity.KindOrder && c.streams[i].Entity != entity.KindDeal:
			return config.Problems{cfg.Problem("orders.from", fmt.Sprintf("stream %s holds neither orders nor deals", from), "")}
		}
	}
	return nil
}

// ratesProblems says what is wrong with where the exchange rates come from.
func ratesProblems(cfg config.Workspace, prepared []*connection) config.Problems {
	from := cfg.Rates.From
	for _, c := range prepared {
		if from == (config.StreamRef{}) || c.cfg.Name != from.Connection || c.problem != nil {
			continue
		}
		if !slices.ContainsFunc(c.streams, func(s workspace.Stream) bool { return s.Name == from.Stream && s.Entity == entity.KindRate }) {
			return config.Problems{cfg.Problem("rates.from", fmt.Sprintf("connection %s has no stream %q of exchange rates here", from.Connection, from.Stream), "")}
		}
	}
	return nil
}

// dealRule says which deals are orders; nil when the orders do not come from deals.
func (st *state) dealRule() *settle.DealRule {
	from := st.cfg.Orders.From
	c := st.byName[from.Connection]
	if c == nil || !slices.ContainsFunc(c.streams, func(s workspace.Stream) bool { return s.Name == from.Stream && s.Entity == entity.KindDeal }) {
		return nil
	}
	return &settle.DealRule{Connection: c.row.ID, Stream: from.Stream, EachEntry: st.cfg.Orders.Won == config.WonEachEntry, Pipelines: st.cfg.Orders.Pipelines}
}

// usesRates says whether a stream's exchange rates are used, by the workspace's rule.
func (st *state) usesRates(conn store.ConnectionID, stream string) bool {
	from := st.cfg.Rates.From
	if from == (config.StreamRef{}) {
		return true
	}
	c := st.connections[conn]
	return c != nil && c.row.Name == from.Connection && from.Stream == stream
}

// orderStreams are the streams whose orders count, by the workspace's rule.
func (st *state) orderStreams() []workspace.StreamID {
	from := st.cfg.Orders.From
	return st.streamIDs(func(c *connection, s workspace.Stream) bool {
		if from == (config.StreamRef{}) {
			return s.Entity == entity.KindOrder
		}
		return (s.Entity == entity.KindOrder || s.Entity == entity.KindDeal) && from.Connection == c.row.Name && from.Stream == s.Name
	})
}

// refundStreams are the streams whose refunds count: those of the connection that the orders come from.
func (st *state) refundStreams() []workspace.StreamID {
	from := st.cfg.Orders.From
	return st.streamIDs(func(c *connection, s workspace.Stream) bool {
		return s.Entity == entity.KindRefund && (from == (config.StreamRef{}) || from.Connection == c.row.Name)
	})
}

func (st *state) streamIDs(counts func(*connection, workspace.Stream) bool) []workspace.StreamID {
	var ids []workspace.StreamID
	for _, c := range st.connections {
		for _, s := range c.streams {
			if counts(c, s) {
				ids = append(ids, s.ID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// nextAt is when something due every so often, perhaps at a time of day, is due next after a moment.
func nextAt(now time.Time, every time.Duration, at *config.Clock, zone *time.Location) time.Time {
	if at == nil {
		return now.Add(every)
	}
	day := entity.DateIn(now, zone)
	for {
		year, month, d := day.Calendar()
		t := time.Date(year, month, d, 0, int(*at), 0, 0, zone) // a Clock counts minutes
		if t.After(now) {
			return t
		}
		day += entity.Date(max(every/(24*time.Hour), 1))
	}
}

func asProblem(err error) *connector.Problem {
	var p *connector.Problem
	if errors.As(err, &p) {
		return p
	}
	return &connector.Problem{Kind: connector.Bug, Message: err.Error()}
}
