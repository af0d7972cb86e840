package identity

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/net/idna"
)

// Limits of RFC 5321, section 4.5.3.1, in bytes.
const (
	maxEmail = 254
	maxLocal = 64
)

// localMarks are the characters beside letters and digits in the local part of an address (RFC 5322 atext).
const localMarks = "!#$%&'*+-/=?^_`{|}~."

var domains = idna.New(
	idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true), idna.Transitional(false),
)

// Email returns the normal form of an e-mail address: no space around it, lower case, the domain in ASCII. It
// reports false for what no mailing tool could deliver to: other than one @, a domain without a dot, quoted or
// non-ASCII local parts, misplaced dots, excessive length.
func Email(s string) (string, bool) {
	s = strings.TrimFunc(s, invisible)
	local, domain, found := strings.Cut(s, "@")
	if !found || strings.Contains(domain, "@") || !utf8.ValidString(domain) {
		return "", false
	}
	// An ASCII form has at least one byte for each character of up to four; converting is quadratic in the length.
	if len(domain) > utf8.UTFMax*maxEmail {
		return "", false
	}
	local = strings.ToLower(local)
	if !validLocal(local) {
		return "", false
	}
	domain, err := domains.ToASCII(domain)
	if err != nil || !validDomain(domain) {
		return "", false
	}
	if len(local)+1+len(domain) > maxEmail {
		return "", false
	}
	return local + "@" + domain, true
}

func validLocal(local string) bool {
	if local == "" || len(local) > maxLocal || local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, "..") {
		return false
	}
	for _, c := range local {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune(localMarks, c) {
			return false
		}
	}
	return true
}

// validDomain checks what IDNA leaves open: at least two labels, a top-level one that is not a number.
func validDomain(domain string) bool {
	dot := strings.LastIndexByte(domain, '.')
	if dot <= 0 || len(domain)-dot-1 < 2 {
		return false
	}
	return strings.ContainsFunc(domain[dot+1:], func(c rune) bool { return c < '0' || c > '9' })
}

// Phone returns a phone number in E.164, without its extension. Region (ISO 3166-1 alpha-2) is assumed where the
// country code is missing. It reports false for numbers that cannot be dialled.
func Phone(s, region string) (string, bool) {
	s = strings.TrimFunc(s, invisible)
	number, err := phonenumbers.Parse(s, strings.ToUpper(region))
	if err != nil || !phonenumbers.IsPossibleNumber(number) || !phonenumbers.IsValidNumber(number) {
		return "", false
	}
	number.Extension = nil
	return phonenumbers.Format(number, phonenumbers.E164), true
}

// PhoneCountry returns the country (ISO 3166-1 alpha-2) that a number in E.164 belongs to, or "" if it belongs to none.
// Countries may share a code: of +7, numbers with 6 or 7 next are Kazakhstan's.
func PhoneCountry(e164 string) string {
	number, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return ""
	}
	return phonenumbers.GetRegionCodeForNumber(number)
}

// invisible characters come along when addresses are copied from pages and tables.
func invisible(c rune) bool { return unicode.IsSpace(c) || unicode.Is(unicode.Cf, c) }

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c > unicode.MaxASCII })
}
