package world_test

import (
	"encoding/csv"
	"encoding/json"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/internal/property"
	"github.com/regulars/regulars/sandbox/world"
)

func TestPropertySameSeedSameWorld(t *testing.T) {
	property.Check(t, func(t *testing.T, random *rand.Rand) {
		config := world.Config{Seed: random.Uint64(), People: 1 + random.IntN(40)}
		first := asJSON(t, world.New(config))
		require.Equal(t, string(first), string(asJSON(t, world.New(config))))
		config.Seed++
		require.NotEqual(t, string(first), string(asJSON(t, world.New(config))))
	})
}

// A share may be met by chance only as far off as chance goes. Shares of few cases are looked at over many worlds.
func TestSharesComeOutAsConfigured(t *testing.T) {
	total := map[string]*world.Count{}
	for seed := range uint64(5) {
		for _, c := range world.New(world.Config{Seed: seed, People: 3000}).Counts {
			if total[c.Share] == nil {
				total[c.Share] = &world.Count{Share: c.Share, Wanted: c.Wanted}
			}
			total[c.Share].Hits += c.Hits
			total[c.Share].Chances += c.Chances
		}
	}
	for name, c := range total {
		if name == "Dummy" {
			continue // a number, not a chance
		}
		require.NotZero(t, c.Chances, "%s is never asked for", name)
		n, p := float64(c.Chances), c.Wanted
		// Families share addresses in steps, and women marry, so these vary a little more than single draws do.
		bound := 4.5*math.Sqrt(n*p*(1-p)) + 1 + 0.1*n*p
		assert.InDelta(t, n*p, float64(c.Hits), bound, "%s: %d of %d, wanted %.4f", name, c.Hits, c.Chances, p)
	}
}

// What the shares stand for is really met in the records.
func TestTroublesAreInTheRecords(t *testing.T) {
	w := world.New(world.Config{Seed: 11, People: 6000})
	met := map[world.Trouble]int{}
	people, sources := map[string]map[string]bool{}, map[string]int{}
	for _, r := range w.Truth.Records {
		for _, trouble := range r.Troubles {
			met[trouble]++
		}
		if r.Kind == entity.KindContact && r.Owner != "" {
			if people[r.Owner] == nil {
				people[r.Owner] = map[string]bool{}
			}
			people[r.Owner][r.Key.Source] = true
		}
		sources[r.Key.Source]++
	}
	records, several := float64(len(w.Contacts)), 0
	for _, in := range people {
		if len(in) > 1 {
			several++
		}
	}
	assert.Len(t, people, 6000)
	assert.InDelta(t, 0.40, float64(several)/6000, 0.02)
	assert.InDelta(t, 0.06, float64(met[world.NameTypo])/records, 0.01)
	for _, trouble := range []world.Trouble{
		world.NameTypo, world.Nickname, world.FirstOnly, world.NameOrder, world.SwappedFields, world.YeForYo, world.Latin, world.ChangedName,
		world.ChangedPhone, world.RecycledPhone, world.Moved, world.Duplicate, world.SourceMerge, world.SecondCard, world.CardOnly, world.FamilyPhone,
		world.FamilyEmail, world.OfficePhone, world.OfficeEmail, world.JunkPhone, world.JunkEmail, world.EmailTypo, world.EmailCase, world.GmailVariant,
		world.YandexVariant, world.PhoneTypo, world.PhoneSpelling, world.SharedCell, world.NameInCell, world.Extension, world.Dummies, world.Branches,
	} {
		assert.NotZero(t, met[trouble], trouble)
	}
	for _, source := range world.Sources() {
		assert.Greater(t, sources[source], 1000, source)
	}
}

func TestNoTroubles(t *testing.T) {
	w := world.New(world.Config{Seed: 5, People: 500, Shares: world.Shares{Several: 0.5, Family: 0.5}})
	for _, r := range w.Truth.Records {
		require.NotEmpty(t, r.Owner)
		require.Subset(t, []world.Trouble{}, r.Troubles)
	}
	clusters := byEvidence(w.Truth)
	score, err := world.Score(w.Truth, clusters)
	require.NoError(t, err)
	assert.InDelta(t, 1, score.Precision, 0)
	assert.InDelta(t, 1, score.Recall, 0)
}

