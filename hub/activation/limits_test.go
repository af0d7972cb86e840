package activation_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/activation"
)

// crowd makes n willing members of the segment.
func (w *world) crowd(n int) []string {
	w.t.Helper()
	var keys []string
	for i := range n {
		keys = append(keys, fmt.Sprintf("p%02d", i))
	}
	w.willing(keys...)
	return keys
}

func TestTheFirstPushAsksOnce(t *testing.T) {
	w := newWorld(t)
	w.def.FirstPushApproved, w.def.MaxCount = false, 2
	w.push() // nothing to do yet asks nothing, and is not the first push
	w.crowd(3)

	out := w.push()
	assert.Equal(t, activation.CauseHeld, out.CauseKind)
	assert.Contains(t, out.Cause, "regulars activation approve win-back")
	assert.Zero(t, w.mailer.writes)
	assert.Zero(t, w.mailer.created, "nothing is created before the approval")
	assert.Equal(t, 3, out.Result.Planned.Add)
	state, err := w.engine.State(w.ctx, w.ws.ID, w.def.ID)
	require.NoError(t, err)
	assert.Equal(t, out.Cause, state.Held)

	approval, err := w.engine.Approve(w.ctx, w.ws.ID, w.def.ID)
	require.NoError(t, err)
	assert.Equal(t, activation.Approval{First: true, Add: 3}, approval)
	out = w.push()
	assert.Empty(t, out.Cause)
	assert.Equal(t, 3, out.Result.Added)
	w.idle()

	_, err = w.engine.Approve(w.ctx, w.ws.ID, w.def.ID)
	assert.ErrorIs(t, err, activation.ErrNothingToApprove)
	w.willing("x1", "x2")
	assert.Equal(t, 2, w.push().Result.Added, "asked once")
}

func TestTheFirstPushMayBeApprovedBeforehand(t *testing.T) {
	for name, approve := range map[string]func(w *world){
		"in the configuration": func(w *world) { w.def.FirstPushApproved = true },
		"by hand": func(w *world) {
			_, err := w.engine.Approve(w.ctx, w.ws.ID, w.def.ID)
			require.NoError(w.t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.def.FirstPushApproved, w.def.MaxCount = false, 2
			approve(w)
			keys := w.crowd(5)
			w.mailer.subscribe(listName, "s1@x.ru", "s2@x.ru", "s3@x.ru")
			out := w.push()
			assert.Equal(t, activation.CauseHeld, out.CauseKind, "nobody has looked at whom it would take off")
			w.mailer.subscribe("other")
			delete(w.mailer.lists["list-1"], "s3@x.ru")
			out = w.push()
			assert.Empty(t, out.Cause)
			assert.Equal(t, len(keys), out.Result.Added)
			assert.Equal(t, 2, out.Result.Removed)
		})
	}
}

func TestUnusualChangesAsk(t *testing.T) {
	for name, c := range map[string]struct {
		share   float64
		count   int
		members int
		leave   int
		held    bool
	}{
		"within the count":         {0.2, 3, 5, 3, false},
		"beyond the count":         {0.2, 3, 5, 4, true},
		"within the share":         {0.4, 0, 10, 4, false},
		"beyond the share":         {0.4, 0, 10, 5, true},
		"a share that is not even": {0.29, 0, 10, 3, true},
		"nothing without asking":   {0, 0, 3, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.def.MaxShare, w.def.MaxCount = c.share, c.count
			keys := w.crowd(c.members)
			require.Empty(t, w.push().Cause)

			writes := w.mailer.writes
			w.members(keys[c.leave:]...)
			out := w.push()
			if !c.held {
				assert.Empty(t, out.Cause)
				assert.Equal(t, c.leave, out.Result.Removed)
				return
			}
			assert.Equal(t, activation.CauseHeld, out.CauseKind)
			assert.Equal(t, writes, w.mailer.writes)
			assert.Len(t, w.mailer.on(listName), c.members)

			approval, err := w.engine.Approve(w.ctx, w.ws.ID, w.def.ID)
			require.NoError(t, err)
			assert.Equal(t, activation.Approval{Remove: c.leave}, approval)
			assert.Equal(t, c.leave, w.push().Result.Removed)
			w.idle()

			// The approval was for one push.
			rest := len(keys) - c.leave
			if rest > w.def.MaxCount {
				w.members()
				assert.Equal(t, activation.CauseHeld, w.push().CauseKind)
			}
		})
	}
}

