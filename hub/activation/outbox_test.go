package activation_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/activation"
	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/store"
)

// TestACutPushEndsWhereAnUndisturbedOneWould cuts a push off at every transaction and at every action of every call,
// and runs it again.
func TestACutPushEndsWhereAnUndisturbedOneWould(t *testing.T) {
	clock, s := openStore(t)
	worlds := 0
	prepare := func(t *testing.T) *world {
		worlds++
		w := settleIn(t, s, clock, fmt.Sprint("world ", worlds))
		w.def.Spec.Batch, w.def.MaxCount = 2, 100
		w.willing("anna", "boris", "clara", "dora")
		w.push()
		w.person("anna", "anna@x.ru", "anna2@x.ru")
		w.put(w.contacts, "boris", entity.Contact{Name: entity.Name{First: "Борис"}, Emails: []entity.Address{{Value: "boris@x.ru"}}})
		w.willing("emil", "fanny", "gleb")
		w.says("clara", entity.OptedOut)
		w.members("anna", "boris", "clara", "emil", "fanny", "gleb")
		w.mailer.subscribe(listName, "stranger@x.ru")
		return w
	}
	calm := prepare(t)
	holds := 0
	calm.onHold = func() (bool, error) { holds++; return false, nil }
	calm.push()
	require.Greater(t, holds, 8)

	result := func(w *world) activation.Result {
		stored, err := w.store.Run(w.ctx, nil, w.ws.ID, w.lastRun.ID)
		require.NoError(w.t, err)
		return withoutLook(w.t, stored.Result)
	}
	want := result(calm)
	again := func(t *testing.T, w *world, r run.Run) {
		out, err := w.pushRun(r)
		require.NoError(t, err)
		require.Empty(t, out.Cause)
		assert.Equal(t, want, result(w))
		assert.Equal(t, members(calm), members(w))
		assert.Equal(t, calm.ledger(), w.ledger())
		w.idle()
	}
	for at := range holds {
		t.Run(fmt.Sprintf("transaction %d", at), func(t *testing.T) {
			w := prepare(t)
			n := 0
			w.onHold = func() (bool, error) {
				n++
				if n == at+1 {
					return false, store.ErrLeaseLost
				}
				return false, nil
			}
			r := w.newRun()
			_, err := w.pushRun(r)
			require.ErrorIs(t, err, store.ErrLeaseLost)
			again(t, w, r)
		})
	}
	for call := range 5 {
		for action := range 3 {
			t.Run(fmt.Sprintf("call %d action %d", call, action), func(t *testing.T) {
				w := prepare(t)
				calls := &cutter{mailer: w.mailer, call: call, action: action}
				w.engine.Destination = calls
				r := w.newRun()
				if _, err := w.pushRun(r); calls.calls <= call {
					require.NoError(t, err)
					return
				}
				again(t, w, r)
			})
		}
	}
}

// cutter cuts one call of a mailer off.
type cutter struct {
	*mailer
	calls, call, action int
}

func (c *cutter) Write(ctx context.Context, ws store.WorkspaceID, conn store.ConnectionID, actions []connector.Action) ([]connector.Result, error) {
	if c.calls == c.call {
		c.cutAfter = c.action
	}
	c.calls++
	return c.mailer.Write(ctx, ws, conn, actions)
}

func TestAnUnknownRemovalIsNotTakenForOneByHand(t *testing.T) {
	w := newWorld(t)
	w.willing("anna", "boris")
	w.push()
	w.members("boris")
	w.mailer.cutAfter = 1 // done, but nobody learned
	_, err := w.pushRun(w.newRun())
	require.ErrorIs(t, err, errCut)
	w.end(w.lastRun)
	w.members("anna", "boris")
	out := w.push()
	assert.Equal(t, 1, out.Result.Added)
	assert.Equal(t, []string{"anna@x.ru", "boris@x.ru"}, w.mailer.on(listName))
	w.idle()
}

func TestAnUnknownUpdateIsSentAgain(t *testing.T) {
	for _, idempotent := range []bool{true, false} {
		t.Run(fmt.Sprintf("idempotent %v", idempotent), func(t *testing.T) {
			w := newWorld(t)
			w.def.Spec.Idempotent = idempotent
			w.willing("anna")
			w.push()
			w.put(w.contacts, "anna", entity.Contact{Name: entity.Name{First: "Анна"}, Emails: []entity.Address{{Value: "anna@x.ru"}}})
			w.mailer.cutAfter = 1
			_, err := w.pushRun(w.newRun())
			require.ErrorIs(t, err, errCut)
			w.end(w.lastRun)
			// The name is as it was before, so by the ledger alone there would be nothing to do.
			w.person("anna", "anna@x.ru")
			w.push()
			assert.Equal(t, "anna", w.mailer.lists["list-1"]["anna@x.ru"].traits["Name"])
			w.idle()
		})
	}
}

