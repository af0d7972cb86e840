// Package identity decides which records are the same customer. It is pure: no I/O, no clock, no state.
//
// Partition splits a set of records into parts, one per customer; what it returns depends on the set alone, never
// on the order or batches in which records came (R2). Assign gives the parts their lasting customer ids. Profile
// says what of the records survives in the customer.
//
// The caller may work on a piece of the workspace, as long as the piece is closed: it starts from the records that
// changed, adds all records of the customers they belonged to, then everything reached from these through shared
// identifiers that Rules.Joins accepts, or through pins, and again all records of the customers met on the way,
// until nothing is added. On such a piece the answer is the one the whole workspace would give.
package identity

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/regulars/regulars/hub/customer"
)

// The kinds of identifiers that are not explicit ids.
const (
	// EmailKind marks e-mail addresses in normal form.
	EmailKind = "email"
	// MailboxKind marks the key of a mailbox (Mailbox), beside the address as it is spelled.
	MailboxKind = "mailbox"
	// PhoneKind marks phone numbers in E.164.
	PhoneKind = "phone"
	// RecordKind marks the record key of a stream whose keys identify people.
	RecordKind = "record"
)

// DefaultMaxComponent is the size above which records joined by weak identifiers are quarantined.
const DefaultMaxComponent = 200

// Rules is what a workspace has decided about matching. A change of rules only marks customers dirty; nothing is
// read again.
type Rules struct {
	// MatchEmail and MatchPhone say whether equal addresses join records.
	MatchEmail, MatchPhone bool
	// NeverMatch names addresses that many people share, e.g. info@*. They stay addresses of their records, can be
	// written to and carry consents, but join nothing.
	NeverMatch []Glob
	// StrongKinds lists the kinds of ids that identify one customer for certain, as "kind" or "kind/namespace".
	StrongKinds []string
	// BranchesApart makes companies with different KPPs different customers, although their INN is one: branches that buy
	// for themselves. By default they are one.
	BranchesApart bool
	// PhoneRegion (ISO 3166-1 alpha-2) is assumed for phone numbers without a country code; empty rejects them.
	PhoneRegion string
	// Anonymous names, beside Dummy, what a record is called that is about nobody, e.g. "интернет*". Patterns are held against
	// the name in lower case, with е for ё and one space for anything but letters and digits.
	Anonymous []Glob
	// MaxComponent bounds the records that weak identifiers may tie together; 0 means DefaultMaxComponent.
	MaxComponent int
}

// DefaultRules matches by e-mail and phone and takes tax numbers and loyalty cards for strong ids.
func DefaultRules() Rules {
	return Rules{
		MatchEmail:   true,
		MatchPhone:   true,
		StrongKinds:  []string{"inn", "ogrn", "vat", "loyalty_card"},
		MaxComponent: DefaultMaxComponent,
	}
}

// Joins says whether two records that share the identifier are candidates for one customer. Whoever collects the
// records for Partition follows exactly the identifiers this accepts.
func (r Rules) Joins(id customer.Identifier) bool {
	if certainJunk(id.Kind, id.Value) {
		return false
	}
	switch id.Kind {
	case EmailKind, MailboxKind:
		return r.MatchEmail && !r.neverMatches(id.Value)
	case PhoneKind:
		return r.MatchPhone && !r.neverMatches(id.Value)
	default:
		return id.Kind != kppKind
	}
}

func (r Rules) neverMatches(value string) bool {
	return slices.ContainsFunc(r.NeverMatch, func(g Glob) bool { return g.Match(value) })
}

func (r Rules) strong(kind, namespace string) bool {
	for _, declared := range r.StrongKinds {
		wantKind, wantNamespace, narrowed := strings.Cut(declared, "/")
		if wantKind == kind && (!narrowed || wantNamespace == namespace) {
			return true
		}
	}
	return false
}

func (r Rules) maxComponent() int {
	if r.MaxComponent <= 0 {
		return DefaultMaxComponent
	}
	return r.MaxComponent
}

// Glob is a pattern for addresses in normal form in which * stands for any characters and ? for any one, e.g.
// info@*, *@shop.example or +7800*. Its zero value matches nothing.
type Glob struct {
	text    string
	pattern *regexp.Regexp
}

var wildcards = strings.NewReplacer(`\*`, `.*`, `\?`, `.`)

// ParseGlob reads a pattern. Case does not matter; a domain without wildcards may be written in any script. Fails on an
// empty pattern and on a domain that cannot exist.
func ParseGlob(text string) (Glob, error) {
	normal := strings.ToLower(strings.TrimSpace(text))
	if normal == "" {
		return Glob{}, errors.New("the pattern is empty; write e.g. info@*")
	}
	if local, domain, found := strings.Cut(normal, "@"); found && !ascii(domain) {
		converted, err := domains.ToASCII(domain)
		if err != nil {
			return Glob{}, fmt.Errorf("domain of pattern %q: write * and ? only in domains of Latin letters: %w", text, err)
		}
		normal = local + "@" + converted
	}
	pattern, err := regexp.Compile(`^` + wildcards.Replace(regexp.QuoteMeta(normal)) + `$`)
	if err != nil {
		return Glob{}, fmt.Errorf("pattern %q: %w", text, err)
	}
	return Glob{text: text, pattern: pattern}, nil
}

// Match says whether the pattern covers an address in normal form.
func (g Glob) Match(value string) bool { return g.pattern != nil && g.pattern.MatchString(value) }

// String returns the pattern as it was written.
func (g Glob) String() string { return g.text }

// UnmarshalText implements encoding.TextUnmarshaler.
func (g *Glob) UnmarshalText(text []byte) error {
	parsed, err := ParseGlob(string(text))
	if err != nil {
		return err
	}
	*g = parsed
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (g Glob) MarshalText() ([]byte, error) { return []byte(g.text), nil }
