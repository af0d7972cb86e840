package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/store"
)

// FindCustomers implements api.Customers.
func (h *Hub) FindCustomers(ctx context.Context, name, query string) ([]api.CustomerCard, error) {
	st, err := h.named(name)
	if err != nil {
		return nil, err
	}
	query = strings.TrimSpace(query)
	values := []string{query}
	if email, ok := identity.Email(query); ok {
		values = append(values, email)
	}
	if phone, ok := identity.Phone(query, st.cfg.Identity.PhoneRegion); ok {
		values = append(values, phone)
	}
	// "shop.contacts/00042" names a record in full; its key alone finds it too.
	if _, key, found := strings.Cut(query, "/"); found {
		values = append(values, key)
	}
	ids, err := h.store.FindCustomers(ctx, st.ws.ID, values)
	if err != nil {
		return nil, err
	}
	cards := []api.CustomerCard{}
	for _, id := range ids {
		card, err := h.card(ctx, st, id)
		if err != nil {
			return nil, err
		}
		if strings.Contains(query, "/") && !slices.Contains(card.Keys, query) {
			continue
		}
		cards = append(cards, card)
	}
	if number, err := strconv.ParseInt(query, 10, 64); err == nil && len(cards) == 0 {
		card, err := h.card(ctx, st, customer.ID(number))
		if errors.Is(err, api.ErrNotFound) {
			return cards, nil
		}
		return append(cards, card), err
	}
	return cards, nil
}

// card is what is known of a customer; a number that was merged leads to the customer it stands for.
func (h *Hub) card(ctx context.Context, st *state, id customer.ID) (api.CustomerCard, error) {
	now, err := h.customerExists(ctx, st, id)
	if err != nil {
		return api.CustomerCard{}, err
	}
	c, err := h.store.Customer(ctx, st.ws.ID, now)
	if err != nil {
		return api.CustomerCard{}, err
	}
	card := api.CustomerCard{ID: id, Kind: c.Kind, Profile: c.Profile}
	if now != id {
		card.AliasOf = now
	}
	if card.Keys, err = h.store.KeysOf(ctx, st.ws.ID, now); err != nil {
		return api.CustomerCard{}, err
	}
	card.Segments, err = h.store.SegmentsOf(ctx, st.ws.ID, now)
	return card, err
}

// MayContact implements api.Customers. It asks about the address a mailing would go to: the customer's first that may
// be written to, or else their first.
func (h *Hub) MayContact(ctx context.Context, name string, id customer.ID, channel, purpose string) (api.Verdict, error) {
	st, err := h.named(name)
	if err != nil {
		return api.Verdict{}, err
	}
	now, err := h.customerExists(ctx, st, id)
	if err != nil {
		return api.Verdict{}, err
	}
	c, err := h.store.Customer(ctx, st.ws.ID, now)
	if err != nil {
		return api.Verdict{}, err
	}
	addresses, kind := c.Emails, identity.EmailKind
	if channel != "email" {
		addresses, kind = c.Phones, identity.PhoneKind
	}
	// As a push does: an address that is also somebody else's may not be written to when they have refused.
	owners, err := h.store.AddressOwners(ctx, nil, st.ws.ID, kind, addresses)
	if err != nil {
		return api.Verdict{}, err
	}
	asked := []customer.ID{now}
	for _, others := range owners {
		asked = append(asked, others...)
	}
	slices.Sort(asked)
	all, err := h.store.Consents(ctx, nil, st.ws.ID, slices.Compact(asked))
	if err != nil {
		return api.Verdict{}, err
	}
	if len(addresses) == 0 {
		addresses = []string{""}
	}
	var verdict consent.Verdict
	for i, address := range addresses {
		records := slices.Clone(all[now])
		for _, other := range owners[address] {
			if other != now {
				records = append(records, refusalsOf(all[other])...)
			}
		}
		v := consent.Decide(st.consentPolicy(), consent.Question{Channel: channel, Purpose: purpose, Address: address, Now: h.clock.Now()}, records)
		if i == 0 || v.Allowed {
			verdict = v
		}
		if v.Allowed {
			break
		}
	}
	reply := api.Verdict{Customer: now, Channel: channel, Purpose: purpose, Allowed: verdict.Allowed, Reason: string(verdict.Reason), Evidence: []api.ConsentEvidence{}}
	if reply.Purpose == "" {
		reply.Purpose = consent.Marketing
	}
	for _, r := range verdict.Evidence {
		reply.Evidence = append(reply.Evidence, api.ConsentEvidence{Record: h.recordName(st, r.Key), State: string(r.State), At: moment(r.At), Source: r.Source, TextVersion: r.TextVersion})
	}
	return reply, nil
}

// refusalsOf leaves permissions out: another person's does not allow to write to this one.
func refusalsOf(records []consent.Record) []consent.Record {
	var refusals []consent.Record
	for _, r := range records {
		if r.State != entity.OptedIn && r.State != entity.Unknown {
			refusals = append(refusals, r)
		}
	}
	return refusals
}

// recordName names a record as exports do.
func (h *Hub) recordName(st *state, k store.RecordKey) string {
	return fmt.Sprintf("%s.%s/%s", h.connectionName(st.ws.ID, k.Connection), k.Stream, k.Key)
}
