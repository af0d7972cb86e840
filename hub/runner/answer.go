package runner

import (
	"bytes"
	"fmt"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
	"github.com/regulars/regulars/hub/connector"
)

// Bounds of what is taken from an answer, beside those of contracts/connector/v1.
const (
	maxMessage     = 500 // bytes of a Problem's message
	maxLabel       = 200 // bytes of names, places and rules
	maxRequestIDs  = 20
	maxProblems    = 100
	maxTargetPages = 200
	maxRetryAfter  = 31 * 24 * time.Hour // vendors' quotas reset at least monthly
)

// decoder turns answers of a process into the hub's words and holds them to the contract (R8). What is for people is
// made safe to show (R12); what is for the hub is refused when it is broken.
type decoder struct{ redact *redactor }

// broken is the Problem for an answer that breaks the contract.
func broken(method, format string, args ...any) *connector.Problem {
	return problemf(connector.Bug, "contract", "the connector's answer to %s %s", method, fmt.Sprintf(format, args...))
}

// message makes a text for people safe.
func (d decoder) message(text string) string {
	// Broken off first, generously, so that a huge text does not cost much.
	return printable(d.redact.clean(shorten(text, 64<<10)), maxMessage)
}

// label makes a short text safe.
func (d decoder) label(text string) string {
	return printable(d.redact.clean(shorten(text, 4<<10)), maxLabel)
}

// title is a label that may name a person, such as a list's or an account's name.
func title(text string) string { return printable(text, maxLabel) }

func (d decoder) problem(p *connectorv1.Problem) *connector.Problem {
	problem := &connector.Problem{
		Kind: problemKinds[p.GetKind()], RetryAfter: period(p.GetRetryAfter(), maxRetryAfter), Field: d.label(p.GetField()),
		Message: d.message(p.GetMessage()), Place: d.label(p.GetPlace()), Rule: d.label(p.GetRule()),
		RequestID: d.label(p.GetRequestId()),
	}
	if problem.Kind == "" {
		problem.Kind = connector.Bug
	}
	if problem.Message == "" {
		problem.Message = "the connector gave no reason"
	}
	return problem
}

var problemKinds = map[connectorv1.Problem_Kind]connector.ProblemKind{
	connectorv1.Problem_KIND_AUTH:           connector.Auth,
	connectorv1.Problem_KIND_RATE_LIMITED:   connector.RateLimited,
	connectorv1.Problem_KIND_INVALID_CONFIG: connector.InvalidConfig,
	connectorv1.Problem_KIND_REJECTED:       connector.Rejected,
	connectorv1.Problem_KIND_UPSTREAM:       connector.Upstream,
	connectorv1.Problem_KIND_BUG:            connector.Bug,
}

// period reads a duration that is not negative and not longer than the limit.
func period(d *durationpb.Duration, limit time.Duration) time.Duration {
	if d.CheckValid() != nil {
		return 0
	}
	return max(0, min(d.AsDuration(), limit))
}

// moment reads a time; an absent or broken one is zero.
func moment(t *timestamppb.Timestamp) time.Time {
	if t.CheckValid() != nil {
		return time.Time{}
	}
	return t.AsTime()
}

func (d decoder) usage(u *connectorv1.CallUsage) connector.Usage {
	usage := connector.Usage{Calls: max(0, int(u.GetCalls())), WaitUntil: moment(u.GetWaitUntil())}
	if u != nil && u.Remaining != nil {
		remaining := max(0, u.GetRemaining())
		usage.Remaining = &remaining
	}
	ids := u.GetRequestIds()
	for _, id := range ids[max(0, len(ids)-maxRequestIDs):] { // newest last
		usage.RequestIDs = append(usage.RequestIDs, d.label(id))
	}
	return usage
}

func (d decoder) checkResult(r *connectorv1.CheckResponse) connector.CheckResult {
	result := connector.CheckResult{
		AccountID: title(r.GetAccountId()), AccountName: title(r.GetAccountName()),
		TimeZone: d.label(r.GetTimeZone()), Currency: d.label(r.GetCurrency()), Config: r.GetConfig(), Usage: d.usage(r.GetUsage()),
	}
	if skew := r.GetClockSkew(); skew.CheckValid() == nil {
		result.ClockSkew = skew.AsDuration()
	}
	if offer := r.GetOffer(); offer != nil {
		result.Streams = []string{}
		for _, name := range offer.GetStreams() {
			result.Streams = append(result.Streams, d.label(name))
		}
	}
	problems := r.GetProblems()
	for _, problem := range problems[:min(len(problems), maxProblems)] {
		result.Problems = append(result.Problems, d.problem(problem))
	}
	return result
}

