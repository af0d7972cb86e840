package kpi

// The formulas of the articles as plain functions of counts. The figures use the same functions, so the worked
// examples that test these test the figures' arithmetic too. All are undefined when the denominator is 0.

// CRR is the customer retention rate ((E - N) / S): of the customers at the start of a period, the share still there
// at its end. joined is everyone at the end who was not there at the start.
func CRR(start, joined, end int64) Value { return share(end-joined, start) }

// Churn is the share of the customers at the start of a period who were lost in it.
func Churn(start, lost int64) Value { return share(lost, start) }

// RepeatCustomerRate is the share of customers who came back.
func RepeatCustomerRate(returning, all int64) Value { return share(returning, all) }

// PurchaseFrequency is orders per unique buyer.
func PurchaseFrequency(orders, buyers int64) Value { return share(orders, buyers) }

// AverageCheck is money per order, rounded once, half away from zero, to the currency's digits.
func AverageCheck(gross, orders int64, currency string) Value {
	if orders == 0 {
		return Undefined()
	}
	return Amount(divideRounded(gross, orders), currency)
}

func share(numerator, denominator int64) Value {
	if denominator == 0 {
		return Undefined()
	}
	return Number(float64(numerator) / float64(denominator))
}

// divideRounded divides by a positive number, rounding half away from zero.
func divideRounded(sum, by int64) int64 {
	quotient, rest := sum/by, sum%by
	if rest < 0 {
		rest = -rest
	}
	// rest >= by - rest says 2*rest >= by without overflowing.
	if rest < by-rest {
		return quotient
	}
	if sum < 0 {
		return quotient - 1
	}
	return quotient + 1
}
