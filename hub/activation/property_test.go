package activation_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/store"
)

// word is one permission or refusal, as the model remembers it.
type word struct {
	person  string // about this contact
	address string // or about this address
	refuses bool
	at      time.Time // zero: unknown
}

// model knows who may be on the list, by the words of R4 and nothing else.
type model struct {
	emails  map[string][]string // by person
	words   []word
	byHand  map[string]bool // taken off at the list by hand while we had them there
	waiting map[string]bool // unsubscribed at the list, not yet read back
}

func (m *model) owners(address string) []string {
	var owners []string
	for person, emails := range m.emails {
		if slices.Contains(emails, address) {
			owners = append(owners, person)
		}
	}
	return owners
}

// refused says whether a person refuses: only a later permission of their own ends it, and none one without a time.
func (m *model) refused(person string) bool {
	for _, w := range m.words {
		if !w.refuses || (w.person != person && !slices.Contains(m.emails[person], w.address)) {
			continue
		}
		ended := slices.ContainsFunc(m.words, func(o word) bool {
			return !o.refuses && o.person == person && !w.at.IsZero() && o.at.After(w.at)
		})
		if !ended {
			return true
		}
	}
	return false
}

func (m *model) addressRefused(address string) bool {
	owners := m.owners(address)
	if len(owners) == 0 {
		return slices.ContainsFunc(m.words, func(w word) bool { return w.refuses && w.address == address })
	}
	return slices.ContainsFunc(owners, m.refused)
}

func (m *model) permitted(person string) bool {
	return slices.ContainsFunc(m.words, func(w word) bool { return !w.refuses && w.person == person }) && !m.refused(person)
}

// mayBeAdded says whether anybody's consent allows an address.
func (m *model) mayBeAdded(address string) bool {
	return !m.addressRefused(address) && slices.ContainsFunc(m.owners(address), m.permitted)
}