func (d decoder) page(r *connectorv1.ReadResponse, asked connector.ReadRequest) (connector.Page, error) {
	page := connector.Page{
		Next: r.GetNextCursor(), More: r.GetHasMore(), NotReadyUntil: moment(r.GetNotReadyUntil()), Usage: d.usage(r.GetUsage()),
		Snapshot: r.GetSnapshot(), Total: max(0, r.GetTotal()),
	}
	switch {
	case len(r.GetRecords()) > connectorv1.MaxPageRecords:
		return page, broken("Read", "holds %d records; a page has at most %d", len(r.GetRecords()), connectorv1.MaxPageRecords)
	case len(page.Next) > connectorv1.MaxCursorBytes:
		return page, broken("Read", "holds a cursor of %d bytes; it has at most %d", len(page.Next), connectorv1.MaxCursorBytes)
	case page.More && page.NotReadyUntil.IsZero() && (len(page.Next) == 0 || bytes.Equal(page.Next, asked.Cursor)):
		return page, broken("Read", "says that there is more but its cursor does not move")
	case len(page.Snapshot) > maxLabel || !storable(page.Snapshot):
		return page, broken("Read", "names a snapshot that is too long or not plain text")
	}
	page.Records = make([]connector.Record, 0, len(r.GetRecords()))
	for _, record := range r.GetRecords() {
		if rule, message := recordFault(record, asked.Mode); rule != "" {
			page.Skipped = append(page.Skipped, connector.Skipped{
				Key: safeKey(record.GetKey()), Raw: record.GetData(), UpdatedAt: moment(record.GetUpdatedAt()), Sequence: record.GetSequence(),
				Problem: &connector.Problem{
					Kind: connector.Bug, Rule: rule, Message: "the connector returned a record that " + message, Place: d.label(record.GetPlace()),
				},
			})
			continue
		}
		page.Records = append(page.Records, connector.Record{
			Key: record.GetKey(), Deleted: record.GetOp() == connectorv1.Record_OP_DELETE, UpdatedAt: moment(record.GetUpdatedAt()),
			Data: record.GetData(), Sequence: record.GetSequence(), Place: d.label(record.GetPlace()), MergedKeys: record.GetMergedKeys(),
		})
	}
	for _, skipped := range r.GetSkipped() {
		page.Skipped = append(page.Skipped, connector.Skipped{
			Key: safeKey(skipped.GetKey()), Problem: d.problem(skipped.GetProblem()), Raw: skipped.GetRaw(),
			UpdatedAt: moment(skipped.GetUpdatedAt()), Sequence: skipped.GetSequence(),
		})
	}
	return page, nil
}

// recordFault names the rule a record breaks and says how; both empty when it breaks none. Whether the data is a
// sound entity is for the hub's ingest to see, which decodes it.
func recordFault(r *connectorv1.Record, mode connector.Mode) (rule, message string) {
	if rule, message = keyFault(r.GetKey()); rule != "" {
		return rule, message
	}
	for _, merged := range r.GetMergedKeys() {
		if rule, message = keyFault(merged); rule != "" {
			return "merged_" + rule, "names a merged record whose key " + message
		}
	}
	if at := r.GetUpdatedAt(); at != nil && at.CheckValid() != nil {
		return "updated_at_invalid", "has a time of change outside the years 1 to 9999"
	}
	switch r.GetOp() {
	case connectorv1.Record_OP_UNSPECIFIED, connectorv1.Record_OP_UPSERT:
		if len(r.GetData()) == 0 && mode != connector.IDs {
			return "data_missing", "has no data"
		}
	case connectorv1.Record_OP_DELETE:
	default:
		return "op_unknown", "has an operation this hub does not know"
	}
	return "", ""
}

func keyFault(key string) (rule, message string) {
	switch {
	case key == "":
		return "key_empty", "has no key"
	case len(key) > connectorv1.MaxKeyBytes:
		return "key_too_long", fmt.Sprintf("has a key of %d bytes; it has at most %d", len(key), connectorv1.MaxKeyBytes)
	case !storable(key):
		return "key_not_text", "has a key that is not UTF-8 or holds a zero byte"
	}
	return "", ""
}

// storable says whether a text can be kept in every store: PostgreSQL takes no zero byte.
func storable(text string) bool {
	for i := range len(text) {
		if text[i] == 0 {
			return false
		}
	}
	return utf8.ValidString(text)
}

// safeKey returns the key of something that is not a record as far as it can be kept.
func safeKey(key string) string {
	if _, fault := keyFault(key); fault == "" {
		return key
	}
	return printable(key, connectorv1.MaxKeyBytes)
}

