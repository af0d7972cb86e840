package consent_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/store"
)

// The systems of the cases.
const (
	shop       store.ConnectionID = 1
	newsletter store.ConnectionID = 2
)

const (
	ann      = "ann@shop.example"
	annWork  = "ann@work.example"
	annPhone = "+79123456789"
)

// day reads "2026-03-01"; an empty string is an unknown time.
func day(s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

func record(state entity.ConsentState, on string, details ...func(*consent.Record)) consent.Record {
	r := consent.Record{
		Key:     store.RecordKey{Connection: newsletter, Stream: "consents", Key: string(state) + on},
		Channel: "email", Purpose: "marketing", State: state, At: day(on), Email: ann, Source: "form on the site", TextVersion: "3",
	}
	for _, detail := range details {
		detail(&r)
	}
	return r
}

func optIn(on string, details ...func(*consent.Record)) consent.Record {
	return record(entity.OptedIn, on, details...)
}

func optOut(on string, details ...func(*consent.Record)) consent.Record {
	return record(entity.OptedOut, on, details...)
}

func complaint(on string, details ...func(*consent.Record)) consent.Record {
	return record(entity.Complained, on, details...)
}

func bounce(on string, details ...func(*consent.Record)) consent.Record {
	return record(entity.Bounced, on, details...)
}

func erasure() consent.Record {
	return consent.Record{State: consent.Erased, At: day("2026-01-01")}
}

func at(connection store.ConnectionID) func(*consent.Record) {
	return func(r *consent.Record) { r.Key.Connection = connection }
}

func channel(c string) func(*consent.Record) { return func(r *consent.Record) { r.Channel = c } }
func purpose(p string) func(*consent.Record) { return func(r *consent.Record) { r.Purpose = p } }
func list(l string) func(*consent.Record)    { return func(r *consent.Record) { r.List = l } }
func source(s string) func(*consent.Record)  { return func(r *consent.Record) { r.Source = s } }
func company(c string) func(*consent.Record) { return func(r *consent.Record) { r.LegalEntity = c } }
func address(a string) func(*consent.Record) { return func(r *consent.Record) { r.Email = a } }
func byPhone(r *consent.Record)              { r.Channel, r.Phone = "sms", annPhone }

func TestDecide(t *testing.T) {
	var (
		ask       = consent.Question{Channel: "email", Purpose: "marketing", Address: ann, Now: day("2026-06-01")}
		askSMS    = consent.Question{Channel: "sms", Address: annPhone, Now: day("2026-06-01")}
		assumed   = consent.Policy{Mode: map[string]consent.Mode{"email": consent.Assumed}}
		shopRules = consent.Policy{SystemOfRecord: []store.ConnectionID{shop}}
	)
	with := func(change func(*consent.Question)) consent.Question {
		q := ask
		change(&q)
		return q
	}
	type records = []consent.Record
	tests := []struct {
		name     string
		policy   consent.Policy
		question consent.Question // ask when zero
		records  records
		want     consent.Reason
	}{
		// Permission.
		{name: "nothing is known of the person", want: consent.NoConsent},
		{name: "the person agreed", records: records{optIn("2026-03-01")}, want: consent.Permitted},
		{name: "the person was not asked", records: records{record(entity.Unknown, "2026-03-01")}, want: consent.NoConsent},
		{name: "agreed, but nobody knows when", records: records{optIn("")}, want: consent.NoProof},
		{name: "agreed, but nobody knows where", records: records{optIn("2026-03-01", source(""))}, want: consent.NoProof},
		{name: "agreed, without a version of the text", records: records{optIn("2026-03-01", func(r *consent.Record) { r.TextVersion = "" })}, want: consent.Permitted},
		{name: "agreed in the future", records: records{optIn("2026-06-02")}, want: consent.NoProof},
		{name: "agreed just now by a clock that is ahead", question: with(func(q *consent.Question) { q.Now = q.Now.Add(-time.Minute) }), records: records{optIn("2026-06-01")}, want: consent.Permitted},
		{name: "agreed to text messages only", records: records{optIn("2026-03-01", channel("sms"))}, want: consent.NoConsent},
		{name: "agreed to delivery notices only", records: records{optIn("2026-03-01", purpose("service"))}, want: consent.NoConsent},
		{name: "a permission without a purpose is for marketing", records: records{optIn("2026-03-01", purpose(""))}, want: consent.Permitted},
		{name: "and for marketing only", question: with(func(q *consent.Question) { q.Purpose = "research" }), records: records{optIn("2026-03-01", purpose(""))}, want: consent.NoConsent},
		{name: "a question without a purpose is about marketing", question: with(func(q *consent.Question) { q.Purpose = "" }), records: records{optIn("2026-03-01")}, want: consent.Permitted},
		{name: "a permission without a channel is for none", records: records{optIn("2026-03-01", channel(""))}, want: consent.NoConsent},
		{name: "agreed for another address", records: records{optIn("2026-03-01", address(annWork))}, want: consent.NoConsent},
		{name: "agreed without naming an address", records: records{optIn("2026-03-01", address(""))}, want: consent.Permitted},
		{name: "the e-mail address beside a consent to text messages does not limit it", question: askSMS, records: records{optIn("2026-03-01", byPhone)}, want: consent.Permitted},
		{name: "agreed with another company of the group", question: with(func(q *consent.Question) { q.LegalEntity = "Romashka LLC" }), records: records{optIn("2026-03-01", company("Vasilek LLC"))}, want: consent.NoConsent},
		{name: "agreed with this company of the group", question: with(func(q *consent.Question) { q.LegalEntity = "Romashka LLC" }), records: records{optIn("2026-03-01", company("Romashka LLC"))}, want: consent.Permitted},
		{name: "agreed with the only company there is", records: records{optIn("2026-03-01", company("Romashka LLC"))}, want: consent.Permitted},

		// The workspace has decided to assume consent.
		{name: "assumed where nothing is known", policy: assumed, want: consent.AssumedPermitted},
		{name: "assumed on this channel only", policy: assumed, question: askSMS, want: consent.NoConsent},
		{name: "assumed, with a permission that proves nothing", policy: assumed, records: records{optIn("")}, want: consent.AssumedPermitted},
		{name: "assumed, and agreed", policy: assumed, records: records{optIn("2026-03-01")}, want: consent.Permitted},
		{name: "assumed ends with an opt-out", policy: assumed, records: records{optOut("2026-03-01")}, want: consent.HasOptedOut},
		{name: "assumed ends with a complaint", policy: assumed, records: records{complaint("2026-03-01")}, want: consent.HasComplained},
		{name: "assumed ends with a bounce", policy: assumed, records: records{bounce("2026-03-01")}, want: consent.HasBounced},

		// Opt-out.
		{name: "agreed, later opted out", records: records{optIn("2026-03-01"), optOut("2026-04-01")}, want: consent.HasOptedOut},
		{name: "opted out at the moment of agreeing", records: records{optIn("2026-03-01"), optOut("2026-03-01")}, want: consent.HasOptedOut},
		{name: "opted out nobody knows when", records: records{optIn("2026-03-01"), optOut("")}, want: consent.HasOptedOut},
		{name: "opted out in the future", records: records{optIn("2026-03-01"), optOut("2027-01-01")}, want: consent.HasOptedOut},
		{name: "opted out of one list counts for the channel", records: records{optIn("2026-03-01"), optOut("2026-04-01", list("promo"))}, want: consent.HasOptedOut},
		{name: "opted out of nothing in particular counts for every purpose", question: with(func(q *consent.Question) { q.Purpose = "research" }), records: records{optIn("2026-03-01", purpose("research")), optOut("2026-04-01", purpose(""))}, want: consent.HasOptedOut},
		{name: "opted out of another purpose", records: records{optIn("2026-03-01"), optOut("2026-04-01", purpose("research"))}, want: consent.Permitted},
		{name: "opted out of another channel", records: records{optIn("2026-03-01"), optOut("2026-04-01", channel("sms"))}, want: consent.Permitted},
		{name: "opted out of every channel", records: records{optIn("2026-03-01"), optOut("2026-04-01", channel(""))}, want: consent.HasOptedOut},
		{name: "opted out at another address of the same person", records: records{optIn("2026-03-01"), optOut("2026-04-01", address(annWork))}, want: consent.HasOptedOut},
		{name: "opted out with another company of the group", question: with(func(q *consent.Question) { q.LegalEntity = "Romashka LLC" }), records: records{optIn("2026-03-01"), optOut("2026-04-01", company("Vasilek LLC"))}, want: consent.HasOptedOut},
		{name: "opted out in another system", records: records{optIn("2026-03-01"), optOut("2026-02-01", at(shop))}, want: consent.HasOptedOut},
		{name: "a state of a newer connector forbids", records: records{optIn("2026-03-01"), record("objected", "2026-04-01")}, want: consent.HasOptedOut},

		// Coming back.
		{name: "opted out, later agreed again in the same system", records: records{optOut("2026-03-01"), optIn("2026-04-01")}, want: consent.Permitted},
		{name: "opted out, later agreed without a source", records: records{optOut("2026-03-01"), optIn("2026-04-01", source(""))}, want: consent.HasOptedOut},
		{name: "opted out, agreed nobody knows when", records: records{optOut("2026-03-01"), optIn("")}, want: consent.HasOptedOut},
		{name: "opted out, agreed in the future", records: records{optOut("2026-03-01"), optIn("2026-06-02")}, want: consent.HasOptedOut},
		{name: "opted out, later agreed for another purpose", records: records{optOut("2026-03-01", purpose("")), optIn("2026-04-01", purpose("service"))}, want: consent.HasOptedOut},
		{name: "opted out, later agreed for another address", records: records{optOut("2026-03-01"), optIn("2026-04-01", address(annWork))}, want: consent.HasOptedOut},
		{name: "opted out of one list, later agreed to another", records: records{optOut("2026-03-01", list("promo")), optIn("2026-04-01", list("news"))}, want: consent.HasOptedOut},
		{name: "opted out of one list, later agreed to it again", records: records{optOut("2026-03-01", list("promo")), optIn("2026-04-01", list("promo"))}, want: consent.Permitted},
		{name: "opted out in the newsletter, later agreed in the shop", records: records{optOut("2026-03-01"), optIn("2026-04-01", at(shop))}, want: consent.HasOptedOut},
		{name: "the same, the shop being the system of record", policy: shopRules, records: records{optOut("2026-03-01"), optIn("2026-04-01", at(shop))}, want: consent.Permitted},
		{name: "agreed again in the newsletter, the shop being the system of record", policy: shopRules, records: records{optOut("2026-03-01"), optIn("2026-04-01")}, want: consent.HasOptedOut},
		{name: "one of two opt-outs is not undone", records: records{optOut("2026-03-01"), optOut("2026-03-01", at(shop)), optIn("2026-04-01")}, want: consent.HasOptedOut},
		{name: "both opt-outs are undone, each where it came from", records: records{optOut("2026-03-01"), optOut("2026-03-01", at(shop)), optIn("2026-04-01"), optIn("2026-04-01", at(shop))}, want: consent.Permitted},

		// Complaint, bounce, erasure.
		{name: "a complaint", records: records{optIn("2026-03-01"), complaint("2026-04-01")}, want: consent.HasComplained},
		{name: "a complaint about a message of another purpose", records: records{optIn("2026-03-01"), complaint("2026-04-01", purpose("service"))}, want: consent.HasComplained},
		{name: "a complaint at another address of the same person", records: records{optIn("2026-03-01"), complaint("2026-04-01", address(annWork))}, want: consent.HasComplained},
		{name: "a complaint on another channel", records: records{optIn("2026-03-01"), complaint("2026-04-01", channel("sms"))}, want: consent.Permitted},
		{name: "a complaint, later agreed again", records: records{complaint("2026-03-01"), optIn("2026-04-01")}, want: consent.Permitted},
		{name: "the address bounced", records: records{optIn("2026-03-01"), bounce("2026-04-01")}, want: consent.HasBounced},
		{name: "another address of the same person bounced", records: records{optIn("2026-03-01"), bounce("2026-04-01", address(annWork))}, want: consent.Permitted},
		{name: "an address bounced that is not named", records: records{optIn("2026-03-01"), bounce("2026-04-01", address(""))}, want: consent.HasBounced},
		{name: "the address bounced, later agreed with it again", records: records{bounce("2026-03-01"), optIn("2026-04-01")}, want: consent.Permitted},
		{name: "the address bounced, later agreed without naming it", records: records{bounce("2026-03-01"), optIn("2026-04-01", address(""))}, want: consent.HasBounced},
		{name: "the person at any address, one of which bounced", question: with(func(q *consent.Question) { q.Address = "" }), records: records{optIn("2026-03-01"), bounce("2026-04-01")}, want: consent.Permitted},
		{name: "erased, later agreed", policy: shopRules, records: records{erasure(), optIn("2026-04-01", at(shop))}, want: consent.HasBeenErased},
		{name: "erased, where consent is assumed", policy: assumed, records: records{erasure()}, want: consent.HasBeenErased},
		{name: "a complaint weighs more than an opt-out and a bounce", records: records{bounce("2026-03-01"), optOut("2026-03-01"), complaint("2026-03-01")}, want: consent.HasComplained},

		// Targets.
		{name: "a field in a CRM sends nothing", question: consent.Question{Channel: "none"}, records: records{optOut("2026-03-01")}, want: consent.NotNeeded},
		{name: "but the erased do not come back into it", question: consent.Question{Channel: "none"}, records: records{erasure()}, want: consent.HasBeenErased},
		{name: "a target that does not say its channel", question: consent.Question{Address: ann}, records: records{optIn("2026-03-01")}, want: consent.ChannelUnknown},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			question := test.question
			if question == (consent.Question{}) {
				question = ask
			}
			verdict := consent.Decide(test.policy, question, test.records)
			assert.Equal(t, test.want, verdict.Reason)
			assert.Equal(t, slices.Contains([]consent.Reason{consent.Permitted, consent.AssumedPermitted, consent.NotNeeded}, test.want), verdict.Allowed)
		})
	}
}

