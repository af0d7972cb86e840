// Package settle brings stored records into the unified model: who is one customer, what they bought, what they
// consented to. It works off the marks that ingest and changed rules leave, a batch per transaction, so that work
// follows change (R11) and the order of arrival does not matter (R2).
package settle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/ingest"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

// BatchSize is how many dirty records one transaction settles.
const BatchSize = 500

// NodeID is the store's number for a node.
type NodeID int64

// Node stands for a person or company in the identity graph: a record, or a reference to one that has not come.
type Node struct {
	ID       NodeID
	Key      store.RecordKey
	Kind     customer.Kind
	Record   int64 // the live record; 0 for a placeholder
	Customer customer.ID
	// Quarantined nodes are tied to too many others by weak evidence to be joined by it.
	Quarantined bool
}

// Dirty is a record marked for settle, as it is stored now.
type Dirty struct {
	Record    int64
	Stream    workspace.Stream
	Key       string
	Deleted   bool
	UpdatedAt time.Time
	Sequence  int64
	Data      []byte
}

// Member says which customer a node belongs to.
type Member struct {
	Node        NodeID
	Customer    customer.ID
	Quarantined bool
}

// Link is an identifier as it hangs on a node. Matches is false for one that is an address only and no evidence.
type Link struct {
	customer.Identifier
	Matches bool
}

// Sale is an order record in the form figures are made from.
type Sale struct {
	Record               int64
	Stream               workspace.StreamID
	Node                 NodeID // 0: a sale to nobody known
	OrderedAt            time.Time
	OrderedOn            entity.Date
	Sequence             int64
	Amount               entity.Money
	Base                 int64
	Converted            bool
	Channel, Owner, City string
}

// Refund is a refund record in the form figures are made from.
type Refund struct {
	Record      int64
	Stream      workspace.StreamID
	Node        NodeID
	OrderStream string // empty when the source does not link it
	OrderKey    string
	RefundedOn  entity.Date
	Amount      entity.Money
	Base        int64
	Converted   bool
}

// Consent is a consent record in the form decisions are made from.
type Consent struct {
	Record                        int64
	Stream                        workspace.StreamID
	Node                          NodeID
	Email, Phone                  string // normal form
	Channel, Purpose, LegalEntity string
	State                         entity.ConsentState
	At                            time.Time
	Source, TextVersion, List     string
}

// Store is what settle needs of the store. Everything happens in the batch's transaction.
type Store interface {
	TakeDirty(ctx context.Context, tx store.Tx, ws store.WorkspaceID, limit int) ([]Dirty, error)
	ClearDirty(ctx context.Context, tx store.Tx, ws store.WorkspaceID, records []int64) error

	EnsureNode(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, stream string, key string, kind customer.Kind) (Node, error)
	FindNode(ctx context.Context, tx store.Tx, ws store.WorkspaceID, stream workspace.StreamID, key string) (Node, error)
	SetNodeRecord(ctx context.Context, tx store.Tx, ws store.WorkspaceID, node NodeID, record int64) error
	// DeleteOrphans removes those of the nodes that have no record and that nothing refers to, and returns which.
	DeleteOrphans(ctx context.Context, tx store.Tx, ws store.WorkspaceID, nodes []NodeID) ([]Node, error)
	Links(ctx context.Context, tx store.Tx, ws store.WorkspaceID, nodes []NodeID) (map[NodeID][]Link, error)
	SetLinks(ctx context.Context, tx store.Tx, ws store.WorkspaceID, node NodeID, links []Link) error
	// NodesWith returns the nodes on which one of the matching identifiers hangs.
	NodesWith(ctx context.Context, tx store.Tx, ws store.WorkspaceID, ids []customer.Identifier) ([]NodeID, error)
	// Neighbours returns the nodes one step away: a matching identifier, a customer, a pin or a cut in common.
	Neighbours(ctx context.Context, tx store.Tx, ws store.WorkspaceID, nodes []NodeID) ([]NodeID, error)
	Nodes(ctx context.Context, tx store.Tx, ws store.WorkspaceID, nodes []NodeID) ([]Node, error)
	PinsAndCuts(ctx context.Context, tx store.Tx, ws store.WorkspaceID) ([]identity.Pin, []identity.Cut, error)
	// NodesOf returns the nodes of customers.
	NodesOf(ctx context.Context, tx store.Tx, ws store.WorkspaceID, ids []customer.ID) ([]NodeID, error)
	// Holders returns the customers that have or had a claim on the nodes (by membership, by anchor, as an alias of
	// one that has) and those named in also.
	Holders(ctx context.Context, tx store.Tx, ws store.WorkspaceID, nodes []Node, also []customer.ID) ([]identity.Holder, error)
	NewCustomer(ctx context.Context, tx store.Tx, ws store.WorkspaceID, kind customer.Kind, anchor store.RecordKey) (customer.ID, error)
	SetCustomer(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id customer.ID, kind customer.Kind, anchor store.RecordKey) error
	SetAlias(ctx context.Context, tx store.Tx, ws store.WorkspaceID, alias, of customer.ID) error
	Retire(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id customer.ID) error
	SetMembers(ctx context.Context, tx store.Tx, ws store.WorkspaceID, members []Member) error
	ProfileSources(ctx context.Context, tx store.Tx, ws store.WorkspaceID, ids []customer.ID) (map[customer.ID][]RawSource, error)
	SetProfile(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id customer.ID, profile customer.Profile) error

	PutDeadLetters(ctx context.Context, tx store.Tx, ws store.WorkspaceID, letters []ingest.DeadLetter) error
	NodeOfFact(ctx context.Context, tx store.Tx, ws store.WorkspaceID, record int64) (NodeID, error)
	PutSale(ctx context.Context, tx store.Tx, ws store.WorkspaceID, sale Sale) error
	PutRefund(ctx context.Context, tx store.Tx, ws store.WorkspaceID, refund Refund) error
	PutConsent(ctx context.Context, tx store.Tx, ws store.WorkspaceID, consent Consent) error
	// DropFact removes the sale, refund or consent that a record gave.
	DropFact(ctx context.Context, tx store.Tx, ws store.WorkspaceID, record int64) error
}

