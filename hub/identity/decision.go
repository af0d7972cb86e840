package identity

import (
	"time"

	"github.com/regulars/regulars/hub/store"
)

// DecisionKind is what a person decided about two records.
type DecisionKind string

// The kinds of decisions.
const (
	Pinned DecisionKind = "pin" // the two are one customer
	Parted DecisionKind = "cut" // the two are two customers
)

// Decision is a pin or a cut as it is kept.
type Decision struct {
	Kind DecisionKind
	// A and B are the two records. Of a cut, A is the one that was taken out of the customer.
	A, B store.RecordKey
	// At is when it was decided, UTC; zero where that is not known.
	At time.Time
	// Note is why, in the words of who decided. It may hold personal data and stays out of logs (R12).
	Note string
}

// Names says whether a decision names both records, in either order.
func (d Decision) Names(a, b store.RecordKey) bool {
	return (d.A == a && d.B == b) || (d.A == b && d.B == a)
}
