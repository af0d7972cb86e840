package identity

import (
	"regexp"
	"slices"
	"strings"
)

var dummies = []string{
	"розничный покупатель", "розничный клиент", "розница", "частное лицо", "физ лицо", "физлицо", "физическое лицо", "покупатель",
	"клиент", "без имени", "гость", "интернет заказ", "интернет покупатель", "аноним", "анонимный покупатель", "walk in", "walk in customer",
	"cash customer", "guest", "anonymous", "retail customer",
}

var notLetters = regexp.MustCompile(`[^\p{L}\p{N}]+`)

// Dummy says that a name stands for whoever comes to the till, not for one customer. Case, ё and punctuation do not
// count; the rest must agree exactly, so that a real name with such a word is a customer.
func Dummy(name string) bool {
	return slices.Contains(dummies, foldDummy(name))
}

func foldDummy(name string) string {
	folded := strings.ReplaceAll(strings.ToLower(name), "ё", "е")
	return strings.TrimSpace(notLetters.ReplaceAllString(folded, " "))
}

// IsAnonymous says that a contact's full name (FullName) stands for nobody in particular: for whoever comes to the till,
// or for what the workspace lists in Rules.Anonymous.
func (r Rules) IsAnonymous(name string) bool {
	if Dummy(name) {
		return true
	}
	folded := foldDummy(name)
	return slices.ContainsFunc(r.Anonymous, func(g Glob) bool { return g.Match(folded) })
}
