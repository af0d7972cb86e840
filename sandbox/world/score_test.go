package world_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/internal/property"
	"github.com/regulars/regulars/sandbox/world"
)

func key(name string) world.Key {
	return world.Key{Source: "crm", Stream: "contacts", Key: name}
}

func record(name, owner string, island int, evidence ...string) world.Known {
	return world.Known{Key: key(name), Kind: entity.KindContact, Owner: owner, Island: island, Evidence: evidence}
}

func TestScore(t *testing.T) {
	truth := world.Truth{Records: []world.Known{
		record("a1", "a", 0, "phone:1"), record("a2", "a", 0, "email:2", "phone:1"), record("a3", "a", 0, "email:2"), record("a4", "a", 3),
		record("b1", "b", 4, "phone:1"), record("b2", "b", 4, "phone:1"),
		record("x1", "", 6), record("x2", "", 7),
	}}
	truth.Records[3].Unlinkable = true
	truth.Records[4].Troubles = []world.Trouble{world.FamilyPhone}
	keys := func(names ...string) (out []world.Key) {
		for _, name := range names {
			out = append(out, key(name))
		}
		return out
	}
	// a1 a2 a4 and b1 together; a3 alone, not named at all; the two dummies together with b2.
	score, err := world.Score(truth, [][]world.Key{keys("a1", "a2", "a4", "b1"), keys("b2", "x1", "x2"), {key("placeholder")}})
	require.NoError(t, err)
	assert.Equal(t, 8, score.Records)
	assert.Equal(t, 3, score.Clusters)
	assert.Equal(t, 1, score.Unlinkable)
	assert.EqualValues(t, 6+2, score.Together, "two dummies are no pair")
	assert.EqualValues(t, 3, score.Right)
	assert.EqualValues(t, 3+1, score.Linkable, "a4 is on an island of its own")
	assert.EqualValues(t, 1, score.Found)
	assert.InDelta(t, 3.0/8, score.Precision, 1e-12)
	assert.InDelta(t, 1.0/4, score.Recall, 1e-12)
	// Precision of a1, a2, a4: 3/4; a3: 1; b1: 1/4; b2: 1/3. Recall of a1, a2: 2/3; a3: 1/3; a4: 1; b1, b2: 1/2.
	assert.InDelta(t, (3*0.75+1+0.25+1.0/3)/6, score.BCubedPrecision, 1e-12)
	assert.InDelta(t, (2*2.0/3+1.0/3+1+2*0.5)/6, score.BCubedRecall, 1e-12)

	require.Len(t, score.WrongMerges, 2)
	assert.Equal(t, world.Mistake{
		A: key("a1"), B: key("b1"), Pairs: 3, Shared: []string{"phone"}, Troubles: []world.Trouble{world.FamilyPhone},
	}, score.WrongMerges[0])
	assert.EqualValues(t, 2, score.WrongMerges[1].Pairs)
	require.Len(t, score.Misses, 2)
	assert.Equal(t, "crm.contacts/a2 - crm.contacts/a3: 2 pairs, shared [email], troubles []", score.Misses[0].String())
	assert.Equal(t, world.Cause{Name: "family_phone", Mistakes: 1, Pairs: 3}, world.Causes(score.WrongMerges)[0])

	_, err = world.Score(truth, [][]world.Key{keys("a1"), keys("a2", "a1")})
	require.EqualError(t, err, "record crm.contacts/a1 is in two clusters")

	nothing, err := world.Score(world.Truth{}, nil)
	require.NoError(t, err)
	assert.InDelta(t, 1, nothing.Precision+nothing.Recall-1, 0)
}

// The contingency counts say what counting every pair says.
func TestPropertyScoreCountsPairs(t *testing.T) {
	property.Check(t, func(t *testing.T, random *rand.Rand) {
		w := world.New(world.Config{Seed: random.Uint64(), People: 1 + random.IntN(25)})
		records := w.Truth.Records
		cluster := map[world.Key]int{}
		clusters := make([][]world.Key, 1+random.IntN(len(records)))
		for _, r := range records {
			n := random.IntN(len(clusters))
			cluster[r.Key] = n
			clusters[n] = append(clusters[n], r.Key)
		}
		var together, right, linkable, found int64
		for i, a := range records {
			for _, b := range records[:i] {
				one := cluster[a.Key] == cluster[b.Key]
				if one && (a.Owner != "" || b.Owner != "") {
					together++
					if a.Owner == b.Owner {
						right++
					}
				}
				if a.Owner != "" && a.Owner == b.Owner && a.Island == b.Island {
					linkable++
					if one {
						found++
					}
				}
			}
		}
		score, err := world.Score(w.Truth, clusters)
		require.NoError(t, err)
		require.Equal(t, []int64{together, right, linkable, found}, []int64{score.Together, score.Right, score.Linkable, score.Found})
	})
}
