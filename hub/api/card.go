package api

import (
	"context"
	"net/http"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
)

// FullCard is all that is known of a customer, with where it comes from.
type FullCard struct {
	CustomerCard
	FormerIDs     []customer.ID       `json:"former_ids" doc:"Numbers of customers that were merged into this one."`
	OwnerName     string              `json:"owner_name,omitempty" doc:"Who looks after the customer: a name, or the record key where no name is known."`
	Sources       []CardSource        `json:"sources" doc:"The records the customer is made of, by name."`
	Evidence      []JoinEvidence      `json:"evidence" doc:"The joins that made the customer, in the order they were made."`
	Refused       []JoinRefusal       `json:"refused" doc:"Evidence that was not followed."`
	Decisions     []Decision          `json:"decisions" doc:"Pins and cuts that name the records."`
	Quarantine    string              `json:"quarantine,omitempty" enum:"too_many_records,strong_id_shared"`
	ComponentSize int                 `json:"component_size,omitempty" doc:"Of a quarantined customer: how many records evidence ties together."`
	AsOf          entity.Date         `json:"as_of" doc:"The day of totals and traits."`
	Totals        CardTotals          `json:"totals"`
	Orders        []CardOrder         `json:"orders" doc:"The last 20, newest first, those dated ahead of as_of too."`
	Unlinked      []CardRefund        `json:"unlinked_refunds" doc:"The last 20 refunds that name no order of the customer, newest first."`
	Traits        map[string]any      `json:"traits" doc:"Every customer field that rules can name, the workspace's own too; money in major units, days as YYYY-MM-DD, null where missing."`
	Memberships   []CardMembership    `json:"memberships" doc:"The segments the customer belongs to as of the last evaluation."`
	History       []MembershipEvent   `json:"history" doc:"The last 20 times the customer entered or left a segment, newest first."`
	Consents      map[string]*Verdict `json:"consents" doc:"For email and sms: whether the customer may be written to for marketing, and by which records."`
}

// CardSource is one record that a customer is made of.
type CardSource struct {
	Record      string     `json:"record"`
	UpdatedAt   *time.Time `json:"updated_at,omitempty" doc:"The source's own time of the last change."`
	Placeholder bool       `json:"placeholder,omitempty" doc:"Others refer to it; it has not come, or is gone."`
	Quarantined bool       `json:"quarantined,omitempty"`
}

// CardTotals are what a customer's orders amount to. Money is decimal, in the workspace's currency.
type CardTotals struct {
	Orders       int          `json:"orders" doc:"Valid orders: those not wholly refunded."`
	FirstOn      *entity.Date `json:"first_on,omitempty"`
	LastOn       *entity.Date `json:"last_on,omitempty"`
	Currency     string       `json:"currency"`
	Gross        string       `json:"gross" doc:"All orders, those refunded since too."`
	Net          string       `json:"net" doc:"Gross less all refunds."`
	NetYear      string       `json:"net_year" doc:"Net of the trailing 365 days."`
	AverageCheck *string      `json:"average_check" doc:"Of the valid orders; null without any."`
	// Listed counts orders in the source, of any day; Unlinked counts refunds that name none of them.
	Listed   int `json:"listed_orders" doc:"All orders there are, also wholly refunded ones and those dated ahead."`
	Unlinked int `json:"listed_unlinked_refunds"`
}

// CardOrder is one order of a customer.
type CardOrder struct {
	Record   string      `json:"record"`
	On       entity.Date `json:"on"`
	Amount   string      `json:"amount" doc:"Decimal, in the order's currency."`
	Currency string      `json:"currency"`
	// Base is nil when there is no exchange rate: the order counts without its money.
	Base     *string      `json:"base" doc:"In the workspace's currency; null when there is no exchange rate."`
	DateFrom string       `json:"date_from,omitempty" doc:"The fact of the source the day was taken from."`
	Channel  string       `json:"channel,omitempty"`
	Owner    string       `json:"owner,omitempty" doc:"The record of who sold it."`
	City     string       `json:"city,omitempty"`
	Refunds  []CardRefund `json:"refunds" doc:"Those that name this order, oldest first."`
}

// CardRefund is money given back.
type CardRefund struct {
	Record   string      `json:"record"`
	On       entity.Date `json:"on"`
	Amount   string      `json:"amount" doc:"Decimal, in the refund's currency."`
	Currency string      `json:"currency"`
	Base     *string     `json:"base" doc:"In the workspace's currency; null when there is no exchange rate."`
}

// CardMembership is a segment that a customer belongs to, and why.
type CardMembership struct {
	Segment   string            `json:"segment"`
	Title     map[string]string `json:"title"`
	Rule      string            `json:"rule,omitempty" doc:"Empty of a built-in segment."`
	EnteredOn entity.Date       `json:"entered_on"`
	Baseline  bool              `json:"baseline,omitempty" doc:"It held already when the segment was first evaluated, or came with a change of who the customer is; the day says nothing about the customer then."`
	Fields    map[string]any    `json:"fields" doc:"The customer fields that decide, as they are now."`
}

func (r *router) card() {
	type one struct {
		InWorkspace
		ID customer.ID `path:"id"`
	}
	operate(r, http.MethodGet, workspacePath+"/customers/{id}", "get-customer", "Show all that is known of a customer", func(ctx context.Context, in *one) (FullCard, error) {
		return r.service.Customer(ctx, in.name(), in.ID)
	})
}
