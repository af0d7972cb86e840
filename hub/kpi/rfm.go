package kpi

import (
	"strconv"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
)

// RFMMethod names how scores are given unless asked otherwise: score = 1 + floor(5*B/N), where B of N customers are strictly worse. Equal
// customers always score alike; a score nobody has is possible and honest.
const RFMMethod = "share_strictly_worse"

// Group is one of the eleven RFM segments.
type Group uint8

// The RFM segments. NoGroup is that of a customer without a valid order.
const (
	NoGroup Group = iota
	Champions
	Loyal
	PotentialLoyalist
	NewCustomers
	Promising
	NeedAttention
	AboutToSleep
	Hibernating
	AtRisk
	CantLose
	LostCustomers
)

var groupIDs = [...]string{
	"", "rfm_champions", "rfm_loyal", "rfm_potential_loyalist", "rfm_new", "rfm_promising", "rfm_need_attention",
	"rfm_about_to_sleep", "rfm_hibernating", "rfm_at_risk", "rfm_cant_lose", "rfm_lost",
}

// String returns the segment's id, e.g. rfm_champions; empty for NoGroup.
func (g Group) String() string { return groupIDs[g] }

// Groups returns the eleven segments, best to worst.
func Groups() []Group {
	groups := make([]Group, 0, len(groupIDs)-1)
	for g := Champions; g <= LostCustomers; g++ {
		groups = append(groups, g)
	}
	return groups
}

// grid gives the segment of R (rows, 1 to 5) and FM (columns, 1 to 5).
var grid = [5][5]Group{
	{LostCustomers, LostCustomers, AtRisk, AtRisk, CantLose},
	{Hibernating, Hibernating, AtRisk, AtRisk, CantLose},
	{AboutToSleep, AboutToSleep, NeedAttention, Loyal, Loyal},
	{Promising, PotentialLoyalist, PotentialLoyalist, Loyal, Loyal},
	{NewCustomers, PotentialLoyalist, PotentialLoyalist, Champions, Champions},
}

// GroupOf returns the segment of three scores from 1 to 5; FM is their mean of F and M, rounded up.
func GroupOf(r, f, m int) Group { return grid[r-1][(f+m+1)/2-1] }

// scoreByShare gives every customer with a valid order their scores.
func (f *Facts) scoreByShare() {
	// Fewer days since the last order are better, so days are negated: then less is worse for all three.
	recency := f.collect(func(row *Fact) int64 { return -int64(row.SinceLast) })
	frequency := f.collect(func(row *Fact) int64 { return int64(row.Orders) })
	money := f.collect(func(row *Fact) int64 { return row.Net })
	f.eachRanked(func(row *Fact) {
		row.R = scoreOf(below(recency, -int64(row.SinceLast)), f.Ranked)
		row.F = scoreOf(below(frequency, int64(row.Orders)), f.Ranked)
		row.M = scoreOf(below(money, row.Net), f.Ranked)
	})
}

func scoreOf(worse, all int) uint8 { return uint8(1 + 5*worse/all) }

// RFM is the recency, frequency, money analysis as of a day, over customers with a valid order. Its JSON form is
// fixed.
type RFM struct {
	AsOf   entity.Date `json:"as_of"`
	Method string      `json:"method"`
	Scores RFMScores   `json:"scores"`
	// RecencyDays are the days since the last order behind each score R, best first (kpi.md 4.2).
	RecencyDays []ScoreDays  `json:"recency_days"`
	Segments    []RFMSegment `json:"segments"`
}

// ScoreDays are the fewest and the most days since the last order of customers with one score R. Both are undefined
// where nobody has it.
type ScoreDays struct {
	Score int   `json:"score"`
	From  Value `json:"from"`
	To    Value `json:"to"`
}

// RFMScores count the customers of each score.
type RFMScores struct {
	R ScoreCounts `json:"r"`
	F ScoreCounts `json:"f"`
	M ScoreCounts `json:"m"`
}

// ScoreCounts hold the customers with the scores 1 to 5; in JSON an object with the keys "1" to "5".
type ScoreCounts [5]int64

// MarshalJSON implements json.Marshaler.
func (s ScoreCounts) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, n := range s {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, '"', byte('1'+i), '"', ':')
		out = strconv.AppendInt(out, n, 10)
	}
	return append(out, '}'), nil
}

// RFMSegment is one segment with what its customers brought in over all time, less refunds.
type RFMSegment struct {
	ID         string `json:"id"`
	Customers  int64  `json:"customers"`
	NetRevenue Value  `json:"net_revenue"`
}

// RFMCustomer is one customer's row. The record keys that belong beside it are the store's to add.
type RFMCustomer struct {
	Customer    customer.ID `json:"customer"`
	RecencyDays int         `json:"recency_days"`
	Orders      int         `json:"orders"`
	NetValue    Value       `json:"net_value"`
	R           int         `json:"r"`
	F           int         `json:"f"`
	M           int         `json:"m"`
	Segment     string      `json:"segment"`
}

// RFM sums the scores up. All eleven segments are listed, best to worst, empty ones too.
func (f *Facts) RFM() RFM {
	rfm := RFM{AsOf: f.AsOf, Method: string(f.Scoring.method())}
	var from, to [5]int32
	var customers, net [len(groupIDs)]int64
	f.eachScored(func(row *Fact) {
		r := row.R - 1
		if rfm.Scores.R[r] == 0 {
			from[r], to[r] = row.SinceLast, row.SinceLast
		}
		from[r], to[r] = min(from[r], row.SinceLast), max(to[r], row.SinceLast)
		rfm.Scores.R[r]++
		rfm.Scores.F[row.F-1]++
		rfm.Scores.M[row.M-1]++
		customers[row.Group]++
		net[row.Group] += row.Net
	})
	for score := 5; score >= 1; score-- {
		days := ScoreDays{Score: score}
		if rfm.Scores.R[score-1] > 0 {
			days.From, days.To = Count(int64(from[score-1])), Count(int64(to[score-1]))
		}
		rfm.RecencyDays = append(rfm.RecencyDays, days)
	}
	for _, group := range Groups() {
		rfm.Segments = append(rfm.Segments, RFMSegment{
			ID: group.String(), Customers: customers[group], NetRevenue: Amount(net[group], f.Currency),
		})
	}
	return rfm
}

// RFMCustomers lists every customer with a valid order, ascending by customer.
func (f *Facts) RFMCustomers() []RFMCustomer {
	rows := make([]RFMCustomer, 0, f.Ranked)
	f.eachScored(func(row *Fact) {
		rows = append(rows, RFMCustomer{
			Customer: row.Customer, RecencyDays: int(row.SinceLast), Orders: int(row.Orders),
			NetValue: Amount(row.Net, f.Currency),
			R:        int(row.R), F: int(row.F), M: int(row.M), Segment: row.Group.String(),
		})
	})
	return rows
}
