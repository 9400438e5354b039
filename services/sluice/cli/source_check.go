package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/store"
)

const (
	mostNear  = 5 // spaces that an error suggests
	checkFlag = "no-check"
)

// checkable adds the flag that leaves the site unasked. Without it, a command that adds a source, or changes its token or
// address, asks the site first.
func checkable(cmd *cobra.Command, unchecked *bool) {
	cmd.Flags().BoolVar(unchecked, checkFlag, false, "do it without asking the site")
}

// asks makes the session's commands ask sites with the credentials that syncs would use.
func (s *session) asks(ctx context.Context) error {
	// Where there is no master key, a stored token cannot be opened, and the error says so.
	ring, err := s.host.Keys(ctx)
	if err != nil && !errors.Is(err, seal.ErrNoKey) {
		return err
	}
	s.Servers.Site, err = credential.NewSite(s.cfg.Confluence, zerolog.Nop(), credential.Stored(s.store.Vault(), ring))
	return err
}

// refused words the error of a site that was asked, and says how to go on without asking it. failed says what cannot be
// read. Other errors are returned as they are.
func refused(err error, failed, key string, given *credential.GivenToken) error {
	var at *control.SiteError
	var scope *control.ScopeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &at):
		way := at.Advice
		switch auth := new(confluence.AuthError); {
		case !errors.As(err, &auth) || auth.ByAddress:
		case given != nil:
			way = "check --email and the token; a scoped token needs --scoped"
		default:
			way = control.SpaceAdvice(err, store.Source{})
		}
		if near := nearSpaces(key, at.Readable); near != "" {
			way = near
		}
		err = fmt.Errorf("%w\n%s", errors.Unwrap(at), way)
	case errors.As(err, &scope), errors.Is(err, control.ErrNoAnswer), errors.Is(err, control.ErrNoSpace):
	default:
		return err
	}
	return fmt.Errorf("%s: %w\nto go on without asking the site: --%s", failed, err, checkFlag)
}

// showLooked says what was found, or that nobody was asked.
func (a *app) showLooked(src string, looked control.Looked) {
	if looked.Unasked {
		a.notice(src + " was not checked: this command has no token for its site.")
	}
	for _, lacks := range looked.Without {
		a.notice("Syncs of " + src + " leave something out: " + lacks.Error())
	}
	for _, hidden := range looked.Hidden {
		a.notice("Pages of " + src + " will stay hidden: " + hidden)
	}
}

// brokerWithin limits how long a command waits for NATS when it only has something to add.
const brokerWithin = 2 * time.Second

// noticeUnread warns if no extractor reads the files of a source with attachments. It says nothing if NATS does not answer.
func (a *app) noticeUnread(ctx context.Context, s *session, src store.Source) {
	if src.Attachments != store.AttachmentsOn || s.cfg.NatsURL.IsZero() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, brokerWithin)
	defer cancel()
	b, err := s.host.Bus(ctx)
	if err != nil {
		return
	}
	if p, err := b.InspectConsumer(ctx, bus.Extract); err == nil && p.Unread() {
		a.notice("No extractor runs: runs of source " + src.ID + " do not end before one has read the files of its pages. Start it, or run: sluice source set " + src.ID + " --attachments off")
	}
}

// nearSpaces suggests spaces with a key or a name like the one that does not exist, or names all if they are few. Without
// a key, which a command that changes a source is not given, nothing is like it. It returns "" if there is nothing to name.
func nearSpaces(key string, readable []confluence.Space) string {
	var keys, found []string
	names := map[string]string{}
	for _, space := range readable {
		keys, names[space.Key] = append(keys, space.Key), space.Name
	}
	alike := near(key, keys)
	for _, k := range keys {
		if strings.Contains(strings.ToLower(names[k]), strings.ToLower(key)) && !slices.Contains(alike, k) {
			alike = append(alike, k)
		}
	}
	for _, k := range alike {
		found = append(found, fmt.Sprintf("%s (%s)", k, names[k]))
	}
	switch {
	case len(found) > 0 && key != "":
		return "did you mean: " + strings.Join(found[:min(len(found), mostNear)], ", or ")
	case len(keys) > 0 && len(keys) <= mostNear:
		return "it may read: " + strings.Join(keys, ", ")
	}
	return ""
}
