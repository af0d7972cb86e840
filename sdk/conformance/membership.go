package conformance

import (
	"encoding/json"
	"fmt"
	"strings"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
	"github.com/regulars/regulars/contracts/entity"
)

// membership is one target being tried.
type membership struct {
	s    *suite
	r    *report
	spec *connectorv1.TargetSpec
	id   string
	// writes numbers the idempotency keys.
	writes int
}

// checkMembers puts people on a target and takes them off: add, add again, remove, remove who is not there, each
// seen in what is read back.
func (s *suite) checkMembers(r *report, c TargetCase) {
	m := &membership{s: s, r: r}
	for _, spec := range s.spec.GetTargets() {
		if spec.GetKind() == c.Kind {
			m.spec = spec
		}
	}
	if m.spec == nil {
		r.fail("the spec has no target of this kind")
		return
	}
	if len(c.People) < 2 {
		r.fail("the case needs at least two people")
		return
	}
	if !m.find(c.Name) {
		return
	}
	all := c.People
	m.write("take off to begin", all, false)
	m.expect("at the start", all, nil)
	m.write("put on", all, true)
	m.expect("after putting on", all, all)
	before := m.count()
	m.write("put on again", all, true)
	m.expect("after putting on again", all, all)
	if after := m.count(); before != after {
		r.fail("putting on again changes the number of members from %d to %d", before, after)
	}
	m.write("take off", all[:1], false)
	m.expect("after taking one off", all, all[1:])
	m.write("take off who is not there", all[:1], false)
	m.expect("after taking off who is not there", all, all[1:])
	if err := s.restart(); err != nil {
		r.fail("the connector does not start again: %v", err)
		return
	}
	m.expect("in a fresh process", all, all[1:])
	m.write("take off the rest", all, false)
	m.expect("at the end", all, nil)
	if got := m.send(nil); len(got) != 0 {
		r.fail("no actions give %d results", len(got))
	}
}

// find looks the target up by its name, and creates it, twice, where that is possible.
func (m *membership) find(name string) bool {
	if m.spec.GetCanCreate() {
		first, err := m.create(name)
		if err != nil {
			m.r.fail("create: %v", err)
			return false
		}
		second, err := m.create(name)
		if err != nil || second != first {
			m.r.fail("creating a target that exists gives %q and then %q (%v)", first, second, err)
			return false
		}
	}
	var cursor []byte
	for range maxPages {
		resp, err := call(m.s, m.s.proc.api.Targets, &connectorv1.TargetsRequest{
			Config: []byte(m.s.c.Config), Access: m.s.access(m.s.c.Secrets), Kind: m.spec.GetKind(), Cursor: cursor,
		})
		if err != nil {
			m.r.fail("list the targets: %v", err)
			return false
		}
		for _, t := range resp.GetTargets() {
			if t.GetName() == name && t.GetKind() == m.spec.GetKind() {
				m.id = t.GetId()
				return true
			}
		}
		if cursor = resp.GetNextCursor(); !resp.GetHasMore() {
			break
		}
	}
	m.r.fail("the target is not in the list")
	return false
}

func (m *membership) create(name string) (string, error) {
	resp, err := call(m.s, m.s.proc.api.Targets, &connectorv1.TargetsRequest{
		Config: []byte(m.s.c.Config), Access: m.s.access(m.s.c.Secrets), Kind: m.spec.GetKind(), Create: name,
	})
	if err != nil {
		return "", err
	}
	for _, t := range resp.GetTargets() {
		if t.GetName() == name {
			return t.GetId(), nil
		}
	}
	return "", fmt.Errorf("the answer does not hold the target, but %d others", len(resp.GetTargets()))
}

