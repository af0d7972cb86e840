// Package settle brings stored records into the unified model: who is one customer, what they bought, what they
// consented to. It works off the marks that ingest and changed rules leave, a batch per transaction, so that work
// follows change (R11) and the order of arrival does not matter (R2).
package settle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/regulars/regulars/contracts/entity"
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
	// Name of the person, as the record has it; zero for companies and where nobody says.
	Name entity.Name
	// Anonymous nodes stand for many people or nobody: they belong to no customer.
	Anonymous bool
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

// Changed is a customer, or a bin of sales to nobody (negative), whose facts changed.
type Changed struct {
	Customer customer.ID
	// Identity says that the records that make up the customer changed: what follows from it is nothing the customer did.
	Identity bool
}

// Link is an identifier as it hangs on a node. Matches is false for one that is an address only and no evidence.
type Link struct {
	customer.Identifier
	Matches bool
}

// Sale is an order in the form figures are made from.
type Sale struct {
	Record int64
	// Part counts the orders of one record from 1: a deal may be won several times. The key of part 1 is the record's,
	// of the others "KEY#2" and so on.
	Part      int
	Stream    workspace.StreamID
	Node      NodeID // 0: a sale to nobody known
	OrderedAt time.Time
	OrderedOn entity.Date
	// DateFrom says which fact of the source the date was taken from.
	DateFrom  string
	Sequence  int64
	Amount    entity.Money
	Base      int64 // minor units of the workspace's currency
	Converted bool
	// NeedsRate says that Base depends on exchange rates.
	NeedsRate     bool
	Channel, City string
	// OwnerStream and Owner name the colleague; Owner is empty where nobody is named.
	OwnerStream, Owner string
	// Deal the owner is taken from, of an order that names none itself; nil for others.
	Deal  *entity.Ref
	Lines []entity.Line
}

func (s *Sale) setOwner(owner *entity.Ref) {
	if owner != nil {
		s.OwnerStream, s.Owner = owner.Stream, owner.Key
	}
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
	// NeedsRate says that Base depends on the rate of RateOn: the order's day when it is known, else the refund's own.
	NeedsRate bool
	RateOn    entity.Date
	// Idle says that the order it names is none, cancelled or a deal that is not won: nothing was counted that this could
	// take back.
	Idle bool
}

// OrderName names an order or deal by its record.
type OrderName struct {
	Stream workspace.StreamID `json:"s"`
	Key    string             `json:"k"`
}

// OrderOf is what is known of the order that a refund names.
type OrderOf struct {
	// Live says that its record is there, and Sale that it is an order.
	Live, Sale bool
	OrderedOn  entity.Date // meaningful with Sale
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
	// SetProfile reports whether the profile is another than before.
	SetProfile(ctx context.Context, tx store.Tx, ws store.WorkspaceID, id customer.ID, profile customer.Profile) (bool, error)

	// OwnersOfFacts returns whom the sales, refunds and consents of records count for now: customers, and bins of sales to
	// nobody. A refund and its order count for each other's too.
	OwnersOfFacts(ctx context.Context, tx store.Tx, ws store.WorkspaceID, records []int64) ([]customer.ID, error)
	// OwnersOfNode returns whom the sales and refunds of one node count for now.
	OwnersOfNode(ctx context.Context, tx store.Tx, ws store.WorkspaceID, node NodeID) ([]customer.ID, error)
	// MarkChanged notes whose facts changed, for those who work on what changed alone (R11).
	MarkChanged(ctx context.Context, tx store.Tx, ws store.WorkspaceID, changed []Changed) error

	PutDeadLetters(ctx context.Context, tx store.Tx, ws store.WorkspaceID, letters []ingest.DeadLetter) error
	// ResolveSettleLetters closes the open letters that settle itself has written about the records.
	ResolveSettleLetters(ctx context.Context, tx store.Tx, ws store.WorkspaceID, records []int64) error
	NodeOfFact(ctx context.Context, tx store.Tx, ws store.WorkspaceID, record int64) (NodeID, error)
	SetNodeName(ctx context.Context, tx store.Tx, ws store.WorkspaceID, node NodeID, name entity.Name) error
	// SetAnonymous marks a node as one that belongs to no customer and takes it from the one it has, or ends that.
	SetAnonymous(ctx context.Context, tx store.Tx, ws store.WorkspaceID, node NodeID, anonymous bool) error
	// PutSale stores an order in place of the same part of the record, and its lines.
	PutSale(ctx context.Context, tx store.Tx, ws store.WorkspaceID, sale Sale) error
	// DropParts removes the orders of a record beyond the number kept.
	DropParts(ctx context.Context, tx store.Tx, ws store.WorkspaceID, record int64, kept int) error
	// OrderOf looks up the order under a key of a connection's stream.
	OrderOf(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, stream, key string) (OrderOf, error)
	// LiveData returns what is stored of a live record of a connection; store.ErrNotFound when there is none.
	LiveData(ctx context.Context, tx store.Tx, ws store.WorkspaceID, conn store.ConnectionID, stream, key string) ([]byte, error)
	// DropLines removes the lines of the records' orders, which PutSale stores anew.
	DropLines(ctx context.Context, tx store.Tx, ws store.WorkspaceID, records []int64) error
	// MarkRefunds marks for settle the refunds of orders that were taken in with something else known of the order than
	// now. All Mark methods return how many they marked.
	MarkRefunds(ctx context.Context, tx store.Tx, ws store.WorkspaceID, orders []OrderName) (int64, error)
	// MarkOfDeals marks the orders whose owner is a deal's, and the refunds of later wins of the deals.
	MarkOfDeals(ctx context.Context, tx store.Tx, ws store.WorkspaceID, deals []OrderName) (int64, error)
	// MarkConversions marks the orders and refunds that need a rate of one of the currencies on one of the days.
	MarkConversions(ctx context.Context, tx store.Tx, ws store.WorkspaceID, currencies []string, from, to entity.Date) (int64, error)
	RateOf(ctx context.Context, tx store.Tx, ws store.WorkspaceID, record int64) (Rate, bool, error)
	PutRate(ctx context.Context, tx store.Tx, ws store.WorkspaceID, rate Rate) error
	DropRate(ctx context.Context, tx store.Tx, ws store.WorkspaceID, record int64) error
	// RateOn returns the last rate between two currencies on or before a day and at most maxAge days old. On one day
	// the rate from the first to the second wins over the inverse one, then the smaller record name.
	RateOn(ctx context.Context, tx store.Tx, ws store.WorkspaceID, from, to string, day entity.Date, maxAge int) (value string, inverse, found bool, err error)
	PutOwnership(ctx context.Context, tx store.Tx, ws store.WorkspaceID, change Ownership) error
	DropOwnership(ctx context.Context, tx store.Tx, ws store.WorkspaceID, record int64) error
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
	// Deals says which deals are orders; nil for none.
	Deals *DealRule
	// RateStream says whether a stream's exchange rates are used; nil for all.
	RateStream func(conn store.ConnectionID, stream string) bool
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
	changed  map[customer.ID]bool // facts changed; true: who they are did
	records  []int64              // taken
	marked   int64                // records marked for settle by what was taken
}