func (d decoder) results(r *connectorv1.WriteResponse, actions int) ([]connector.Result, error) {
	if len(r.GetResults()) != actions {
		return nil, broken("Write", "holds %d results for %d actions", len(r.GetResults()), actions)
	}
	results := make([]connector.Result, actions)
	for i, result := range r.GetResults() {
		results[i] = d.result(result)
	}
	return results, nil
}

func (d decoder) result(r *connectorv1.Result) connector.Result {
	result := connector.Result{
		RemoteID: r.GetRemoteId(), Handle: r.GetHandle(), ConfirmAfter: moment(r.GetConfirmAfter()), Unchanged: r.GetUnchanged(),
	}
	if r.GetProblem() != nil {
		result.Problem = d.problem(r.GetProblem())
	}
	// A result that cannot be relied on may be tried again: actions are idempotent by their key.
	unreliable := func(message string) connector.Result {
		return connector.Result{State: connector.ResultRetryable, Problem: broken("Write", "%s", message)}
	}
	if len(result.RemoteID) > connectorv1.MaxKeyBytes || !storable(result.RemoteID) {
		return unreliable("holds a remote id that is too long or not plain text")
	}
	if len(result.Handle) > connectorv1.MaxKeyBytes || !storable(result.Handle) {
		return unreliable("holds a handle that is too long or not plain text")
	}
	switch r.GetState() {
	case connectorv1.Result_STATE_OK:
		result.State = connector.ResultOK
	case connectorv1.Result_STATE_ACCEPTED:
		if result.Handle == "" {
			return unreliable("accepts an action without a handle to confirm it by")
		}
		result.State = connector.ResultAccepted
	case connectorv1.Result_STATE_REJECTED:
		result.State = connector.ResultRejected
		if result.Problem == nil {
			result.Problem = problemf(connector.Rejected, "no_reason", "rejected; the connector gave no reason")
		}
	default:
		result.State = connector.ResultRetryable
	}
	return result
}

type targetPage struct {
	targets []connector.Target
	next    []byte
	more    bool
}

func (d decoder) targets(r *connectorv1.TargetsResponse) (targetPage, error) {
	page := targetPage{next: r.GetNextCursor(), more: r.GetHasMore()}
	for _, t := range r.GetTargets() {
		if _, message := keyFault(t.GetId()); message != "" {
			return page, broken("Targets", "holds a target that %s", message)
		}
		target := connector.Target{
			ID: t.GetId(), Name: title(t.GetName()), Kind: d.label(t.GetKind()), ReadOnlyReason: d.message(t.GetReadOnlyReason()),
		}
		if t.Members != nil {
			members := max(0, t.GetMembers())
			target.Members = &members
		}
		page.targets = append(page.targets, target)
	}
	return page, nil
}

func (d decoder) fields(r *connectorv1.FieldsResponse) ([]connector.Field, error) {
	fields := make([]connector.Field, 0, len(r.GetFields()))
	for _, f := range r.GetFields() {
		if _, message := keyFault(f.GetId()); message != "" {
			return nil, broken("Fields", "holds a field that %s", message)
		}
		field := connector.Field{
			Stream: f.GetStream(), ID: f.GetId(), Title: title(f.GetTitle()), Type: d.label(f.GetType()), Writable: f.GetWritable(),
		}
		if len(f.GetChoices()) > 0 {
			field.Choices = make(map[string]string, len(f.GetChoices()))
			for _, choice := range f.GetChoices() {
				field.Choices[choice.GetId()] = title(choice.GetTitle())
			}
		}
		fields = append(fields, field)
	}
	return fields, nil
}

func (d decoder) webhook(r *connectorv1.WebhookResponse) (connector.WebhookAnswer, error) {
	if !r.GetAuthentic() {
		return connector.WebhookAnswer{}, nil
	}
	answer := connector.WebhookAnswer{Authentic: true, Status: int(r.GetStatus()), Body: r.GetBody()}
	if answer.Status != 0 && (answer.Status < 200 || answer.Status > 599) {
		return answer, broken("Webhook", "wants the HTTP status %d", answer.Status)
	}
	for _, n := range r.GetNotices() {
		for _, key := range append([]string{n.GetKey()}, n.GetMergedKeys()...) {
			if _, message := keyFault(key); message != "" {
				return answer, broken("Webhook", "holds a notice that %s", message)
			}
		}
		answer.Notices = append(answer.Notices, connector.Notice{
			Stream: n.GetStream(), Key: n.GetKey(), Deleted: n.GetOp() == connectorv1.Record_OP_DELETE,
			At: moment(n.GetAt()), MergedKeys: n.GetMergedKeys(),
		})
	}
	return answer, nil
}