func TestAnotherTargetLeavesTheOldOneAlone(t *testing.T) {
	w := newWorld(t)
	w.willing("anna")
	w.push()
	w.willing("boris")
	w.mailer.cutAfter = 0
	_, err := w.pushRun(w.newRun())
	require.ErrorIs(t, err, errCut)
	w.end(w.lastRun)
	w.def.Target = "Новые"
	out := w.push()
	assert.Equal(t, 2, out.Result.Added)
	assert.Equal(t, []string{"anna@x.ru"}, w.mailer.on(listName))
	assert.Equal(t, []string{"anna@x.ru", "boris@x.ru"}, w.mailer.on("Новые"))
	w.idle()
}

func TestWhatIsPutOffIsTriedAgain(t *testing.T) {
	later := func(times int) func(connector.Action) *connector.Result {
		seen := map[string]int{}
		return func(a connector.Action) *connector.Result {
			seen[a.Person.Email]++
			if a.Person.Email == "anna@x.ru" && seen[a.Person.Email] <= times {
				return &connector.Result{State: connector.ResultRetryable, Problem: &connector.Problem{Kind: connector.Upstream, Message: "busy"}}
			}
			return nil
		}
	}
	t.Run("within the push", func(t *testing.T) {
		w := newWorld(t)
		w.willing("anna", "boris")
		w.mailer.answer = later(3)
		out := w.push()
		assert.Equal(t, 2, out.Result.Added)
		assert.Zero(t, out.Result.Retryable)
		assert.Equal(t, 4, w.mailer.writes)
		results, err := w.engine.Results(w.ctx, w.ws.ID, w.lastRun.ID)
		require.NoError(t, err)
		assert.Len(t, results, 2, "one line for each record, however often it is tried")
		w.idle()
	})
	t.Run("by the next push", func(t *testing.T) {
		w := newWorld(t)
		w.willing("anna", "boris")
		w.mailer.answer = later(4)
		out := w.push()
		assert.Equal(t, 1, out.Result.Added)
		assert.Equal(t, 1, out.Result.Retryable)
		assert.Equal(t, 4, w.mailer.writes)
		assert.Equal(t, 1, w.push().Result.Added)
		w.idle()
	})
	t.Run("not for long", func(t *testing.T) {
		w := newWorld(t)
		w.willing("anna")
		w.mailer.answer = func(connector.Action) *connector.Result {
			return &connector.Result{State: connector.ResultRetryable, Problem: &connector.Problem{Kind: connector.RateLimited, RetryAfter: time.Hour, Message: "tomorrow"}}
		}
		assert.Equal(t, 1, w.push().Result.Retryable)
		assert.Equal(t, 1, w.mailer.writes)
	})
	t.Run("not who refuses meanwhile", func(t *testing.T) {
		w := newWorld(t)
		w.willing("anna")
		w.mailer.answer = func(connector.Action) *connector.Result {
			w.says("anna", entity.OptedOut)
			return &connector.Result{State: connector.ResultRetryable}
		}
		out := w.push()
		assert.Equal(t, 1, out.Result.Held["opted_out"])
		assert.Equal(t, 1, w.mailer.writes)
		w.idle()
	})
}

func TestTheTargetMayCarryOutLater(t *testing.T) {
	for _, idempotent := range []bool{true, false} {
		t.Run(fmt.Sprintf("idempotent %v", idempotent), func(t *testing.T) {
			w := newWorld(t)
			w.def.Spec.Idempotent = idempotent
			w.willing("anna")
			w.mailer.answer = func(connector.Action) *connector.Result { return &connector.Result{State: connector.ResultAccepted} }
			out := w.push()
			assert.Equal(t, 1, out.Result.Accepted)
			assert.Empty(t, w.ledger())

			w.mailer.answer = nil
			w.mailer.subscribe(listName, "anna@x.ru") // now it has
			out = w.push()
			assert.Equal(t, 1, out.Result.Unchanged)
			assert.Equal(t, 1, w.mailer.writes)
			assert.Equal(t, []string{"anna@x.ru"}, w.ledger())
			w.idle()
		})
	}
	t.Run("and must not be told twice", func(t *testing.T) {
		w := newWorld(t)
		w.def.Spec.Idempotent = false
		w.willing("anna")
		w.mailer.answer = func(connector.Action) *connector.Result { return &connector.Result{State: connector.ResultAccepted} }
		w.push()
		out := w.push()
		assert.Equal(t, map[string]int{activation.AcceptedBefore: 1}, out.Result.Held)
		assert.Equal(t, 1, w.mailer.writes)
	})
}

