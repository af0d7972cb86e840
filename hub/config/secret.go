package config

import (
	"fmt"
	"io"
)

// Secret is a value that must not be seen. No way of printing or encoding it shows it; Reveal does (R12).
type Secret struct{ value string }

const redacted = "[secret]"

// NewSecret hides a value.
func NewSecret(value string) Secret { return Secret{value: value} }

// Reveal returns the hidden value. It goes to the system it belongs to and nowhere else.
func (s Secret) Reveal() string { return s.value }

// Empty says that there is no value.
func (s Secret) Empty() bool { return s.value == "" }

// Format implements fmt.Formatter for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String implements fmt.Stringer.
func (Secret) String() string { return redacted }

// MarshalText implements encoding.TextMarshaler; encoding/json and slog use it.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
