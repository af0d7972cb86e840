package activation_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/activation"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/customer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMirrorMakesTheListEqualTheSegment(t *testing.T) {
	w := newWorld(t)
	w.willing("anna", "boris", "clara")
	w.mailer.subscribe(listName, "stranger@x.ru", "clara@x.ru")
	w.mailer.page = 2

	out := w.push()
	require.Empty(t, out.Cause)
	assert.Equal(t, []string{"anna@x.ru", "boris@x.ru", "clara@x.ru"}, w.mailer.on(listName))
	assert.Equal(t, 2, out.Result.Added)
	assert.Equal(t, 1, out.Result.Removed)
	assert.Equal(t, 1, out.Result.Updated, "one was there without our fields")
	assert.Equal(t, 2, out.Result.Members)
	assert.Equal(t, 3, out.Result.Segment)
	assert.Equal(t, map[string]string{"Name": "anna"}, w.mailer.lists["list-1"]["anna@x.ru"].traits)
	assert.Equal(t, []string{"anna@x.ru", "boris@x.ru", "clara@x.ru"}, w.ledger())
	w.idle()

	w.members("anna")
	out = w.push()
	assert.Equal(t, 2, out.Result.Removed)
	assert.Equal(t, 1, out.Result.Unchanged)
	assert.Equal(t, []string{"anna@x.ru"}, w.mailer.on(listName))
	assert.Equal(t, []string{"anna@x.ru"}, w.ledger())
	w.idle()
}

func TestTheTargetIsCreatedOnlyWhenSomebodyGoesThere(t *testing.T) {
	w := newWorld(t)
	w.push()
	assert.Empty(t, w.mailer.names)
	w.willing("anna")
	w.push()
	assert.Equal(t, []string{"anna@x.ru"}, w.mailer.on(listName))
	w.idle()

	t.Run("renamed there it stays the same", func(t *testing.T) {
		delete(w.mailer.names, listName)
		w.mailer.names["Renamed"] = "list-1"
		w.idle()
		assert.Equal(t, 1, w.mailer.created)
		delete(w.mailer.names, "Renamed")
		w.mailer.names[listName] = "list-1"
	})
	t.Run("deleted there it is made again, with nothing taken for removed by hand", func(t *testing.T) {
		delete(w.mailer.names, listName)
		delete(w.mailer.lists, "list-1")
		w.mailer.created = 0 // a tool that gives the same id again
		out := w.push()
		assert.Empty(t, out.Result.Held)
		assert.Equal(t, []string{"anna@x.ru"}, w.mailer.on(listName))
	})
}

func TestATargetThatCannotBeUsedStopsThePush(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world)
		cause  string
	}{
		"missing and not to be created": {func(w *world) { w.def.Spec.CanCreate = false }, "create it there"},
		"read only":                     {func(w *world) { w.mailer.subscribe(listName); w.mailer.readOnly = "archived" }, "archived"},
		"ambiguous": {func(w *world) {
			w.def.Target = "two"
			w.engine.Destination = ambiguous{w.mailer}
		}, "give the id"},
		"not to be read back": {func(w *world) { w.def.Spec.Readback = false }, "refusals made there"},
		"unreadable": {func(w *world) {
			w.mailer.subscribe(listName)
			w.mailer.skipped = []connector.Skipped{{Problem: &connector.Problem{}}}
		}, "could not be read"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.willing("anna")
			c.change(w)
			out := w.push()
			assert.Contains(t, out.Cause, c.cause)
			assert.Equal(t, activation.CauseTarget, out.CauseKind)
			assert.Zero(t, w.mailer.writes)
		})
	}
}

func TestFieldsAndTagTravelWhenTheyChange(t *testing.T) {
	w := newWorld(t)
	w.willing("anna", "boris")
	w.def.Tag = "win-back"
	w.def.Fields["Orders"] = "orders"
	w.values = map[customer.ID]map[string]string{w.id("anna"): {"orders": "3"}}
	w.push()
	anna := w.mailer.lists["list-1"]["anna@x.ru"]
	assert.Equal(t, map[string]string{"Name": "anna", "Orders": "3"}, anna.traits)
	assert.Equal(t, []string{"win-back"}, anna.tags)
	assert.Equal(t, map[string]string{"Name": "boris", "Orders": ""}, w.mailer.lists["list-1"]["boris@x.ru"].traits)
	w.idle()

	w.values[w.id("anna")]["orders"] = "4"
	out := w.push()
	assert.Equal(t, 1, out.Result.Updated)
	assert.Equal(t, 1, out.Result.Unchanged)
	assert.Equal(t, "4", w.mailer.lists["list-1"]["anna@x.ru"].traits["Orders"])
	w.idle()
}

