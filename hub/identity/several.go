package identity

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

var (
	extension   = regexp.MustCompile(`(?i)(?:доб|доп|вн|внутр|ext|#)[\s.:№]*\d+`)
	phoneBreak  = regexp.MustCompile(`(?i)[,;|/\r\n]|\s(?:и|или|and|or)\s`)
	phoneDigits = regexp.MustCompile(`\+?[(\d][\d\s().‐-―−-]*`)
	emailBreak  = regexp.MustCompile(`[,;|<>\s]+`)
)

// Phones returns all phone numbers in one cell in E.164, in the order they stand and without repetition. Extensions
// and the words beside the numbers are dropped. Region is used as by Phone; what cannot be dialled is left out.
func Phones(s, region string) []string {
	s = extension.ReplaceAllString(norm.NFKC.String(s), " ")
	var out []string
	for _, piece := range phoneBreak.Split(s, -1) {
		for _, digits := range phoneDigits.FindAllString(piece, -1) {
			if value, ok := Phone(digits, region); ok && !slices.Contains(out, value) {
				out = append(out, value)
			}
		}
	}
	if len(out) == 0 {
		if value, ok := Phone(s, region); ok {
			out = append(out, value)
		}
	}
	return out
}

// Emails returns all e-mail addresses in one cell in normal form, in the order they stand and without repetition.
func Emails(s string) []string {
	if value, ok := Email(s); ok && !strings.HasPrefix(value, "mailto:") {
		return []string{value}
	}
	var out []string
	for _, piece := range emailBreak.Split(s, -1) {
		piece = strings.Trim(piece, `"()[]:`)
		if len(piece) > 7 && strings.EqualFold(piece[:7], "mailto:") {
			piece, _, _ = strings.Cut(piece[7:], "?")
		}
		if value, ok := Email(piece); ok && !slices.Contains(out, value) {
			out = append(out, value)
		}
	}
	return out
}

var yandexDomains = []string{"ya.ru", "yandex.ru", "yandex.com", "yandex.by", "yandex.kz", "yandex.ua"}

// Mailbox returns the one spelling that stands for all spellings of a mailbox, given an address in normal form. At
// Gmail dots and what follows a plus do not count; at Yandex the domains are one, a dot is a hyphen, and what
// follows a plus does not count. Every other address is returned as it is.
//
// It is a key to compare by, never an address to write to: addresses keep the spelling that the person gave, so
// lists elsewhere find them. Records match by it, and a refusal of one spelling must be looked up by it (R4).
func Mailbox(email string) string {
	local, domain, _ := strings.Cut(email, "@")
	bare, _, _ := strings.Cut(local, "+")
	switch {
	case domain == "gmail.com" || domain == "googlemail.com":
		bare, domain = strings.ReplaceAll(bare, ".", ""), "gmail.com"
	case slices.Contains(yandexDomains, domain):
		bare, domain = strings.ReplaceAll(bare, ".", "-"), "yandex.ru"
	default:
		return email
	}
	if bare == "" {
		return email
	}
	return bare + "@" + domain
}

// sharedMailbox says that the address may have other spellings.
func sharedMailbox(email string) bool {
	_, domain, _ := strings.Cut(email, "@")
	return domain == "gmail.com" || domain == "googlemail.com" || slices.Contains(yandexDomains, domain)
}
