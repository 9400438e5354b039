package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
)

func (a *app) secret() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secret",
		Short: "Store the API tokens of sources and sites, encrypted",
		Long: `Store API tokens in the database, encrypted with the key from SLUICE_MASTER_KEY or
SLUICE_MASTER_PASSPHRASE. A source is read with its own token, else with that of its site, else
with CONFLUENCE_API_TOKEN if the source is on CONFLUENCE_BASE_URL.`,
	}
	cmd.AddCommand(a.secretSet(), a.secretList(), a.secretRemove(), a.secretRotate())
	return cmd
}

func (a *app) secretSet() *cobra.Command {
	var t tokenFlags
	var unchecked bool
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Store the API token of a source or of a site's host",
		Long: `Store the API token of a source, or of all sources on a site's host. The token is read from
--file or from standard input, never from the command line, where others could see it. The site is
asked first whether the token can read the source, or any space of the site.
Running services use a new token within half a minute.`,
		Example: "  sluice secret set docs < token.txt\n  sluice secret set acme.atlassian.net --email reader@acme.com --file /run/secrets/confluence",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			cfg, err := a.settings()
			if err != nil {
				return err
			}
			name, site, err := secretName(argv[0], cfg.Confluence)
			if err != nil {
				return usageError{err}
			}
			given, err := a.givenToken(cmd, &t, cfg)
			if err != nil {
				return err
			}
			return a.withControl(cmd.Context(), func(s *session) error {
				if err := s.asks(cmd.Context()); err != nil {
					return err
				}
				stored, err := s.SetSecret(cmd.Context(), operator, cmp.Or(site, name), *given, unchecked)
				if err != nil {
					return refused(err, "the token was not stored: "+name+" cannot be read", "", given)
				}
				if a.json() {
					return a.printJSON(stored)
				}
				a.printf("%s\n", tokenLine(stored))
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&t.file, "file", "", "`file` with the token (default standard input)")
	t.flags(cmd)
	checkable(cmd, &unchecked)
	return cmd
}

// tokenFlags are the flags about a token.
type tokenFlags struct {
	file    string
	email   string
	scoped  bool
	expires string
}

func (t *tokenFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.email, "email", "", "`address` of the account that the token belongs to (default: that of the token it replaces, else $CONFLUENCE_EMAIL)")
	cmd.Flags().BoolVar(&t.scoped, "scoped", false, "the token is scoped: it is valid only at Atlassian's API gateway")
	cmd.Flags().StringVar(&t.expires, "expires", "", "`day` on which the token stops working, for example 2027-03-01: Sluice warns before it")
}

// secretName returns the name that a credential is stored under and, for a host, its site.
func secretName(arg string, c config.Confluence) (name, site string, err error) {
	if !strings.ContainsAny(arg, ".:") {
		if !event.ValidID(arg) {
			return "", "", fmt.Errorf("%q is neither a source id nor the host of a site", arg)
		}
		return arg, "", nil
	}
	address := arg
	if !strings.Contains(arg, "://") {
		address = "https://" + arg
		if u, err := url.Parse(c.BaseURL); err == nil && strings.EqualFold(u.Host, arg) {
			address = c.BaseURL // only this site may be without TLS
		}
	}
	if site, err = confluence.CheckSite(address, c.Hosts(), c.AllowHTTP); err != nil {
		return "", "", fmt.Errorf("the address of the site %w", err)
	}
	u, err := url.Parse(site)
	if err != nil {
		return "", "", err
	}
	return u.Host, site, nil
}

const maxTokenBytes = 64 << 10 // maximum bytes to read for a token

// readToken reads a token from a file or from standard input; on a terminal, without echo.
func (a *app) readToken(file string) (secret.String, error) {
	in, from := a.in, "standard input"
	if f, ok := a.in.(*os.File); ok && file == "" && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(a.err, "Token: ")
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.err)
		if err != nil {
			return secret.String{}, fmt.Errorf("read the token: %w", err)
		}
		in = strings.NewReader(string(b))
	}
	if file != "" {
		f, err := os.Open(file) //nolint:gosec // the file that the person at the prompt names
		if err != nil {
			return secret.String{}, fmt.Errorf("read the token: %w", err)
		}
		defer func() { _ = f.Close() }()
		in, from = f, file
	}
	b, err := io.ReadAll(io.LimitReader(in, maxTokenBytes))
	switch {
	case err != nil:
		return secret.String{}, fmt.Errorf("read the token: %w", err)
	case len(bytes.TrimSpace(b)) == 0:
		return secret.String{}, fmt.Errorf("there is no token: %s is empty", from)
	}
	token, err := credential.ParseToken(string(b))
	if errors.Is(err, credential.ErrNotAToken) {
		err = fmt.Errorf("the content of %s %w", from, err)
	}
	return token, err
}

