package settle

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/ingest"
)

func day(text string) time.Time {
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return at
}

// step is a change to a stage: "won2" is the second won stage.
func step(at, stage string, state entity.DealState) entity.StageChange {
	return entity.StageChange{At: day(at), Pipeline: "sales", Stage: stage, State: state}
}

func TestWinsOfADeal(t *testing.T) {
	moved, closed, from := day("2026-05-01"), day("2026-04-01"), day("2026-02-01")
	closedOn := entity.DateIn(closed, time.UTC)
	won := func(d entity.Deal) entity.Deal {
		d.State, d.Pipeline = entity.DealWon, "sales"
		return d
	}
	again := []entity.StageChange{
		step("2026-01-01", "new", entity.DealOpen), step("2026-01-05", "won", entity.DealWon), step("2026-01-06", "shipped", entity.DealWon),
		step("2026-02-01", "new", entity.DealOpen), step("2026-03-01", "won", entity.DealWon),
	}
	left := slices.Concat(again, []entity.StageChange{step("2026-03-09", "lost", entity.DealLost)})
	for name, c := range map[string]struct {
		deal       entity.Deal
		pipelines  []string
		once, each string // dates with their source
	}{
		"open":                                  {deal: entity.Deal{State: entity.DealOpen, Pipeline: "sales", MovedAt: &moved}},
		"lost":                                  {deal: entity.Deal{State: entity.DealLost, Pipeline: "sales", ClosedAt: &closed}},
		"won twice":                             {deal: won(entity.Deal{History: again}), once: "2026-01-05 history", each: "2026-01-05 history, 2026-03-01 history"},
		"history out of order":                  {deal: won(entity.Deal{History: []entity.StageChange{again[4], again[2], again[0], again[1], again[3]}}), once: "2026-01-05 history", each: "2026-01-05 history, 2026-03-01 history"},
		"left again":                            {deal: entity.Deal{State: entity.DealLost, Pipeline: "sales", History: left}, each: "2026-01-05 history"},
		"left once":                             {deal: entity.Deal{State: entity.DealOpen, Pipeline: "sales", History: again[:4]}},
		"moved before closed":                   {deal: won(entity.Deal{MovedAt: &moved, ClosedAt: &closed}), once: "2026-05-01 moved", each: "2026-05-01 moved"},
		"closed at":                             {deal: won(entity.Deal{ClosedAt: &closed}), once: "2026-04-01 closed", each: "2026-04-01 closed"},
		"closed on":                             {deal: won(entity.Deal{ClosedOn: &closedOn}), once: "2026-04-01 closed", each: "2026-04-01 closed"},
		"history ends before the win":           {deal: won(entity.Deal{History: left, MovedAt: &moved}), once: "2026-01-05 history", each: "2026-01-05 history, 2026-03-01 history, 2026-05-01 moved"},
		"history without a win":                 {deal: won(entity.Deal{History: again[:1], MovedAt: &moved}), once: "2026-05-01 moved", each: "2026-05-01 moved"},
		"history begins between two won stages": {deal: won(entity.Deal{History: again[2:3], HistoryFrom: &from, ClosedAt: ptr(day("2025-12-01"))}), once: "2025-12-01 closed", each: "2025-12-01 closed"},
		"history begins with the win":           {deal: won(entity.Deal{History: again[4:], HistoryFrom: &from, ClosedAt: &closed}), once: "2026-03-01 history", each: "2026-03-01 history"},
		"another pipeline":                      {deal: won(entity.Deal{History: again}), pipelines: []string{"service"}},
		"chosen pipeline":                       {deal: won(entity.Deal{History: again}), pipelines: []string{"service", "sales"}, once: "2026-01-05 history", each: "2026-01-05 history, 2026-03-01 history"},
		"won in another pipeline, then moved to a chosen one": {
			deal: won(entity.Deal{History: []entity.StageChange{{At: day("2026-01-05"), Pipeline: "other", Stage: "w", State: entity.DealWon}, step("2026-02-05", "won", entity.DealWon)}}), pipelines: []string{"sales"},
			once: "2026-02-05 history", each: "2026-02-05 history",
		},
		"states not named": {deal: won(entity.Deal{Stage: "won", History: []entity.StageChange{{At: day("2026-01-01"), Stage: "new"}, {At: day("2026-01-05"), Stage: "won"}}}), once: "2026-01-05 history", each: "2026-01-05 history"},
	} {
		t.Run(name, func(t *testing.T) {
			for each, want := range map[bool]string{false: c.once, true: c.each} {
				got, err := DealRule{EachEntry: each, Pipelines: c.pipelines}.wins(c.deal)
				require.NoError(t, err)
				assert.Equal(t, want, shown(got), "each entry: %v", each)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

func shown(wins []win) (text string) {
	for i, w := range wins {
		if i > 0 {
			text += ", "
		}
		if w.at != nil {
			text += w.at.Format(time.DateOnly)
		} else {
			text += w.on.String()
		}
		text += " " + w.from
	}
	return text
}

func TestAWinWithoutADate(t *testing.T) {
	for _, each := range []bool{false, true} {
		_, err := DealRule{EachEntry: each}.wins(entity.Deal{State: entity.DealWon})
		var fault *ingest.Fault
		require.ErrorAs(t, err, &fault)
		assert.Equal(t, "no_date", fault.Rule)
	}
}
