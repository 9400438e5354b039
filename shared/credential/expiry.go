package credential

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/store/vault"
)

// Atlassian does not tell when an API token expires, so whoever stores it says it.

// maxLife is more than the longest life of an API token: since 2024-12 it is one year.
const maxLife = 2 * 366 * 24 * time.Hour

// ErrExpiry says that a text is no day on which a token expires.
var ErrExpiry = errors.New("must be a day in the future, within two years, for example 2027-03-01")

// ParseExpiry reads the day on which a token expires, or a moment in the form of RFC 3339. A day means its beginning in
// UTC, so that the warning never comes too late. The error is ErrExpiry.
func ParseExpiry(text string, now time.Time) (time.Time, error) {
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		at, err = time.Parse(time.RFC3339, text)
	}
	if err != nil || !at.After(now) || at.Sub(now) > maxLife {
		return time.Time{}, ErrExpiry
	}
	return at.UTC(), nil
}

// Warned are the times before the end of a token at which a warning becomes more urgent.
var Warned = []time.Duration{30 * 24 * time.Hour, 7 * 24 * time.Hour, 24 * time.Hour}

// Expiry is a token that has expired, or expires within the first of Warned.
type Expiry struct {
	Name string
	At   time.Time
	Left time.Duration // 0 or less if it has expired
}

// Says says when the token expires.
func (e Expiry) Says() string {
	if e.Left <= 0 {
		return fmt.Sprintf("The token of %s expired on %s", e.Name, e.At.Format(time.DateOnly))
	}
	return fmt.Sprintf("The token of %s expires on %s, in %s", e.Name, e.At.Format(time.DateOnly), inDays(e.Left))
}

// Mend says what to do.
func (e Expiry) Mend() string {
	if e.Name == ofEnvironment {
		return "Make a new one, and set CONFLUENCE_API_TOKEN and CONFLUENCE_API_TOKEN_EXPIRES"
	}
	return "Make a new one, and store it: sluice secret set " + e.Name + " --expires DAY"
}

// ofEnvironment names the token that the settings give.
const ofEnvironment = "CONFLUENCE_API_TOKEN"

func inDays(d time.Duration) string {
	switch days := int(d / (24 * time.Hour)); days {
	case 0:
		return "less than a day"
	case 1:
		return "1 day"
	default:
		return fmt.Sprintf("%d days", days)
	}
}

// Urgency returns how many of the moments of Warned have passed; one more if the token has expired.
func (e Expiry) Urgency() int {
	n := 0
	for _, before := range append(Warned[:len(Warned):len(Warned)], 0) {
		if e.Left <= before {
			n++
		}
	}
	return n
}

// Expiring is the same as the function, for the token of the settings that s was made with.
func (s *Site) Expiring(stored []vault.Secret, now time.Time) []Expiry {
	if s == nil {
		return Expiring(stored, config.Confluence{}, now)
	}
	return Expiring(stored, s.cfg, now)
}

// EnvironmentExpires returns when the token of the settings stops working, zero if that is unknown.
func (s *Site) EnvironmentExpires() time.Time {
	if s == nil || s.cfg.APIToken.Reveal() == "" {
		return time.Time{}
	}
	at, _ := time.Parse(time.DateOnly, s.cfg.TokenExpires) // "" or checked by the settings
	return at
}

// Ends returns when the token stops working that the source with this id and address is read with: its own, else that of its
// site, else that of the settings. It is zero if that is unknown. stored are all stored tokens.
func (s *Site) Ends(id, baseURL string, stored []vault.Secret) time.Time {
	host := hostOf(baseURL)
	for _, name := range []string{id, host} {
		for _, t := range stored {
			if !t.Vanished && name != "" && t.Name == name {
				return t.Expires
			}
		}
	}
	if s == nil || host == "" || hostOf(s.cfg.BaseURL) != host {
		return time.Time{}
	}
	return s.EnvironmentExpires()
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}

// Expiring returns the tokens that have expired, or expire within the first of Warned: those that are stored, and the one
// that the settings give.
func Expiring(stored []vault.Secret, c config.Confluence, now time.Time) []Expiry {
	var list []Expiry
	add := func(name string, at time.Time) {
		if e := (Expiry{Name: name, At: at, Left: at.Sub(now)}); !at.IsZero() && e.Urgency() > 0 {
			list = append(list, e)
		}
	}
	for _, s := range stored {
		if !s.Vanished {
			add(s.Name, s.Expires)
		}
	}
	if at, err := time.Parse(time.DateOnly, c.TokenExpires); err == nil && c.APIToken.Reveal() != "" {
		add(ofEnvironment, at)
	}
	return list
}