// tokenLine describes a token that was stored.
func tokenLine(t credential.StoredToken) string {
	if t.Same {
		return fmt.Sprintf("%s already has this token, of %s for %s.", t.Name, t.Email, t.Site)
	}
	return fmt.Sprintf("The token of %s is stored, encrypted with the master key %s: of %s for %s.", t.Name, t.KeyID, t.Email, t.Site)
}

// givenToken reads a token and its flags.
func (a *app) givenToken(cmd *cobra.Command, t *tokenFlags, cfg config.Sluice) (*credential.GivenToken, error) {
	token, err := a.readToken(t.file)
	if err != nil {
		return nil, usageError{err}
	}
	given := &credential.GivenToken{Token: token, Email: t.email, Else: cfg.Email}
	if cmd.Flags().Changed("scoped") {
		given.Scoped = &t.scoped
	}
	if t.expires != "" {
		if given.Expires, err = credential.ParseExpiry(t.expires, time.Now()); err != nil {
			return nil, usageError{fmt.Errorf("--expires %w", err)}
		}
	}
	return given, nil
}

// withRing runs f with the store and the configured master keys.
func (a *app) withRing(ctx context.Context, f func(*store.Store, *seal.Ring) error) error {
	cfg, err := a.settings()
	if err != nil {
		return err
	}
	return a.withStore(ctx, func(s *store.Store) error {
		ring, err := credential.Keys(ctx, cfg.Master, s)
		if err != nil {
			return err
		}
		return f(s, ring)
	})
}

func (a *app) secretList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the stored tokens and their master keys",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withControl(cmd.Context(), func(s *session) error {
				list, err := s.Secrets(cmd.Context(), operator)
				if err != nil {
					return err
				}
				secrets := make([]vault.Secret, len(list))
				for i, kept := range list {
					secrets[i] = kept.Secret
				}
				a.noticeExpiring(credential.Expiring(secrets, s.cfg.Confluence, time.Now()))
				return a.listSecrets(list)
			})
		},
	}
}

func (a *app) listSecrets(all []credential.Kept) error {
	if a.json() {
		return a.printJSON(all)
	}
	if len(all) == 0 {
		a.printf("No token is stored. Store one: sluice secret set SOURCE < token.txt\n")
		return nil
	}
	rows := [][]string{{"NAME", "MASTER KEY", "KEY STATE", "STORED", "CHANGED", "EXPIRES"}}
	for _, line := range all {
		rows = append(rows, []string{line.Name, line.KeyID, line.Key, ago(line.Created), ago(line.Updated), day(line.Expires)})
	}
	a.table(rows)
	if slices.ContainsFunc(all, func(l credential.Kept) bool { return l.Key == "old" }) {
		a.printf("Encrypt all with the current key: sluice secret rotate\n")
	}
	return nil
}

// noticeExpiring warns of tokens that have expired, or expire soon.
func (a *app) noticeExpiring(list []credential.Expiry) {
	for _, e := range list {
		a.notice(e.Says() + ". " + e.Mend())
	}
}

// day returns the day of a time, "" if it is zero.
func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly)
}

func (a *app) secretRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Delete a token; this needs no master key",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return a.withControl(cmd.Context(), func(s *session) error {
				name, err := s.RemoveSecret(cmd.Context(), operator, argv[0])
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(map[string]string{"removed": name})
				}
				a.printf("The token of %s is removed. It stays valid at Atlassian until you revoke it there.\n", name)
				return nil
			})
		},
	}
}

func (a *app) secretRotate() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Encrypt every stored token again with the current master key",
		Long: `Encrypt every stored token again with the current master key: all of them or none. To change
the key: put the present one into SLUICE_MASTER_KEYS_OLD and a new one into
SLUICE_MASTER_KEY for every service, restart them, and run this. Then delete the old one.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withRing(cmd.Context(), func(s *store.Store, ring *seal.Ring) error {
				if ring.Current() == "" {
					return usageError{seal.ErrNoKey}
				}
				n, err := s.Vault().RotateSecrets(cmd.Context(), ring)
				if err != nil {
					return fmt.Errorf("nothing was changed: %w", err)
				}
				if a.json() {
					return a.printJSON(map[string]any{"tokens": n, "key_id": ring.Current()})
				}
				a.printf("%s encrypted again; all are encrypted with the master key %s.\n", plural(n, "token is", "tokens are"), ring.Current())
				return nil
			})
		},
	}
}
