package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
)

func TestSecretNeverPrints(t *testing.T) {
	secret := NewSecret("hush-hush-1")
	holder := struct {
		Token  Secret
		Nested map[Secret]*Secret
	}{secret, map[Secret]*Secret{secret: &secret}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%10s"} {
		require.NotContains(t, fmt.Sprintf(verb, secret), "hush", verb)
		require.NotContains(t, fmt.Sprintf(verb, &secret), "hush", verb)
		require.NotContains(t, fmt.Sprintf(verb, holder), "hush", verb)
	}
	require.NotContains(t, fmt.Sprint(secret, holder, []Secret{secret}), "hush")
	require.NotContains(t, fmt.Sprintf("%x", fmt.Sprintf("%x", secret)), "68757368")
	data, err := json.Marshal(holder)
	require.NoError(t, err)
	require.NotContains(t, string(data), "hush")
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(handler).Info("x", "secret", secret, "pointer", &secret, "holder", holder)
	}
	require.NotContains(t, out.String(), "hush")

	require.Equal(t, "hush-hush-1", secret.Reveal())
	require.False(t, secret.IsZero())
	require.True(t, Secret{}.IsZero())
}

func TestMaskHidesWhatWasHandedOver(t *testing.T) {
	m := &mask{}
	m.add(&connectorv1.Access{Token: "token-1", Proxy: "http://u:p@proxy", Secrets: map[string]string{"a": `quo"te\d`, "b": "token-1-longer", "c": "xyz"}})
	var out bytes.Buffer
	log := newLogger(maskedWriter{mask: m, next: &out}, slog.LevelInfo)
	log.Info("token-1-longer and token-1", "error", errors.New(`it was quo"te\d`), "group", slog.GroupValue(slog.String("time", "http://u:p@proxy")))
	require.Contains(t, out.String(), `"@message":"[secret] and [secret]","error":"it was [secret]","group":{"time":"[secret]"}`)
	require.Equal(t, "xyz", m.text("xyz"), "what is so short occurs by chance")
	require.Equal(t, &Problem{Kind: ProblemAuth, Message: "[secret]", Rule: "r"}, m.problem(&Problem{Kind: ProblemAuth, Message: "token-1", Rule: "r"}))
}

func TestScrub(t *testing.T) {
	for text, want := range map[string]string{
		`Get "https://x/?key=1": EOF`:                    `Get "…": EOF`,
		`strconv.ParseInt: parsing "ivan": invalid`:      `strconv.ParseInt: parsing "…": invalid`,
		`no person ivan@example.com in row 12`:           `no person …@… in row 12`,
		`phone +7 (999) 000-00-01 twice`:                 `phone … twice`,
		`https://x/y?token=1 refused`:                    `https://x/y?… refused`,
		`index out of range [5] with length 3`:           `index out of range [5] with length 3`,
		`quoted "with \"inner\" quotes" and 1234567 end`: `quoted "…" and … end`,
	} {
		require.Equal(t, want, scrub(text))
	}
}
