package identity

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/store"
)

// Source is one live record as identity sees it. Contact or Company is set; neither for a customer of whom nothing
// is known yet but the key that orders name.
type Source struct {
	Key store.RecordKey
	// PersonKey says that the stream's record keys are strong ids of their customers, by the connector's spec or by
	// the workspace's configuration.
	PersonKey bool
	// MergedKeys are keys of the same stream that the source says are now this record.
	MergedKeys []string
	// UpdatedAt is zero where the source does not say; such a record counts as the oldest.
	UpdatedAt time.Time
	// ConnectionPriority puts a source above others in the profile whatever the times; 0 for all leaves it to time.
	ConnectionPriority int
	Contact            *entity.Contact
	Company            *entity.Company
	// Own are the values of the workspace's own fields, by name.
	Own entity.Custom
}

// connectionKinds are kinds of ids that mean something only within the system that gave them: without a namespace
// they are the connection's own. Ids of other kinds without a namespace are global (entity.ID).
var connectionKinds = []string{"external", "site_client", "messenger"}

// Identifiers returns all that points at the record's customer, sorted and without repetition: addresses in normal
// form, ids, and the record key where it is a strong id. Those that make no edge under the rules are among them,
// because consents and destinations look customers up by them; Partition tells them apart. What has no normal form
// is left out, and so is an INN with wrong check digits; tax numbers of other countries need a kind or namespace of their
// own. A record of an anonymous customer has none: what it carries belongs to many people or nobody.
func Identifiers(r Source, rules Rules) []customer.Identifier {
	var (
		emails, phones []entity.Address
		ids            []entity.ID
	)
	switch {
	case r.Contact != nil && r.Contact.Anonymous, r.Company != nil && r.Company.Anonymous:
		return nil
	case r.Contact != nil:
		emails, phones, ids = r.Contact.Emails, r.Contact.Phones, r.Contact.IDs
	case r.Company != nil:
		emails, phones, ids = r.Company.Emails, r.Company.Phones, r.Company.IDs
	}
	connection := strconv.FormatInt(int64(r.Key.Connection), 10)
	var out []customer.Identifier
	for _, address := range emails {
		for _, value := range Emails(address.Value) {
			out = append(out, customer.Identifier{Kind: EmailKind, Value: value})
			// A never-matching spelling gives no evidence under its mailbox either.
			if sharedMailbox(value) && !rules.neverMatches(value) {
				out = append(out, customer.Identifier{Kind: MailboxKind, Value: Mailbox(value)})
			}
		}
	}
	for _, address := range phones {
		for _, value := range rules.phones(address.Value) {
			out = append(out, customer.Identifier{Kind: PhoneKind, Value: value})
		}
	}
	for _, id := range ids {
		kind, namespace, value := strings.ToLower(strings.TrimSpace(id.Kind)), strings.TrimSpace(id.Namespace), strings.TrimSpace(id.Value)
		if kind == "" || value == "" || kind == EmailKind || kind == PhoneKind || kind == MailboxKind || kind == RecordKind {
			continue // addresses have fields of their own with a normal form, and record keys come from the hub alone
		}
		strong := rules.strong(kind, namespace)
		if kind == innKind && namespace == "" && !ValidINN(value) {
			if placeholderINN(value) {
				continue
			}
			strong = false // a slip: it still joins what has the same, and keeps nobody apart
		}
		if namespace == "" && slices.Contains(connectionKinds, kind) {
			namespace = connection
		}
		out = append(out, customer.Identifier{Kind: kind, Namespace: namespace, Value: value, Strong: strong})
	}
	if r.PersonKey {
		for _, key := range append([]string{r.Key.Key}, r.MergedKeys...) {
			out = append(out, customer.Identifier{Kind: RecordKind, Namespace: connection + "/" + r.Key.Stream, Value: key, Strong: true})
		}
	}
	slices.SortFunc(out, customer.Identifier.Compare)
	return slices.Compact(out)
}