// write sends one action per person and then the same message again, as after a crash of the hub.
func (m *membership) write(step string, people []Person, on bool) {
	var actions []*connectorv1.Action
	for _, p := range people {
		m.writes++
		actions = append(actions, &connectorv1.Action{
			IdempotencyKey: fmt.Sprintf("conformance-%d", m.writes), Target: m.id,
			Person: &connectorv1.Person{Email: p.Email, Phone: p.Phone, RemoteKey: p.RemoteKey, Stream: p.Stream},
			Kind:   &connectorv1.Action_Member{Member: &connectorv1.Member{On: on}},
		})
	}
	times := 1
	if m.spec.GetIdempotent() {
		times = 2
	}
	for range times {
		for i, result := range m.send(actions) {
			if result = m.confirmed(result); result.GetState() != connectorv1.Result_STATE_OK {
				m.r.fail("%s: the result of person %d is %s: %s", step, i+1, result.GetState(), result.GetProblem().GetMessage())
			}
		}
	}
}

func (m *membership) send(actions []*connectorv1.Action) []*connectorv1.Result {
	resp, err := call(m.s, m.s.proc.api.Write, &connectorv1.WriteRequest{
		Config: []byte(m.s.c.Config), Access: m.s.access(m.s.c.Secrets), Actions: actions, TimeZone: m.s.c.TimeZone, Currency: m.s.c.Currency,
	})
	if err != nil {
		m.r.fail("write %d actions: %v", len(actions), err)
		return nil
	}
	if len(resp.GetResults()) != len(actions) {
		m.r.fail("%d actions give %d results", len(actions), len(resp.GetResults()))
		return nil
	}
	m.s.said = append(m.s.said, resp.String())
	return resp.GetResults()
}

// maxConfirms bounds how often an accepted action is asked about.
const maxConfirms = 20

// confirmed follows an accepted action to its end.
func (m *membership) confirmed(result *connectorv1.Result) *connectorv1.Result {
	for range maxConfirms {
		if result.GetState() != connectorv1.Result_STATE_ACCEPTED {
			return result
		}
		if result.GetConfirmAfter() != nil {
			if err := m.s.wait(result.GetConfirmAfter().AsTime()); err != nil {
				return result
			}
		}
		got := m.send([]*connectorv1.Action{{Target: m.id, Kind: &connectorv1.Action_Confirm{Confirm: &connectorv1.Confirm{Handle: result.GetHandle()}}}})
		if len(got) != 1 {
			return result
		}
		result = got[0]
	}
	return result
}

// readback returns who is on the target by identity; false when that cannot be read.
func (m *membership) readback() (map[string]bool, bool) {
	if !m.spec.GetReadback() {
		return nil, false
	}
	valid, err := newValidator(entity.KindMember)
	if err != nil {
		m.r.fail("%v", err)
		return nil, false
	}
	members, err := m.s.whole(request{stream: connectorv1.MembersStream, target: m.id, mode: connectorv1.Mode_MODE_FULL, max: smallPage}, nil, nil)
	if err != nil {
		m.r.fail("read back: %v", err)
		return nil, false
	}
	on := map[string]bool{}
	for _, record := range members.records {
		if fault := valid.fault(record, connectorv1.Mode_MODE_FULL); fault != "" {
			m.r.fail("read back: %s", fault)
			continue
		}
		var member entity.Member
		if err := json.Unmarshal(record.GetData(), &member); err != nil {
			m.r.fail("read back: %v", err)
			continue
		}
		if member.State != entity.Subscribed {
			continue
		}
		switch m.spec.GetIdentity() {
		case "email":
			on[strings.ToLower(member.Email)] = true
		case "phone":
			on[member.Phone] = true
		default:
			on[record.GetKey()] = true
		}
	}
	return on, true
}

func (m *membership) count() int {
	on, _ := m.readback()
	return len(on)
}

// expect looks who of all is on the target: exactly those wanted.
func (m *membership) expect(when string, all, wanted []Person) {
	on, ok := m.readback()
	if !ok {
		return
	}
	for i, p := range all {
		identity := m.identity(p)
		want := false
		for _, w := range wanted {
			want = want || m.identity(w) == identity
		}
		if on[identity] != want {
			m.r.fail("%s: person %d should be on the target: %t, is: %t", when, i+1, want, on[identity])
		}
	}
}

func (m *membership) identity(p Person) string {
	switch m.spec.GetIdentity() {
	case "email":
		return strings.ToLower(p.Email)
	case "phone":
		return p.Phone
	default:
		return p.RemoteKey
	}
}
