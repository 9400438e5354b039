// Package secret holds one type for values that must never be shown: a token, a password, an address
// with a password in it. It prints, formats, logs and marshals as "[redacted]".
package secret

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/rs/zerolog"
)

// Redacted replaces a secret wherever it would be shown.
const Redacted = "[redacted]"

// String is a secret text. The zero value is the empty secret. Values can be compared with
// == and used as map keys within one process.
// Only Reveal returns the text. It is stored masked with a pad of this process, because fmt and dumping
// libraries read unexported fields without calling any method: they find only noise there.
type String struct{ masked string }

var pad = newPad()

func newPad() []byte {
	p := make([]byte, 64)
	// crypto/rand.Read never fails: it ends the program if the system has no randomness.
	_, _ = rand.Read(p)
	return p
}

func mask(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] ^= pad[i%len(pad)]
	}
	return string(b)
}

// New makes a secret of text.
func New(text string) String { return String{masked: mask(text)} }

// Reveal returns the text itself. Call it only where the secret leaves the process.
func (s String) Reveal() string { return mask(s.masked) }

// IsZero reports whether the secret is empty.
func (s String) IsZero() bool { return s.masked == "" }

// Equal compares two secrets in a time that depends only on their lengths.
func (s String) Equal(other String) bool {
	return subtle.ConstantTimeCompare([]byte(s.masked), []byte(other.masked)) == 1
}

// String returns "[redacted]", for the empty secret too: readers must not learn that there is none.
func (String) String() string { return Redacted }

// GoString returns "[redacted]".
func (String) GoString() string { return Redacted }

// Format writes "[redacted]" for every verb and flag.
func (String) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// MarshalText returns "[redacted]".
func (String) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON returns "[redacted]" as a JSON string.
func (String) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalZerologObject writes {"secret":"[redacted]"}, so that zerolog's Object, EmbedObject
// and Interface show nothing.
func (String) MarshalZerologObject(e *zerolog.Event) { e.Str("secret", Redacted) }

// LogValue returns "[redacted]" to log/slog.
func (String) LogValue() slog.Value { return slog.StringValue(Redacted) }

// ErrRedacted is returned for the text "[redacted]" in place of a secret: someone copied it from output
// that hides the real one.
var ErrRedacted = errors.New(`the text "` + Redacted + `" is not a secret but replaces one`)

// UnmarshalText sets the secret to text, unchanged. It returns ErrRedacted for "[redacted]".
func (s *String) UnmarshalText(text []byte) error {
	if string(text) == Redacted {
		return ErrRedacted
	}
	*s = New(string(text))
	return nil
}
