package confluence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// User is a person with an Atlassian account.
type User struct {
	AccountID   string
	DisplayName string
	PublicName  string
	Status      string // active, inactive, closed, unknown
	TimeZone    string // "" if it is private
}

type wireUser struct {
	AccountID   string `json:"accountId"`
	DisplayName string `json:"displayName"`
	PublicName  string `json:"publicName"`
	Status      string `json:"accountStatus"`
	TimeZone    string `json:"timeZone"`
}

// Users looks up people by account id, 250 per call. The map omits unknown ids and texts that cannot be
// account ids: page bodies contain such texts. It returns *AuthError also when the credential may not
// see profiles, which the API answers with a 404.
func (c *Client) Users(ctx context.Context, accountIDs []string) (map[string]User, error) {
	ids := slices.DeleteFunc(slices.Clone(accountIDs), func(id string) bool { return !isAccountID(id) })
	slices.Sort(ids)
	users := make(map[string]User, len(ids))
	for batch := range slices.Chunk(slices.Compact(ids), maxLimit) {
		if err := c.users(ctx, batch, users); err != nil {
			return nil, err
		}
	}
	return users, nil
}

func (c *Client) users(ctx context.Context, ids []string, into map[string]User) error {
	body, err := json.Marshal(map[string][]string{"accountIds": ids})
	if err != nil {
		return fmt.Errorf("look up users: %w", err)
	}
	// A POST that only reads, so it may be retried like a GET.
	r := request{method: http.MethodPost, route: "/wiki/api/v2/users-bulk", path: "/api/v2/users-bulk", body: body}
	found, err := whole[wireUser](ctx, c, r)
	var refused *StatusError
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return &AuthError{Exchange: refused.Exchange}
	}
	if err != nil {
		return err
	}
	for _, u := range found {
		if u.AccountID == "" {
			return c.malformed(r, &objectError{"", "a user without an account id"})
		}
		u.DisplayName, u.PublicName = plain(u.DisplayName), plain(u.PublicName)
		into[u.AccountID] = User(u)
	}
	return nil
}

const maxAccountID = 128

// isAccountID accepts the known shapes (24 hex digits; 712020: and a UUID) and similar ones.
func isAccountID(s string) bool {
	return s != "" && len(s) <= maxAccountID && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == ':' || r == '-' || r == '_')
	})
}
