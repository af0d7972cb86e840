package sdk

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a value that does not print (R12). As a type of configuration fields it makes the hub hand the value
// over apart from the configuration.
type Secret struct {
	// A pointer, as fmt prints the fields of a struct for verbs that bypass Format (%p).
	value *string
}

const redacted = "[secret]"

// NewSecret wraps a value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{&value}
}

// Reveal returns the value. Never put it into an error, a log line or an address.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero says that there is no value.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// Format implements fmt.Formatter for every verb, so that no way of printing shows the value.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText implements encoding.TextMarshaler, for JSON and map keys too.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
