package main

import (
	"strings"
	"time"

	"github.com/regulars/regulars/contracts/entity"
)

func orders() *table[entity.Order] {
	type E = entity.Order
	line := func(e *E) *entity.Line {
		if len(e.Lines) == 0 {
			e.Lines = make([]entity.Line, 1)
		}
		return &e.Lines[0]
	}
	return newTable(table[E]{
		definition: definition{
			stream: "orders", doc: "Paid purchases, one row each.",
			keys: keyOfRow, identity: []string{"customer", "company", "ordered_on", "ordered_at", "amount"},
			rank:  []string{"customer", "company", "ordered_on", "ordered_at"},
			needs: []need{{anyOf: []string{"ordered_on", "ordered_at"}, onlyOne: true}, needs("amount")},
			after: []string{"contacts", "companies", "owners"},
		},
		set: merged(
			origin(func(e *E) *entity.Origin { return &e.Origin }),
			map[string]field[E]{
				"number":     text("number as people see it", func(e *E) *string { return &e.Number }),
				"customer":   ref("key of the contact who ordered", "contacts", func(e *E) **entity.Ref { return &e.Contact }),
				"company":    ref("key of the company that ordered", "companies", func(e *E) **entity.Ref { return &e.Company }),
				"ordered_on": day("day of the order; of a cell with a time only the day is taken", func(e *E) **entity.Date { return &e.OrderedOn }),
				"ordered_at": dayOrMoment("day and time of the order; a cell without a time counts as the day",
					func(e *E) **time.Time { return &e.OrderedAt }, func(e *E) **entity.Date { return &e.OrderedOn }),
				"amount": {"amount paid, after discounts; 0 is an order, less than 0 is not", func(e *E, in *input, text string) error {
					m, err := readMoney(in, text)
					if err != nil {
						return err
					}
					if m.Minor < 0 {
						return &fault{"amount_negative", "the amount of an order is below zero; refunds belong to the stream refunds"}
					}
					e.Amount = m
					return nil
				}},
				fieldCurrency: currency[E](),
				"discount":    money("discount within the price", func(e *E) **entity.Money { return &e.Discount }),
				"shipping":    money("cost of delivery", func(e *E) **entity.Money { return &e.Shipping }),
				"vat":         choice("whether the amounts hold VAT", func(e *E) *entity.VAT { return &e.VAT }, entity.VATIncluded, entity.VATExcluded),
				"vat_amount":  money("amount of VAT", func(e *E) **entity.Money { return &e.VATAmount }),
				"promo_code":  text("promo code", func(e *E) *string { return &e.PromoCode }),
				"owner":       ref("key of the colleague who sold", "owners", func(e *E) **entity.Ref { return &e.Owner }),
				"deal":        ref("key of the deal it came from", "deals", func(e *E) **entity.Ref { return &e.Deal }),
				"city":        text("city of the shop or delivery", func(e *E) *string { return &e.City }),
				"cancelled":   boolean("the order is none any more", func(e *E, b bool) { e.Cancelled = b }),
				"sku":         text("article number of the one thing bought", func(e *E) *string { return &line(e).SKU }),
				"name":        text("name of the one thing bought", func(e *E) *string { return &line(e).Name }),
				"category":    text("category of the one thing bought", func(e *E) *string { return &line(e).Category }),
				"quantity":    decimal("how much of it was bought", func(e *E) *string { return &line(e).Quantity }),
			},
		),
		custom: func(e *E) *entity.Custom { return &e.Custom },
	})
}

func refunds() *table[entity.Refund] {
	type E = entity.Refund
	return newTable(table[E]{
		definition: definition{
			stream: "refunds", doc: "Money given back, one row each.",
			keys: keyOfRow, identity: []string{"order", "customer", "company", "refunded_on", "refunded_at", "amount"},
			rank:  []string{"customer", "company", "refunded_on", "refunded_at"},
			needs: []need{{anyOf: []string{"refunded_on", "refunded_at"}, onlyOne: true}, needs("amount")},
			after: []string{"contacts", "companies", "deals", "orders"},
		},
		set: map[string]field[E]{
			"order":       ref("key of the order", "orders", func(e *E) **entity.Ref { return &e.Order }),
			"deal":        ref("key of the deal, where won deals are the orders", "deals", func(e *E) **entity.Ref { return &e.Order }),
			"customer":    ref("key of the contact", "contacts", func(e *E) **entity.Ref { return &e.Contact }),
			"company":     ref("key of the company", "companies", func(e *E) **entity.Ref { return &e.Company }),
			"refunded_on": day("day of the refund", func(e *E) **entity.Date { return &e.RefundedOn }),
			"refunded_at": dayOrMoment("day and time of the refund",
				func(e *E) **time.Time { return &e.RefundedAt }, func(e *E) **entity.Date { return &e.RefundedOn }),
			"amount": {"amount given back; the sign does not matter, as ledgers write refunds either way", func(e *E, in *input, text string) error {
				m, err := readMoney(in, text)
				if err != nil {
					return err
				}
				m.Minor = max(m.Minor, -m.Minor)
				e.Amount = m
				return nil
			}},
			fieldCurrency: currency[E](),
			"reason":      text("reason", func(e *E) *string { return &e.Reason }),
		},
		custom: func(e *E) *entity.Custom { return &e.Custom },
	})
}