func TestDecideEvidence(t *testing.T) {
	ask := consent.Question{Channel: "email", Address: ann, Now: day("2026-06-01")}
	first, refused, again := optIn("2026-01-01"), optOut("2026-02-01"), optIn("2026-03-01")
	other := optIn("2026-03-01", channel("sms"))

	assert.Equal(t, []consent.Record{refused},
		consent.Decide(consent.Policy{}, ask, []consent.Record{other, refused, first, refused}).Evidence, "what refuses")
	assert.ElementsMatch(t, []consent.Record{first, refused, again},
		consent.Decide(consent.Policy{}, ask, []consent.Record{first, refused, other, again}).Evidence, "what permits, and what it undid")
	assert.Equal(t, []consent.Record{optIn("")},
		consent.Decide(consent.Policy{}, ask, []consent.Record{optIn("")}).Evidence, "what proves nothing")
	assert.Empty(t, consent.Decide(consent.Policy{}, ask, nil).Evidence)
}

func drawRecord(t *rapid.T) consent.Record {
	pick := func(label string, values ...string) string { return rapid.SampledFrom(values).Draw(t, label) }
	r := consent.Record{
		Key: store.RecordKey{
			Connection: store.ConnectionID(rapid.IntRange(1, 3).Draw(t, "connection")), Stream: "consents", Key: pick("key", "1", "2"),
		},
		Channel:     pick("channel", "email", "email", "email", "sms", ""),
		Purpose:     pick("purpose", "", "marketing", "marketing", "service"),
		LegalEntity: pick("legal entity", "", "", "A", "B"),
		Email:       pick("email", "", ann, ann, annWork),
		Phone:       pick("phone", "", annPhone),
		Source:      pick("source", "form", "form", ""),
		List:        pick("list", "", "", "promo", "news"),
		State: rapid.SampledFrom([]entity.ConsentState{
			entity.OptedIn, entity.OptedIn, entity.OptedIn, entity.OptedOut, entity.Complained, entity.Bounced, entity.Unknown, "objected", consent.Erased,
		}).Draw(t, "state"),
		At: day(pick("at", "", "2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01", "2026-07-01")),
	}
	if rapid.Bool().Draw(t, "has contact") {
		r.Contact = &store.RecordKey{Connection: r.Key.Connection, Stream: "contacts", Key: "7"}
	}
	return r
}

