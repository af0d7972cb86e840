package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/store"
)

const (
	// ledgerIdle is how long a ledger nobody asks for stays in memory.
	ledgerIdle = 10 * time.Minute
	// patchShare is the share of a ledger's customers, one in so many, above which reading everything costs less than
	// reading who changed; patchMin are always read one by one.
	patchShare, patchMin = 4, 1000
	// debtShare and debtMin say likewise when stored chunks are written anew.
	debtShare, debtMin = 20, 1000
	// patchBatch bounds one query for customers' rows, chunkBatch one transaction that writes chunks.
	patchBatch, chunkBatch = 2000, 64
)

// ledgerCache keeps a workspace's ledger in memory, and what was computed from it, as of a version of the facts.
type ledgerCache struct {
	loading sync.Mutex // one at a time brings the ledger up to date
	mu      sync.Mutex
	ledger  *kpi.Ledger
	version int64
	hash    string // of what the ledger is made by
	used    time.Time
	scores  *kpi.Scores
	totals  *kpi.Totals
	of      totalsOf
	day     *entity.Date
}

// totalsOf says what kept totals were computed from.
type totalsOf struct {
	ledger  *kpi.Ledger
	version int64
	query   kpi.Query
}

// ledgerDebt says what of a ledger is not stored in chunks yet.
type ledgerDebt struct {
	all   bool          // nothing is
	since []customer.ID // customers whose chunks are out of date
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

func (c *ledgerCache) get(hash string, now time.Time) (*kpi.Ledger, int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hash != hash {
		return nil, 0
	}
	c.used = now
	return c.ledger, c.version
}

func (c *ledgerCache) put(l *kpi.Ledger, version int64, hash string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ledger, c.version, c.hash, c.used = l, version, hash, now
}

// dropIdle lets go of a ledger that nobody asked for in a while: with many workspaces memory is for those at work.
func (c *ledgerCache) dropIdle(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ledger != nil && now.Sub(c.used) > ledgerIdle {
		c.ledger, c.scores, c.totals, c.of = nil, nil, nil, totalsOf{}
	}
}

func (c *ledgerCache) scored() *kpi.Scores {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.scores
}

func (c *ledgerCache) keepScores(s *kpi.Scores) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scores = s
}

// figures computes the figures of a query over the ledger of a refresh: from those of the last refresh and what the
// changed customers contribute, where these are at hand, else from everybody.
func (c *ledgerCache) figures(query kpi.Query, r *refresh, changed []customer.ID) []kpi.Figure {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := totalsOf{ledger: r.ledger, version: r.version, query: query}
	if !r.everybody && c.totals != nil && c.of.version == r.last.Version && c.of.query == query {
		c.totals.Replace(c.of.ledger, r.ledger, changed)
	} else {
		c.totals = r.ledger.Totals(query)
	}
	c.of = now
	return c.totals.Figures()
}

// ledger returns a workspace's ledger as it is now.
func (h *Hub) ledger(ctx context.Context, st *state) (l *kpi.Ledger, err error) {
	err = h.store.InView(ctx, func(tx store.Tx) error {
		l, _, _, err = h.bringUp(ctx, tx, st)
		return err
	})
	return l, err
}

// bringUp returns the ledger as of the moment that tx sees, with the version of the facts it has taken in. It reads as
// little as it can: who changed since the ledger in memory, or since the stored chunks, or else everything.
func (h *Hub) bringUp(ctx context.Context, tx store.Tx, st *state) (*kpi.Ledger, int64, ledgerDebt, error) {
	st.ledger.loading.Lock()
	defer st.ledger.loading.Unlock()
	fail := func(err error) (*kpi.Ledger, int64, ledgerDebt, error) {
		return nil, 0, ledgerDebt{}, fmt.Errorf("loading the ledger of workspace %s: %w", st.ws.Name, err)
	}
	version, err := h.store.FactsVersion(ctx, tx, st.ws.ID)
	if err != nil {
		return fail(err)
	}
	hash := st.ledgerHash()
	stored, found, err := h.store.LedgerVersion(ctx, tx, st.ws.ID, hash)
	if err != nil {
		return fail(err)
	}
	debt := ledgerDebt{all: !found}
	if found {
		since, known, err := h.store.ChangedSince(ctx, tx, st.ws.ID, stored)
		if err != nil {
			return fail(err)
		}
		debt = ledgerDebt{all: !known, since: changedIDs(since)}
	}
	l, at := st.ledger.get(hash, h.clock.Now())
	if l != nil && at == version {
		return l, version, debt, nil
	}
	// A view may be older than what another one has brought the kept ledger to.
	overtaken := l != nil && at > version
	if overtaken {
		l = nil
	}
	if l == nil && !debt.all {
		l, at = h.storedLedger(ctx, tx, st), stored
	}
	if l != nil {
		if l, err = h.patch(ctx, tx, st, l, at); err != nil {
			return fail(err)
		}
	}
	if l == nil {
		debt.all = true
		if l, err = h.wholeLedger(ctx, tx, st); err != nil {
			return fail(err)
		}
	}
	if !overtaken {
		st.ledger.put(l, version, hash, h.clock.Now())
	}
	return l, version, debt, nil
}

