package segment

import "github.com/regulars/regulars/hub/kpi"

// builtinSegment is a segment that follows from a customer's orders. holds gets the facts of one customer; for a customer
// without a valid order these are all 0.
type builtinSegment struct {
	id, ru, en string
	holds      func(row *kpi.Fact, ranked int) bool
	// sees are the fields that tell a person why.
	sees []string
}

var (
	seesLifecycle = []string{"lifecycle", "days_since_last_order"}
	seesOrders    = []string{"orders"}
	seesYear      = []string{"net_value_year", "net_value_year_rank"}
	seesActivity  = []string{"orders", "days_since_last_order"}
	seesGaps      = []string{"days_since_last_order", "mean_gap_days"}
	seesRFM       = []string{"rfm", "r", "f", "m"}
)

func inLifecycle(stage kpi.Lifecycle) func(*kpi.Fact, int) bool {
	return func(row *kpi.Fact, _ int) bool { return row.Lifecycle == stage }
}

func inGroup(group kpi.Group) func(*kpi.Fact, int) bool {
	return func(row *kpi.Fact, _ int) bool { return row.Group == group }
}

var builtins = []builtinSegment{
	{"lifecycle_active", "Активные", "Active", inLifecycle(kpi.Active), seesLifecycle},
	{"lifecycle_dormant", "Уснувшие", "Dormant", inLifecycle(kpi.Dormant), seesLifecycle},
	{"lifecycle_lost", "Ушедшие", "Lost", inLifecycle(kpi.Lost), seesLifecycle},
	{"one_time", "Купили один раз", "One-time buyers", func(row *kpi.Fact, _ int) bool { return row.Orders == 1 }, seesOrders},
	{"repeat", "Купили больше одного раза", "Repeat buyers", func(row *kpi.Fact, _ int) bool { return row.Orders > 1 }, seesOrders},
	{"vip", "VIP", "VIP", vip, seesYear},
	{"at_risk", "Резко снизили активность", "At risk: activity dropped", atRisk, seesActivity},
	{"overdue", "Опаздывают с покупкой", "Overdue", overdue, seesGaps},
	{"no_orders", "Без покупок", "No orders", func(row *kpi.Fact, _ int) bool { return row.Orders == 0 }, seesOrders},
	{"rfm_champions", "Чемпионы", "Champions", inGroup(kpi.Champions), seesRFM},
	{"rfm_loyal", "Лояльные", "Loyal", inGroup(kpi.Loyal), seesRFM},
	{"rfm_potential_loyalist", "Потенциально лояльные", "Potential Loyalist", inGroup(kpi.PotentialLoyalist), seesRFM},
	{"rfm_new", "Новые", "New", inGroup(kpi.NewCustomers), seesRFM},
	{"rfm_promising", "Многообещающие", "Promising", inGroup(kpi.Promising), seesRFM},
	{"rfm_need_attention", "Требуют внимания", "Need Attention", inGroup(kpi.NeedAttention), seesRFM},
	{"rfm_about_to_sleep", "Засыпают", "About to Sleep", inGroup(kpi.AboutToSleep), seesRFM},
	{"rfm_hibernating", "Спящие", "Hibernating", inGroup(kpi.Hibernating), seesRFM},
	{"rfm_at_risk", "Под угрозой", "At Risk", inGroup(kpi.AtRisk), seesRFM},
	{"rfm_cant_lose", "Нельзя потерять", "Can't Lose", inGroup(kpi.CantLose), seesRFM},
	{"rfm_lost", "Потерянные", "Lost (RFM)", inGroup(kpi.LostCustomers), seesRFM},
}

// Builtins returns the definitions of the built-in segments, in the order they are shown.
func Builtins() []Definition {
	definitions := make([]Definition, len(builtins))
	for i, b := range builtins {
		definitions[i] = Definition{
			ID: b.id, Title: map[string]string{"ru": b.ru, "en": b.en}, Builtin: true, Managed: ManagedBuiltin,
		}
	}
	return definitions
}

// vip holds the top 10 % by net value of the trailing 365 days, ties included: fewer than a tenth of the customers
// with a valid order are above. Who has no frozen rank yet, because the first order is of today, is not among them.
func vip(row *kpi.Fact, ranked int) bool {
	return row.Group != kpi.NoGroup && row.NetYear > 0 && int64(row.YearAbove)*10 < int64(ranked)
}

// atRisk holds those with three orders or more in the window before the last one and at most half as many in the last.
func atRisk(row *kpi.Fact, _ int) bool {
	return row.Earlier >= 3 && 2*row.Recent <= row.Earlier
}

// overdue holds those whose last order is longer ago than twice their own mean gap between purchase days, once they
// have three such days, and who are not lost yet.
func overdue(row *kpi.Fact, _ int) bool {
	if row.PurchaseDays < 3 || row.Lifecycle == kpi.Lost {
		return false
	}
	// sinceLast > 2 * (last - first) / (days - 1), in whole numbers.
	return int64(row.SinceLast)*int64(row.PurchaseDays-1) > 2*int64(row.LastOn-row.FirstOn)
}
