package kpi

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/regulars/regulars/hub/store"
)

// coded is a column of few distinct values: codes into the sorted distinct ones. Codes are nil when every value is the
// zero one.
type coded[T cmp.Ordered] struct {
	words []T
	codes []uint32
}

type (
	dimension   = coded[string]
	connections = coded[store.ConnectionID]
)

func (d *coded[T]) at(i int) T {
	if d.codes == nil {
		var zero T
		return zero
	}
	return d.words[d.codes[i]]
}

const unused = math.MaxUint32

// recoder turns the codes given while rows came in, which tell their order, into those of a column (R2). It is used for
// one column after another and clears only what it used.
type recoder struct {
	words   []string
	rank    []uint32 // of a word in the alphabet
	recoded []uint32
}

func newRecoder(words []string) *recoder {
	byWord := make([]uint32, len(words))
	for i := range byWord {
		byWord[i] = uint32(i)
	}
	slices.SortFunc(byWord, func(x, y uint32) int { return strings.Compare(words[x], words[y]) })
	r := &recoder{words: words, rank: make([]uint32, len(words)), recoded: make([]uint32, len(words))}
	for rank, code := range byWord {
		r.rank[code], r.recoded[code] = uint32(rank), unused
	}
	return r
}

func (r *recoder) dimension(n int, code func(int) uint32) dimension {
	var used []uint32
	for i := range n {
		if c := code(i); r.recoded[c] == unused {
			r.recoded[c] = 0
			used = append(used, c)
		}
	}
	defer func() {
		for _, c := range used {
			r.recoded[c] = unused
		}
	}()
	if len(used) == 0 || len(used) == 1 && used[0] == 0 { // 0 is no word
		return dimension{}
	}
	slices.SortFunc(used, func(x, y uint32) int { return cmp.Compare(r.rank[x], r.rank[y]) })
	d := dimension{words: make([]string, len(used)), codes: make([]uint32, n)}
	for i, c := range used {
		d.words[i], r.recoded[c] = r.words[c], uint32(i)
	}
	for i := range n {
		d.codes[i] = r.recoded[code(i)]
	}
	return d
}

// codedOf makes a column of few rows or of few distinct values.
func codedOf[T cmp.Ordered](n int, value func(int) T) coded[T] {
	var zero T
	var words []T
	for i := range n {
		if v := value(i); len(words) == 0 || v != words[len(words)-1] {
			if at, found := slices.BinarySearch(words, v); !found {
				words = slices.Insert(words, at, v)
			}
		}
	}
	if len(words) == 0 || len(words) == 1 && words[0] == zero {
		return coded[T]{}
	}
	codes := make([]uint32, n)
	for i := range n {
		if i > 0 && value(i) == value(i-1) {
			codes[i] = codes[i-1]
			continue
		}
		at, _ := slices.BinarySearch(words, value(i))
		codes[i] = uint32(at)
	}
	return coded[T]{words: slices.Clip(words), codes: codes}
}

// wordList gives equal words equal codes.
type wordList struct {
	codes map[string]uint32
	words []string
}

func newWordList() wordList {
	return wordList{codes: map[string]uint32{"": 0}, words: []string{""}}
}

func (w *wordList) code(word string) uint32 {
	if word == "" {
		return 0
	}
	code, known := w.codes[word]
	if !known {
		code = uint32(len(w.words))
		word = strings.Clone(word)
		w.codes[word] = code
		w.words = append(w.words, word)
	}
	return code
}

func (w *wordList) word(code uint32) string { return w.words[code] }
