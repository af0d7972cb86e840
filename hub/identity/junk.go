package identity

import (
	"cmp"
	"slices"
	"strings"
)

// IdentifierStats is how widely one identifier is used.
type IdentifierStats struct {
	Kind, Value string
	// Records carry the identifier; Names are the different names among them; Customers are those they belong to.
	Records, Names, Customers int
}

// Shop is what is known of the business itself. Addresses and phones are in normal form.
type Shop struct{ Domains, Emails, Phones []string }

// JunkReason says why an identifier is proposed for never_match.
type JunkReason string

// The reasons, strongest first.
const (
	JunkShape     JunkReason = "shape"
	JunkOwn       JunkReason = "own"
	JunkFrequency JunkReason = "frequency"
)

// Junk is a proposal for never_match.
type Junk struct {
	IdentifierStats
	Reason JunkReason
}

// junkNames is how many different names on one identifier no family explains.
const junkNames = 6

// FindJunk proposes identifiers that stand for many people or nobody, those on most records first. It decides nothing.
func FindJunk(stats []IdentifierStats, shop Shop) []Junk {
	var out []Junk
	for _, s := range stats {
		_, domain, _ := strings.Cut(s.Value, "@")
		switch {
		case certainJunk(s.Kind, s.Value), likelyJunk(s.Kind, s.Value):
			out = append(out, Junk{s, JunkShape})
		case s.Kind == EmailKind && (slices.Contains(shop.Domains, domain) || slices.Contains(shop.Emails, s.Value)),
			s.Kind == PhoneKind && slices.Contains(shop.Phones, s.Value):
			out = append(out, Junk{s, JunkOwn})
		case (s.Kind == EmailKind || s.Kind == PhoneKind || s.Kind == MailboxKind) && s.Names >= junkNames:
			out = append(out, Junk{s, JunkFrequency})
		}
	}
	slices.SortFunc(out, func(a, b Junk) int {
		return cmp.Or(cmp.Compare(b.Records, a.Records), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
	})
	return out
}

// What people type to get past a field that must not be empty.
var (
	// junkLocals are nobody's at any domain.
	junkLocals = strings.Fields("noemail no-email no_email no.email nomail no-mail netemail net-email no none net noreply no-reply donotreply")
	// junkWords are nobody's where the domain repeats them: test@test.ru.
	junkWords = strings.Fields("test mail email asd asdf qwe qwerty abc 123 1234 12345 user client example")
	// bigDomains have real people with nearly every name, but none called test.
	bigDomains = strings.Fields("mail gmail yandex ya email")
)

// certainJunk never matches, whatever the configuration: phones of one digit throughout after the country code, and
// addresses that say that there is no address.
func certainJunk(kind, value string) bool {
	switch kind {
	case PhoneKind:
		tail := value[max(0, len(value)-10):]
		return len(tail) == 10 && sameLetter(tail)
	case EmailKind, MailboxKind:
		local, domain, _ := strings.Cut(value, "@")
		name, _, _ := strings.Cut(domain, ".")
		switch {
		case slices.Contains(junkLocals, local):
			return true
		case local == name:
			return sameLetter(local) || slices.Contains(junkWords, local)
		}
		return local == "test" && slices.Contains(bigDomains, name)
	}
	return false
}

// likelyJunk is proposed for never_match: phones whose last seven digits are one or count up or down, and addresses at
// domains that are made for examples. Some are real, so it is not decided here.
func likelyJunk(kind, value string) bool {
	if kind == PhoneKind {
		tail := value[max(0, len(value)-7):]
		return len(tail) == 7 && (sameLetter(tail) || tail == "1234567" || tail == "7654321")
	}
	_, domain, _ := strings.Cut(value, "@")
	return isExample(domain)
}

func sameLetter(s string) bool { return s != "" && strings.Count(s, s[:1]) == len(s) }

// isExample says that a domain is made for examples; nobody receives mail there.
func isExample(domain string) bool {
	return slices.Contains([]string{"example.com", "example.org", "example.net", "example.ru"}, domain)
}