// Rules are the workspace's decisions settle works by.
type Rules struct {
	Identity identity.Rules
	// StrongStream says that a stream's record keys are strong ids, by the spec or the workspace's identity.strong.
	StrongStream func(conn store.ConnectionID, stream string) bool
	// Mapping returns which remote field (the key in "custom") fills which field of a connection's contacts or
	// companies; nil for none.
	Mapping func(conn store.ConnectionID, kind entity.Kind) map[string]string
	// ByCompany makes the company of an order its customer, where it has one.
	ByCompany bool
}

// Settler settles one workspace.
type Settler struct {
	Store     Store
	Workspace workspace.Workspace
	Rules     Rules
}

// batch is the state of one transaction.
type batch struct {
	*Settler
	ctx context.Context
	tx  store.Tx
	ws  store.WorkspaceID

	touched  map[NodeID]bool      // to be partitioned anew, with all they are connected to
	loose    map[NodeID]bool      // something stopped referring to them
	left     map[customer.ID]bool // lost a node: what remains may fall apart, or nothing remains
	moved    []Member
	profiles map[customer.ID]bool // to be put together anew
}

// Batch settles up to BatchSize dirty records and returns how many it took; fewer than BatchSize means that none are
// left. It belongs in one transaction, one at a time per workspace.
func (s *Settler) Batch(ctx context.Context, tx store.Tx) (int, error) {
	b := &batch{Settler: s, ctx: ctx, tx: tx, ws: s.Workspace.ID, touched: map[NodeID]bool{}, loose: map[NodeID]bool{}, left: map[customer.ID]bool{}, profiles: map[customer.ID]bool{}}
	dirty, err := s.Store.TakeDirty(ctx, tx, b.ws, BatchSize)
	if err != nil {
		return 0, fmt.Errorf("taking dirty records: %w", err)
	}
	records := make([]int64, 0, len(dirty))
	for _, d := range dirty {
		records = append(records, d.Record)
		if letter, bad := unusable(d); bad {
			// A record that an older version took in and this one cannot use must not hold up everybody else's.
			if err := s.Store.PutDeadLetters(ctx, tx, b.ws, []ingest.DeadLetter{letter}); err != nil {
				return 0, err
			}
			continue
		}
		if err := b.take(d); err != nil {
			return 0, fmt.Errorf("settling record %d of stream %s: %w", d.Record, d.Stream.Name, err)
		}
	}
	if err := b.dropOrphans(); err != nil {
		return 0, fmt.Errorf("dropping orphans: %w", err)
	}
	if err := b.partition(); err != nil {
		return 0, fmt.Errorf("partitioning: %w", err)
	}
	if err := b.putProfiles(); err != nil {
		return 0, fmt.Errorf("putting profiles together: %w", err)
	}
	return len(dirty), s.Store.ClearDirty(ctx, tx, b.ws, records)
}

// unusable makes a dead letter of a stored record that does not decode.
func unusable(d Dirty) (ingest.DeadLetter, bool) {
	if d.Deleted {
		return ingest.DeadLetter{}, false
	}
	_, err := ingest.Canonical(d.Stream.Entity, d.Data)
	if err == nil {
		return ingest.DeadLetter{}, false
	}
	rule := "undecodable"
	var fault *ingest.Fault
	if errors.As(err, &fault) {
		rule = fault.Rule
	}
	return ingest.DeadLetter{
		Stream: d.Stream.ID, Key: d.Key, Fingerprint: ingest.Fingerprint(d.Key, rule, d.Data), Origin: ingest.FromHub, Place: "the store",
		Rule: rule, Message: err.Error(), Raw: d.Data, UpdatedAt: d.UpdatedAt, Sequence: d.Sequence,
	}, true
}

