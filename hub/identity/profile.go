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
			take(&profile.Name, FullName(contact.Name))
			take(&profile.Greeting, contact.Name.First)
			take(&profile.Language, contact.Language)
			if profile.Birthday == nil && contact.Birthday != nil {
				birthday := *contact.Birthday
				profile.Birthday = &birthday
			}
			emails.add(contact.Emails, Emails)
			phones.add(contact.Phones, rules.phones)
			takeCommon(&profile, contact.Place, contact.Origin, contact.Owner, contact.Tags)
		}
		if company := record.Company; company != nil && !company.Anonymous {
			take(&profile.Name, company.Name)
			emails.add(company.Emails, Emails)
			phones.add(company.Phones, rules.phones)
			takeCommon(&profile, company.Place, company.Origin, company.Owner, company.Tags)
		}
	}
	profile.Custom = ownFields(sorted)
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

// ownFields takes of each of the workspace's own fields the first value that is not empty.
func ownFields(sorted []Source) entity.Custom {
	var own entity.Custom
	for _, record := range sorted {
		for field, value := range record.Own {
			text := string(value)
			if _, taken := own[field]; taken || text == "null" || text == `""` || text == "[]" {
				continue
			}
			if own == nil {
				own = entity.Custom{}
			}
			own[field] = value
		}
	}
	return own
}

// take fills a field that no earlier record has filled.
func take(field *string, value string) {
	if *field == "" {
		*field = strings.TrimSpace(value)
	}
}

// FullName is a name in one piece: as the source wrote it, else first, middle and last name.
func FullName(name entity.Name) string {
	if full := strings.TrimSpace(name.Full); full != "" {
		return full
	}
	return strings.Join(strings.Fields(name.First+" "+name.Middle+" "+name.Last), " ")
}

func (r Rules) phones(s string) []string { return Phones(s, r.PhoneRegion) }

// addresses collects addresses of one kind in the order in which a profile shows them.
type addresses struct{ primary, others []string }

func (a *addresses) add(list []entity.Address, normal func(string) []string) {
	primary := max(0, slices.IndexFunc(list, func(address entity.Address) bool { return address.Primary }))
	for i, address := range list {
		for _, value := range normal(address.Value) {
			if i == primary {
				a.primary = append(a.primary, value)
			} else {
				a.others = append(a.others, value)
			}
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
