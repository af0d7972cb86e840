package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/sandbox/world"
)

// The bars for identity at default rules, on the sandbox's world at its default shares of troubles.
const (
	leastPrecision = 0.999
	leastRecall    = 0.95
)

// worldSeedVar names the seed of a world beside the fixed ones.
const worldSeedVar = "REGULARS_WORLD_SEED"

func extraWorldSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv(worldSeedVar)
	if text == "" {
		return 20260331
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, worldSeedVar)
	return seed
}

// People are told apart and put together by the hub itself: through files, the connector, ingest and settle.
func TestWorldThroughTheHub(t *testing.T) {
	people, seeds := 2000, []uint64{1, 2, 3, extraWorldSeed(t)}
	if underRace {
		people, seeds = 500, seeds[:1]
	}
	for _, seed := range seeds {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			w := world.New(world.Config{Seed: seed, People: people})
			s := site{dir: t.TempDir()}
			require.NoError(t, w.WriteTables(s.path("workspaces")))
			s.write(t, "hub.yaml", hubYAML+"connectors: {folder: "+filepath.Join(bin, "connectors")+"}\n")
			h, _ := s.openHub(t)
			for _, r := range sync(t, h, run.Incremental) {
				require.Equal(t, run.Done, r.State, "%s: %s", r.Subject, r.Cause)
				require.Zero(t, r.Counts.Rejected, r.Subject)
			}
			clusters, records := exportedCustomers(t, export(t, h))
			for _, known := range w.Truth.Records {
				if known.Owner != "" {
					require.Contains(t, records, known.Key, "the customer of a record is missing")
				}
			}
			requireGoodScore(t, w, clusters)
		})
	}
}

// exportedCustomers reads the record keys of each customer from a canonical export.
func exportedCustomers(t *testing.T, text string) (clusters [][]world.Key, records map[world.Key]bool) {
	t.Helper()
	records = map[world.Key]bool{}
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Type string
			Keys []string
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
		if line.Type != "customer" {
			continue
		}
		var cluster []world.Key
		for _, name := range line.Keys {
			stream, key, _ := strings.Cut(name, "/")
			source, stream, _ := strings.Cut(stream, ".")
			cluster = append(cluster, world.Key{Source: source, Stream: stream, Key: key})
			records[cluster[len(cluster)-1]] = true
		}
		clusters = append(clusters, cluster)
	}
	require.NoError(t, lines.Err())
	return clusters, records
}

// The same question put to the pure functions, over more and larger worlds.
func TestWorldPartition(t *testing.T) {
	seeds := []uint64{extraWorldSeed(t)}
	for seed := range uint64(12) {
		seeds = append(seeds, 1000+seed)
	}
	for _, seed := range seeds {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			w := world.New(world.Config{Seed: seed, People: 3000})
			requireGoodScore(t, w, partitioned(w, defaultIdentity()))
		})
	}
}

// defaultIdentity is what a workspace has that says nothing about identity.
func defaultIdentity() identity.Rules {
	rules := identity.DefaultRules()
	rules.PhoneRegion = "RU"
	return rules
}

// partitioned has the pure functions make customers of a world's records.
func partitioned(w *world.World, rules identity.Rules) [][]world.Key {
	var nodes []identity.Node
	keys := map[store.RecordKey]world.Key{}
	for _, s := range worldSources(w) {
		node := identity.Node{Key: s.source.Key, Kind: customer.Company}
		if contact := s.source.Contact; contact != nil {
			if anonymous(contact, rules) {
				continue
			}
			node.Kind, node.Names = customer.Person, []entity.Name{contact.Name}
		}
		node.Identifiers = identity.Identifiers(s.source, rules)
		nodes = append(nodes, node)
		keys[s.source.Key] = s.key
	}
	var clusters [][]world.Key
	for _, part := range identity.Partition(nodes, nil, nil, rules) {
		var cluster []world.Key
		for _, member := range part.Members {
			cluster = append(cluster, keys[member])
		}
		clusters = append(clusters, cluster)
	}
	return clusters
}

