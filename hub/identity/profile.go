package identity

import (
	"cmp"
	"slices"
	"strings"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
)

// Profile returns what of a customer's records survives: of each field the value of the first record that has one,
// records being taken by connection priority (higher first), then UpdatedAt (newest first), then key. Addresses and
// tags are collected from all records; addresses have normal form, first those that are their record's primary
// one (the first where none is marked), then the others. Records of anonymous customers add nothing.
func Profile(records []Source, rules Rules) customer.Profile {
	sorted := slices.Clone(records)
	slices.SortFunc(sorted, func(a, b Source) int {
		return cmp.Or(
			cmp.Compare(b.ConnectionPriority, a.ConnectionPriority),
			b.UpdatedAt.Compare(a.UpdatedAt),
			a.Key.Compare(b.Key),
		)
	})
	var (
		profile        customer.Profile
		emails, phones addresses
	)
	for _, record := range sorted {
		if contact := record.Contact; contact != nil && !contact.Anonymous {
			take(&profile.Name, fullName(contact.Name))
			take(&profile.Greeting, contact.Name.First)
			take(&profile.Language, contact.Language)
			if profile.Birthday == nil && contact.Birthday != nil {
				birthday := *contact.Birthday
				profile.Birthday = &birthday
			}
			emails.add(contact.Emails, Email)
			phones.add(contact.Phones, rules.phone)
			takeCommon(&profile, contact.Place, contact.Origin, contact.Owner, contact.Tags)
		}
		if company := record.Company; company != nil && !company.Anonymous {
			take(&profile.Name, company.Name)
			emails.add(company.Emails, Email)
			phones.add(company.Phones, rules.phone)
			takeCommon(&profile, company.Place, company.Origin, company.Owner, company.Tags)
		}
	}
	profile.Emails, profile.Phones = emails.list(), phones.list()
	slices.Sort(profile.Tags)
	profile.Tags = slices.Compact(profile.Tags)
	return profile
}

func takeCommon(profile *customer.Profile, place entity.Place, origin entity.Origin, owner *entity.Ref, tags []string) {
	take(&profile.City, place.City)
	take(&profile.Country, place.Country)
	take(&profile.Channel, origin.Channel)
	if profile.Owner == nil && owner != nil {
		ref := *owner
		profile.Owner = &ref
	}
	for _, tag := range tags {
		if tag = strings.TrimSpace(tag); tag != "" {
			profile.Tags = append(profile.Tags, tag)
		}
	}
}

// take fills a field that no earlier record has filled.
func take(field *string, value string) {
	if *field == "" {
		*field = strings.TrimSpace(value)
	}
}

func fullName(name entity.Name) string {
	if full := strings.TrimSpace(name.Full); full != "" {
		return full
	}
	return strings.Join(strings.Fields(name.First+" "+name.Middle+" "+name.Last), " ")
}

func (r Rules) phone(s string) (string, bool) { return Phone(s, r.PhoneRegion) }

// addresses collects addresses of one kind in the order in which a profile shows them.
type addresses struct{ primary, others []string }

func (a *addresses) add(list []entity.Address, normal func(string) (string, bool)) {
	primary := max(0, slices.IndexFunc(list, func(address entity.Address) bool { return address.Primary }))
	for i, address := range list {
		value, ok := normal(address.Value)
		switch {
		case !ok:
		case i == primary:
			a.primary = append(a.primary, value)
		default:
			a.others = append(a.others, value)
		}
	}
}

func (a *addresses) list() []string {
	var out []string
	for _, value := range slices.Concat(a.primary, a.others) {
		if !slices.Contains(out, value) {
			out = append(out, value)
		}
	}
	return out
}