// Islands are what can be found out: whoever joins by true evidence within an owner's records finds all of them, and an
// unlinkable record shares nothing with its owner's others.
func TestIslandsHoldWhatEvidenceReaches(t *testing.T) {
	w := world.New(world.Config{Seed: 3, People: 2000})
	owned := map[string][]world.Known{}
	for _, r := range w.Truth.Records {
		if r.Owner != "" {
			owned[r.Owner] = append(owned[r.Owner], r)
		}
	}
	unlinkable, several := 0, 0
	for _, records := range owned {
		if len(records) > 1 {
			several += len(records)
		}
		for i, a := range records {
			touches := false
			for k, b := range records {
				if i != k && share(a, b) {
					touches = true
					require.Equal(t, a.Island, b.Island)
				}
			}
			require.Equal(t, len(records) > 1 && !touches, a.Unlinkable, "%s", a.Key)
			if a.Unlinkable {
				unlinkable++
			}
		}
	}
	assert.Less(t, float64(unlinkable)/float64(several), 0.2, "most records can be resolved")
	assert.NotZero(t, unlinkable)
}

// Two people of one family who go by the same name share no address: nothing could tell them apart.
func TestNamesakesShareNoAddress(t *testing.T) {
	shared, namesakes := 0, 0
	for seed := range uint64(3) {
		w := world.New(world.Config{Seed: seed, People: 3000, Shares: withManyNamesakes()})
		first := map[world.Key]string{}
		for _, c := range w.Contacts {
			if c.Data.Name.Last != "" {
				first[c.Key] = c.Data.Name.First + " " + c.Data.Name.Last
			}
		}
		by, names := map[string][]world.Known{}, map[string]bool{}
		for _, r := range w.Truth.Records {
			for _, e := range r.Evidence {
				by[e] = append(by[e], r)
			}
			names[first[r.Key]] = true
		}
		namesakes += len(first) - len(names)
		for _, records := range by {
			for i, a := range records {
				for _, b := range records[:i] {
					if a.Owner != b.Owner && first[a.Key] != "" && first[b.Key] != "" {
						shared++
						require.NotEqual(t, first[a.Key], first[b.Key], "%s and %s", a.Key, b.Key)
					}
				}
			}
		}
	}
	assert.Greater(t, shared, 100)
	assert.Greater(t, namesakes, 100)
}

// withManyNamesakes has spelling as it should be, so that equal names are equal texts, and no number that had an owner before.
func withManyNamesakes() world.Shares {
	return world.Shares{Several: 0.5, Family: 0.8, FamilyPhone: 0.1, FamilyEmail: 0.1, Namesake: 0.5}
}

func TestTaxNumbersHaveTheirCheckDigits(t *testing.T) {
	w := world.New(world.Config{Seed: 1, People: 1200})
	seen := 0
	for _, c := range w.Companies {
		for _, id := range c.Data.IDs {
			if id.Kind != "inn" {
				continue
			}
			seen++
			switch len(id.Value) {
			case 10:
				assert.Equal(t, checkDigit(id.Value[:9], 2, 4, 10, 3, 5, 9, 4, 6, 8), id.Value[9])
			case 12:
				assert.Equal(t, checkDigit(id.Value[:10], 7, 2, 4, 10, 3, 5, 9, 4, 6, 8), id.Value[10])
				assert.Equal(t, checkDigit(id.Value[:11], 3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8), id.Value[11])
			default:
				t.Errorf("an INN of %d digits", len(id.Value))
			}
		}
	}
	assert.NotZero(t, seen)
	// Known numbers of well-known companies pin the weights used above.
	assert.Equal(t, "7707083893"[9], checkDigit("770708389", 2, 4, 10, 3, 5, 9, 4, 6, 8))
}

func checkDigit(digits string, weights ...int) byte {
	sum := 0
	for i, w := range weights {
		sum += w * int(digits[i]-'0')
	}
	return byte('0' + sum%11%10)
}