// anonymous says that a record stands for whoever comes to the till; settling leaves such records out of identity.
func anonymous(contact *entity.Contact, rules identity.Rules) bool {
	return contact.Anonymous || rules.IsAnonymous(identity.FullName(contact.Name))
}

type worldSource struct {
	key    world.Key
	source identity.Source
}

func worldSources(w *world.World) []worldSource {
	connections := map[string]store.ConnectionID{}
	for i, name := range world.Sources() {
		connections[name] = store.ConnectionID(i + 1)
	}
	recordKey := func(k world.Key) store.RecordKey {
		return store.RecordKey{Connection: connections[k.Source], Stream: k.Stream, Key: k.Key}
	}
	var out []worldSource
	for _, r := range w.Contacts {
		out = append(out, worldSource{r.Key, identity.Source{Key: recordKey(r.Key), UpdatedAt: r.UpdatedAt, MergedKeys: r.MergedKeys, Contact: &r.Data}})
	}
	for _, r := range w.Companies {
		out = append(out, worldSource{r.Key, identity.Source{Key: recordKey(r.Key), UpdatedAt: r.UpdatedAt, MergedKeys: r.MergedKeys, Company: &r.Data}})
	}
	return out
}

// requireGoodScore holds customers against the truth and reports the main causes of mistakes.
func requireGoodScore(t *testing.T, w *world.World, clusters [][]world.Key) {
	t.Helper()
	score, err := world.Score(w.Truth, clusters)
	require.NoError(t, err)
	require.Greater(t, score.Linkable, int64(w.Config.People)/4, "too few pairs to tell anything")
	t.Logf("%d records, %d customers: precision %.5f (B-cubed %.5f), recall %.4f (B-cubed %.4f), %d records unlinkable, %d linkable pairs",
		score.Records, score.Clusters, score.Precision, score.BCubedPrecision, score.Recall, score.BCubedRecall, score.Unlinkable, score.Linkable)
	report(t, "wrong merges", score.WrongMerges)
	report(t, "misses", score.Misses)
	assert.GreaterOrEqual(t, score.Precision, leastPrecision, "precision")
	assert.GreaterOrEqual(t, score.Recall, leastRecall, "recall")
}

// report logs the causes and the worst of mistakes.
func report(t *testing.T, what string, list []world.Mistake) {
	t.Helper()
	const most = 8
	for i, cause := range world.Causes(list) {
		if i < most {
			t.Logf("%s: %s: %d, %d pairs", what, cause.Name, cause.Mistakes, cause.Pairs)
		}
	}
	for _, m := range list[:min(most, len(list))] {
		t.Logf("%s: %s", what, m)
	}
}

// What the world says is evidence is what identity finds in the records, however it is spelled there: the same groups of
// records have an address in common. How either writes the address does not matter.
func TestWorldEvidenceIsWhatIdentityFinds(t *testing.T) {
	w := world.New(world.Config{Seed: 7, People: 3000})
	sources, position := worldSources(w), map[world.Key]int{}
	found := map[string][]int{}
	for i, s := range sources {
		position[s.key] = i
		for _, id := range identity.Identifiers(s.source, defaultIdentity()) {
			found[id.Kind+":"+id.Value] = append(found[id.Kind+":"+id.Value], i)
		}
	}
	told := map[string][]int{}
	for _, known := range w.Truth.Records {
		for _, e := range known.Evidence {
			told[e] = append(told[e], position[known.Key])
		}
	}
	having := map[string]bool{}
	for _, records := range found {
		slices.Sort(records)
		having[fmt.Sprint(records)] = true
	}
	groups, lost := 0, 0
	byKind := map[string]int{}
	for e, records := range told {
		if len(records) < 2 {
			continue
		}
		slices.Sort(records)
		if groups++; !having[fmt.Sprint(records)] {
			kind, _, _ := strings.Cut(e, ":")
			byKind[kind]++
			lost++
		}
	}
	t.Logf("of %d addresses on several records %d are not seen on all of these: %v", groups, lost, byKind)
	assert.LessOrEqual(t, lost, groups/50)
}