func TestProofOfConsentTravelsAlong(t *testing.T) {
	w := newWorld(t)
	w.willing("anna")
	w.push()
	require.Len(t, w.mailer.actions, 1)
	assert.Equal(t, "form", w.mailer.actions[0].ConsentSource)
	assert.False(t, w.mailer.actions[0].ConsentedAt.IsZero())
	assert.NotEmpty(t, w.mailer.actions[0].IdempotencyKey)
}

func TestMembersThatNeedNothingAreTakenOverSilently(t *testing.T) {
	w := newWorld(t)
	w.willing("anna")
	w.def.Fields = nil
	w.mailer.subscribe(listName, "anna@x.ru")
	out := w.push()
	assert.Zero(t, w.mailer.writes)
	assert.Equal(t, 1, out.Result.Unchanged)
	assert.Equal(t, []string{"anna@x.ru"}, w.ledger())
	w.idle()
}

func TestWhoIsHeldBackAndWhy(t *testing.T) {
	w := newWorld(t)
	w.settler.Rules.Identity.MatchEmail = false
	at := w.clock.now
	w.person("no-address")
	w.person("no-consent", "no-consent@x.ru")
	w.person("no-proof", "no-proof@x.ru")
	w.put(w.consents, "np", entity.Consent{Contact: &entity.Ref{Stream: "contacts", Key: "no-proof"}, Channel: "email", State: entity.OptedIn, At: &at})
	w.person("out", "out@x.ru")
	w.says("out", entity.OptedIn)
	w.says("out", entity.OptedOut)
	w.person("complained", "complained@x.ru")
	w.says("complained", entity.OptedIn)
	w.says("complained", entity.Complained)
	w.person("bounced", "bounced@x.ru")
	w.says("bounced", entity.OptedIn)
	w.tick()
	w.put(w.addresses, "b", entity.Consent{Email: "bounced@x.ru", Channel: "email", State: entity.Bounced, At: &w.clock.now})
	w.person("elsewhere", "elsewhere@x.ru") // refused in another system, which knows only the address
	w.says("elsewhere", entity.OptedIn)
	w.tick()
	w.put(w.addresses, "e", entity.Consent{Email: "Elsewhere@x.ru", Channel: "email", State: entity.OptedOut, At: &w.clock.now})
	w.person("first", "shared@x.ru")
	w.says("first", entity.OptedIn)
	w.person("second", "shared@x.ru")
	w.says("second", entity.OptedIn)
	w.person("half", "dead@x.ru", "alive@x.ru")
	w.says("half", entity.OptedIn)
	w.tick()
	w.put(w.addresses, "d", entity.Consent{Email: "dead@x.ru", Channel: "email", State: entity.Bounced, At: &w.clock.now})
	w.put(w.companies, "firm", entity.Company{Name: "Firm", Emails: []entity.Address{{Value: "info@firm.ru"}}})
	w.members("no-address", "no-consent", "no-proof", "out", "complained", "bounced", "elsewhere", "first", "second", "half")
	ids, err := w.store.Members(w.ctx, nil, w.ws.ID, segment)
	require.NoError(t, err)
	w.customers(append(ids, w.idIn(w.companies, "firm"))...)

	out := w.push()
	assert.Equal(t, []string{"alive@x.ru", "shared@x.ru"}, w.mailer.on(listName), "of several addresses the first that is allowed")
	assert.Equal(t, map[string]int{
		activation.NoAddress: 1, "no_consent": 1, "no_proof": 1, "opted_out": 2, "complained": 1, "bounced": 1, activation.DuplicateAddress: 1, activation.CompanyCustomer: 1,
	}, out.Result.Held)
	ledger, err := w.store.Ledger(w.ctx, nil, w.ws.ID, w.mail.ID, "list-1")
	require.NoError(t, err)
	assert.Equal(t, w.id("first"), ledger["shared@x.ru"].Customer, "the smaller number has the address")
	w.idle()

	plan, err := w.engine.Preview(w.ctx, w.ws, w.def)
	require.NoError(t, err)
	assert.Len(t, plan.HeldBack, 9)
	assert.Contains(t, plan.HeldBack, activation.HeldOfPlan{Customer: w.id("no-proof"), Reason: "no_proof"})
}

