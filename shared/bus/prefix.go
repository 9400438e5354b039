package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Prefix sets what one installation has on a NATS account apart from what others have there: its
// subjects, streams and buckets. "" is an installation that has the account to itself.
type Prefix string

var validPrefix = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$`)

// Valid reports whether the prefix can be one: "", or up to 32 letters, digits, '-' and '_', beginning
// with a letter or digit.
func (p Prefix) Valid() bool { return p == "" || validPrefix.MatchString(string(p)) }

// Subject is a subject of package event as it is used on the account: PREFIX.sluice.v1.….
func (p Prefix) Subject(subject string) string {
	if p == "" {
		return subject
	}
	return string(p) + "." + subject
}

// bare is the subject without the prefix.
func (p Prefix) bare(subject string) string { return strings.TrimPrefix(subject, p.Subject("")) }

// name is the name of a stream or bucket: PREFIX_SLUICE_….
func (p Prefix) name(name string) string {
	if p == "" {
		return name
	}
	return string(p) + "_" + name
}

func (p Prefix) kv(bucket string) string { return "KV_" + p.name(bucket) }
func (p Prefix) claims() string          { return "OBJ_" + p.name(claimBucket) }

// ownerKey is the metadata of the stream of progress by which an installation knows its own streams.
const ownerKey = "sluice-installation"

// ErrForeign says that the streams on the account are another installation's.
var ErrForeign = errors.New("the streams here are those of another installation of Sluice, which has another database; " +
	"set NATS_PREFIX for one of the two, or, where the other one is gone for good, run: sluice nats adopt")

// Own tells the bus which installation it is of, by an id that its database keeps. The error is
// ErrForeign where the streams belong to another one. While there are none, or none that say so, there
// is none; Apply marks them.
func (b *Bus) Own(ctx context.Context, installation string) error {
	if err := b.foreign(ctx, installation); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.installation = installation
	return nil
}

// Adopt makes the streams on the account those of an installation, whosever they were.
func (b *Bus) Adopt(ctx context.Context, installation string) error {
	s, err := b.js.Stream(ctx, b.p.name(progressStream))
	if err != nil {
		return refused("stream "+b.p.name(progressStream), err)
	}
	is := s.CachedInfo().Config
	is.Metadata = marked(is.Metadata, installation)
	if _, err = b.js.UpdateStream(ctx, is); err != nil {
		return refused("stream "+is.Name, err)
	}
	return nil
}

// foreign returns ErrForeign where the streams are those of another installation.
func (b *Bus) foreign(ctx context.Context, installation string) error {
	// A service that may not look leaves it to the others, without which no run goes on.
	if r, ok := roleOf(b.o.Login.Role); installation == "" || ok && b.o.Login.limited() && !r.follows() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, b.o.AckTimeout)
	defer cancel()
	s, err := b.js.Stream(ctx, b.p.name(progressStream))
	if err != nil {
		if missing(err) || passing(err) {
			return nil // Apply says so where it matters
		}
		return fmt.Errorf("look whose streams there are: %w", err)
	}
	if owner := s.CachedInfo().Config.Metadata[ownerKey]; owner != "" && owner != installation {
		return fmt.Errorf("stream %s: %w", b.p.name(progressStream), ErrForeign)
	}
	return nil
}

// owner is the installation that the bus is of, "" where that is not known.
func (b *Bus) owner() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.installation
}

// marked is a stream's metadata with the mark of its owner.
func marked(metadata map[string]string, installation string) map[string]string {
	if installation == "" || metadata[ownerKey] == installation {
		return metadata
	}
	metadata = maps.Clone(metadata)
	if metadata == nil {
		metadata = map[string]string{}
	}
	metadata[ownerKey] = installation
	return metadata
}

// mark marks the configuration of the stream of progress.
func (b *Bus) mark(c jetstream.StreamConfig) jetstream.StreamConfig {
	if c.Name == b.p.name(progressStream) {
		c.Metadata = marked(c.Metadata, b.owner())
	}
	return c
}
