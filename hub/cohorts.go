package hub

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/config"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/store"
)

// Cohorts implements api.Figures.
func (h *Hub) Cohorts(ctx context.Context, name string, kind kpi.CohortKind, request kpi.Request) (kpi.Cohorts, error) {
	ledger, _, query, err := h.queried(ctx, name, request)
	if err != nil {
		return kpi.Cohorts{}, err
	}
	return ledger.Cohorts(kind, query.AsOf), nil
}

// Rolling implements api.Figures.
func (h *Hub) Rolling(ctx context.Context, name string, kind kpi.CohortKind, request kpi.Request) (kpi.Rolling, error) {
	ledger, _, query, err := h.queried(ctx, name, request)
	if err != nil {
		return kpi.Rolling{}, err
	}
	return ledger.Rolling(kind, query.AsOf), nil
}

// KPIHistory implements api.Figures.
func (h *Hub) KPIHistory(ctx context.Context, name, id string, months int, request kpi.Request) ([]kpi.Point, error) {
	ledger, _, query, err := h.queried(ctx, name, request)
	if err != nil {
		return nil, err
	}
	points, err := ledger.History(id, query, months)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", api.ErrRefused, err)
	}
	return points, nil
}

// queried resolves a request and returns the ledger to ask.
func (h *Hub) queried(ctx context.Context, name string, request kpi.Request) (*kpi.Ledger, *state, kpi.Query, error) {
	st, query, err := h.query(name, request)
	if err != nil {
		return nil, nil, kpi.Query{}, err
	}
	ledger, err := h.ledger(ctx, st)
	return ledger, st, query, err
}

// KPIsBy implements api.Figures.
func (h *Hub) KPIsBy(ctx context.Context, name string, by kpi.Dimension, request kpi.Request) (kpi.Sliced, error) {
	ledger, st, query, err := h.queried(ctx, name, request)
	if err != nil {
		return kpi.Sliced{}, err
	}
	if by == kpi.ByConnection {
		names, err := h.connectionNames(ctx, st)
		if err != nil {
			return kpi.Sliced{}, err
		}
		return ledger.Sliced(query, by, ledger.ByConnection(query, func(id store.ConnectionID) string { return names[id] })), nil
	}
	groups, err := h.groups(ctx, st, ledger, by, query)
	if err != nil {
		return kpi.Sliced{}, err
	}
	sliced := ledger.Sliced(query, by, ledger.By(query, func(id customer.ID) []string { return groups[id] }))
	if by == kpi.ByManager {
		names, err := h.store.OwnerNames(ctx, nil, st.ws.ID)
		if err != nil {
			return kpi.Sliced{}, fmt.Errorf("loading the names of colleagues: %w", err)
		}
		for i, slice := range sliced.Values {
			if slice.Value != nil {
				sliced.Values[i].Title = names[*slice.Value]
			}
		}
	}
	return sliced, nil
}

// connectionNames are the names of all connections that orders may come from, retired ones too.
func (h *Hub) connectionNames(ctx context.Context, st *state) (map[store.ConnectionID]string, error) {
	connections, err := h.store.Connections(ctx, nil, st.ws.ID)
	if err != nil {
		return nil, err
	}
	names := map[store.ConnectionID]string{}
	for _, c := range connections {
		names[c.ID] = c.Name
	}
	return names, nil
}

