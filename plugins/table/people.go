package main

import (
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/regulars/regulars/contracts/entity"
)

// openID matches fields for identifiers, e.g. id.loyalty_card.
var openID = regexp.MustCompile(`^id\.[a-z][a-z0-9_]*$`)

const docOpenID = "identifier of a kind, e.g. id.loyalty_card, id.inn"

// merged joins sets of fields.
func merged[E any](sets ...map[string]field[E]) map[string]field[E] {
	all := map[string]field[E]{}
	for _, set := range sets {
		maps.Copy(all, set)
	}
	return all
}

// addresses are the fields email, email2, email3 and phone, phone2, phone3.
func addresses[E any](emails, phones func(*E) *[]entity.Address) map[string]field[E] {
	return map[string]field[E]{
		"email":  address("e-mail address", emails),
		"email2": address("second e-mail address", emails),
		"email3": address("third e-mail address", emails),
		"phone":  address("phone number", phones),
		"phone2": address("second phone number", phones),
		"phone3": address("third phone number", phones),
	}
}

func place[E any](at func(*E) *entity.Place) map[string]field[E] {
	return map[string]field[E]{
		"country":  text("country, best as ISO 3166-1 alpha-2", func(e *E) *string { return &at(e).Country }),
		"region":   text("region", func(e *E) *string { return &at(e).Region }),
		"city":     text("city", func(e *E) *string { return &at(e).City }),
		"postcode": text("postcode", func(e *E) *string { return &at(e).Postcode }),
		"street":   text("street and house", func(e *E) *string { return &at(e).Street }),
	}
}

// origin are the field channel and those of the UTM labels.
func origin[E any](at func(*E) *entity.Origin) map[string]field[E] {
	set := map[string]field[E]{
		"channel": {"where it came from, e.g. search, social, referral, offline", func(e *E, _ *input, text string) error {
			at(e).Channel, at(e).ChannelSource = text, "field"
			return nil
		}},
	}
	for _, label := range []string{"source", "medium", "campaign", "content", "term"} {
		set["utm_"+label] = field[E]{"the label utm_" + label, func(e *E, _ *input, text string) error {
			o := at(e)
			if o.UTM == nil {
				o.UTM = map[string]string{}
			}
			o.UTM[label] = text
			return nil
		}}
	}
	return set
}

func contacts() *table[entity.Contact] {
	type E = entity.Contact
	ids := func(e *E) *[]entity.ID { return &e.IDs }
	return newTable(table[E]{
		definition: definition{
			stream: "contacts", doc: "People.",
			open: []*regexp.Regexp{openID}, keys: keyNeeded, needs: []need{needs(fieldKey)},
		},
		set: merged(
			addresses(func(e *E) *[]entity.Address { return &e.Emails }, func(e *E) *[]entity.Address { return &e.Phones }),
			place(func(e *E) *entity.Place { return &e.Place }),
			origin(func(e *E) *entity.Origin { return &e.Origin }),
			map[string]field[E]{
				"name":        text("whole name", func(e *E) *string { return &e.Name.Full }),
				"first_name":  text("first name", func(e *E) *string { return &e.Name.First }),
				"middle_name": text("patronymic or middle name", func(e *E) *string { return &e.Name.Middle }),
				"last_name":   text("last name", func(e *E) *string { return &e.Name.Last }),
				"company": {"key of the company the person works at", func(e *E, _ *input, text string) error {
					e.Companies = append(e.Companies, entity.Ref{Stream: "companies", Key: text})
					return nil
				}},
				"owner": ref("key of the colleague in charge", "owners", func(e *E) **entity.Ref { return &e.Owner }),
				"birthday": {"day of birth with its year", func(e *E, in *input, text string) error {
					when, err := readDate(in, text)
					if err != nil {
						return err
					}
					year, month, day := when.Day.Calendar()
					e.Birthday = &entity.Birthday{Year: year, Month: int(month), Day: day}
					return nil
				}},
				"gender":    choice("gender", func(e *E) *string { return &e.Gender }, "female", "male", "other"),
				"language":  text("language as a BCP 47 tag, e.g. ru", func(e *E) *string { return &e.Language }),
				"time_zone": text("IANA name, e.g. Europe/Moscow", func(e *E) *string { return &e.TimeZone }),
				"position":  text("position at work", func(e *E) *string { return &e.Position }),
				"tags":      list("tags", func(e *E) *[]string { return &e.Tags }),
				"anonymous": boolean("the row stands for many people or nobody, e.g. the till's retail customer", func(e *E, b bool) { e.Anonymous = b }),
				"created_at": moment("when the record was made", func(e *E) **time.Time {
					return &e.CreatedAt
				}),
			},
		),
		setOpen: func(name string) field[E] { return identifier(strings.TrimPrefix(name, "id."), ids) },
		custom:  func(e *E) *entity.Custom { return &e.Custom },
	})
}