func TestARefusalCountsForEveryCustomerOfTheAddress(t *testing.T) {
	w := newWorld(t)
	w.settler.Rules.Identity.MatchEmail = false
	w.person("first", "shared@x.ru")
	w.says("first", entity.OptedIn)
	w.person("second", "shared@x.ru", "own@x.ru")
	w.says("second", entity.OptedIn)
	w.says("first", entity.OptedOut)
	w.members("second") // who refused is not even in the segment
	out := w.push()
	assert.Equal(t, []string{"own@x.ru"}, w.mailer.on(listName))
	assert.Empty(t, out.Result.Held)
}

func TestAssumedConsentIsCounted(t *testing.T) {
	w := newWorld(t)
	w.person("anna", "anna@x.ru")
	w.members("anna")
	w.def.Consent.Mode = map[string]consent.Mode{"email": consent.Assumed}
	out := w.push()
	assert.Equal(t, 1, out.Result.Added)
	assert.Equal(t, 1, out.Result.Assumed)
	w.idle()
}

func TestRefusalsAtTheTargetAreKeptAndCount(t *testing.T) {
	for name, state := range map[string]entity.MemberState{"opted_out": entity.Unsubscribed, "complained": entity.MemberComplained, "bounced": entity.MemberBounced} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.willing("anna", "boris")
			w.push()
			w.mailer.leave(listName, "anna@x.ru", state, nil)

			out := w.push()
			assert.Equal(t, 1, out.Result.Held[name])
			assert.Equal(t, []string{"boris@x.ru"}, w.mailer.on(listName))
			assert.Contains(t, w.mailer.lists["list-1"], "anna@x.ru", "what the tool remembers of a refusal is left alone")
			refusals, err := w.store.RemoteConsents(w.ctx, w.ws.ID)
			require.NoError(t, err)
			require.Len(t, refusals, 1)
			assert.Equal(t, "anna@x.ru", refusals[0].Address)
			assert.Equal(t, []string{"boris@x.ru"}, w.ledger())
			w.idle()

			// The tool forgets, or is made to: the refusal stays.
			delete(w.mailer.lists["list-1"], "anna@x.ru")
			assert.Equal(t, 1, w.push().Result.Held[name])
			w.mailer.subscribe(listName, "anna@x.ru")
			out = w.push()
			assert.Equal(t, 1, out.Result.RemovedOptedOut)
			assert.Equal(t, []string{"boris@x.ru"}, w.mailer.on(listName))
			w.idle()
		})
	}
}

func TestANewerOptInFromTheSystemOfRecordBringsBack(t *testing.T) {
	w := newWorld(t)
	w.willing("anna")
	w.push()
	w.tick()
	at := w.clock.now
	w.mailer.leave(listName, "anna@x.ru", entity.Unsubscribed, &at)
	w.push()
	assert.Empty(t, w.mailer.on(listName))

	w.says("anna", entity.OptedIn)
	out := w.push()
	assert.Equal(t, 1, out.Result.Added)
	assert.Equal(t, []string{"anna@x.ru"}, w.mailer.on(listName))
	w.idle()

	t.Run("unless the tool keeps its own mind", func(t *testing.T) {
		w.mailer.leave(listName, "anna@x.ru", entity.Unsubscribed, &at)
		out := w.push()
		assert.Equal(t, map[string]int{activation.RefusedThere: 1}, out.Result.Held)
		w.idle()
	})
}

func TestWhoWasRemovedByHandStaysRemoved(t *testing.T) {
	w := newWorld(t)
	w.willing("anna", "boris")
	w.push()
	delete(w.mailer.lists["list-1"], "anna@x.ru")
	out := w.push()
	assert.Equal(t, map[string]int{activation.RemovedByHand: 1}, out.Result.Held)
	assert.Equal(t, []string{"boris@x.ru"}, w.ledger())
	w.idle()

	w.members("boris")
	w.push()
	w.members("anna", "boris")
	assert.Equal(t, map[string]int{activation.RemovedByHand: 1}, w.push().Result.Held, "also after leaving the segment meanwhile")
	assert.Equal(t, []string{"boris@x.ru"}, w.mailer.on(listName))

	w.mailer.subscribe(listName, "anna@x.ru")
	assert.Empty(t, w.push().Result.Held, "put back by hand")
	assert.Equal(t, []string{"anna@x.ru", "boris@x.ru"}, w.ledger())
	w.idle()
}

