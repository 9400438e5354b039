package console

import (
	"context"
	"errors"
	"strings"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/store"
)

type keysData struct {
	Head  systemHead
	Keys  []apikey.Key // the newest first
	Roles []apikey.Role
	Own   string // the id of the caller's own key
	Form  form
	// Made is the key that was just created, and Token its text, which is shown this once.
	Made  *apikey.Key
	Token string
}

func (c *Console) keysData(r *request, f form) (keysData, error) {
	list, err := c.Control.APIKeys(r.Context(), r.viewer)
	d := keysData{Head: headOfSystem(r, "keys"), Roles: apikey.Roles, Own: r.caller.Key.ID, Form: f}
	for i := len(list) - 1; i >= 0; i-- {
		d.Keys = append(d.Keys, list[i])
	}
	return d, err
}

// keys lists the API keys.
func (c *Console) keys(r *request) (answer, error) {
	d, err := c.keysData(r, filled("role", string(apikey.Read)))
	if err != nil {
		return answer{}, err
	}
	return show("keys", "API keys", d)
}

// createKey creates a key, and shows it this once: it is in no address and in no other page.
func (c *Console) createKey(r *request) (answer, error) {
	f := formOf(r)
	made, token, err := c.Control.CreateKey(r.Context(), r.viewer, control.NewKey{
		Name: f.Value("name"), Role: apikey.Role(f.Value("role")), Sources: tags(f.Value("sources")), Account: f.Value("account"), ActAs: f.Value("act_as") != "",
	})
	if err != nil && !c.blame(r.Context(), &f, err) {
		return answer{}, err
	}
	if err == nil {
		f = filled("role", string(apikey.Read))
	}
	d, failed := c.keysData(r, f)
	if failed != nil {
		return answer{}, failed
	}
	if err != nil {
		return again("keys", "API keys", d)
	}
	d.Made, d.Token = &made, token.Reveal()
	return show("keys", "API keys", d)
}

// revokeKey revokes a key. Who revokes the own one is logged out by that.
func (c *Console) revokeKey(r *request) (answer, error) {
	if _, err := c.Control.RevokeKey(r.Context(), r.viewer, r.PathValue("key")); err != nil {
		return answer{}, err
	}
	return goTo("/system/keys")
}

type credentialsData struct {
	Head    systemHead
	Tokens  []credential.Kept
	Sources []string // the ids of the sources, to choose a name from
	Form    form
	Stored  *credential.StoredToken // that was just stored
}

func (c *Console) credentialsData(r *request, f form) (credentialsData, error) {
	d := credentialsData{Head: headOfSystem(r, "credentials"), Form: f}
	var sources []store.Source
	err := c.Control.Reader.Together(r.Context(), r.viewer, func(ctx context.Context) (err error) {
		d.Tokens, err = c.Control.Secrets(ctx, r.viewer)
		return err
	}, func(ctx context.Context) (err error) {
		sources, err = c.Control.Sources(ctx, r.viewer, store.First(sourcesShown))
		return err
	})
	for _, s := range sources {
		if s.SpaceKey != "" {
			d.Sources = append(d.Sources, s.ID)
		}
	}
	return d, err
}

// credentials lists the stored tokens, without what they are.
func (c *Console) credentials(r *request) (answer, error) {
	d, err := c.credentialsData(r, filled("name", r.URL.Query().Get("name")))
	if err != nil {
		return answer{}, err
	}
	return show("credentials", "Credentials", d)
}

// setCredential stores a token of a source or of a site, or replaces it.
func (c *Console) setCredential(r *request) (answer, error) {
	f := formOf(r)
	stored, err := c.storeCredential(r.Context(), r, f)
	if err != nil && !c.blame(r.Context(), &f, err) {
		return answer{}, err
	}
	if err == nil {
		f = filled()
	}
	d, failed := c.credentialsData(r, f)
	if failed != nil {
		return answer{}, failed
	}
	if err != nil {
		return again("credentials", "Credentials", d)
	}
	d.Stored = &stored
	return show("credentials", "Credentials", d)
}

func (c *Console) storeCredential(ctx context.Context, r *request, f form) (credential.StoredToken, error) {
	given, err := token(r)
	if err != nil {
		return credential.StoredToken{}, err
	}
	if given == nil {
		return credential.StoredToken{}, &control.InvalidError{Field: "token", Reason: "is missing"}
	}
	name := f.Value("name")
	if name == "" {
		return credential.StoredToken{}, &control.InvalidError{Field: "name", Reason: "is missing: give the id of a source, or the address of a site"}
	}
	stored, err := c.Control.SetSecret(ctx, r.viewer, c.siteAt(ctx, r, name), *given, false)
	var unknown *control.UnknownSourceError
	if errors.As(err, &unknown) {
		err = &control.InvalidError{Field: "name", Reason: name + " is neither the id of a source nor the address of a site"}
	}
	return stored, err
}

// siteAt returns the address of the site with this host, if a source is on it: it may be one without TLS. Otherwise it
// returns the name.
func (c *Console) siteAt(ctx context.Context, r *request, name string) string {
	if strings.Contains(name, "://") || !strings.ContainsAny(name, ".:") {
		return name
	}
	sources, err := c.Control.Sources(ctx, r.viewer, store.Whole())
	if err != nil {
		return name
	}
	for _, s := range sources {
		if _, rest, ok := strings.Cut(s.BaseURL, "://"); ok && strings.EqualFold(strings.TrimSuffix(rest, "/wiki"), name) {
			return s.BaseURL
		}
	}
	return name
}

// removeCredential deletes a stored token.
func (c *Console) removeCredential(r *request) (answer, error) {
	if _, err := c.Control.RemoveSecret(r.Context(), r.viewer, r.PostForm.Get("name")); err != nil {
		return answer{}, err
	}
	return goTo("/system/credentials")
}
