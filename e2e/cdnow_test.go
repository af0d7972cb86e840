package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/run"
)

const cdnowWorkspace = `workspace: cdnow
time_zone: America/New_York
currency: USD
business_date: 1998-06-30
connections:
  log:
    connector: table
    config:
      folder: ../files
      orders: {file: orders.csv, columns: {customer: customer, ordered_on: date, amount: amount}}
    every: 1h
orders: {from: log.orders}
identity: {strong: [log.contacts]}
`

// expectedRatio is a quotient of two exact numbers; nil where it is undefined.
type expectedRatio struct {
	Numerator, Denominator int64
	Value                  float64
}

type expectedReport struct {
	AsOf       string `json:"as_of"`
	From, To   string
	Window     int
	WindowDays int `json:"window_days"`

	Customers          int64
	Orders             int64
	Buyers             int64
	GrossRevenue       string         `json:"gross_revenue"`
	NetRevenue         string         `json:"net_revenue"`
	AverageCheck       *string        `json:"average_check"`
	ActiveCustomers    int64          `json:"active_customers"`
	RepeatCustomerRate *expectedRatio `json:"repeat_customer_rate"`
	PurchaseFrequency  *expectedRatio `json:"purchase_frequency"`
	CRR, Churn         *expectedRatio
}

type expectedSegments struct {
	AsOf       string `json:"as_of"`
	Window     int
	Sizes      map[string]int64
	NetRevenue map[string]string `json:"net_revenue"`
	Scores     json.RawMessage
}

type expectedLog struct {
	Reports  []expectedReport
	Segments []expectedSegments
}

// cdnow turns a log into a CSV without order ids, as a shop would export it.
func cdnow(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var out bytes.Buffer
	out.WriteString("customer,date,amount\n")
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		cells := strings.Fields(lines.Text())
		if len(cells) < 4 || cells[0] == "customer_id" {
			continue
		}
		day := cells[len(cells)-3]
		fmt.Fprintf(&out, "%s,%s-%s-%s,%s\n", cells[0], day[:4], day[4:6], day[6:], cells[len(cells)-1])
	}
	require.NoError(t, lines.Err())
	return out.String()
}

func TestCDNOWAgreesWithIndependentFigures(t *testing.T) {
	var expected map[string]expectedLog
	text, err := os.ReadFile("testdata/cdnow/figures.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &expected))
	reference := references(t, "testdata/cdnow/reference.json")
	logs := map[string]string{"CDNOW_sample.txt": "../configs/demo/source/CDNOW_sample.txt"}
	if !underRace {
		logs["CDNOW_master.txt"] = "testdata/cdnow/CDNOW_master.txt"
	}
	for name, path := range logs {
		t.Run(name, func(t *testing.T) {
			want := expected[name]
			require.NotEmpty(t, want.Reports)
			s := newSite(t, cdnowWorkspace, map[string]string{"files/orders.csv": cdnow(t, path)})
			h, _ := s.openHub(t)
			for _, r := range sync(t, h, run.Incremental) {
				require.Equal(t, run.Done, r.State, r.Cause)
				assert.Zero(t, r.Counts.Rejected)
			}
			for _, report := range want.Reports {
				t.Run(fmt.Sprintf("%s to %s as of %s window %d", report.From, report.To, report.AsOf, report.Window), func(t *testing.T) {
					got, err := h.KPIs(t.Context(), "", kpi.Request{AsOf: report.AsOf, From: report.From, To: report.To, Window: report.Window})
					require.NoError(t, err)
					compareReport(t, report, got)
				})
			}
			for _, segments := range want.Segments {
				t.Run(fmt.Sprintf("segments as of %s window %d", segments.AsOf, segments.Window), func(t *testing.T) {
					got, err := h.RFM(t.Context(), "", "", kpi.Request{AsOf: segments.AsOf, Window: segments.Window})
					require.NoError(t, err)
					scores, err := json.Marshal(got.Scores)
					require.NoError(t, err)
					assert.JSONEq(t, string(segments.Scores), string(scores))
					for _, s := range got.Segments {
						assert.Equal(t, segments.Sizes[s.ID], s.Customers, s.ID)
						if s.Customers > 0 {
							assert.Equal(t, segments.NetRevenue[s.ID], jsonText(t, s.NetRevenue), s.ID)
						}
					}
				})
			}
			// The hub's own evaluation is as of the pinned business date with the default window: the first of the list.
			sizes, err := h.Segments(t.Context(), "")
			require.NoError(t, err)
			checked := 0
			for _, s := range sizes {
				if size, known := want.Segments[0].Sizes[s.ID]; known {
					assert.EqualValues(t, size, s.Size, s.ID)
					checked++
				}
			}
			assert.Equal(t, len(want.Segments[0].Sizes), checked)
			// Months, quarters, windows, cohorts, scores and members, computed by a second program.
			assert.Greater(t, agree(t, h, reference[name]), 1000)
		})
	}
}

func jsonText(t *testing.T, v kpi.Value) string {
	t.Helper()
	text, err := v.MarshalJSON()
	require.NoError(t, err)
	return strings.Trim(string(text), `"`)
}

func compareReport(t *testing.T, want expectedReport, got kpi.Report) {
	t.Helper()
	assert.Equal(t, want.WindowDays, got.WindowDays)
	assert.Equal(t, "USD", got.Currency)
	exact := map[string]string{
		"customers": strconv.FormatInt(want.Customers, 10), "orders": strconv.FormatInt(want.Orders, 10), "buyers": strconv.FormatInt(want.Buyers, 10),
		"active_customers": strconv.FormatInt(want.ActiveCustomers, 10), "gross_revenue": want.GrossRevenue, "net_revenue": want.NetRevenue, "average_check": "null",
	}
	if want.AverageCheck != nil {
		exact["average_check"] = *want.AverageCheck
	}
	ratios := map[string]*expectedRatio{
		"repeat_customer_rate": want.RepeatCustomerRate, "purchase_frequency": want.PurchaseFrequency, "crr": want.CRR, "churn": want.Churn,
	}
	for _, f := range got.KPIs {
		if text, known := exact[f.ID]; known {
			assert.Equal(t, text, jsonText(t, f.Value), f.ID)
			delete(exact, f.ID)
		}
		ratio, known := ratios[f.ID]
		if !known {
			continue
		}
		delete(ratios, f.ID)
		if ratio == nil {
			assert.Equal(t, "null", jsonText(t, f.Value), f.ID)
			continue
		}
		assert.Equal(t, strconv.FormatInt(ratio.Numerator, 10), jsonText(t, f.Numerator), f.ID+" numerator")
		assert.Equal(t, strconv.FormatInt(ratio.Denominator, 10), jsonText(t, f.Denominator), f.ID+" denominator")
		value, defined := f.Value.Float()
		assert.True(t, defined, f.ID)
		assert.LessOrEqual(t, math.Abs(value-ratio.Value), 1e-9, f.ID)
	}
	assert.Empty(t, exact, "figures that are missing")
	assert.Empty(t, ratios, "figures that are missing")
}