func deals() *table[entity.Deal] {
	type E = entity.Deal
	return newTable(table[E]{
		definition: definition{
			stream: "deals", doc: "Sales in progress, won or lost.",
			keys: keyNeeded, needs: []need{needs(fieldKey)}, after: []string{"contacts", "companies", "owners"},
		},
		set: merged(
			origin(func(e *E) *entity.Origin { return &e.Origin }),
			map[string]field[E]{
				"title": text("title", func(e *E) *string { return &e.Title }),
				"customer": {"key of the contact", func(e *E, _ *input, text string) error {
					e.Contacts = append(e.Contacts, entity.Ref{Stream: "contacts", Key: text})
					return nil
				}},
				"company":     ref("key of the company", "companies", func(e *E) **entity.Ref { return &e.Company }),
				"amount":      money("amount", func(e *E) **entity.Money { return &e.Amount }),
				fieldCurrency: currency[E](),
				"discount":    money("discount within the price", func(e *E) **entity.Money { return &e.Discount }),
				"pipeline":    text("sales pipeline", func(e *E) *string { return &e.Pipeline }),
				"stage":       text("stage in the pipeline", func(e *E) *string { return &e.Stage }),
				"state":       choice("state", func(e *E) *entity.DealState { return &e.State }, entity.DealOpen, entity.DealWon, entity.DealLost),
				"moved_at":    moment("when it came to its stage", func(e *E) **time.Time { return &e.MovedAt }),
				"closed_at": dayOrMoment("when it was won or lost",
					func(e *E) **time.Time { return &e.ClosedAt }, func(e *E) **entity.Date { return &e.ClosedOn }),
				"closed_on":   day("day it was won or lost", func(e *E) **entity.Date { return &e.ClosedOn }),
				"created_at":  moment("when it was made", func(e *E) **time.Time { return &e.CreatedAt }),
				"loss_reason": text("why it was lost", func(e *E) *string { return &e.LossReason }),
				"promo_code":  text("promo code", func(e *E) *string { return &e.PromoCode }),
				"owner":       ref("key of the colleague in charge", "owners", func(e *E) **entity.Ref { return &e.Owner }),
				"tags":        list("tags", func(e *E) *[]string { return &e.Tags }),
			},
		),
		custom: func(e *E) *entity.Custom { return &e.Custom },
	})
}

func rates() *table[entity.Rate] {
	type E = entity.Rate
	code := func(doc string, at func(*E) *string) field[E] {
		return field[E]{doc, func(e *E, _ *input, text string) error {
			text = strings.ToUpper(text)
			if !currencyCode(text) {
				return errCurrency
			}
			*at(e) = text
			return nil
		}}
	}
	return newTable(table[E]{
		definition: definition{
			stream: "rates", doc: "Exchange rates by day.",
			keys: keyOfSubject, identity: []string{"on", "from", "to"},
			needs: []need{needs("on"), needs("from"), needs("to"), needs("rate")},
		},
		set: map[string]field[E]{
			"on": {"day", func(e *E, in *input, text string) error {
				when, err := readDate(in, text)
				e.On = when.Day
				return err
			}},
			"from": code("currency that is priced, ISO 4217", func(e *E) *string { return &e.From }),
			"to":   code("currency of the price, ISO 4217", func(e *E) *string { return &e.To }),
			"rate": decimal("how much of it one unit costs", func(e *E) *string { return &e.Rate }),
		},
		custom: func(e *E) *entity.Custom { return &e.Custom },
	})
}

var errCurrency = &fault{"currency_invalid", "the cell is not an ISO 4217 currency code such as RUB; translate it with values"}

func currencyCode(text string) bool {
	if len(text) != 3 {
		return false
	}
	for _, c := range []byte(text) {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}
