package world

import (
	"fmt"
	"math"
	"time"

	"github.com/regulars/regulars/contracts/entity"
)

// buyer is a record that orders name.
type buyer struct {
	key   Key
	owner string
	many  bool // stands for many people
}

// sell makes the orders of the till and the webshop, and the refunds of some.
func (b *builder) sell() {
	for _, of := range b.buyers {
		share := map[string]float64{Till: 0.9, Shop: 0.75}[of.key.Source]
		if !b.odds(share) {
			continue
		}
		orders := 1
		for orders < 20 && b.odds(0.6) {
			orders++
		}
		if of.many {
			orders *= 20
		}
		day := FirstDay + entity.Date(b.IntN(int(LastDay-FirstDay)))
		mean := 6 + 1.5*b.NormFloat64() // of the logarithm of what the buyer spends at once
		for range orders {
			b.sellTo(of, day, mean)
			day += 1 + entity.Date(b.ExpFloat64()*60)
			if day > LastDay {
				break
			}
		}
	}
}

func (b *builder) sellTo(of buyer, day entity.Date, mean float64) {
	key := b.nextKey(of.key.Source, Orders)
	order := entity.Order{Number: key.Key, Amount: b.amount(mean)}
	ref := &entity.Ref{Stream: of.key.Stream, Key: of.key.Key}
	if of.key.Stream == Companies {
		order.Company = ref
	} else {
		order.Contact = ref
	}
	updated := day.Start(time.UTC).Add(time.Duration(8+b.IntN(10))*time.Hour + time.Duration(b.IntN(60))*time.Minute)
	if of.key.Source == Shop {
		order.OrderedAt = &updated
	} else {
		order.OrderedOn = &day
	}
	b.world.Orders = append(b.world.Orders, Record[entity.Order]{Key: key, UpdatedAt: updated, Owner: of.owner, Data: order})
	if !b.odds(0.03) {
		return
	}
	back := min(LastDay, day+1+entity.Date(b.IntN(14)))
	refund := entity.Refund{Contact: order.Contact, Company: order.Company, RefundedOn: &back, Amount: order.Amount}
	if b.odds(0.4) {
		refund.Amount.Minor = 1 + b.Int64N(max(1, order.Amount.Minor))
	}
	if b.odds(0.7) {
		refund.Order = &entity.Ref{Stream: Orders, Key: key.Key}
	}
	b.world.Refunds = append(b.world.Refunds, Record[entity.Refund]{
		Key: b.nextKey(of.key.Source, Refunds), UpdatedAt: back.Start(time.UTC).Add(12 * time.Hour), Owner: of.owner, Data: refund,
	})
}

// amount draws what is paid at once, in minor units, whole roubles mostly.
func (b *builder) amount(mean float64) entity.Money {
	roubles := math.Exp(mean + 0.5*b.NormFloat64())
	minor := 100 * int64(min(roubles, 5e6))
	if b.odds(0.3) {
		minor += b.Int64N(100)
	}
	return entity.Money{Minor: minor, Currency: Currency}
}

// ask records what people answered when asked whether they may be written to.
func (b *builder) ask() {
	for _, contact := range b.world.Contacts {
		if contact.Owner == "" {
			continue
		}
		switch {
		case contact.Key.Source == Mailing && len(contact.Data.Emails) > 0:
			b.consent(contact, entity.Consent{Email: contact.Data.Emails[0].Value, Channel: "email", List: "news"})
		case contact.Key.Source == Shop && b.odds(0.5):
			b.consent(contact, entity.Consent{Contact: &entity.Ref{Stream: Contacts, Key: contact.Key.Key}, Channel: pick(b.chance, []string{"email", "sms"})})
		}
	}
}

func (b *builder) consent(of Record[entity.Contact], c entity.Consent) {
	c.State = pick(b.chance, []entity.ConsentState{
		entity.OptedIn, entity.OptedIn, entity.OptedIn, entity.OptedIn, entity.OptedIn, entity.OptedIn, entity.OptedIn,
		entity.OptedOut, entity.OptedOut, entity.Bounced,
	})
	at := of.UpdatedAt.Add(time.Duration(b.IntN(30*24)) * time.Hour)
	c.At, c.Source = &at, fmt.Sprintf("form-%d", 1+b.IntN(3))
	b.world.Consents = append(b.world.Consents, Record[entity.Consent]{Key: b.nextKey(of.Key.Source, Consents), UpdatedAt: at, Owner: of.Owner, Data: c})
}