func TestRecordsAreWholeAndReferToEachOther(t *testing.T) {
	w := world.New(world.Config{Seed: 9, People: 1500})
	keys := map[world.Key]string{}
	for _, r := range w.Truth.Records {
		_, twice := keys[r.Key]
		require.False(t, twice, "%s", r.Key)
		keys[r.Key] = r.Owner
	}
	require.Len(t, keys, len(w.Contacts)+len(w.Companies))
	points := func(from world.Key, owner string, refs ...*entity.Ref) {
		for _, ref := range refs {
			if ref != nil {
				to, known := keys[world.Key{Source: from.Source, Stream: ref.Stream, Key: ref.Key}]
				require.True(t, known, "%s", from)
				require.Equal(t, owner, to, "%s", from)
			}
		}
	}
	orders := map[world.Key]entity.Order{}
	for _, o := range w.Orders {
		orders[o.Key] = o.Data
		points(o.Key, o.Owner, o.Data.Contact, o.Data.Company)
		require.NotEqual(t, o.Data.OrderedAt == nil, o.Data.OrderedOn == nil, "%s", o.Key)
		require.GreaterOrEqual(t, o.Data.Amount.Minor, int64(0))
	}
	for _, r := range w.Refunds {
		points(r.Key, r.Owner, r.Data.Contact, r.Data.Company)
		if r.Data.Order != nil {
			_, known := orders[world.Key{Source: r.Key.Source, Stream: world.Orders, Key: r.Data.Order.Key}]
			require.True(t, known)
		}
	}
	for _, c := range w.Consents {
		points(c.Key, c.Owner, c.Data.Contact)
	}
	for _, c := range w.Contacts {
		for _, ref := range c.Data.Companies {
			_, known := keys[world.Key{Source: c.Key.Source, Stream: ref.Stream, Key: ref.Key}]
			require.True(t, known)
		}
		for _, gone := range c.MergedKeys {
			_, known := keys[world.Key{Source: c.Key.Source, Stream: c.Key.Stream, Key: gone}]
			require.False(t, known, "a record that was merged away is still listed")
		}
	}
	assert.NotEmpty(t, w.Refunds)
	assert.NotEmpty(t, w.Consents)
}

func TestWriteTables(t *testing.T) {
	w := world.New(world.Config{Seed: 2, People: 300})
	one, two := t.TempDir(), t.TempDir()
	require.NoError(t, w.WriteTables(one))
	require.NoError(t, world.New(world.Config{Seed: 2, People: 300}).WriteTables(two))
	files := 0
	require.NoError(t, filepath.WalkDir(one, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		name, err := filepath.Rel(one, path)
		require.NoError(t, err)
		text := read(t, path)
		require.Equal(t, text, read(t, filepath.Join(two, name)), name)
		require.Equal(t, !strings.HasPrefix(name, world.Till), utf8.ValidString(text), name)
		return nil
	}))
	assert.Equal(t, 14, files)

	truth, err := csv.NewReader(strings.NewReader(read(t, filepath.Join(one, "truth.csv")))).ReadAll()
	require.NoError(t, err)
	assert.Len(t, truth, 1+len(w.Truth.Records))
	assert.Equal(t, []string{"source", "stream", "key", "owner", "island", "unlinkable", "troubles", "evidence"}, truth[0])
	contacts, err := csv.NewReader(strings.NewReader(read(t, filepath.Join(one, "crm", "contacts.csv")))).ReadAll()
	require.NoError(t, err)
	inCRM := 0
	for _, c := range w.Contacts {
		if c.Key.Source == world.CRM {
			inCRM++
		}
	}
	assert.Len(t, contacts, 1+inCRM)

	require.Error(t, w.WriteTables(filepath.Join(one, "truth.csv")))
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

func asJSON(t *testing.T, w *world.World) []byte {
	t.Helper()
	text, err := json.Marshal(w)
	require.NoError(t, err)
	return text
}

func share(a, b world.Known) bool {
	return slices.ContainsFunc(a.Evidence, func(e string) bool { return slices.Contains(b.Evidence, e) })
}

// byEvidence joins whatever shares evidence, blindly.
func byEvidence(truth world.Truth) [][]world.Key {
	parent := make([]int, len(truth.Records))
	var find func(i int) int
	find = func(i int) int {
		if parent[i] != i {
			parent[i] = find(parent[i])
		}
		return parent[i]
	}
	first := map[string]int{}
	for i, r := range truth.Records {
		parent[i] = i
		for _, e := range r.Evidence {
			e = string(r.Kind) + e
			if k, known := first[e]; known {
				parent[find(i)] = find(k)
			} else {
				first[e] = i
			}
		}
	}
	by := map[int][]world.Key{}
	for i, r := range truth.Records {
		by[find(i)] = append(by[find(i)], r.Key)
	}
	var out [][]world.Key
	for i := range truth.Records {
		if keys := by[i]; keys != nil {
			out = append(out, keys)
		}
	}
	return out
}