func TestAnApprovalReachesAsFarAsItsCounts(t *testing.T) {
	w := newWorld(t)
	w.def.MaxCount, w.def.MaxShare = 1, 0
	keys := w.crowd(6)
	w.push()
	w.members(keys[3:]...)
	w.push()
	_, err := w.engine.Approve(w.ctx, w.ws.ID, w.def.ID)
	require.NoError(t, err)
	w.members(keys[5:]...)
	assert.Equal(t, activation.CauseHeld, w.push().CauseKind, "more than was approved")
	w.members(keys[3:]...)
	out := w.push()
	assert.Empty(t, out.Cause)
	assert.Equal(t, 3, out.Result.Removed)
	state, err := w.engine.State(w.ctx, w.ws.ID, w.def.ID)
	require.NoError(t, err)
	assert.Empty(t, state.Held)
}

func TestAdditionsAskToo(t *testing.T) {
	w := newWorld(t)
	w.def.MaxCount, w.def.MaxShare = 2, 0
	w.willing("anna")
	w.push()
	w.crowd(3)
	out := w.push()
	assert.Equal(t, activation.CauseHeld, out.CauseKind)
	assert.Equal(t, 3, out.Result.Planned.Add)
	w.members("anna", "p00", "p01")
	assert.Equal(t, 2, w.push().Result.Added, "a plan that has become usual needs nobody")
	w.idle()
}

// blocks are the states in which nothing but refusals may change a target.
var blocks = map[string]func(w *world){
	"data are not fresh":          func(w *world) { w.notReady = "crm.orders was last read too long ago" },
	"paused by hand":              func(w *world) { require.NoError(w.t, w.engine.Pause(w.ctx, w.ws.ID, w.def.ID, "paused by hand")) },
	"paused in the configuration": func(w *world) { w.def.Paused = true },
	"a plan waits":                func(w *world) { w.def.MaxCount, w.def.MaxShare = 0, 0 },
}

func TestRefusalsAreNeverBlocked(t *testing.T) {
	for name, block := range blocks {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.willing("anna", "boris", "clara")
			w.push()
			w.mailer.subscribe(listName, "stranger@x.ru")
			w.tick()
			w.put(w.addresses, "s", entity.Consent{Email: "stranger@x.ru", Channel: "email", State: entity.Complained, At: &w.clock.now})
			w.says("anna", entity.OptedOut)
			w.willing("new")
			w.members("anna", "clara", "new")
			block(w)

			r := w.newRun()
			out, err := w.pushRun(r)
			require.NoError(t, err)
			assert.Equal(t, 2, out.Result.RemovedOptedOut)
			assert.Equal(t, []string{"boris@x.ru", "clara@x.ru"}, w.mailer.on(listName), "nothing else changes")
			if out.WaitUntil.IsZero() {
				assert.NotEmpty(t, out.Cause)
			}
		})
	}
}

func TestDataThatAreNotFreshAreWaitedForAWhile(t *testing.T) {
	w := newWorld(t)
	w.willing("anna")
	w.push()
	w.willing("boris")
	w.notReady = "settle is behind"
	r := w.newRun()
	w.mailer.answer = nil
	waits := 0
	for {
		out, err := w.pushRun(r)
		require.NoError(t, err)
		if out.WaitUntil.IsZero() {
			assert.Equal(t, activation.CauseNotReady, out.CauseKind)
			assert.Equal(t, "settle is behind", out.Cause)
			break
		}
		assert.Equal(t, w.clock.now.Add(30*time.Second), out.WaitUntil)
		w.clock.now = out.WaitUntil
		waits++
	}
	assert.Equal(t, 20, waits)
	assert.Equal(t, []string{"anna@x.ru"}, w.mailer.on(listName))

	w.notReady = ""
	w.push()
	assert.Equal(t, []string{"anna@x.ru", "boris@x.ru"}, w.mailer.on(listName))
}

func TestASegmentThatWasNeverEvaluatedEmptiesNothing(t *testing.T) {
	w := newWorld(t)
	w.willing("anna")
	w.push()
	w.def.Segment = "unheard-of"
	out := w.push()
	assert.Contains(t, out.Cause, "has not been evaluated")
	assert.False(t, out.WaitUntil.IsZero())
	assert.Equal(t, []string{"anna@x.ru"}, w.mailer.on(listName))
}

func TestPauseAndResume(t *testing.T) {
	w := newWorld(t)
	w.willing("anna")
	require.Error(t, w.engine.Pause(w.ctx, w.ws.ID, w.def.ID, ""))
	require.NoError(t, w.engine.Pause(w.ctx, w.ws.ID, w.def.ID, "the boss is away"))
	out := w.push()
	assert.Equal(t, activation.CausePaused, out.CauseKind)
	assert.Equal(t, "the boss is away", out.Cause)
	assert.Empty(t, w.mailer.on(listName))
	plan, err := w.engine.Preview(w.ctx, w.ws, w.def)
	require.NoError(t, err)
	assert.Equal(t, "the boss is away", plan.Blocked)
	require.NoError(t, w.engine.Resume(w.ctx, w.ws.ID, w.def.ID))
	assert.Equal(t, 1, w.push().Result.Added)
}
