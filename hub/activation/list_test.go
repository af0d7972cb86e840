package activation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/store"
)

// errCut is how a list ends a call that is cut off: nobody learns what it did.
var errCut = &connector.Problem{Kind: connector.Upstream, Message: "connection reset"}

// subscriber is one member of a list.
type subscriber struct {
	email  string
	state  entity.MemberState
	at     *time.Time
	traits map[string]string
	tags   []string
}

// mailer is a mailing tool in memory: it keeps lists, does what it is told, also what it should not be told, and can
// be made to fail. The zero value has no lists.
type mailer struct {
	mu      sync.Mutex
	lists   map[string]map[string]*subscriber // by list id, then by lower-case address
	names   map[string]string                 // list ids by name
	created int
	writes  int
	actions []connector.Action

	page     int // members per page; 0 means all
	readOnly string
	skipped  []connector.Skipped
	notReady []time.Time
	// answer decides what becomes of an action instead of doing it; nil state does it.
	answer func(a connector.Action) *connector.Result
	// before is called before each action, to look or to change the world meanwhile.
	before func(a connector.Action)
	// cutAfter cuts the next call off after so many actions; negative never.
	cutAfter int
}

func newMailer() *mailer {
	return &mailer{lists: map[string]map[string]*subscriber{}, names: map[string]string{}, cutAfter: -1}
}

func (m *mailer) create(name string) string {
	id, known := m.names[name]
	if !known {
		m.created++
		id = fmt.Sprintf("list-%d", m.created)
		m.names[name], m.lists[id] = id, map[string]*subscriber{}
	}
	return id
}

// subscribe puts somebody on a list by hand.
func (m *mailer) subscribe(list string, emails ...string) {
	id := m.create(list)
	for _, email := range emails {
		m.lists[id][email] = &subscriber{email: email, state: entity.Subscribed}
	}
}

// leave lets a member change state by themselves.
func (m *mailer) leave(list, email string, state entity.MemberState, at *time.Time) {
	if s := m.lists[m.create(list)][email]; s != nil {
		s.state, s.at = state, at
	}
}

// on returns who receives what is sent to a list.
func (m *mailer) on(list string) []string {
	var emails []string
	for id, s := range m.lists[m.names[list]] {
		if s.state == entity.Subscribed {
			emails = append(emails, id)
		}
	}
	slices.Sort(emails)
	return emails
}

func (m *mailer) Targets(_ context.Context, _ store.WorkspaceID, _ store.ConnectionID, _ string, create string) ([]connector.Target, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if create != "" {
		return []connector.Target{{ID: m.create(create), Name: create, Kind: "list"}}, nil
	}
	var all []connector.Target
	for _, name := range slices.Sorted(maps.Keys(m.names)) {
		all = append(all, connector.Target{ID: m.names[name], Name: name, Kind: "list", ReadOnlyReason: m.readOnly})
	}
	return all, nil
}

func (m *mailer) Members(_ context.Context, _ store.WorkspaceID, _ store.ConnectionID, target string, cursor connector.Cursor) (connector.Page, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.notReady) > 0 {
		until := m.notReady[0]
		m.notReady = m.notReady[1:]
		return connector.Page{NotReadyUntil: until, Next: connector.Cursor("prepared")}, nil
	}
	list, ok := m.lists[target]
	if !ok {
		return connector.Page{}, errors.New("no such list")
	}
	ids := slices.Sorted(maps.Keys(list))
	from := 0
	if len(cursor) > 0 && string(cursor) != "prepared" {
		from, _ = slices.BinarySearch(ids, string(cursor))
	}
	page := connector.Page{Skipped: m.skipped}
	for i, id := range ids[from:] {
		if m.page > 0 && i == m.page {
			page.More, page.Next = true, connector.Cursor(id)
			break
		}
		s := list[id]
		data, err := json.Marshal(entity.Member{Email: s.email, State: s.state, At: s.at, Tags: s.tags})
		if err != nil {
			return connector.Page{}, err
		}
		page.Records = append(page.Records, connector.Record{Key: id, Data: data})
	}
	return page, nil
}

func (m *mailer) Write(_ context.Context, _ store.WorkspaceID, _ store.ConnectionID, actions []connector.Action) ([]connector.Result, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes++
	cut := m.cutAfter
	m.cutAfter = -1
	var results []connector.Result
	for i, a := range actions {
		if i == cut {
			return nil, errCut
		}
		if m.before != nil {
			m.before(a)
		}
		m.actions = append(m.actions, a)
		if m.answer != nil {
			if r := m.answer(a); r != nil {
				results = append(results, *r)
				continue
			}
		}
		results = append(results, m.carryOut(a))
	}
	if cut >= len(actions) {
		return nil, errCut
	}
	return results, nil
}

func (m *mailer) carryOut(a connector.Action) connector.Result {
	list, ok := m.lists[a.Target]
	if !ok {
		return connector.Result{State: connector.ResultRejected, Problem: &connector.Problem{Kind: connector.Rejected, Rule: "no_list", Message: "no such list"}}
	}
	if a.On {
		list[a.Person.Email] = &subscriber{email: a.Person.Email, state: entity.Subscribed, traits: a.Traits, tags: a.Tags}
	} else {
		delete(list, a.Person.Email)
	}
	return connector.Result{State: connector.ResultOK}
}
