package runner

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const (
	// minSecret is the shortest value that is looked for. Replacing shorter ones would eat the log and tell more
	// about them than it hides.
	minSecret = 4
	// maxSecrets bounds how many values one process keeps looking for; access tokens change by the hour.
	maxSecrets = 200
)

// personal finds what may tell who somebody is (R12): e-mail addresses and phone numbers in E.164.
var personal = regexp.MustCompile(`[\pL\pN._%+-]+@[\pL\pN-]+(?:\.[\pL\pN-]+)+|\+\d{10,15}\b`)

// redactor takes secrets and personal data out of texts that a connector wrote. It knows the secrets that were handed
// to the process, for as long as the process lives.
type redactor struct {
	mu       sync.RWMutex
	secrets  []string // in the spellings they may appear in, newest last
	known    map[string]bool
	replacer *strings.Replacer
	length   int
}

func newRedactor() *redactor { return &redactor{known: map[string]bool{}} }

// add makes the values of a call's secrets known.
func (r *redactor) add(secrets map[string]string) {
	r.mu.RLock()
	fresh := false
	for _, value := range secrets {
		fresh = fresh || !r.known[value]
	}
	r.mu.RUnlock()
	if !fresh {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, value := range secrets {
		for _, spelling := range spellings(value) {
			if !r.known[spelling] {
				r.known[spelling] = true
				r.secrets = append(r.secrets, spelling)
			}
		}
		r.known[value] = true
	}
	for len(r.secrets) > maxSecrets {
		delete(r.known, r.secrets[0])
		r.secrets = r.secrets[1:]
	}
	r.rebuild()
}

func (r *redactor) rebuild() {
	// The longest first, as one secret may begin with another.
	ordered := slices.Clone(r.secrets)
	slices.SortFunc(ordered, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(ordered))
	for _, secret := range ordered {
		pairs = append(pairs, secret, "[secret]")
	}
	r.replacer = strings.NewReplacer(pairs...)
	r.length = 0
	if len(ordered) > 0 {
		r.length = len(ordered[0])
	}
}

// spellings returns a secret as it is, as URLs and JSON write it, and the single lines of one that has several.
func spellings(secret string) []string {
	quoted, _ := json.Marshal(secret)
	all := []string{secret, url.QueryEscape(secret), url.PathEscape(secret), strings.Trim(string(quoted), `"`)}
	if strings.Contains(secret, "\n") {
		all = append(all, strings.Split(secret, "\n")...)
	}
	var long []string
	for _, spelling := range all {
		if spelling = strings.TrimSpace(spelling); len(spelling) >= minSecret {
			long = append(long, spelling)
		}
	}
	return long
}

// longest returns the length of the longest known secret.
func (r *redactor) longest() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.length
}

// clean replaces secrets and personal data.
func (r *redactor) clean(text string) string {
	r.mu.RLock()
	if r.replacer != nil {
		text = r.replacer.Replace(text)
	}
	r.mu.RUnlock()
	return personal.ReplaceAllString(text, "[personal]")
}

// printable returns text as one line without control characters or broken UTF-8, at most limit bytes long.
func printable(text string, limit int) string {
	text = strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return ' '
		case c == utf8.RuneError || !unicode.IsPrint(c):
			return '?'
		}
		return c
	}, text)
	return shorten(text, limit)
}

// shorten cuts text to at most limit bytes, between characters.
func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
