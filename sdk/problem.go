package sdk

import (
	"fmt"
	"time"
)

// ProblemKind decides what the hub does about a problem.
type ProblemKind string

// The kinds of problems.
const (
	// ProblemAuth pauses the connection until somebody acts.
	ProblemAuth ProblemKind = "auth"
	// ProblemRateLimited makes the hub wait; it is not a failed attempt.
	ProblemRateLimited ProblemKind = "rate_limited"
	// ProblemInvalidConfig pauses the connection until the configuration is changed.
	ProblemInvalidConfig ProblemKind = "invalid_config"
	// ProblemRejected concerns one record or action, which will not work unchanged.
	ProblemRejected ProblemKind = "rejected"
	// ProblemUpstream is retried with back-off.
	ProblemUpstream ProblemKind = "upstream"
	// ProblemBug is retried, then stopped.
	ProblemBug ProblemKind = "bug"
)

// Problem is an error that the hub can act on. Message is for people: what failed and what to do; like Place it
// holds neither secrets nor values of records.
type Problem struct {
	Kind ProblemKind
	// RetryAfter is the shortest wait before the next try; 0 leaves it to the hub.
	RetryAfter time.Duration
	// Field is the dotted path of the configuration field at fault.
	Field   string
	Message string
	// Place is where in the source, e.g. "orders.csv line 12, column amount".
	Place string
	// Rule is a short stable name of the broken rule, e.g. "amount_negative"; dead letters are grouped by it.
	Rule string
	// RequestID is the vendor's id of the failed request.
	RequestID string
}

// Error implements error.
func (p *Problem) Error() string {
	switch {
	case p.Place != "":
		return p.Place + ": " + p.Message
	case p.Field != "":
		return p.Field + ": " + p.Message
	default:
		return p.Message
	}
}

// Unauthorized says that the credentials are missing, expired or revoked.
func Unauthorized(format string, args ...any) *Problem {
	return &Problem{Kind: ProblemAuth, Message: fmt.Sprintf(format, args...)}
}

// RateLimited says that the vendor asks to wait.
func RateLimited(retryAfter time.Duration, format string, args ...any) *Problem {
	return &Problem{Kind: ProblemRateLimited, RetryAfter: retryAfter, Message: fmt.Sprintf(format, args...)}
}

// InvalidConfig says that the configuration field with a dotted path cannot work.
func InvalidConfig(field, format string, args ...any) *Problem {
	return &Problem{Kind: ProblemInvalidConfig, Field: field, Message: fmt.Sprintf(format, args...)}
}

// Rejected says that one record or action breaks a rule of the given short, stable name.
func Rejected(rule, format string, args ...any) *Problem {
	return &Problem{Kind: ProblemRejected, Rule: rule, Message: fmt.Sprintf(format, args...)}
}

// Upstream says that the other system is down or answers nonsense.
func Upstream(format string, args ...any) *Problem {
	return &Problem{Kind: ProblemUpstream, Message: fmt.Sprintf(format, args...)}
}

// Bug says that the connector itself is wrong.
func Bug(format string, args ...any) *Problem {
	return &Problem{Kind: ProblemBug, Message: fmt.Sprintf(format, args...)}
}

// At returns a copy of the problem with its place in the source.
func (p *Problem) At(format string, args ...any) *Problem {
	placed := *p
	placed.Place = fmt.Sprintf(format, args...)
	return &placed
}
