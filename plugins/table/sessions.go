package main

import (
	"slices"
	"sync"
)

// maxSessions bounds the walks kept between pages; each holds a file and its tallies.
const maxSessions = 4

// sessions keeps the walks between the pages of a read, so that a page costs what its rows cost. Losing one costs
// going through the rows before once more.
type sessions struct {
	mu   sync.Mutex
	kept []session // least recently used first
}

type session struct {
	key  string
	walk *walk
}

// sessionKey tells walks apart by all they depend on.
func sessionKey(stream, config string, cursor []byte) string {
	return stream + "\x00" + config + "\x00" + string(cursor)
}

// take hands over a walk; nobody else gets it until it is put back.
func (s *sessions) take(key string) *walk {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.kept, func(kept session) bool { return kept.key == key })
	if i < 0 {
		return nil
	}
	w := s.kept[i].walk
	s.kept = slices.Delete(s.kept, i, i+1)
	return w
}

// put keeps a walk, in place of an older one with the same key or of the one used longest ago.
func (s *sessions) put(key string, w *walk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = slices.DeleteFunc(s.kept, func(kept session) bool {
		if kept.key == key {
			kept.walk.close()
			return true
		}
		return false
	})
	s.kept = append(s.kept, session{key, w})
	if len(s.kept) > maxSessions {
		s.kept[0].walk.close()
		s.kept = slices.Delete(s.kept, 0, 1)
	}
}
