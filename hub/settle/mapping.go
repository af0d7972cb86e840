package settle

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/store"
)

// RawSource is a stored contact or company.
type RawSource struct {
	Key       store.RecordKey
	Entity    entity.Kind
	UpdatedAt time.Time
	Data      []byte
}

// source decodes a stored contact or company for identity and fills mapped fields from custom ones. Mapping happens
// here and not when a record is read, so that a changed mapping reads nothing again.
func (b *batch) source(kind entity.Kind, raw RawSource) (identity.Source, error) {
	source := identity.Source{Key: raw.Key, UpdatedAt: raw.UpdatedAt}
	var mapping map[string]string
	if b.Rules.Mapping != nil {
		mapping = b.Rules.Mapping(raw.Key.Connection, kind)
	}
	if kind == entity.KindCompany {
		source.Company = new(entity.Company)
		if err := json.Unmarshal(raw.Data, source.Company); err != nil {
			return source, fmt.Errorf("decoding a stored company: %w", err)
		}
		for field, remote := range mapping {
			mapCompany(source.Company, field, customText(source.Company.Custom[remote]))
		}
		source.Own = ownFields(kind, mapping, source.Company.Custom)
		source.Company.Anonymous = source.Company.Anonymous || b.Rules.Identity.IsAnonymous(source.Company.Name)
		return source, nil
	}
	source.Contact = new(entity.Contact)
	if err := json.Unmarshal(raw.Data, source.Contact); err != nil {
		return source, fmt.Errorf("decoding a stored contact: %w", err)
	}
	for field, remote := range mapping {
		mapContact(source.Contact, field, customText(source.Contact.Custom[remote]))
	}
	source.Own = ownFields(kind, mapping, source.Contact.Custom)
	source.Contact.Anonymous = source.Contact.Anonymous || b.Rules.Identity.IsAnonymous(identity.FullName(source.Contact.Name))
	return source, nil
}

// MappableFields are the fields of an entity that a workspace may fill from remote ones.
func MappableFields(kind entity.Kind) []string {
	switch kind {
	case entity.KindContact:
		return []string{"name", "first_name", "last_name", "middle_name", "email", "phone", "birthday", "city", "country", "language", "channel", "position"}
	case entity.KindCompany:
		return []string{"name", "email", "phone", "city", "country", "channel", "industry"}
	default:
		return nil
	}
}

// ownFields are the workspace's own fields that a record fills: those of the mapping that the unified model has not.
func ownFields(kind entity.Kind, mapping map[string]string, custom entity.Custom) entity.Custom {
	var own entity.Custom
	for field, remote := range mapping {
		if value, has := custom[remote]; has && !slices.Contains(MappableFields(kind), field) {
			if own == nil {
				own = entity.Custom{}
			}
			own[field] = value
		}
	}
	return own
}

// customText is a custom value as text: a string, a number's digits, or the first of several strings.
func customText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return strings.TrimSpace(text)
	}
	var several []string
	if json.Unmarshal(raw, &several) == nil && len(several) > 0 {
		return strings.TrimSpace(several[0])
	}
	var number json.Number
	if json.Unmarshal(raw, &number) == nil {
		return number.String()
	}
	return ""
}

// mapContact sets one field of a contact, unless the remote field is empty.
func mapContact(c *entity.Contact, field, text string) {
	if text == "" {
		return
	}
	switch field {
	case "name":
		c.Name.Full = text
	case "first_name":
		c.Name.First = text
	case "last_name":
		c.Name.Last = text
	case "middle_name":
		c.Name.Middle = text
	case "email":
		c.Emails = append(c.Emails, entity.Address{Value: text})
	case "phone":
		c.Phones = append(c.Phones, entity.Address{Value: text})
	case "birthday":
		// A value in another form stays in custom: a day is never guessed.
		if day, err := entity.ParseDate(text); err == nil {
			year, month, d := day.Calendar()
			c.Birthday = &entity.Birthday{Year: year, Month: int(month), Day: d}
		}
	case "city":
		c.Place.City = text
	case "country":
		c.Place.Country = text
	case "language":
		c.Language = text
	case "channel":
		c.Origin.Channel = text
	case "position":
		c.Position = text
	}
}

// mapCompany sets one field of a company, unless the remote field is empty.
func mapCompany(c *entity.Company, field, text string) {
	if text == "" {
		return
	}
	switch field {
	case "name":
		c.Name = text
	case "email":
		c.Emails = append(c.Emails, entity.Address{Value: text})
	case "phone":
		c.Phones = append(c.Phones, entity.Address{Value: text})
	case "city":
		c.Place.City = text
	case "country":
		c.Place.Country = text
	case "channel":
		c.Origin.Channel = text
	case "industry":
		c.Industry = text
	}
}