// Batch settles up to BatchSize dirty records and returns how many it took; fewer than BatchSize means that none are
// left. It belongs in one transaction, one at a time per workspace.
func (s *Settler) Batch(ctx context.Context, tx store.Tx) (int, error) {
	b := s.newBatch(ctx, tx)
	taken, err := b.takeDirty()
	if err != nil {
		return 0, err
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
	if err := b.noteOwners(b.records); err != nil {
		return 0, err
	}
	if err := b.markChanged(); err != nil {
		return 0, fmt.Errorf("marking whose facts changed: %w", err)
	}
	return taken, nil
}

// takeDirty takes up to BatchSize dirty records, those that others of them have marked too, and returns how many.
func (b *batch) takeDirty() (int, error) {
	taken := 0
	for taken < BatchSize {
		dirty, err := b.Store.TakeDirty(b.ctx, b.tx, b.ws, BatchSize-taken)
		if err != nil {
			return 0, fmt.Errorf("taking dirty records: %w", err)
		}
		if len(dirty) == 0 {
			break
		}
		taken += len(dirty)
		records := make([]int64, 0, len(dirty))
		for _, d := range dirty {
			records = append(records, d.Record)
		}
		b.records = append(b.records, records...)
		if err := b.noteOwners(records); err != nil {
			return 0, err
		}
		// Cleared before they are taken: what is marked from here on, also one of them, is to be taken once more.
		if err := b.Store.ClearDirty(b.ctx, b.tx, b.ws, records); err != nil {
			return 0, fmt.Errorf("clearing marks: %w", err)
		}
		if err := b.Store.ResolveSettleLetters(b.ctx, b.tx, b.ws, records); err != nil {
			return 0, fmt.Errorf("resolving dead letters: %w", err)
		}
		if err := b.Store.DropLines(b.ctx, b.tx, b.ws, records); err != nil {
			return 0, fmt.Errorf("dropping the lines of orders: %w", err)
		}
		b.marked = 0
		for _, d := range dirty {
			if fault := unusable(d); fault != nil {
				// A record that an older version took in and this one cannot use must not hold up everybody else's.
				if err := b.reject(d, fault); err != nil {
					return 0, err
				}
				continue
			}
			if err := b.take(d); err != nil {
				return 0, fmt.Errorf("settling record %d of stream %s: %w", d.Record, d.Stream.Name, err)
			}
		}
		if err := b.markDependents(dirty); err != nil {
			return 0, fmt.Errorf("marking what depends on orders: %w", err)
		}
		if b.marked == 0 {
			break
		}
	}
	return taken, nil
}

// reject keeps a record aside that settle cannot use. The letter is settle's own: it closes when the record is taken
// again without a fault.
func (b *batch) reject(d Dirty, fault *ingest.Fault) error {
	return b.Store.PutDeadLetters(b.ctx, b.tx, b.ws, []ingest.DeadLetter{{
		Stream: d.Stream.ID, Key: d.Key, Fingerprint: ingest.Fingerprint(d.Key, fault.Rule, d.Data), Origin: ingest.FromHub, Place: "the store",
		Rule: fault.Rule, Message: fault.Message, Raw: d.Data, UpdatedAt: d.UpdatedAt, Sequence: d.Sequence,
	}})
}

// unusable says why a stored record does not decode; nil for one that does.
func unusable(d Dirty) *ingest.Fault {
	if d.Deleted {
		return nil
	}
	_, err := ingest.Canonical(d.Stream.Entity, d.Data)
	if err == nil {
		return nil
	}
	var fault *ingest.Fault
	if !errors.As(err, &fault) {
		fault = &ingest.Fault{Rule: "undecodable", Message: err.Error()}
	}
	return fault
}

func (b *batch) take(d Dirty) error {
	switch d.Stream.Entity {
	case entity.KindContact:
		return b.takePerson(d, customer.Person)
	case entity.KindCompany:
		return b.takePerson(d, customer.Company)
	case entity.KindOrder, entity.KindRefund, entity.KindConsent, entity.KindDeal:
		return b.takeFact(d)
	case entity.KindRate:
		return b.takeRate(d)
	case entity.KindOwnershipChange:
		return b.takeOwnership(d)
	default:
		return nil // kept as a record; nothing is derived from it yet
	}
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
