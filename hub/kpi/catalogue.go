package kpi

import "slices"

// Unit says what a figure's value is in.
type Unit string

// The units of figures.
const (
	UnitCount  Unit = "count"
	UnitMoney  Unit = "money"  // the workspace's currency, major units
	UnitShare  Unit = "share"  // 0 to 1
	UnitOrders Unit = "orders" // orders per buyer
	UnitPoints Unit = "points" // 0 to 10000
	UnitDays   Unit = "days"
)

// Direction says which way a figure should go.
type Direction string

// The directions. A figure without one is neither good nor bad in itself.
const (
	BetterUp   Direction = "up"
	BetterDown Direction = "down"
	Neutral    Direction = ""
)

// Entry describes one figure of the catalogue.
type Entry struct {
	ID     string
	Title  Title
	Unit   Unit
	Better Direction
	// Main figures are those a first look shows.
	Main bool
}

// Title is a name in the languages of the interface.
type Title struct {
	RU string `json:"ru"`
	EN string `json:"en"`
}

// catalogue lists the figures in the order they are shown. Figures fills them in by id.
var catalogue = []Entry{
	{"customers", Title{"Покупатели", "Customers"}, UnitCount, BetterUp, true},
	{"orders_without_customer", Title{"Заказы без покупателя", "Orders without a customer"}, UnitCount, BetterDown, false},
	{"revenue_without_customer", Title{"Выручка без покупателя", "Revenue without a customer"}, UnitMoney, BetterDown, false},
	{"orders", Title{"Заказы", "Orders"}, UnitCount, BetterUp, true},
	{"buyers", Title{"Покупали в периоде", "Buyers"}, UnitCount, BetterUp, true},
	{"gross_revenue", Title{"Выручка до возвратов", "Gross revenue"}, UnitMoney, BetterUp, true},
	{"net_revenue", Title{"Выручка за вычетом возвратов", "Net revenue"}, UnitMoney, BetterUp, true},
	{"average_check", Title{"Средний чек", "Average check"}, UnitMoney, BetterUp, true},
	{"average_check_first", Title{"Средний чек первой покупки", "Average check of first orders"}, UnitMoney, BetterUp, false},
	{"average_check_repeat", Title{"Средний чек при повторной покупке", "Average check of repeat orders"}, UnitMoney, BetterUp, false},
	{"active_customers", Title{"Активные покупатели", "Active customers"}, UnitCount, BetterUp, true},
	{"new_customers", Title{"Новые покупатели", "New customers"}, UnitCount, Neutral, false},
	{"reactivated_customers", Title{"Вернувшиеся покупатели", "Reactivated customers"}, UnitCount, Neutral, false},
	{"churned_customers", Title{"Ушедшие покупатели", "Churned customers"}, UnitCount, Neutral, false},
	{"retained_customers", Title{"Удержанные покупатели", "Retained customers"}, UnitCount, Neutral, false},
	{"crr", Title{"Коэффициент удержания", "Customer retention rate"}, UnitShare, BetterUp, true},
	{"churn", Title{"Отток", "Churn rate"}, UnitShare, BetterDown, true},
	{"crr_literal", Title{"Коэффициент удержания по учебнику", "Customer retention rate, textbook reading"}, UnitShare, BetterUp, false},
	{"period_retention", Title{"Купили и в прошлом, и в этом периоде", "Bought in the previous period and in this one"}, UnitShare, BetterUp, false},
	{"new_buyers", Title{"Купили впервые", "New buyers"}, UnitCount, BetterUp, false},
	{"returning_buyers_share", Title{"Доля купивших повторно", "Share of returning buyers"}, UnitShare, BetterUp, false},
	{"repeat_buyers_in_period_share", Title{"Доля купивших больше одного раза за период", "Share of buyers with several orders in the period"}, UnitShare, BetterUp, false},
	{"repeat_customer_rate", Title{"Доля повторных клиентов", "Repeat customer rate"}, UnitShare, BetterUp, true},
	{"repeat_within_30d", Title{"Вторая покупка за 30 дней", "Second order within 30 days"}, UnitShare, BetterUp, false},
	{"repeat_within_60d", Title{"Вторая покупка за 60 дней", "Second order within 60 days"}, UnitShare, BetterUp, false},
	{"repeat_within_90d", Title{"Вторая покупка за 90 дней", "Second order within 90 days"}, UnitShare, BetterUp, false},
	{"repeat_within_180d", Title{"Вторая покупка за 180 дней", "Second order within 180 days"}, UnitShare, BetterUp, false},
	{"repeat_within_365d", Title{"Вторая покупка за 365 дней", "Second order within 365 days"}, UnitShare, BetterUp, false},
	{"purchase_frequency", Title{"Частота покупок", "Purchase frequency"}, UnitOrders, BetterUp, true},
	{"purchase_frequency_year", Title{"Частота покупок за год", "Purchase frequency per year"}, UnitOrders, BetterUp, false},
	{"ltv_historic", Title{"LTV по истории покупок", "Historic LTV"}, UnitMoney, BetterUp, false},
	{"clv_simple", Title{"CLV по формуле", "CLV by the simple formula"}, UnitMoney, BetterUp, false},
	{"loyal_revenue", Title{"Выручка постоянной аудитории", "Net revenue of earlier customers"}, UnitMoney, BetterUp, false},
	{"churned_value", Title{"Годовая ценность ушедших", "Year's value of churned customers"}, UnitMoney, BetterDown, false},
	{"cooperation_days", Title{"Средняя длительность сотрудничества", "Average length of cooperation"}, UnitDays, BetterUp, false},
	{"return_rate_orders", Title{"Доля заказов с возвратом", "Share of refunded orders"}, UnitShare, BetterDown, false},
	{"return_rate_money", Title{"Доля возвратов в выручке", "Share of revenue refunded"}, UnitShare, BetterDown, false},
	{"top1_share", Title{"Доля крупнейшего клиента", "Share of the largest customer"}, UnitShare, BetterDown, false},
	{"top5_share", Title{"Доля пяти крупнейших клиентов", "Share of the five largest customers"}, UnitShare, BetterDown, false},
	{"top10_share", Title{"Доля десяти крупнейших клиентов", "Share of the ten largest customers"}, UnitShare, BetterDown, false},
	{"hhi", Title{"Индекс концентрации (HHI)", "Concentration index (HHI)"}, UnitPoints, BetterDown, false},
	{"effective_customers", Title{"Эффективное число клиентов", "Effective number of customers"}, UnitCount, BetterUp, false},
}

// Catalogue returns the description of every figure, in the order Figures gives them.
func Catalogue() []Entry { return slices.Clone(catalogue) }

// Describe returns the catalogue's entry of a figure.
func Describe(id string) (Entry, bool) {
	i := slices.IndexFunc(catalogue, func(e Entry) bool { return e.ID == id })
	if i < 0 {
		return Entry{}, false
	}
	return catalogue[i], true
}