func drawCase(t *rapid.T) (consent.Policy, consent.Question, []consent.Record) {
	policy := consent.Policy{Mode: map[string]consent.Mode{
		"email": rapid.SampledFrom([]consent.Mode{consent.Explicit, consent.Assumed, ""}).Draw(t, "mode"),
	}}
	if rapid.Bool().Draw(t, "has system of record") {
		policy.SystemOfRecord = []store.ConnectionID{1}
	}
	question := consent.Question{
		Channel:     rapid.SampledFrom([]string{"email", "email", "email", "sms", "none", ""}).Draw(t, "channel asked"),
		Purpose:     rapid.SampledFrom([]string{"", "marketing", "service"}).Draw(t, "purpose asked"),
		LegalEntity: rapid.SampledFrom([]string{"", "A"}).Draw(t, "legal entity asked"),
		Address:     rapid.SampledFrom([]string{ann, ann, annWork, annPhone, ""}).Draw(t, "address asked"),
		Now:         day("2026-06-01"),
	}
	return policy, question, rapid.SliceOfN(rapid.Custom(drawRecord), 0, 6).Draw(t, "records")
}

// R2, R4: the order in which records arrive, and their repetition, do not matter.
func TestDecideIgnoresOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy, question, records := drawCase(t)
		given := slices.Clone(records)
		want := consent.Decide(policy, question, records)
		require.Equal(t, given, records, "what the caller handed over is left as it was")
		if len(records) > 0 {
			records = rapid.Permutation(append(records, records[0])).Draw(t, "order")
		}
		require.Equal(t, want, consent.Decide(policy, question, records))
	})
}

