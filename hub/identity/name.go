package identity

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/regulars/regulars/contracts/entity"
)

// Likeness says how two names relate. Names never join records; they only speak against a weak identifier.
type Likeness uint8

// The likenesses of names.
const (
	// UnknownNames: one of them says nothing to compare.
	UnknownNames Likeness = iota
	// SameNames: first and last names agree.
	SameNames
	// CompatibleNames: what both say agrees, and one says less: only a first name, say.
	CompatibleNames
	// OtherSurname: the first names agree and the surnames do not, as after a marriage, or of two namesakes.
	OtherSurname
	// DifferentNames: the names of two people.
	DifferentNames
)

// Words shorter than leastForSlip agree only if equal; of words of longWord letters each may have a slip.
const (
	leastForSlip = 4
	longWord     = 6
)

// foldLetters brings Cyrillic to Latin, so that scripts compare.
var foldLetters = func() *strings.Replacer {
	letters := []rune("абвгдежзийклмнопрстуфхцчшщъыьэюяё")
	latin := strings.Split("a b v g d e zh z i i k l m n o p r s t u f h ts ch sh sch  i  e iu ia e", " ")
	var pairs []string
	for i, c := range letters {
		pairs = append(pairs, string(c), latin[i])
	}
	return strings.NewReplacer(pairs...)
}()

var (
	looseLatin = strings.NewReplacer("shch", "sch", "kh", "h", "ju", "iu", "yu", "iu", "ja", "ia", "ya", "ia", "yo", "io", "'", "", "j", "i", "y", "i", "x", "ks")
	looseVowel = strings.NewReplacer("io", "e", "ie", "e")
	// oneLetter writes one letter for one sound: a letter more or less is then one slip in either script.
	oneLetter = strings.NewReplacer("sch", "щ", "zh", "ж", "ch", "ч", "sh", "ш", "ts", "ц", "iu", "ю", "ia", "я")
)

// foldName brings one part of a name to loose Latin letters, in which scripts and spellings compare.
func foldName(s string) string {
	folded := looseVowel.Replace(looseLatin.Replace(foldLetters.Replace(strings.ToLower(s))))
	for _, end := range []string{"i", "ia"} {
		if stem, found := strings.CutSuffix(folded, "i"+end); found {
			return stem + end
		}
	}
	return folded
}

func splitName(s string) []string {
	var out []string
	for _, word := range strings.FieldsFunc(s, func(c rune) bool { return !unicode.IsLetter(c) && c != '-' && c != '\'' }) {
		if word = strings.Trim(foldName(word), "-"); word != "" {
			out = append(out, word)
		}
	}
	return out
}

// personName is a name taken apart. Where it cannot be told which word is the first name, all are in words alone.
type personName struct {
	words      []string // without the patronymic
	first      string
	forms      []string // the first names that first may stand for; none if it is not a known name
	last       []string
	patronymic string
}

var patronymicEnds = func() []string {
	var out []string
	for _, end := range []string{"ович", "евич", "ьич", "овна", "евна", "ична", "китич"} {
		out = append(out, foldName(end))
	}
	return out
}()

func isPatronymic(word string) bool {
	return slices.ContainsFunc(patronymicEnds, func(end string) bool {
		return strings.HasSuffix(word, end) && utf8.RuneCountInString(word) > utf8.RuneCountInString(end)+1
	})
}

func parseName(n entity.Name) personName {
	var p personName
	first, last := splitName(n.First), splitName(n.Last)
	p.words = append(slices.Clone(first), last...)
	inFields := len(p.words) > 0
	if !inFields {
		p.words = splitName(n.Full)
	}
	if middle := splitName(n.Middle); len(middle) == 1 {
		p.patronymic = middle[0]
	}
	if p.patronymic == "" && len(p.words) > 1 {
		known := slices.ContainsFunc(p.words, isFirstName)
		// A surname may end as a patronymic does.
		if i := slices.IndexFunc(p.words, isPatronymic); i >= 0 && (known || len(p.words) > 2) && !isFirstName(p.words[i]) {
			p.patronymic = p.words[i]
			p.words = slices.Delete(slices.Clone(p.words), i, i+1)
		}
	}
	at := p.firstAt(len(first) == 1 && inFields)
	if at < 0 {
		return p
	}
	p.first = p.words[at]
	p.last = slices.Delete(slices.Clone(p.words), at, at+1)
	p.forms = p.formsOf(p.first)
	return p
}

