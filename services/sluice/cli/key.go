package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
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
	var name, role string
	var sources []string
	cmd := &cobra.Command{
		Use:   "create --name NAME",
		Short: "Create a key of the HTTP API and show it once",
		Long: `Create a key of the HTTP API and show it once: only its hash is stored.

read can view and search; operate can also request syncs and decide on removals; admin can also
add and delete sources. With --source the key can access only these sources.`,
		Example: "  sluice key create --name assistant\n  sluice key create --name ci --role operate --source docs --source hr",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if strings.TrimSpace(name) == "" {
				return usageError{errors.New("who or what is the key for? give --name, for example --name assistant")}
			}
			if !apikey.Role(role).Valid() {
				return usageError{fmt.Errorf("--role must be read, operate or admin, not %q", role)}
			}
			return a.withControl(cmd.Context(), func(s *session) error {
				for _, id := range sources {
					if _, err := s.Source(cmd.Context(), operator, id); err != nil {
						return err
					}
				}
				id, token, hash := apikey.New()
				slices.Sort(sources)
				k := apikey.Key{ID: id, Name: name, Role: apikey.Role(role), Sources: slices.Compact(sources)}
				if err := s.store.Vault().AddAPIKey(cmd.Context(), vault.APIKey{Key: k, Hash: hash}); err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(map[string]any{"key_id": id, "name": name, "role": role, "sources": orEmpty(k.Sources), "key": token.Reveal()})
				}
				a.notice(fmt.Sprintf("Key %s of %s, role %s, for %s. It is not shown again:", id, name, role, sourcesOf(k)))
				a.printf("%s\n", token.Reveal())
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "`name` of the person or program that uses the key")
	cmd.Flags().StringVar(&role, "role", string(apikey.Read), "read, operate or admin")
	cmd.Flags().StringSliceVar(&sources, "source", nil, "only this `source`; may be repeated (default all)")
	return cmd
}

func (a *app) keyList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the keys of the HTTP API, without their secrets",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), func(s *store.Store) error {
				list, err := s.Vault().APIKeys(cmd.Context())
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(orEmpty(list))
				}
				if len(list) == 0 {
					a.printf("No key yet. Create one: sluice key create --name NAME\n")
					return nil
				}
				rows := [][]string{{"KEY", "NAME", "ROLE", "SOURCES", "CREATED", "REVOKED"}}
				for _, k := range list {
					revoked := "-"
					if !k.RevokedAt.IsZero() {
						revoked = ago(k.RevokedAt)
					}
					rows = append(rows, []string{k.ID, cut(k.Name, 40), string(k.Role), sourcesOf(k.Key), ago(k.CreatedAt), revoked})
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

func (a *app) keyRevoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke KEY",
		Short: "Revoke a key of the HTTP API; it stops working within half a minute",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			// People may paste the whole key.
			id, _, whole := apikey.Parse(argv[0])
			if !whole {
				id = argv[0]
			}
			return a.withStore(cmd.Context(), func(s *store.Store) error {
				k, err := s.Vault().RevokeAPIKey(cmd.Context(), id)
				if isNotFound(err) {
					return errors.New("this key does not exist; to list the keys: sluice key list")
				}
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