func TestOtherSpellingsOfAnAddressAreOneMember(t *testing.T) {
	w := newWorld(t)
	w.willing("anna")
	w.person("boris", "boris@x.ru")
	w.says("boris", entity.OptedOut)
	w.mailer.subscribe(listName, "Anna@X.ru", "BORIS@x.ru", "boris@x.ru", "не адрес")
	out := w.push()
	assert.Equal(t, []string{"Anna@X.ru"}, w.mailer.on(listName))
	assert.Equal(t, 2, out.Result.RemovedOptedOut, "one action for each spelling")
	assert.Equal(t, 1, out.Result.Removed)
	w.idle()
}

func TestMembersWithoutTheTargetsIdentityAreLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.willing("anna")
	w.mailer.lists[w.mailer.create(listName)]["17"] = &subscriber{state: entity.Subscribed}
	w.mailer.skipped = []connector.Skipped{{Key: "anna@x.ru", Problem: &connector.Problem{}}}
	out := w.push()
	assert.Equal(t, map[string]int{activation.Unidentified: 1, activation.Unreadable: 1}, out.Result.Held)
	assert.Zero(t, w.mailer.writes)
}

func TestModes(t *testing.T) {
	for mode, want := range map[activation.Mode][]string{
		activation.Mirror: {"anna@x.ru", "boris@x.ru"},
		activation.Upsert: {"anna@x.ru", "boris@x.ru", "stranger@x.ru"},
		activation.Update: {"boris@x.ru", "stranger@x.ru"},
	} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t)
			w.def.Mode = mode
			w.willing("anna", "boris")
			w.person("out", "out@x.ru")
			w.says("out", entity.OptedOut)
			w.mailer.subscribe(listName, "stranger@x.ru", "boris@x.ru", "out@x.ru")
			out := w.push()
			assert.Equal(t, want, w.mailer.on(listName), "who refused is taken off in every mode")
			assert.Equal(t, 1, out.Result.RemovedOptedOut)
			assert.Equal(t, "boris", w.mailer.lists["list-1"]["boris@x.ru"].traits["Name"])
			w.idle()
		})
	}
}

func TestATargetNobodyReceivesThroughIsOutsideConsent(t *testing.T) {
	w := newWorld(t)
	w.def.Channel = consent.NoChannel
	w.person("anna", "anna@x.ru")
	w.says("anna", entity.OptedOut)
	w.members("anna")
	w.push()
	assert.Equal(t, []string{"anna@x.ru"}, w.mailer.on(listName))
	w.idle()
}

func TestATargetThatKnowsMembersByTheirRecord(t *testing.T) {
	w := newWorld(t)
	w.def.Spec.Identity = "contacts"
	w.def.Connection, w.def.ConnectionName = w.crm.ID, "crm"
	book := &recordList{members: map[string]entity.MemberState{}}
	w.engine.Destination = book
	w.willing("anna", "boris", "clara")
	w.person("clara", "clara@x.ru", "clara2@x.ru")
	w.tick()
	w.put(w.addresses, "c", entity.Consent{Email: "clara2@x.ru", Channel: "email", State: entity.Bounced, At: &w.clock.now})

	out := w.push()
	assert.Equal(t, []string{"anna", "boris"}, book.on())
	assert.Equal(t, map[string]int{"bounced": 1}, out.Result.Held, "every address the tool could take must be allowed")
	book.members["anna"] = entity.Unsubscribed
	out = w.push()
	assert.Equal(t, 1, out.Result.Held["opted_out"])
	delete(book.members, "anna")
	assert.Equal(t, 1, w.push().Result.Held["opted_out"])
	w.says("boris", entity.OptedOut)
	assert.Equal(t, 1, w.push().Result.RemovedOptedOut)
	assert.Empty(t, book.on())
}