// firstAt tells which word is the first name: the only one that is known as such, as it stands or with a slip, else
// the one in the field for it.
func (p *personName) firstAt(ownField bool) int {
	for _, known := range []func(string) bool{isFirstName, func(word string) bool { return len(spellingsNear(word)) > 0 }} {
		at, count := -1, 0
		for i, word := range p.words {
			if known(word) {
				at = i
				count++
			}
		}
		switch {
		case count == 1:
			return at
		case count > 1 && ownField:
			return 0
		case count > 1:
			return -1
		}
	}
	if ownField && len(p.words) > 0 {
		return 0
	}
	return -1
}

// formsOf returns the first names that a word may stand for, without those that the surname's or patronymic's gender rules out.
func (p *personName) formsOf(word string) []string {
	forms := knownNames.forms[word]
	if len(forms) == 0 {
		for _, near := range spellingsNear(word) {
			for _, name := range knownNames.forms[near] {
				forms = appendNew(slices.Clip(forms), name)
			}
		}
	}
	if len(forms) < 2 {
		return forms
	}
	man, woman := p.gender()
	if man == woman {
		return forms
	}
	fitting := slices.DeleteFunc(slices.Clone(forms), func(name string) bool { return knownNames.men[name] != man })
	if len(fitting) == 0 {
		return forms
	}
	return fitting
}

func (p *personName) gender() (man, woman bool) {
	for _, word := range append(slices.Clone(p.last), p.patronymic) {
		for _, end := range []string{"ova", "eva", "ina", "aia", "ovna", "evna"} {
			woman = woman || strings.HasSuffix(word, end)
		}
		for _, end := range []string{"ov", "ev", "in", "ki", "ovich", "evich"} {
			man = man || strings.HasSuffix(word, end)
		}
	}
	return man, woman
}

func isFirstName(word string) bool { return len(knownNames.forms[word]) > 0 }

// spellingsNear returns the spellings of known first names that one slip makes of the word.
func spellingsNear(word string) []string {
	if utf8.RuneCountInString(word) < leastForSlip-1 {
		return nil
	}
	sounds := oneLetter.Replace(word)
	var out []string
	for _, name := range knownNames.spellings {
		if distance(word, name.folded) == 1 || distance(sounds, name.sounds) == 1 {
			out = append(out, name.folded)
		}
	}
	return out
}

// SameName compares two people's names: ё and е, case, order, script, short forms and a slip of the keyboard do not
// count, an initial agrees with any name it begins. It is symmetric. What it holds against a join: first names of two
// people, also where the surname is shared; different patronymics, as of father and son.
func SameName(a, b entity.Name) Likeness {
	x, y := parseName(a), parseName(b)
	return x.compare(&y)
}

func (p *personName) compare(o *personName) Likeness {
	switch {
	case len(p.words) == 0 || len(o.words) == 0:
		return UnknownNames
	case p.patronymic != "" && o.patronymic != "" && !agree(p.patronymic, o.patronymic):
		return DifferentNames
	case p.first == "" || o.first == "":
		return p.compareWords(o)
	case !p.sameFirst(o):
		return DifferentNames
	case len(p.last) == 0 || len(o.last) == 0:
		return CompatibleNames
	case slices.ContainsFunc(p.last, func(x string) bool {
		return slices.ContainsFunc(o.last, func(y string) bool { return sameSurname(x, y) })
	}):
		return SameNames
	}
	return OtherSurname
}

