package segment

import "github.com/regulars/regulars/hub/kpi"

// builtinSegment is a segment that follows from a customer's orders. holds gets the facts of one customer; for a customer
// without a valid order these are all 0.
type builtinSegment struct {
	id, ru, en string
	holds      func(row *kpi.Fact, ranked int) bool
}

func inLifecycle(stage kpi.Lifecycle) func(*kpi.Fact, int) bool {
	return func(row *kpi.Fact, _ int) bool { return row.Lifecycle == stage }
}

func inGroup(group kpi.Group) func(*kpi.Fact, int) bool {
	return func(row *kpi.Fact, _ int) bool { return row.Group == group }
}

var builtins = []builtinSegment{
	{"lifecycle_active", "Активные", "Active", inLifecycle(kpi.Active)},
	{"lifecycle_dormant", "Уснувшие", "Dormant", inLifecycle(kpi.Dormant)},
	{"lifecycle_lost", "Ушедшие", "Lost", inLifecycle(kpi.Lost)},
	{"one_time", "Купили один раз", "One-time buyers", func(row *kpi.Fact, _ int) bool { return row.Orders == 1 }},
	{"repeat", "Купили больше одного раза", "Repeat buyers", func(row *kpi.Fact, _ int) bool { return row.Orders > 1 }},
	{"vip", "VIP", "VIP", vip},
	{"at_risk", "Резко снизили активность", "At risk: activity dropped", atRisk},
	{"overdue", "Опаздывают с покупкой", "Overdue", overdue},
	{"no_orders", "Без покупок", "No orders", func(row *kpi.Fact, _ int) bool { return row.Orders == 0 }},
	{"rfm_champions", "Чемпионы", "Champions", inGroup(kpi.Champions)},
	{"rfm_loyal", "Лояльные", "Loyal", inGroup(kpi.Loyal)},
	{"rfm_potential_loyalist", "Потенциально лояльные", "Potential Loyalist", inGroup(kpi.PotentialLoyalist)},
	{"rfm_new", "Новые", "New", inGroup(kpi.NewCustomers)},
	{"rfm_promising", "Многообещающие", "Promising", inGroup(kpi.Promising)},
	{"rfm_need_attention", "Требуют внимания", "Need Attention", inGroup(kpi.NeedAttention)},
	{"rfm_about_to_sleep", "Засыпают", "About to Sleep", inGroup(kpi.AboutToSleep)},
	{"rfm_hibernating", "Спящие", "Hibernating", inGroup(kpi.Hibernating)},
	{"rfm_at_risk", "Под угрозой", "At Risk", inGroup(kpi.AtRisk)},
	{"rfm_cant_lose", "Нельзя потерять", "Can't Lose", inGroup(kpi.CantLose)},
	{"rfm_lost", "Потерянные", "Lost (RFM)", inGroup(kpi.LostCustomers)},
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
// with a valid order are above.
func vip(row *kpi.Fact, ranked int) bool {
	return row.Orders > 0 && row.NetYear > 0 && int64(row.YearAbove)*10 < int64(ranked)
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