func TestTheToolMayPrepareItsMembers(t *testing.T) {
	w := newWorld(t)
	w.willing("anna")
	w.mailer.subscribe(listName)
	ready := w.clock.now.Add(10 * time.Minute)
	w.mailer.notReady = []time.Time{ready}
	r := w.newRun()
	out, err := w.pushRun(r)
	require.NoError(t, err)
	assert.Equal(t, ready, out.WaitUntil)
	w.clock.now = ready
	out, err = w.pushRun(r)
	require.NoError(t, err)
	assert.True(t, out.WaitUntil.IsZero())
	assert.Equal(t, []string{"anna@x.ru"}, w.mailer.on(listName))
	w.idle()
}

func TestPreviewChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.willing("anna")
	w.mailer.subscribe(listName, "stranger@x.ru", "gone@x.ru")
	w.mailer.leave(listName, "gone@x.ru", entity.Unsubscribed, nil)
	w.def.FirstPushApproved = false
	rows := w.domainRows()
	plan, err := w.engine.Preview(w.ctx, w.ws, w.def)
	require.NoError(t, err)
	assert.Equal(t, activation.Counts{Add: 1, Remove: 1}, plan.Counts)
	assert.Contains(t, plan.Hold, "regulars activation approve win-back")
	assert.Equal(t, []activation.PlanChange{
		{Identity: "stranger@x.ru", Action: activation.Remove, Reason: activation.LeftSegment},
		{Customer: w.id("anna"), Identity: "anna@x.ru", Action: activation.Add, Reason: "allowed"},
	}, plan.Changes)
	assert.Equal(t, rows, w.domainRows())
	assert.Zero(t, w.mailer.writes)
}

func TestResultsNameWhatWasDone(t *testing.T) {
	w := newWorld(t)
	w.willing("anna", "boris")
	w.mailer.answer = func(a connector.Action) *connector.Result {
		if a.Person.Email == "boris@x.ru" {
			return &connector.Result{State: connector.ResultRejected, Problem: &connector.Problem{Kind: connector.Rejected, Rule: "mx", Message: "the domain takes no mail"}}
		}
		return nil
	}
	out := w.push()
	assert.Equal(t, 1, out.Result.Rejected)
	results, err := w.engine.Results(w.ctx, w.ws.ID, w.lastRun.ID)
	require.NoError(t, err)
	require.Len(t, results, 2)
	assert.Equal(t, activation.Done, results[0].State)
	assert.Equal(t, w.id("anna"), results[0].Customer)
	assert.Equal(t, activation.Rejected, results[1].State)
	assert.Equal(t, "the domain takes no mail", results[1].Message)
	assert.Equal(t, "mx", results[1].Rule)

	stored, err := w.store.Run(w.ctx, nil, w.ws.ID, w.lastRun.ID)
	require.NoError(t, err)
	assert.JSONEq(t, `{"target":"list-1","segment":2,"members":0,"planned":{"add":2,"update":0,"remove":0,"remove_opted_out":0},
		"added":1,"updated":0,"removed":0,"removed_opted_out":0,"accepted":0,"rejected":1,"retryable":0,"unchanged":0,"held":{}}`, stored.Result)

	w.mailer.answer = nil
	w.idle()
	assert.Equal(t, 1, w.push().Result.Held[activation.RejectedBefore], "what was refused is not sent again unchanged")
	w.trigger = "retry"
	assert.Equal(t, 1, w.push().Result.Added)
	w.trigger = ""
	w.idle()
}

func TestPreviewCountsRefusalsThatAreOnlyAtTheTarget(t *testing.T) {
	w := newWorld(t)
	w.person("dora", "dora@x.ru", "dora2@x.ru")
	w.says("dora", entity.OptedIn)
	w.members("dora")
	w.mailer.subscribe(listName, "dora2@x.ru")
	w.mailer.leave(listName, "dora2@x.ru", entity.Unsubscribed, nil)
	plan, err := w.engine.Preview(w.ctx, w.ws, w.def)
	require.NoError(t, err)
	assert.Empty(t, plan.Changes, "who refused at one address is not written to at another")
	assert.Equal(t, []activation.HeldOfPlan{{Customer: w.id("dora"), Reason: "opted_out"}}, plan.HeldBack)
	refusals, err := w.store.RemoteConsents(w.ctx, w.ws.ID)
	require.NoError(t, err)
	assert.Empty(t, refusals)
	assert.Equal(t, plan.Held, w.push().Result.Held, "the push finds the same")
}