func (p *personName) sameFirst(o *personName) bool {
	if p.first == o.first && (len(p.forms) == 0 || len(o.forms) == 0) {
		return true
	}
	if len(p.forms) > 0 && len(o.forms) > 0 {
		return slices.ContainsFunc(p.forms, func(name string) bool { return slices.Contains(o.forms, name) })
	}
	return agree(p.first, o.first)
}

// compareWords compares names of which one does not tell which of its words is the first name.
func (p *personName) compareWords(o *personName) Likeness {
	left := slices.Clone(o.words)
	agreed, agreedFirst := 0, false
	for _, word := range p.words {
		i := slices.IndexFunc(left, func(other string) bool { return agreeAnywhere(word, other) })
		if i < 0 {
			continue
		}
		agreed++
		agreedFirst = agreedFirst || word == p.first || left[i] == o.first
		left = slices.Delete(left, i, i+1)
	}
	least := min(len(p.words), len(o.words))
	switch {
	case agreed >= 2:
		return SameNames
	case agreed == 1 && least == 1:
		return CompatibleNames
	case agreed == 1 && agreedFirst:
		return OtherSurname
	case agreed == 0 && least == 1:
		return UnknownNames // a nickname
	}
	return DifferentNames
}

func agreeAnywhere(a, b string) bool {
	if isFirstName(a) && isFirstName(b) {
		return slices.ContainsFunc(knownNames.forms[a], func(name string) bool { return slices.Contains(knownNames.forms[b], name) })
	}
	return sameSurname(a, b)
}

// agree says that two words are one, but for a slip, or that one is the other's initial.
func agree(a, b string) bool {
	if a == b {
		return true
	}
	short, long := a, b
	if len(short) > len(long) {
		short, long = long, short
	}
	if utf8.RuneCountInString(short) == 1 {
		return strings.HasPrefix(long, short)
	}
	return utf8.RuneCountInString(short) >= leastForSlip && long != short+"a" && slips(a, b) <= 1
}

func sameSurname(a, b string) bool {
	if a == b || agree(a, b) {
		return true
	}
	a, b = surnameStem(a), surnameStem(b)
	most := 1
	shorter := min(utf8.RuneCountInString(a), utf8.RuneCountInString(b))
	if shorter >= longWord {
		most = 2
	}
	return a == b || shorter >= leastForSlip && slips(a, b) <= most
}

// surnameStem takes off the ending that a man's and a woman's surname differ in.
func surnameStem(word string) string {
	for _, end := range []string{"aia", "oi", "a", "i"} {
		if stem, found := strings.CutSuffix(word, end); found && utf8.RuneCountInString(stem) > 2 {
			return stem
		}
	}
	return word
}

// slips is how many mistakes of a typist lie between two words, in letters or in sounds; above two it stops counting.
func slips(a, b string) int {
	return min(distance(a, b), distance(oneLetter.Replace(a), oneLetter.Replace(b)))
}

// distance counts the letters left out, added, replaced or swapped with the next (optimal string alignment); above two it
// stops counting.
func distance(a, b string) int {
	const enough = 3
	x, y := []rune(a), []rune(b)
	if d := len(x) - len(y); d >= enough || -d >= enough {
		return enough
	}
	before, above, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for k := range above {
		above[k] = k
	}
	for i := range x {
		row[0] = i + 1
		for k := range y {
			cost := 1
			if x[i] == y[k] {
				cost = 0
			}
			row[k+1] = min(above[k+1]+1, row[k]+1, above[k]+cost)
			if i > 0 && k > 0 && x[i] == y[k-1] && x[i-1] == y[k] {
				row[k+1] = min(row[k+1], before[k-1]+1)
			}
		}
		before, above, row = above, row, before
	}
	return min(above[len(y)], enough)
}

func appendNew[T comparable](list []T, one T) []T {
	if slices.Contains(list, one) {
		return list
	}
	return append(list, one)
}