func TestARefusalBetweenPlanAndCallIsRespected(t *testing.T) {
	w := newWorld(t)
	w.def.Spec.Batch = 1
	w.willing("anna", "boris", "clara")
	w.push()
	w.willing("dora", "emil")
	w.person("clara", "clara@x.ru", "more@x.ru")
	w.put(w.contacts, "clara", entity.Contact{Name: entity.Name{First: "Клара"}, Emails: []entity.Address{{Value: "clara@x.ru"}}})
	w.mailer.before = func(a connector.Action) {
		if a.Person.Email == "dora@x.ru" {
			w.says("emil", entity.OptedOut)
			w.says("clara", entity.OptedOut)
		}
	}
	out := w.push()
	assert.Equal(t, 1, out.Result.Added)
	assert.Equal(t, 1, out.Result.RemovedOptedOut, "was on the target, and is not when the push is over")
	assert.Equal(t, 2, out.Result.Held["opted_out"])
	assert.Equal(t, []string{"anna@x.ru", "boris@x.ru", "dora@x.ru"}, w.mailer.on(listName))
}

func TestACancelStopsBetweenCalls(t *testing.T) {
	w := newWorld(t)
	w.def.Spec.Batch = 1
	w.willing("anna", "boris", "clara")
	w.onHold = func() (bool, error) { return w.mailer.writes > 0, nil }
	out := w.push()
	assert.True(t, out.Cancelled)
	assert.Equal(t, 1, w.mailer.writes)
	assert.Equal(t, []string{"anna@x.ru"}, w.ledger(), "what was done is recorded")
	w.onHold = nil
	assert.Equal(t, 2, w.push().Result.Added)
	w.idle()
}

func TestAWrongNumberOfResultsIsNotBelieved(t *testing.T) {
	w := newWorld(t)
	w.willing("anna")
	w.engine.Destination = short{w.mailer}
	_, err := w.pushRun(w.newRun())
	var p *connector.Problem
	require.ErrorAs(t, err, &p)
	assert.Equal(t, connector.Bug, p.Kind)
	assert.Empty(t, w.ledger())
}

func TestAReadbackThatDoesNotGetOnIsStopped(t *testing.T) {
	w := newWorld(t)
	w.mailer.subscribe(listName)
	w.engine.Destination = circle{w.mailer}
	_, err := w.pushRun(w.newRun())
	var p *connector.Problem
	require.ErrorAs(t, err, &p)
	assert.Equal(t, "cursor_moves", p.Rule)
}

func TestErrorsHoldNoPersonalData(t *testing.T) {
	w := newWorld(t)
	w.willing("anna")
	w.mailer.subscribe(listName)
	w.engine.Destination = garbled{w.mailer}
	_, err := w.pushRun(w.newRun())
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "secret@x.ru")
	assert.NotErrorIs(t, err, store.ErrNotFound)
}

// TestAnActionDoneAndUndoneWithinARunIsAnotherOne: to a tool that remembers idempotency keys, being put on again must
// not look like a repetition of the first time.
func TestAnActionDoneAndUndoneWithinARunIsAnotherOne(t *testing.T) {
	w := newWorld(t)
	w.def.Spec.Batch = 1
	w.willing("anna", "boris")
	seen := map[string]bool{}
	w.mailer.answer = func(a connector.Action) *connector.Result {
		if seen[a.IdempotencyKey] {
			return &connector.Result{State: connector.ResultOK, Unchanged: true}
		}
		seen[a.IdempotencyKey] = true
		return nil
	}
	r := w.newRun()
	cut := func() {
		w.engine.Destination = &cutter{mailer: w.mailer, call: 1, action: 0}
		_, err := w.pushRun(r)
		require.ErrorIs(t, err, errCut)
	}
	cut()
	require.Equal(t, []string{"anna@x.ru"}, w.mailer.on(listName))
	w.says("anna", entity.OptedOut)
	cut()
	require.Empty(t, w.mailer.on(listName))
	w.says("anna", entity.OptedIn)
	w.engine.Destination = w.mailer
	_, err := w.pushRun(r)
	require.NoError(t, err)
	assert.Equal(t, []string{"anna@x.ru", "boris@x.ru"}, w.mailer.on(listName))
	w.idle()
}