// R4: one more refusal never allows what was not allowed.
func TestDecideOnlyTightensWithRefusals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy, question, records := drawCase(t)
		before := consent.Decide(policy, question, records)
		refusal := drawRecord(t)
		if refusal.State == entity.OptedIn {
			refusal.State = entity.OptedOut
		}
		after := consent.Decide(policy, question, append(slices.Clone(records), refusal))
		if after.Allowed {
			require.True(t, before.Allowed, "%+v", refusal)
		}
	})
}

// R4: nobody is written to on an explicit channel without a proven permission, nor past a refusal without a time.
func TestDecideAllowsOnlyOnProof(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy, question, records := drawCase(t)
		verdict := consent.Decide(policy, question, records)
		if !verdict.Allowed || question.Channel == consent.NoChannel {
			return
		}
		if policy.Mode[question.Channel] != consent.Assumed {
			require.True(t, slices.ContainsFunc(verdict.Evidence, func(r consent.Record) bool {
				return r.State == entity.OptedIn && r.Channel == question.Channel && !r.At.IsZero() && r.Source != "" && !r.At.After(question.Now)
			}))
		}
		for _, r := range records {
			general := r.Purpose == "" && (r.Channel == "" || r.Channel == question.Channel)
			require.False(t, r.State == entity.OptedOut && general && r.At.IsZero())
			require.NotEqual(t, consent.Erased, r.State)
		}
	})
}
