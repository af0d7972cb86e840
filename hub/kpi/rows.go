package kpi

import (
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/store"
)

// OrderRow is one order as the store hands it over. Connection, Stream and Key together occur once.
type OrderRow struct {
	// Customer is 0 or less for a sale to nobody known. Such ids are told apart only to be replaced one by one.
	Customer   customer.ID
	Connection store.ConnectionID
	Stream     string
	Key        string
	// At is zero when the source knows only the day.
	At time.Time
	// On is the civil day of the order in the workspace's zone.
	On entity.Date
	// Sequence is the position in the source, which orders a customer's orders where the time does not.
	Sequence int64
	// Base is the amount in minor units of the workspace's currency; not looked at while Converted is false.
	Base int64
	// Converted is false when there was no exchange rate: the order stays in counts and is left out of money.
	Converted bool
	// Amount as the source has it. Refunds in the same currency are held against it, so that rounding in the
	// conversion cannot keep a wholly refunded order alive. The zero Money stands for Base.
	Amount entity.Money
	// Dimensions; empty where not known.
	Channel, Owner, City string
}

// RefundRow is one refund as the store hands it over. Connection, Stream and Key together occur once. A negative
// amount is read as its absolute value.
type RefundRow struct {
	// Customer is looked at only when Order names no order of the ledger: a linked refund is of the order's customer.
	Customer   customer.ID
	Connection store.ConnectionID
	Stream     string
	Key        string
	On         entity.Date
	Base       int64
	Converted  bool
	// Amount as the source has it; the zero Money stands for Base.
	Amount entity.Money
	// Order is the refunded order, nil when the source does not link them.
	Order *store.RecordKey
}

// Warnings count what a reader of the figures should know about the rows behind them.
type Warnings struct {
	// UnconvertedOrders and UnconvertedRefunds have no exchange rate and are left out of money.
	UnconvertedOrders  int `json:"unconverted_orders"`
	UnconvertedRefunds int `json:"unconverted_refunds"`
	// ZeroOrders have the amount 0; they count as orders and lower the average check.
	ZeroOrders int `json:"zero_orders"`
	// NegativeOrders were left out; a negative order amount is a dead letter and should not have come here.
	NegativeOrders int `json:"negative_orders"`
	// UnknownRefundOrders are refunds that name an order not in the ledger; they are treated as not linked.
	UnknownRefundOrders int `json:"unknown_refund_orders"`
}
