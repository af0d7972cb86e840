package activation_test

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/activation"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/store"
)

// ambiguous is a mailer with two lists of every name.
type ambiguous struct{ *mailer }

func (a ambiguous) Targets(context.Context, store.WorkspaceID, store.ConnectionID, string, string) ([]connector.Target, error) {
	return []connector.Target{{ID: "1", Name: "two"}, {ID: "2", Name: "two"}}, nil
}

// recordList is a list of a CRM that knows its members by the key of their contact.
type recordList struct{ members map[string]entity.MemberState }

func (l *recordList) on() []string {
	var keys []string
	for key, state := range l.members {
		if state == entity.Subscribed {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func (l *recordList) Targets(context.Context, store.WorkspaceID, store.ConnectionID, string, string) ([]connector.Target, error) {
	return []connector.Target{{ID: "list-1", Name: listName}}, nil
}

func (l *recordList) Members(context.Context, store.WorkspaceID, store.ConnectionID, string, connector.Cursor) (connector.Page, error) {
	var page connector.Page
	for _, key := range slices.Sorted(maps.Keys(l.members)) {
		data, err := json.Marshal(entity.Member{State: l.members[key]})
		if err != nil {
			return page, err
		}
		page.Records = append(page.Records, connector.Record{Key: key, Data: data})
	}
	return page, nil
}

func (l *recordList) Write(_ context.Context, _ store.WorkspaceID, _ store.ConnectionID, actions []connector.Action) ([]connector.Result, error) {
	results := make([]connector.Result, len(actions))
	for i, a := range actions {
		if a.On {
			l.members[a.Person.RemoteKey] = entity.Subscribed
		} else {
			delete(l.members, a.Person.RemoteKey)
		}
		results[i].State = connector.ResultOK
	}
	return results, nil
}

// short answers with one result too few.
type short struct{ *mailer }

func (s short) Write(ctx context.Context, ws store.WorkspaceID, conn store.ConnectionID, actions []connector.Action) ([]connector.Result, error) {
	results, err := s.mailer.Write(ctx, ws, conn, actions)
	return results[1:], err
}

// circle never gets to the end of its members.
type circle struct{ *mailer }

func (circle) Members(context.Context, store.WorkspaceID, store.ConnectionID, string, connector.Cursor) (connector.Page, error) {
	return connector.Page{More: true, Next: connector.Cursor("again")}, nil
}

// garbled returns members of a form that nobody knows.
type garbled struct{ *mailer }

func (garbled) Members(context.Context, store.WorkspaceID, store.ConnectionID, string, connector.Cursor) (connector.Page, error) {
	return connector.Page{Records: []connector.Record{{Key: "1", Data: []byte(`{"email": ["secret@x.ru"]}`)}}}, nil
}

// withoutLook returns a stored result without what the last look at the target found.
func withoutLook(t require.TestingT, stored string) activation.Result {
	var r activation.Result
	require.NoError(t, json.Unmarshal([]byte(stored), &r))
	r.Planned, r.Members = activation.Counts{}, 0
	return r
}

// members returns what is on the list, with the fields.
func members(w *world) map[string]map[string]string {
	all := map[string]map[string]string{}
	for id, s := range w.mailer.lists["list-1"] {
		all[id+" "+string(s.state)] = s.traits
	}
	return all
}
