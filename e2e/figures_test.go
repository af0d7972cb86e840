package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/run"
)

// reference is what testdata/retail/reference.py has computed of one data set, straight from the definitions.
type reference struct {
	Reports []struct {
		AsOf     string `json:"as_of"`
		From, To string
		Window   int
		Complete *bool
		KPIs     map[string]any
	}
	RFM []struct {
		AsOf            string `json:"as_of"`
		Scores          json.RawMessage
		Segments        map[string][2]any
		CustomersSHA256 string `json:"customers_sha256"`
	}
	Cohorts []struct {
		AsOf    string `json:"as_of"`
		Kind    kpi.CohortKind
		Cohorts []struct {
			Month          string
			Size           int64
			Counts, Values []any
		}
	}
	Segments struct {
		Sizes map[string]struct {
			Size          int
			MembersSHA256 string `json:"members_sha256"`
		}
	}
	Rejected map[string]int64
}

func references(t *testing.T, path string) map[string]reference {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	all := map[string]reference{}
	require.NoError(t, json.Unmarshal(text, &all))
	require.NotEmpty(t, all)
	return all
}

const retailWorkspace = `workspace: gifts
time_zone: Europe/London
currency: GBP
business_date: 2011-12-09
connections:
  till:
    connector: table
    config:
      folder: ../files
      orders: {file: ledger.csv, where: {kind: order}, columns: {customer: customer, key: key, ordered_on: date, amount: amount}}
      refunds: {file: ledger.csv, where: {kind: refund}, columns: {customer: customer, key: key, refunded_on: date, amount: amount ORDER}}
    every: 1h
orders: {from: till.orders}
`

// A shop with everything that makes figures hard: refunds linked and not, credit notes above what was bought, sales to
// nobody, wholesale, several orders a day, an incomplete last month, rows that cannot be used.
func TestRetailAgreesWithIndependentFigures(t *testing.T) {
	ledger, err := os.ReadFile("testdata/retail/ledger.csv")
	require.NoError(t, err)
	want := references(t, "testdata/retail/expected.json")
	for name, workspace := range map[string]string{
		"linked":  strings.Replace(retailWorkspace, " ORDER", ", order: order", 1),
		"flat":    strings.Replace(retailWorkspace, " ORDER", "", 1),
		"keyless": strings.ReplaceAll(strings.Replace(retailWorkspace, " ORDER", "", 1), ", key: key", ""),
	} {
		t.Run(name, func(t *testing.T) {
			if underRace && name != "linked" {
				return // the same code on the same size again
			}
			s := newSite(t, workspace, map[string]string{"files/ledger.csv": string(ledger)})
			h, _ := s.openHub(t)
			of := name
			if name == "keyless" {
				of = "flat"
			}
			for _, r := range sync(t, h, run.Incremental) {
				require.Equal(t, run.Done, r.State, r.Cause)
				assert.Equal(t, want[of].Rejected[r.Subject], r.Counts.Rejected, r.Subject)
			}
			figures := agree(t, h, want[of])
			assert.Greater(t, figures, 1500)
		})
	}
}

