package sdk

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"sync"

	"google.golang.org/protobuf/types/known/timestamppb"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
)

// shelf keeps answers that were larger than a page until their last part was given out. Losing one costs a vendor
// call, nothing else.
type shelf struct {
	mu      sync.Mutex
	answers []kept // oldest first
	bytes   int
}

type kept struct {
	key    shelfKey
	answer *answer
	bytes  int
}

type shelfKey [sha256.Size]byte

const (
	maxShelfAnswers = 16
	maxShelfBytes   = 256 << 20
)

// keyOf tells apart everything an answer depends on.
func keyOf(req *connectorv1.ReadRequest, connectorCursor []byte) shelfKey {
	h := sha256.New()
	add := func(part []byte) {
		_, _ = h.Write(binary.AppendUvarint(nil, uint64(len(part)))) // a hash never fails
		_, _ = h.Write(part)
	}
	instant := func(t *timestamppb.Timestamp) {
		if t == nil {
			add(nil)
			return
		}
		add(binary.AppendVarint(binary.AppendVarint(nil, t.GetSeconds()), int64(t.GetNanos())))
	}
	add(req.GetConfig())
	secrets := req.GetAccess().GetSecrets()
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		add([]byte(name))
		add([]byte(secrets[name]))
	}
	add([]byte{byte(req.GetMode()), byte(len(secrets))})
	for _, text := range []string{req.GetStream(), req.GetTarget(), req.GetTimeZone(), req.GetCurrency(), req.GetAccess().GetAccountId(), req.GetAccess().GetBaseUrl()} {
		add([]byte(text))
	}
	instant(req.GetSince())
	instant(req.GetUntil())
	for _, key := range req.GetKeys() {
		add([]byte(key))
	}
	add(connectorCursor)
	return shelfKey(h.Sum(nil))
}

func (s *shelf) get(key shelfKey) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.answers {
		if k.key == key {
			return k.answer
		}
	}
	return nil
}

// put keeps an answer in place of an older one of the same key, and drops the oldest when there are too many.
func (s *shelf) put(key shelfKey, a *answer) {
	size := 0
	for _, it := range a.items {
		size += it.size
	}
	s.drop(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, kept{key: key, answer: a, bytes: size})
	s.bytes += size
	for len(s.answers) > 1 && (len(s.answers) > maxShelfAnswers || s.bytes > maxShelfBytes) {
		s.bytes -= s.answers[0].bytes
		s.answers = slices.Delete(s.answers, 0, 1)
	}
}

func (s *shelf) drop(key shelfKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = slices.DeleteFunc(s.answers, func(k kept) bool {
		if k.key == key {
			s.bytes -= k.bytes
			return true
		}
		return false
	})
}
