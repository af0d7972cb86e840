package main

import "hash/maphash"

// tally remembers of the rows read so far what keys and sequences of later rows depend on, as 64-bit hashes: some 20
// bytes a row.
type tally struct {
	seed maphash.Seed
	// keys: of each key in the file being read, the content of its first row.
	keys map[uint64]uint64
	// repeated counts rows by key or identity, in all files.
	repeated map[uint64]uint32
	// ranks counts rows by customer and day, in all files.
	ranks map[uint64]uint32
	// changed holds what rows of files that are given out in full have been: rows of a later file that stands
	// unchanged are given out again when they share a key, an identity or a rank with one of them.
	changed map[uint64]struct{}
	// watch says that there is such a later file.
	watch bool
}

func newTally() *tally {
	return &tally{
		seed: maphash.MakeSeed(), keys: map[uint64]uint64{}, repeated: map[uint64]uint32{}, ranks: map[uint64]uint32{},
		changed: map[uint64]struct{}{},
	}
}

// nextFile forgets what concerns one file only.
func (t *tally) nextFile() { clear(t.keys) }

// verdict is what the rows before say about a row.
type verdict struct {
	// number of the row among those with its key or identity, where these may repeat, else 0.
	number   uint32
	sequence int64
	// same: the row repeats an earlier one of the file with key and all, and counts once.
	same bool
	// broken is the rule a row without a usable key breaks.
	broken *fault
	// touched: the row shares something with one of a changed file.
	touched bool
}

var (
	errKeyMissing = &fault{"key_missing", "the cell is empty, but it is the record's key"}
	errKeyTwice   = &fault{
		"duplicate_key",
		"an earlier row of the file has the same key and says something else; a key must occur once (goods of one order cannot be given as rows of their own)",
	}
	errSubjectTwice = &fault{"duplicate_key", "an earlier row of the file is about the same and says something else"}
)

// observe takes the next row of the stream, in the order of the files. given says that the file's rows are all given out.
func (t *tally) observe(l *layout, cells []string, given bool) verdict {
	var v verdict
	var id uint64
	switch {
	case l.key >= 0:
		key := cells[l.key]
		if key == "" {
			v.broken = errKeyMissing
			return v
		}
		id = maphash.String(t.seed, key)
		if !l.repeats {
			t.once(&v, l, cells, id, errKeyTwice)
		} else if v.same = t.seenWhole(l, cells, id); !v.same {
			v.number = t.count(t.repeated, id)
		}
	case l.keys == keyOfSubject:
		id = hashParts(t.seed, l.identity, cells)
		t.once(&v, l, cells, id, errSubjectTwice)
	default:
		id = hashParts(t.seed, l.identity, cells)
		v.number = t.count(t.repeated, id)
	}
	if v.same {
		return v
	}
	var rank uint64
	if len(l.rank) > 0 && v.broken == nil {
		rank = hashParts(t.seed, l.rank, cells)
		v.sequence = int64(t.count(t.ranks, rank))
	}
	if t.watch {
		v.touched = t.touch(id, given)
		if len(l.rank) > 0 {
			v.touched = t.touch(rank, given) || v.touched
		}
		if v.touched {
			// It is given out once more, and so must be what a later file says under its key.
			t.changed[id] = struct{}{}
		}
	}
	return v
}

// once lets a key occur once in a file, but for rows that are the same in all.
func (t *tally) once(v *verdict, l *layout, cells []string, id uint64, twice *fault) {
	content := l.hashUsed(t.seed, cells)
	first, seen := t.keys[id]
	switch {
	case !seen:
		t.keys[id] = content
	case first == content:
		v.same = true
	default:
		v.broken = twice
	}
}

// seenWhole says whether the file has had the very same row, and remembers it.
func (t *tally) seenWhole(l *layout, cells []string, id uint64) bool {
	whole := l.hashUsed(t.seed, cells) ^ id
	if _, seen := t.keys[whole]; seen {
		return true
	}
	t.keys[whole] = whole
	return false
}

func (t *tally) count(counts map[uint64]uint32, hash uint64) uint32 {
	counts[hash]++
	return counts[hash]
}

// touch remembers a hash of a row that is given out, and says of others whether it was remembered.
func (t *tally) touch(hash uint64, given bool) bool {
	if given {
		t.changed[hash] = struct{}{}
		return false
	}
	_, changed := t.changed[hash]
	return changed
}
