package settle

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/ingest"
	"github.com/regulars/regulars/hub/store"
)

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
		case entity.KindDeal:
			now, keep, err = b.takeDeal(d)
		case entity.KindRefund:
			now, keep, err = b.takeRefund(d)
		default:
			now, keep, err = b.takeConsent(d)
		}
		var fault *ingest.Fault
		if errors.As(err, &fault) {
			keep, now, err = false, 0, b.reject(d, fault)
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

// markDependents marks what was derived from orders and deals as they were before: refunds of them, and of deals the
// orders that take their owner from them.
func (b *batch) markDependents(taken []Dirty) error {
	var orders, deals []OrderName
	for _, d := range taken {
		name := OrderName{Stream: d.Stream.ID, Key: d.Key}
		switch d.Stream.Entity {
		case entity.KindOrder:
			orders = append(orders, name)
		case entity.KindDeal:
			deals = append(deals, name)
		default:
		}
	}
	marked, err := b.Store.MarkRefunds(b.ctx, b.tx, b.ws, append(orders, deals...))
	if err != nil {
		return err
	}
	b.marked += marked
	marked, err = b.Store.MarkOfDeals(b.ctx, b.tx, b.ws, deals)
	b.marked += marked
	return err
}

// putSale converts an order's amount and stores it.
func (b *batch) putSale(sale Sale) error {
	var err error
	if sale.Base, sale.Converted, sale.NeedsRate, err = b.base(sale.Amount, sale.OrderedOn); err != nil {
		return err
	}
	return b.Store.PutSale(b.ctx, b.tx, b.ws, sale)
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
	sale := Sale{
		Record: d.Record, Part: 1, Stream: d.Stream.ID, Node: node, DateFrom: o.DateFrom, Sequence: d.Sequence, Amount: o.Amount,
		Channel: o.Origin.Channel, City: o.City, Lines: o.Lines,
	}
	sale.OrderedAt, sale.OrderedOn = b.when(o.OrderedAt, o.OrderedOn)
	sale.setOwner(o.Owner)
	if o.Owner == nil && o.Deal != nil {
		sale.Deal = o.Deal
		owner, err := b.ownerOfDeal(d.Stream.Connection, o.Deal)
		if err != nil {
			return 0, false, err
		}
		sale.setOwner(owner)
	}
	return node, true, b.putSale(sale)
}

// ownerOfDeal is who looks after a deal as its record says now; nil when nobody does or it has not come.
func (b *batch) ownerOfDeal(conn store.ConnectionID, ref *entity.Ref) (*entity.Ref, error) {
	data, err := b.Store.LiveData(b.ctx, b.tx, b.ws, conn, ref.Stream, ref.Key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var deal entity.Deal
	if err := json.Unmarshal(data, &deal); err != nil {
		return nil, nil //nolint:nilerr // the deal has a dead letter of its own; the order is none the worse
	}
	return deal.Owner, nil
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
	refund.RateOn = refund.RefundedOn
	if r.Order != nil {
		refund.OrderStream, refund.OrderKey = r.Order.Stream, r.Order.Key
		order, err := b.Store.OrderOf(b.ctx, b.tx, b.ws, d.Stream.Connection, r.Order.Stream, r.Order.Key)
		if err != nil {
			return 0, false, err
		}
		if order.Sale {
			refund.RateOn = order.OrderedOn
		}
		refund.Idle = order.Live && !order.Sale
	}
	if refund.Base, refund.Converted, refund.NeedsRate, err = b.base(r.Amount, refund.RateOn); err != nil {
		return 0, false, err
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
