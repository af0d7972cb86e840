package kpi

import (
	"math"
	"slices"
	"strings"
)

// dimension recodes one word of every row by the alphabet: the codes given while rows came in tell their order (R2).
func (b *Builder) dimension(code func(*orderRow) uint32) dimension {
	const unused = math.MaxUint32
	recoded := make([]uint32, b.words.len())
	for i := range recoded {
		recoded[i] = unused
	}
	var words []string
	for i := range b.count {
		if c := code(b.row(i)); recoded[c] == unused {
			recoded[c] = 0
			words = append(words, b.words.word(c))
		}
	}
	slices.Sort(words)
	if len(words) == 0 || len(words) == 1 && words[0] == "" {
		return dimension{}
	}
	for rank, word := range words {
		recoded[b.words.code(word)] = uint32(rank)
	}
	codes := make([]uint32, b.count)
	for i := range b.count {
		codes[i] = recoded[code(b.row(i))]
	}
	return dimension{words: words, codes: codes}
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

func (w *wordList) len() int { return len(w.words) }
