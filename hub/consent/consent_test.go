package consent_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/consent"
	"github.com/regulars/regulars/hub/store"
)

func TestNew(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Moscow")
	require.NoError(t, err)
	key := store.RecordKey{Connection: 2, Stream: "consents", Key: "1"}
	on := entity.NewDate(2026, time.March, 1)
	moment := time.Date(2026, 3, 1, 15, 0, 0, 0, zone)

	got := consent.New(key, entity.Consent{
		Contact: &entity.Ref{Stream: "contacts", Key: "7"}, Channel: " Email", Purpose: "Marketing ", LegalEntity: " A ",
		State: entity.OptedIn, At: &moment, Source: " form ", TextVersion: "3", List: "promo",
	}, ann, annPhone, zone)
	assert.Equal(t, consent.Record{
		Key: key, Contact: &store.RecordKey{Connection: 2, Stream: "contacts", Key: "7"}, Email: ann, Phone: annPhone,
		Channel: "email", Purpose: "marketing", LegalEntity: "A", State: entity.OptedIn,
		At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Source: "form", TextVersion: "3", List: "promo",
	}, got)

	agreed := consent.New(key, entity.Consent{State: entity.OptedIn, On: &on}, "", "", zone)
	refused := consent.New(key, entity.Consent{State: entity.OptedOut, On: &on}, "", "", zone)
	assert.Equal(t, time.Date(2026, 2, 28, 21, 0, 0, 0, time.UTC), agreed.At, "a permission counts from the first moment of its day")
	assert.Equal(t, time.Date(2026, 3, 1, 20, 59, 59, 999999000, time.UTC), refused.At, "a refusal to the last")
	assert.True(t, consent.New(key, entity.Consent{State: entity.OptedIn}, "", "", zone).At.IsZero())
}

func TestOfMember(t *testing.T) {
	key := store.RecordKey{Connection: 2, Stream: "members", Key: "1"}
	moment := day("2026-03-01")
	for state, want := range map[entity.MemberState]entity.ConsentState{
		entity.Subscribed:       entity.Unknown,
		entity.Unsubscribed:     entity.OptedOut,
		entity.MemberBounced:    entity.Bounced,
		entity.MemberComplained: entity.Complained,
		"paused":                entity.OptedOut,
	} {
		assert.Equal(t, consent.Record{Key: key, Email: ann, Channel: "email", State: want, At: moment},
			consent.OfMember(key, "Email", entity.Member{State: state, At: &moment}, ann, ""), state)
	}
	assert.True(t, consent.OfMember(key, "email", entity.Member{State: entity.Unsubscribed}, ann, "").At.IsZero())
}
