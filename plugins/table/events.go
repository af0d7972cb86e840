package main

import (
	"time"

	"github.com/regulars/regulars/contracts/entity"
)

func consents() *table[entity.Consent] {
	type E = entity.Consent
	return newTable(table[E]{
		definition: definition{
			stream: "consents", doc: "Opt-ins, opt-outs, bounces and complaints.",
			keys: keyOfRow, repeats: true,
			// Not the state: a changed mind changes the record of the same subject.
			identity: []string{"customer", "email", "phone", "channel", "purpose", "legal_entity", "list"},
			needs:    []need{needs("channel"), needs("state"), needs("customer", "email", "phone")},
			after:    []string{"contacts"},
		},
		set: map[string]field[E]{
			"customer":     ref("key of the contact", "contacts", func(e *E) **entity.Ref { return &e.Contact }),
			"email":        text("e-mail address it is about", func(e *E) *string { return &e.Email }),
			"phone":        text("phone number it is about", func(e *E) *string { return &e.Phone }),
			"channel":      choice("channel", func(e *E) *string { return &e.Channel }, "email", "sms", "messenger", "push", "phone"),
			"purpose":      text("purpose; marketing unless given", func(e *E) *string { return &e.Purpose }),
			"legal_entity": text("legal entity it was given to", func(e *E) *string { return &e.LegalEntity }),
			"state": choice("state", func(e *E) *entity.ConsentState { return &e.State },
				entity.OptedIn, entity.OptedOut, entity.Complained, entity.Bounced, entity.Unknown),
			"at": dayOrMoment("when the person decided; a cell without a time counts as the day",
				func(e *E) **time.Time { return &e.At }, func(e *E) **entity.Date { return &e.On }),
			"source":       text("where it was given, e.g. the form or the shop", func(e *E) *string { return &e.Source }),
			"text_version": text("which wording was agreed to", func(e *E) *string { return &e.TextVersion }),
			"ip":           text("address it was given from", func(e *E) *string { return &e.IP }),
			"list":         text("list of a mailing tool, where it is about one list only", func(e *E) *string { return &e.List }),
		},
		custom: func(e *E) *entity.Custom { return &e.Custom },
	})
}

func activities() *table[entity.Activity] {
	type E = entity.Activity
	return newTable(table[E]{
		definition: definition{
			stream: "activities", doc: "Calls, visits, messages, complaints and so on.",
			keys: keyOfRow, identity: []string{"type", "at", "customer", "company", "deal", "email", "phone", "direction", "channel"},
			needs: []need{needs("type"), needs("at")}, after: []string{"contacts", "companies", "owners", "deals"},
		},
		set: map[string]field[E]{
			"type": choice("type", func(e *E) *string { return &e.Type }, "call", "message", "meeting", "task", "ticket", "complaint",
				"review", "visit", "email_sent", "email_opened", "email_clicked", "note", "other"),
			"direction":        choice("direction", func(e *E) *string { return &e.Direction }, "in", "out"),
			"channel":          text("phone, email, sms, whatsapp, telegram, chat, site, ...", func(e *E) *string { return &e.Channel }),
			"customer":         ref("key of the contact", "contacts", func(e *E) **entity.Ref { return &e.Contact }),
			"company":          ref("key of the company", "companies", func(e *E) **entity.Ref { return &e.Company }),
			"deal":             ref("key of the deal", "deals", func(e *E) **entity.Ref { return &e.Deal }),
			"owner":            ref("key of the colleague", "owners", func(e *E) **entity.Ref { return &e.Owner }),
			"email":            text("e-mail address it concerned, where no record is known", func(e *E) *string { return &e.Email }),
			"phone":            text("phone number it concerned, where no record is known", func(e *E) *string { return &e.Phone }),
			"at":               momentIn("when it happened; a day alone counts as its start", func(e *E) *time.Time { return &e.At }),
			"due_at":           moment("when it is due", func(e *E) **time.Time { return &e.DueAt }),
			"done_at":          moment("when it was done", func(e *E) **time.Time { return &e.DoneAt }),
			"answered_at":      moment("when an incoming contact was first answered", func(e *E) **time.Time { return &e.AnsweredAt }),
			"duration_seconds": integer("length in seconds", func(e *E, n int) { e.DurationSeconds = n }),
			"campaign":         text("mailing it belongs to", func(e *E) *string { return &e.Campaign }),
			"outcome":          text("outcome", func(e *E) *string { return &e.Outcome }),
			"rating":           integer("rating", func(e *E, n int) { e.Rating = &n }),
		},
		custom: func(e *E) *entity.Custom { return &e.Custom },
	})
}

func surveyAnswers() *table[entity.SurveyAnswer] {
	type E = entity.SurveyAnswer
	return newTable(table[E]{
		definition: definition{
			stream: "survey_answers", doc: "Answers to NPS, CSAT and other questions with a scale.",
			keys: keyOfRow, identity: []string{"customer", "email", "phone", "order", "survey", "question", "at"},
			needs: []need{needs("at"), needs("score", "text")}, after: []string{"contacts", "orders"},
		},
		set: map[string]field[E]{
			"customer":  ref("key of the contact", "contacts", func(e *E) **entity.Ref { return &e.Contact }),
			"email":     text("e-mail address, where no record is known", func(e *E) *string { return &e.Email }),
			"phone":     text("phone number, where no record is known", func(e *E) *string { return &e.Phone }),
			"order":     ref("key of the order it is about", "orders", func(e *E) **entity.Ref { return &e.Order }),
			"survey":    text("survey", func(e *E) *string { return &e.Survey }),
			"question":  text("nps, csat or the source's own id", func(e *E) *string { return &e.Question }),
			"score":     integer("score", func(e *E, n int) { e.Score = &n }),
			"scale_min": integer("lowest score", func(e *E, n int) { e.ScaleMin = n }),
			"scale_max": integer("highest score", func(e *E, n int) { e.ScaleMax = n }),
			"text":      text("answer in words", func(e *E) *string { return &e.Text }),
			"at":        momentIn("when it was given; a day alone counts as its start", func(e *E) *time.Time { return &e.At }),
		},
		custom: func(e *E) *entity.Custom { return &e.Custom },
	})
}
