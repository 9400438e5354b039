package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store/vault"
)

// form is what somebody has filled in, and what is wrong with it. It comes back filled, without what is secret.
type form struct {
	values  url.Values
	wrong   map[string]string // by field
	General string            // what is wrong with none of the fields
}

// formOf returns the form of a request that sent one.
func formOf(r *request) form { return form{values: r.PostForm, wrong: map[string]string{}} }

// filled returns a form with values.
func filled(pairs ...string) form {
	f := form{values: url.Values{}, wrong: map[string]string{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		f.values.Set(pairs[i], pairs[i+1])
	}
	return f
}

// Value returns what a field was filled with.
func (f form) Value(name string) string { return strings.TrimSpace(f.values.Get(name)) }

// Is reports whether a field has the value among its values.
func (f form) Is(name, value string) bool { return slices.Contains(f.values[name], value) }

// Wrong returns what is wrong with a field, or "".
func (f form) Wrong(name string) string { return f.wrong[name] }

// Bad reports whether anything is wrong.
func (f form) Bad() bool { return f.General != "" || len(f.wrong) > 0 }

// field is an input of a form, for the template of the same name.
type field struct {
	Name, Label, Hint, Type, Value, Wrong, Placeholder, Auto, List string
	Required                                                       bool
}

// fieldOf returns the input of a form. The extras are type=…, placeholder=…, autocomplete=…, list=… and required.
func fieldOf(f form, name, label, hint string, extras ...string) field {
	x := field{Name: name, Label: label, Hint: hint, Type: "text", Value: f.Value(name), Wrong: f.Wrong(name), Auto: "off"}
	for _, e := range extras {
		switch key, value, _ := strings.Cut(e, "="); key {
		case "type":
			x.Type = value
		case "placeholder":
			x.Placeholder = value
		case "autocomplete":
			x.Auto = value
		case "list":
			x.List = value
		case "required":
			x.Required = true
		}
	}
	if x.Type == "password" {
		x.Value = ""
	}
	return x
}

// names are the fields of errors, as sentences about them begin.
var names = map[string]string{
	"base_url": "The address", "source_id": "The id", "space_key": "The key", "token": "The token", "name": "The name", "role": "The role",
	"account": "The account", "act_as": "Acting as others", "deletion_strategy": "The strategy", "permissions": "The choice",
}

// blame says at its field what is wrong with a form. It reports false for an error that no other input mends.
func (c *Console) blame(ctx context.Context, f *form, err error) bool {
	field, text := c.wrong(ctx, err)
	if text == "" {
		return false
	}
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	if field == "" {
		f.General = text
	} else {
		f.wrong[field] = text
	}
	return true
}

// wrong returns the field that an error is about, "" for the whole form, and the message; "" for an error that is not
// about the form.
func (c *Console) wrong(ctx context.Context, err error) (field, text string) {
	var (
		invalid *control.InvalidError
		exists  *control.SourceExistsError
		differs *control.SourceDiffersError
		taken   *control.SpaceTakenError
		scope   *control.ScopeError
		at      *control.SiteError
		sealed  *vault.SealedError
		unknown *control.UnknownSourceError
	)
	switch {
	case errors.As(err, &invalid):
		name := names[invalid.Field]
		if name == "" {
			name = strings.ReplaceAll(invalid.Field, "_", " ")
		}
		if invalid.Field == "permissions_confirmed" {
			return "permissions", "An open source must be meant: tick that every key of it may see every page"
		}
		return invalid.Field, name + " " + invalid.Reason
	case errors.As(err, &exists):
		return "source_id", "another source has the id " + exists.ID + "; choose another one"
	case errors.As(err, &differs):
		return "source_id", "this source exists already, with another setting; change it on its page"
	case errors.As(err, &taken):
		return "space_key", taken.What + " belongs to a source already; a page belongs to one source"
	case errors.As(err, &unknown):
		return "sources", "there is no source " + unknown.ID
	case errors.As(err, &scope):
		return "token", scope.Error()
	case errors.Is(err, credential.ErrWhose):
		return "email", "whose token is it? Give the e-mail address of its account"
	case errors.Is(err, credential.ErrNotAToken), errors.Is(err, secret.ErrRedacted):
		return "token", "the token " + err.Error()
	case errors.Is(err, seal.ErrNoKey), errors.As(err, &sealed):
		return "token", c.Door.Problem(ctx, err).Detail
	case errors.Is(err, control.ErrNoSpace), errors.Is(err, control.ErrNoAnswer):
		return "base_url", err.Error()
	case errors.As(err, &at):
		return "", at.Error()
	}
	if p := c.problem(ctx, err); p.Status == http.StatusConflict || p.Status == http.StatusUnprocessableEntity {
		return "", p.Detail
	}
	return "", ""
}

// again returns the answer that shows a form once more, because something is wrong with it.
func again(page, title string, data any) (answer, error) {
	return answer{page: page, title: title, data: data, status: http.StatusUnprocessableEntity}, nil
}