func companies() *table[entity.Company] {
	type E = entity.Company
	ids := func(e *E) *[]entity.ID { return &e.IDs }
	return newTable(table[E]{
		definition: definition{
			stream: "companies", doc: "Organisations.",
			open: []*regexp.Regexp{openID}, keys: keyNeeded, needs: []need{needs(fieldKey)},
		},
		set: merged(
			addresses(func(e *E) *[]entity.Address { return &e.Emails }, func(e *E) *[]entity.Address { return &e.Phones }),
			place(func(e *E) *entity.Place { return &e.Place }),
			origin(func(e *E) *entity.Origin { return &e.Origin }),
			map[string]field[E]{
				"name":     text("name", func(e *E) *string { return &e.Name }),
				"website":  list("websites", func(e *E) *[]string { return &e.Websites }),
				"parent":   ref("key of the company it belongs to", "companies", func(e *E) **entity.Ref { return &e.Parent }),
				"owner":    ref("key of the colleague in charge", "owners", func(e *E) **entity.Ref { return &e.Owner }),
				"industry": text("industry", func(e *E) *string { return &e.Industry }),
				"tags":     list("tags", func(e *E) *[]string { return &e.Tags }),
				"anonymous": boolean("the row stands for many companies or none", func(e *E, b bool) {
					e.Anonymous = b
				}),
				"created_at": moment("when the record was made", func(e *E) **time.Time { return &e.CreatedAt }),
			},
		),
		setOpen: func(name string) field[E] { return identifier(strings.TrimPrefix(name, "id."), ids) },
		custom:  func(e *E) *entity.Custom { return &e.Custom },
	})
}

func owners() *table[entity.Owner] {
	type E = entity.Owner
	return newTable(table[E]{
		definition: definition{stream: "owners", doc: "Colleagues who look after customers.", keys: keyNeeded, needs: []need{needs(fieldKey)}},
		set: map[string]field[E]{
			"name":   text("name", func(e *E) *string { return &e.Name }),
			"email":  text("e-mail address", func(e *E) *string { return &e.Email }),
			"team":   text("team or department", func(e *E) *string { return &e.Team }),
			"active": boolean("works here", func(e *E, b bool) { e.Active = &b }),
		},
		custom: func(e *E) *entity.Custom { return &e.Custom },
	})
}

func loyalty() *table[entity.Loyalty] {
	type E = entity.Loyalty
	return newTable(table[E]{
		definition: definition{
			stream: "loyalty", doc: "Memberships in loyalty programmes.",
			keys: keyOfSubject, identity: []string{"customer", "program", "card"},
			needs: []need{needs("customer", "card")},
			after: []string{"contacts"},
		},
		set: map[string]field[E]{
			"customer":       ref("key of the contact", "contacts", func(e *E) **entity.Ref { return &e.Contact }),
			"program":        text("programme", func(e *E) *string { return &e.Program }),
			"card":           text("number of the card", func(e *E) *string { return &e.Card }),
			"tier":           text("level", func(e *E) *string { return &e.Tier }),
			"balance":        decimal("points now", func(e *E) *string { return &e.Balance }),
			"earned":         decimal("points issued so far", func(e *E) *string { return &e.Earned }),
			"spent":          decimal("points redeemed so far", func(e *E) *string { return &e.Spent }),
			"joined_at":      moment("when the membership began", func(e *E) **time.Time { return &e.JoinedAt }),
			"left_at":        moment("when it ended", func(e *E) **time.Time { return &e.LeftAt }),
			"last_earned_at": moment("when points were last issued", func(e *E) **time.Time { return &e.LastEarnedAt }),
			"last_spent_at":  moment("when points were last redeemed", func(e *E) **time.Time { return &e.LastSpentAt }),
		},
		custom: func(e *E) *entity.Custom { return &e.Custom },
	})
}