// want is the list that the segment calls for.
func (m *model) want(segment []string) []string {
	var list []string
	for _, person := range segment {
		if !m.permitted(person) {
			continue
		}
		i := slices.IndexFunc(m.emails[person], func(e string) bool { return !m.addressRefused(e) })
		if i >= 0 {
			list = append(list, m.emails[person][i])
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// TestAnyHistoryEndsLawfully drives an activation through changes of segment and consent, work by hand at the list
// and pushes cut off anywhere. At no moment is somebody put on the list whose consent does not allow it; after every
// complete push nobody is on it who has refused; and an undisturbed push makes the list equal the lawful segment and
// leaves the next one nothing to do.
func TestAnyHistoryEndsLawfully(t *testing.T) {
	clock, s := openStore(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		history(rt, settleIn(rt, s, clock, fmt.Sprint("history ", n)))
	})
}

func history(rt *rapid.T, w *world) {
	w.settler.Rules.Identity.MatchEmail = false // so that customers share addresses
	w.def.MaxShare, w.def.MaxCount = 1, 1000
	w.def.Spec.Batch = rapid.IntRange(1, 4).Draw(rt, "batch")
	w.def.Spec.Idempotent = rapid.Bool().Draw(rt, "idempotent")
	w.mailer.page = rapid.IntRange(0, 3).Draw(rt, "page")
	m := &model{emails: map[string][]string{}, byHand: map[string]bool{}, waiting: map[string]bool{}}
	people := []string{"a", "b", "c", "d", "e"}
	addresses := []string{"a@x.ru", "b@x.ru", "c@x.ru", "d@x.ru", "e@x.ru", "shared@x.ru", "stranger@x.ru"}
	for _, p := range people {
		m.emails[p] = []string{p + "@x.ru"}
		if rapid.Bool().Draw(rt, p+" shares") {
			m.emails[p] = append(m.emails[p], "shared@x.ru")
		}
		w.person(p, m.emails[p]...)
	}
	w.mailer.before = func(a connector.Action) {
		if a.On && !m.mayBeAdded(a.Person.Email) {
			rt.Fatalf("%s is put on the list without consent", a.Person.Email)
		}
	}
	person := rapid.SampledFrom(people)
	address := rapid.SampledFrom(addresses)

	// readBack tells the model what a push that read the list has learned there.
	readBack := func() {
		for a := range m.waiting {
			s := w.mailer.lists["list-1"][a]
			word := word{address: a, refuses: true}
			if s.at != nil {
				word.at = *s.at
			}
			m.words = append(m.words, word)
			delete(m.waiting, a)
		}
	}
	push := func(cut func()) {
		// Whoever unsubscribed at the list is known before the first write of a push.
		readBack()
		if cut != nil {
			cut()
		}
		_, err := w.pushRun(w.newRun())
		w.mailer.cutAfter, w.onHold = -1, nil
		if err != nil {
			w.end(w.lastRun)
			return
		}
		for _, on := range w.mailer.on(listName) {
			if m.addressRefused(on) {
				rt.Fatalf("%s has refused and is on the list after a push", on)
			}
		}
	}
	rt.Repeat(map[string]func(*rapid.T){
		"enter or leave the segment": func(t *rapid.T) {
			p := person.Draw(t, "person")
			w.membership[p] = !w.membership[p]
			w.members(w.segment()...)
		},
		"opt in": func(t *rapid.T) {
			p := person.Draw(t, "person")
			w.says(p, entity.OptedIn)
			m.words = append(m.words, word{person: p, at: w.clock.now})
		},
		"opt out": func(t *rapid.T) {
			p := person.Draw(t, "person")
			w.says(p, rapid.SampledFrom([]entity.ConsentState{entity.OptedOut, entity.Complained}).Draw(t, "state"))
			m.words = append(m.words, word{person: p, refuses: true, at: w.clock.now})
		},
		"refuse elsewhere": func(t *rapid.T) {
			a := address.Draw(t, "address")
			w.tick()
			w.put(w.addresses, a+w.clock.now.String(), entity.Consent{Email: a, Channel: "email", State: entity.OptedOut, At: &w.clock.now})
			m.words = append(m.words, word{address: a, refuses: true, at: w.clock.now})
		},
		"unsubscribe at the list": func(t *rapid.T) {
			on := w.mailer.on(listName)
			if len(on) == 0 {
				return
			}
			a := rapid.SampledFrom(on).Draw(t, "address")
			w.tick()
			var at *time.Time
			if rapid.IntRange(0, 3).Draw(t, "the tool tells when") > 0 {
				now := w.clock.now
				at = &now
			}
			w.mailer.leave(listName, a, entity.Unsubscribed, at)
			m.waiting[a] = true
		},
		"remove at the list by hand": func(t *rapid.T) {
			on := w.mailer.on(listName)
			if len(on) == 0 {
				return
			}
			a := rapid.SampledFrom(on).Draw(t, "address")
			delete(w.mailer.lists["list-1"], a)
			m.byHand[a] = true
		},
		"put on the list by hand": func(t *rapid.T) {
			a := address.Draw(t, "address")
			if s := w.mailer.lists["list-1"][a]; s != nil && s.state != entity.Subscribed && (m.waiting[a] || !w.knowsRefusal(a)) {
				return // the refusal would be gone before anybody could see it
			}
			w.mailer.subscribe(listName, a)
			delete(m.byHand, a)
		},
		"push": func(*rapid.T) { push(nil) },
		"push, cut off during a call": func(t *rapid.T) {
			push(func() { w.mailer.cutAfter = rapid.IntRange(0, 4).Draw(t, "actions") })
		},
		"push, killed before a transaction": func(t *rapid.T) {
			left := rapid.IntRange(0, 6).Draw(t, "transactions")
			push(func() {
				w.onHold = func() (bool, error) {
					left--
					if left < 0 {
						return false, store.ErrLeaseLost
					}
					return false, nil
				}
			})
		},
	})

	push(nil)
	require.Empty(rt, m.waiting)
	want, got := m.want(w.segment()), w.mailer.on(listName)
	for _, a := range got {
		require.Contains(rt, want, a, "on the list and not called for")
	}
	for _, a := range want {
		if !slices.Contains(got, a) {
			require.True(rt, m.byHand[a], "%s is missing on the list, and nobody took them off", a)
		}
	}
	w.idle()
}