// agree compares everything a hub says with a reference, and returns how many figures agreed on.
func agree(t *testing.T, h *hub.Hub, want reference) (figures int) {
	t.Helper()
	for _, report := range want.Reports {
		got, err := h.KPIs(t.Context(), "", kpi.Request{AsOf: report.AsOf, From: report.From, To: report.To, Window: report.Window})
		require.NoError(t, err)
		byID := map[string]kpi.Figure{}
		for _, f := range got.KPIs {
			byID[f.ID] = f
		}
		for id, value := range report.KPIs {
			place := fmt.Sprintf("%s from %s to %s as of %s, window %d", id, report.From, report.To, report.AsOf, report.Window)
			f, known := byID[id]
			if !assert.True(t, known, place) {
				continue
			}
			assert.Equal(t, report.Complete == nil || *report.Complete, f.Complete, place)
			agreeOn(t, value, f, place)
			figures++
		}
	}
	for _, rfm := range want.RFM {
		agreeOnRFM(t, h, rfm.AsOf, rfm.Scores, rfm.Segments, rfm.CustomersSHA256)
	}
	for _, cohorts := range want.Cohorts {
		got, err := h.Cohorts(t.Context(), "", cohorts.Kind, kpi.Request{AsOf: cohorts.AsOf})
		require.NoError(t, err)
		require.Len(t, got.Cohorts, len(cohorts.Cohorts))
		for i, cohort := range cohorts.Cohorts {
			place := fmt.Sprintf("%s cohort %s as of %s", cohorts.Kind, cohort.Month, cohorts.AsOf)
			assert.Equal(t, cohort.Month, got.Cohorts[i].Month, place)
			assert.Equal(t, cohort.Size, got.Cohorts[i].Size, place)
			assert.Equal(t, plain(t, cohort.Counts), plain(t, got.Cohorts[i].Counts), place)
			figures += len(cohort.Counts)
			if len(cohort.Values) > 0 {
				assert.Equal(t, plain(t, cohort.Values), plain(t, got.Cohorts[i].Values), place)
				continue
			}
			for k, value := range got.Cohorts[i].Values {
				share, defined := value.Float()
				assert.True(t, defined, place)
				count, _ := got.Cohorts[i].Counts[k].Float()
				assert.InDelta(t, count/float64(cohort.Size), share, 1e-9, place)
			}
		}
	}
	sizes, err := h.Segments(t.Context(), "")
	require.NoError(t, err)
	for _, segment := range sizes {
		expected, known := want.Segments.Sizes[segment.ID]
		if !known { // the reference leaves RFM segments out that hold nobody
			assert.True(t, strings.HasPrefix(segment.ID, "rfm_"), segment.ID)
			assert.Zero(t, segment.Size, segment.ID)
			continue
		}
		assert.Equal(t, expected.Size, segment.Size, segment.ID)
		members, err := h.SegmentMembers(t.Context(), "", segment.ID)
		require.NoError(t, err)
		var lines []string
		for _, m := range members {
			lines = append(lines, keyOf(m.Keys))
		}
		assert.Equal(t, expected.MembersSHA256, hashed(lines), "members of %s", segment.ID)
	}
	return figures
}

// agreeOn compares one figure: counts and money exactly, quotients by both sides and to 1e-9.
func agreeOn(t *testing.T, want any, got kpi.Figure, place string) {
	t.Helper()
	switch want := want.(type) {
	case []any:
		value, defined := got.Value.Float()
		assert.True(t, defined, place)
		assert.InDelta(t, want[2], value, 1e-9, place)
		assert.Equal(t, plain(t, want[:2]), plain(t, []kpi.Value{got.Numerator, got.Denominator}), place)
	case float64:
		value, defined := got.Value.Float()
		assert.True(t, defined, place)
		assert.LessOrEqual(t, math.Abs(want-value), 1e-9*max(1, math.Abs(want)), place)
	default:
		assert.Equal(t, plain(t, want), plain(t, got.Value), place)
	}
}

// plain is a value as JSON.
func plain(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

func agreeOnRFM(t *testing.T, h *hub.Hub, asOf string, scores json.RawMessage, segments map[string][2]any, customersHash string) {
	t.Helper()
	got, err := h.RFM(t.Context(), "", "", kpi.Request{AsOf: asOf})
	require.NoError(t, err)
	assert.JSONEq(t, string(scores), plain(t, got.Scores), asOf)
	for _, s := range got.Segments {
		if s.Customers > 0 {
			assert.Equal(t, plain(t, segments[s.ID]), plain(t, []any{s.Customers, s.NetRevenue}), "%s as of %s", s.ID, asOf)
		} else {
			assert.NotContains(t, segments, s.ID)
		}
	}
	customers, err := h.RFMCustomers(t.Context(), "", "", kpi.Request{AsOf: asOf})
	require.NoError(t, err)
	var lines []string
	for _, c := range customers {
		lines = append(lines, fmt.Sprintf("%s %d %d %s %d%d%d %s", keyOf(c.Keys), c.RecencyDays, c.Orders, jsonText(t, c.NetValue), c.R, c.F, c.M, c.Segment))
	}
	assert.Equal(t, customersHash, hashed(lines), "RFM of each customer as of %s", asOf)
}

// keyOf is the key of a customer's one record.
func keyOf(keys []string) string {
	_, key, _ := strings.Cut(keys[0], "/")
	return key
}

// hashed is the hash of sorted lines.
func hashed(lines []string) string {
	slices.Sort(lines)
	sum := sha256.New()
	for _, line := range lines {
		fmt.Fprintln(sum, line)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