// ledgerHash names what a ledger is made by: other streams, another currency or zone make another one.
func (st *state) ledgerHash() string {
	names := map[store.ConnectionID]string{} // owners are named by them
	for id, c := range st.connections {
		names[id] = c.row.Name
	}
	made, err := json.Marshal([]any{st.ws.Currency, st.ws.Zone.String(), st.orderStreams(), st.refundStreams(), names})
	if err != nil {
		panic(err) // strings and numbers
	}
	sum := sha256.Sum256(made)
	return hex.EncodeToString(sum[:8])
}

// storedLedger decodes the stored chunks; nil when they cannot be used.
func (h *Hub) storedLedger(ctx context.Context, tx store.Tx, st *state) *kpi.Ledger {
	blobs, err := h.store.LedgerChunks(ctx, tx, st.ws.ID)
	if err == nil {
		var l *kpi.Ledger
		if l, err = kpi.Decode(st.ws.Currency, blobs); err == nil {
			return l
		}
	}
	if !errors.Is(err, context.Canceled) {
		h.log.Warn("the stored ledger cannot be read; it is made anew from orders", "workspace", st.ws.Name, "error", err)
	}
	return nil
}

// patch takes in who changed since a version; nil when that is not known or too much.
func (h *Hub) patch(ctx context.Context, tx store.Tx, st *state, l *kpi.Ledger, version int64) (*kpi.Ledger, error) {
	changed, known, err := h.store.ChangedSince(ctx, tx, st.ws.ID, version)
	if err != nil || !known || len(changed) > max(patchMin, l.Customers()/patchShare) {
		return nil, err
	}
	for batch := range slices.Chunk(changedIDs(changed), patchBatch) {
		rows, err := h.store.RowsOf(ctx, tx, st.ws.ID, st.orderStreams(), st.refundStreams(), batch)
		if err != nil {
			return nil, err
		}
		if l, err = l.With(st.ws.Zone, rows); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (h *Hub) wholeLedger(ctx context.Context, tx store.Tx, st *state) (*kpi.Ledger, error) {
	orders, ordersErr := h.store.Orders(ctx, tx, st.ws.ID, st.orderStreams())
	refunds, refundsErr := h.store.Refunds(ctx, tx, st.ws.ID, st.refundStreams())
	l, _, err := kpi.Build(st.ws.Currency, st.ws.Zone, orders, refunds)
	return l, errors.Join(err, *ordersErr, *refundsErr)
}

// storeLedger writes the chunks that are out of date, once a day or when they have become many, so that a hub that
// starts reads few customers one by one.
func (h *Hub) storeLedger(ctx context.Context, r *refresh) error {
	st, ws := r.st, r.st.ws.ID
	if !r.stale.all && !(r.newDay && len(r.stale.since) > 0) && len(r.stale.since) <= max(debtMin, r.ledger.Customers()/debtShare) {
		return nil
	}
	chunks := map[int64]bool{}
	if r.stale.all {
		for _, chunk := range r.ledger.Chunks() {
			chunks[chunk] = true
		}
	}
	for _, id := range r.stale.since {
		chunks[kpi.ChunkOf(id)] = true
	}
	numbers := make([]int64, 0, len(chunks))
	for chunk := range chunks {
		numbers = append(numbers, chunk)
	}
	slices.Sort(numbers)
	var writer int64
	err := h.store.InTx(ctx, func(tx store.Tx) (err error) {
		if writer, err = h.store.BeginLedger(ctx, tx, ws); err != nil {
			return err
		}
		if r.stale.all {
			return h.store.DropLedger(ctx, tx, ws)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(numbers, chunkBatch) {
		blobs := make(map[int64][]byte, len(batch))
		for _, chunk := range batch {
			blobs[chunk] = r.ledger.Encode(chunk)
		}
		if err := h.store.InTx(ctx, func(tx store.Tx) error { return h.store.PutLedgerChunks(ctx, tx, ws, writer, blobs) }); err != nil {
			return h.ledgerOvertaken(st, err)
		}
	}
	return h.ledgerOvertaken(st, h.store.InTx(ctx, func(tx store.Tx) error {
		if err := h.store.SealLedger(ctx, tx, ws, writer, st.ledgerHash(), r.version); err != nil {
			return err
		}
		return h.store.ForgetChanges(ctx, tx, ws, r.version)
	}))
}

// ledgerOvertaken takes it for no fault that somebody else writes the chunks now: theirs are as good.
func (h *Hub) ledgerOvertaken(st *state, err error) error {
	if errors.Is(err, store.ErrLeaseLost) {
		h.log.Debug("another refresh stores the ledger", "workspace", st.ws.Name)
		return nil
	}
	if err != nil {
		return fmt.Errorf("storing the ledger of workspace %s: %w", st.ws.Name, err)
	}
	return nil
}