func (b *batch) take(d Dirty) error {
	switch d.Stream.Entity {
	case entity.KindContact:
		return b.takePerson(d, customer.Person)
	case entity.KindCompany:
		return b.takePerson(d, customer.Company)
	case entity.KindOrder, entity.KindRefund, entity.KindConsent:
		return b.takeFact(d)
	default:
		return nil // kept as a record; nothing is derived from it yet
	}
}

// takePerson refreshes the node of a contact or company.
func (b *batch) takePerson(d Dirty, kind customer.Kind) error {
	if d.Deleted {
		node, err := b.Store.FindNode(b.ctx, b.tx, b.ws, d.Stream.ID, d.Key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := b.Store.SetNodeRecord(b.ctx, b.tx, b.ws, node.ID, 0); err != nil {
			return err
		}
		b.loose[node.ID] = true
		if node.Customer != 0 {
			b.profiles[node.Customer] = true
		}
		return b.relink(node, b.links(identity.Source{Key: node.Key}))
	}
	node, err := b.Store.EnsureNode(b.ctx, b.tx, b.ws, d.Stream.Connection, d.Stream.Name, d.Key, kind)
	if err != nil {
		return err
	}
	if node.Record != d.Record {
		if err := b.Store.SetNodeRecord(b.ctx, b.tx, b.ws, node.ID, d.Record); err != nil {
			return err
		}
	}
	if node.Customer == 0 {
		b.touched[node.ID] = true
	} else {
		b.profiles[node.Customer] = true
	}
	source, err := b.source(d.Stream.Entity, RawSource{Key: node.Key, UpdatedAt: d.UpdatedAt, Data: d.Data})
	if err != nil {
		return err
	}
	return b.relink(node, b.links(source))
}

// links is what points at a source's customer, with what of it is evidence.
func (b *batch) links(source identity.Source) []Link {
	source.PersonKey = b.Rules.StrongStream(source.Key.Connection, source.Key.Stream)
	found := identity.Identifiers(source, b.Rules.Identity)
	links := make([]Link, 0, len(found))
	for _, id := range found {
		links = append(links, Link{Identifier: id, Matches: b.Rules.Identity.Joins(id)})
	}
	return links
}

// relink replaces a node's identifiers, which are sorted. When they change, the node is partitioned anew, and so is everybody it was
// or is connected to.
func (b *batch) relink(node Node, links []Link) error {
	had, err := b.Store.Links(b.ctx, b.tx, b.ws, []NodeID{node.ID})
	if err != nil {
		return err
	}
	if slices.Equal(had[node.ID], links) {
		return nil
	}
	b.touched[node.ID] = true
	var lost []customer.Identifier
	for _, old := range had[node.ID] {
		if old.Matches && !slices.Contains(links, old) {
			lost = append(lost, old.Identifier)
		}
	}
	// Those connected through an identifier that goes away may fall apart, or be free to join what they were kept from.
	others, err := b.Store.NodesWith(b.ctx, b.tx, b.ws, lost)
	if err != nil {
		return err
	}
	for _, id := range others {
		b.touched[id] = true
	}
	return b.Store.SetLinks(b.ctx, b.tx, b.ws, node.ID, links)
}

// refer returns the node a reference names, making a placeholder when nobody has come under that key yet.
func (b *batch) refer(conn store.ConnectionID, ref *entity.Ref, kind customer.Kind) (NodeID, error) {
	node, err := b.Store.EnsureNode(b.ctx, b.tx, b.ws, conn, ref.Stream, ref.Key, kind)
	if err != nil {
		return 0, err
	}
	if node.Customer == 0 && !b.touched[node.ID] {
		b.touched[node.ID] = true
		if node.Record == 0 {
			if err := b.relink(node, b.links(identity.Source{Key: node.Key})); err != nil {
				return 0, err
			}
		}
	}
	return node.ID, nil
}

// referOrder picks the customer of an order or refund by the workspace's rule: the contact by default, the company
// if there is none, or the other way round.
func (b *batch) referOrder(conn store.ConnectionID, contact, company *entity.Ref) (NodeID, error) {
	switch {
	case company != nil && (b.Rules.ByCompany || contact == nil):
		return b.refer(conn, company, customer.Company)
	case contact != nil:
		return b.refer(conn, contact, customer.Person)
	default:
		return 0, nil
	}
}

// takeFact refreshes the sale, refund or consent a record gives.
func (b *batch) takeFact(d Dirty) error {
	before, err := b.Store.NodeOfFact(b.ctx, b.tx, b.ws, d.Record)
	if err != nil {
		return err
	}
	var now NodeID
	keep := false
	if !d.Deleted {
		switch d.Stream.Entity {
		case entity.KindOrder:
			now, keep, err = b.takeOrder(d)
		case entity.KindRefund:
			now, keep, err = b.takeRefund(d)
		default:
			now, keep, err = b.takeConsent(d)
		}
		if err != nil {
			return err
		}
	}
	if !keep {
		if err := b.Store.DropFact(b.ctx, b.tx, b.ws, d.Record); err != nil {
			return err
		}
	}
	if before != 0 && before != now {
		b.loose[before] = true
	}
	return nil
}

// base returns an amount in the workspace's currency. Other currencies wait for rates: such orders count, their
// money does not.
func (b *batch) base(m entity.Money) (int64, bool) {
	if m.Currency == b.Workspace.Currency {
		return m.Minor, true
	}
	return 0, false
}

func (b *batch) takeOrder(d Dirty) (NodeID, bool, error) {
	var o entity.Order
	if err := json.Unmarshal(d.Data, &o); err != nil {
		return 0, false, err
	}
	if o.Cancelled {
		return 0, false, nil
	}
	node, err := b.referOrder(d.Stream.Connection, o.Contact, o.Company)
	if err != nil {
		return 0, false, err
	}
	sale := Sale{Record: d.Record, Stream: d.Stream.ID, Node: node, Sequence: d.Sequence, Amount: o.Amount, Channel: o.Origin.Channel, City: o.City}
	sale.OrderedAt, sale.OrderedOn = b.when(o.OrderedAt, o.OrderedOn)
	sale.Base, sale.Converted = b.base(o.Amount)
	if o.Owner != nil {
		sale.Owner = o.Owner.Key
	}
	return node, true, b.Store.PutSale(b.ctx, b.tx, b.ws, sale)
}

func (b *batch) takeRefund(d Dirty) (NodeID, bool, error) {
	var r entity.Refund
	if err := json.Unmarshal(d.Data, &r); err != nil {
		return 0, false, err
	}
	node, err := b.referOrder(d.Stream.Connection, r.Contact, r.Company)
	if err != nil {
		return 0, false, err
	}
	refund := Refund{Record: d.Record, Stream: d.Stream.ID, Node: node, Amount: r.Amount}
	_, refund.RefundedOn = b.when(r.RefundedAt, r.RefundedOn)
	refund.Base, refund.Converted = b.base(r.Amount)
	if r.Order != nil {
		refund.OrderStream, refund.OrderKey = r.Order.Stream, r.Order.Key
	}
	return node, true, b.Store.PutRefund(b.ctx, b.tx, b.ws, refund)
}

func (b *batch) takeConsent(d Dirty) (NodeID, bool, error) {
	var c entity.Consent
	if err := json.Unmarshal(d.Data, &c); err != nil {
		return 0, false, err
	}
	var node NodeID
	if c.Contact != nil {
		var err error
		if node, err = b.refer(d.Stream.Connection, c.Contact, customer.Person); err != nil {
			return 0, false, err
		}
	}
	email, _ := identity.Email(c.Email)
	phone, _ := identity.Phone(c.Phone, b.Rules.Identity.PhoneRegion)
	key := store.RecordKey{Connection: d.Stream.Connection, Stream: d.Stream.Name, Key: d.Key}
	r := consent.New(key, c, email, phone, b.Workspace.Zone)
	consent := Consent{
		Record: d.Record, Stream: d.Stream.ID, Node: node, Email: r.Email, Phone: r.Phone, Channel: r.Channel, Purpose: r.Purpose, LegalEntity: r.LegalEntity,
		State: r.State, At: r.At, Source: r.Source, TextVersion: r.TextVersion, List: r.List,
	}
	return node, true, b.Store.PutConsent(b.ctx, b.tx, b.ws, consent)
}

// when returns the moment, if known, and the civil day in the workspace's zone. A day alone never shifts.
func (b *batch) when(at *time.Time, on *entity.Date) (time.Time, entity.Date) {
	if at != nil {
		return at.UTC(), entity.DateIn(*at, b.Workspace.Zone)
	}
	return time.Time{}, *on
}

// dropOrphans removes nodes that have no record and that nothing refers to any more.
func (b *batch) dropOrphans() error {
	gone, err := b.Store.DeleteOrphans(b.ctx, b.tx, b.ws, sorted(b.loose))
	if err != nil {
		return err
	}
	for _, node := range gone {
		delete(b.touched, node.ID)
		if node.Customer != 0 {
			b.left[node.Customer] = true
		}
	}
	return nil
}

func sorted[K ~int64](set map[K]bool) []K {
	keys := make([]K, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
