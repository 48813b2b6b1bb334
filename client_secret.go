package shopifysync

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// A Secret is a token or key that does not print: fmt, encoding/json, log/slog
// and go-cmp show REDACTED, also for one inside another struct. The zero value
// is the empty secret.
//
// The text is held in a function, so that even a printer that ignores methods,
// as fmt does for unexported fields and go-cmp for differing values, finds an
// address and not the text. Compare with [Secret.Equal].
type Secret struct {
	reveal func() string // nil: empty
}

const redacted = "REDACTED"

// NewSecret returns a Secret of s without surrounding white space, which
// pasting tends to add and which no Shopify credential has.
func NewSecret(s string) Secret {
	s = strings.TrimSpace(s)
	if s == "" {
		return Secret{}
	}
	return Secret{reveal: func() string { return s }}
}

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.reveal == nil }

// Equal compares in constant time for equal lengths.
func (s Secret) Equal(o Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(o.Reveal())) == 1
}

// String returns "REDACTED", or "" for an empty secret.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// GoString implements [fmt.GoStringer].
func (s Secret) GoString() string { return "shopifysync.Secret{" + s.String() + "}" }

// Format implements [fmt.Formatter], so that no verb shows the text.
func (s Secret) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		_, _ = f.Write([]byte(s.GoString()))
		return
	}
	_, _ = f.Write([]byte(s.String()))
}

// MarshalText implements [encoding.TextMarshaler].
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON implements [json.Marshaler].
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// UnmarshalText implements [encoding.TextUnmarshaler]. The text REDACTED is
// refused: it is what marshalling a secret left behind.
func (s *Secret) UnmarshalText(b []byte) error {
	if string(b) == redacted {
		return errors.New("shopifysync: the secret was redacted when it was written: supply the real one")
	}
	*s = NewSecret(string(b))
	return nil
}

// UnmarshalJSON implements [json.Unmarshaler], as [Secret.UnmarshalText].
func (s *Secret) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return errors.New("shopifysync: a secret must be a JSON string")
	}
	return s.UnmarshalText([]byte(text))
}