// groups are the values of a dimension that each customer has.
func (h *Hub) groups(ctx context.Context, st *state, ledger *kpi.Ledger, by kpi.Dimension, query kpi.Query) (map[customer.ID][]string, error) {
	if by == kpi.BySegment {
		return h.segmentsByCustomer(ctx, st)
	}
	origins := ledger.Origins(query)
	first := func(words ...string) []string {
		for _, word := range words {
			if word != "" {
				return []string{word}
			}
		}
		return nil
	}
	owners := map[customer.ID]string{}
	if by == kpi.ByManager {
		var err error
		// The portfolio as it is when the period begins: at the close of the day before (kpi.md K24).
		if owners, err = h.store.OwnersOn(ctx, st.ws.ID, query.From-1, st.ws.Zone); err != nil {
			return nil, fmt.Errorf("loading who looks after customers: %w", err)
		}
	}
	var cities, channels map[customer.ID]string
	if by != kpi.ByManager {
		cities, channels = map[customer.ID]string{}, map[customer.ID]string{}
		customers, err := h.store.Customers(ctx, nil, st.ws.ID)
		if err != nil {
			return nil, fmt.Errorf("loading customers: %w", err)
		}
		for _, c := range customers {
			cities[c.ID], channels[c.ID] = c.City, c.Channel
		}
	}
	known := map[customer.ID]bool{}
	for _, ids := range []map[customer.ID]string{owners, cities, channels} {
		for id := range ids {
			known[id] = true
		}
	}
	for id := range origins {
		known[id] = true
	}
	groups := make(map[customer.ID][]string, len(known))
	for id := range known {
		origin := origins[id]
		switch by {
		case kpi.ByChannel:
			groups[id] = first(origin.Channel, channels[id])
		case kpi.ByCity:
			groups[id] = first(cities[id], origin.City)
		case kpi.ByManager:
			groups[id] = first(owners[id], origin.Owner)
		default:
			return nil, fmt.Errorf("%w: figures cannot be divided by %q", api.ErrRefused, by)
		}
	}
	return groups, nil
}

// segmentsByCustomer are the segments each customer belongs to, as last evaluated.
func (h *Hub) segmentsByCustomer(ctx context.Context, st *state) (map[customer.ID][]string, error) {
	groups := map[customer.ID][]string{}
	for _, d := range st.set.Definitions() {
		members, err := h.store.Members(ctx, nil, st.ws.ID, d.ID)
		if err != nil {
			return nil, fmt.Errorf("loading the members of segment %s: %w", d.ID, err)
		}
		for _, id := range members {
			groups[id] = append(groups[id], d.ID)
		}
	}
	return groups, nil
}

// scoring is the workspace's method of scores, or another one that was asked for: share, ntile or fixed.
func scoring(cfg config.Workspace, asked string) (kpi.Scoring, error) {
	method := config.RFMMethod(asked)
	if asked == "" {
		method = cfg.RFM.Method
	}
	methods := map[config.RFMMethod]kpi.ScoringMethod{
		"": kpi.ScoringByShare, config.RFMByShare: kpi.ScoringByShare, config.RFMByRank: kpi.ScoringByRank, config.RFMFixed: kpi.ScoringByThreshold,
	}
	by, known := methods[method]
	if !known {
		return kpi.Scoring{}, fmt.Errorf("%w: there is no method %q; use one of %v", api.ErrRefused, asked, slices.Sorted(maps.Keys(methods))[1:])
	}
	if by != kpi.ScoringByThreshold {
		return kpi.Scoring{Method: by}, nil
	}
	out := kpi.Scoring{Method: by}
	if len(cfg.RFM.RecencyDays) != len(out.RecencyDays) || len(cfg.RFM.Orders) != len(out.Orders) || len(cfg.RFM.NetValue) != len(out.NetValue) {
		return kpi.Scoring{}, fmt.Errorf("%w: the method fixed needs bounds; give kpi.rfm.recency_days, orders and net_value in the workspace's file", api.ErrRefused)
	}
	for i := range out.RecencyDays {
		minor, err := entity.ParseMinor(cfg.RFM.NetValue[i], cfg.Currency)
		if err != nil {
			return kpi.Scoring{}, fmt.Errorf("kpi.rfm.net_value[%d]: %w", i, err)
		}
		out.RecencyDays[i], out.Orders[i], out.NetValue[i] = int64(cfg.RFM.RecencyDays[i]), int64(cfg.RFM.Orders[i]), minor
	}
	return out, nil
}

// factsOf are the facts as of a day, scored by the workspace's method.
func factsOf(ledger *kpi.Ledger, st *state, day entity.Date) (*kpi.Facts, error) {
	by, err := scoring(st.cfg, "")
	if err != nil {
		return nil, err
	}
	return ledger.FactsScored(day, st.cfg.Window, by), nil
}

// lifespan is how long the workspace says that a customer stays.
func lifespan(cfg config.Workspace) kpi.Lifespan {
	return kpi.Lifespan{Method: kpi.LifespanMethod(cfg.Lifespan.Method), Years: cfg.Lifespan.Years}
}
