package cli

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/control"
)

func (a *app) key() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Create, list and revoke the keys of the HTTP API",
	}
	cmd.AddCommand(a.keyCreate(), a.keyList(), a.keyRevoke())
	return cmd
}

func (a *app) keyCreate() *cobra.Command {
	var name, role, account string
	var sources []string
	var actAs bool
	cmd := &cobra.Command{
		Use:   "create --name NAME",
		Short: "Create a key of the HTTP API and show it once",
		Long: `Create a key of the HTTP API and show it once: only its hash is stored.

read can view and search; operate can also request syncs and decide on removals; admin can also
add and delete sources. With --source the key can access only these sources.

Where Confluence's permissions are enforced, a key reads what nothing restricts. With --as it reads what
this account may see in Confluence; with --act-as each request names its reader (Sluice-Reader).`,
		Example: "  sluice key create --name assistant\n  sluice key create --name ci --role operate --source docs --source hr",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("as") && account == "" {
				return usageError{fmt.Errorf("--as must be an account id, not %q: %w", account, access.ErrAccount)}
			}
			n := control.NewKey{Name: name, Role: apikey.Role(role), Sources: sources, Account: account, ActAs: actAs}
			if err := n.Check(); err != nil {
				return keyError(err, n)
			}
			return a.withControl(cmd.Context(), func(s *session) error {
				k, token, err := s.CreateKey(cmd.Context(), operator, n)
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(map[string]any{"key_id": k.ID, "name": k.Name, "role": k.Role, "sources": k.Sources, "account": k.Account, "act_as": k.ActAs, "key": token.Reveal()})
				}
				a.notice(fmt.Sprintf("Key %s of %s, role %s, for %s%s. It is not shown again:", k.ID, k.Name, k.Role, sourcesOf(k), readerOf(k)))
				a.verbatim(token.Reveal() + "\n")
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "`name` of the person or program that uses the key")
	cmd.Flags().StringVar(&role, "role", string(apikey.Read), "read, operate or admin")
	cmd.Flags().StringSliceVar(&sources, "source", nil, "only this `source`; may be repeated (default all)")
	cmd.Flags().StringVar(&account, "as", "", "read what the `account` with this id may see")
	cmd.Flags().BoolVar(&actAs, "act-as", false, "let each request name its reader: for a backend that has authenticated its users")
	return cmd
}

// keyError words what is wrong with a new key in terms of the flags.
func keyError(err error, n control.NewKey) error {
	var wrong *control.InvalidError
	if !errors.As(err, &wrong) {
		return err
	}
	switch wrong.Field {
	case "name":
		return usageError{errors.New("who or what is the key for? give --name, for example --name assistant")}
	case "role":
		return usageError{fmt.Errorf("--role must be read, operate or admin, not %q", n.Role)}
	case "act_as":
		return usageError{errors.New("--as binds the key to one account, --act-as lets each request name one: give one of them")}
	default:
		return usageError{fmt.Errorf("--as must be an account id, not %q: %w", n.Account, access.ErrAccount)}
	}
}

func (a *app) keyList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the keys of the HTTP API, without their secrets",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withControl(cmd.Context(), func(s *session) error {
				list, err := s.APIKeys(cmd.Context(), operator)
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(list)
				}
				if len(list) == 0 {
					a.printf("No key yet. Create one: sluice key create --name NAME\n")
					return nil
				}
				rows := [][]string{{"KEY", "NAME", "ROLE", "SOURCES", "READS AS", "CREATED", "REVOKED"}}
				for _, k := range list {
					revoked := "-"
					if !k.RevokedAt.IsZero() {
						revoked = ago(k.RevokedAt)
					}
					rows = append(rows, []string{k.ID, cut(k.Name, 40), string(k.Role), sourcesOf(k), cmp.Or(strings.TrimPrefix(readerOf(k), ", as "), "-"), ago(k.CreatedAt), revoked})
				}
				a.table(rows)
				return nil
			})
		},
	}
}

func sourcesOf(k apikey.Key) string {
	if !k.Scoped() {
		return "all sources"
	}
	return strings.Join(k.Sources, ", ")
}

// readerOf says for whom a key reads, "" for nobody in particular.
func readerOf(k apikey.Key) string {
	switch {
	case k.ActAs:
		return ", as any reader"
	case k.Account != "":
		return ", as " + k.Account
	default:
		return ""
	}
}

func (a *app) keyRevoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke KEY",
		Short: "Revoke a key of the HTTP API; it stops working within half a minute",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return a.withControl(cmd.Context(), func(s *session) error {
				k, err := s.RevokeKey(cmd.Context(), operator, argv[0])
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(k)
				}
				a.printf("Key %s of %s is revoked.\n", k.ID, k.Name)
				return nil
			})
		},
	}
}
