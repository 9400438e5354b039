package access_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/access"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func restricted(id string, to ...access.Principal) access.Layer {
	return access.Layer{Object: access.Object{Kind: access.ObjectContent, ID: id}, Principals: to, ReadAt: now}
}

func user(id string) access.Principal  { return access.Principal{Kind: access.KindUser, ID: id} }
func group(id string) access.Principal { return access.Principal{Kind: access.KindGroup, ID: id} }

var (
	everyone = access.Principal{Kind: access.KindEveryone}
	groups   = map[string]access.Group{
		"staff":   {ID: "staff", Members: []string{"ann", "bob", ""}, ReadAt: now},
		"closed":  {ID: "closed", Members: []string{"ann"}, Unknown: "forbidden", ReadAt: now},
		"outworn": {ID: "outworn", Members: []string{"ann"}, ReadAt: now.Add(-2 * time.Hour)},
	}
)

func TestEveryLayerMustAdmitTheReader(t *testing.T) {
	t.Parallel()
	space := access.Layer{Object: access.Object{Kind: access.ObjectSpace, ID: "7"}, Principals: []access.Principal{everyone}, ReadAt: now}
	unread, old := restricted("1", user("ann")), restricted("1", user("ann"))
	unread.Unknown, old.ReadAt = "forbidden", now.Add(-2*time.Hour)
	for name, tc := range map[string]struct {
		layers           []access.Layer
		ann, bob, nobody string // the reason of the first layer that does not admit the reader
	}{
		"no layer":                          {nil, "", "", ""},
		"a space for everyone":              {[]access.Layer{space}, "", "", ""},
		"named":                             {[]access.Layer{space, restricted("1", user("ann"))}, "", "not-named", "not-named"},
		"in a group that is named":          {[]access.Layer{restricted("1", group("staff"))}, "", "", "not-named"},
		"a group above, a member below":     {[]access.Layer{restricted("1", group("staff")), restricted("2", user("ann"))}, "", "not-named", "not-named"},
		"a stricter ancestor":               {[]access.Layer{restricted("1", user("bob")), restricted("2", user("ann"), user("bob"))}, "not-named", "", "not-named"},
		"a layer that admits nobody":        {[]access.Layer{restricted("1")}, "not-named", "not-named", "not-named"},
		"an unreadable layer":               {[]access.Layer{unread}, "unknown", "unknown", "unknown"},
		"a layer that is too old":           {[]access.Layer{old}, "stale", "stale", "stale"},
		"a group that is unknown":           {[]access.Layer{restricted("1", group("closed"))}, "group-unknown", "group-unknown", "group-unknown"},
		"a group that nobody has read":      {[]access.Layer{restricted("1", group("new"))}, "group-unknown", "group-unknown", "group-unknown"},
		"a group that is too old":           {[]access.Layer{restricted("1", group("outworn"))}, "group-unknown", "group-unknown", "group-unknown"},
		"an unknown group beside a user":    {[]access.Layer{restricted("1", group("closed"), user("bob"))}, "group-unknown", "", "group-unknown"},
		"an unknown kind of principal":      {[]access.Layer{restricted("1", access.Principal{Kind: "role", ID: "ann"})}, "not-named", "not-named", "not-named"},
		"a user without an id":              {[]access.Layer{restricted("1", user(""))}, "not-named", "not-named", "not-named"},
		"a group's id is no account's":      {[]access.Layer{restricted("1", group("ann"))}, "group-unknown", "group-unknown", "group-unknown"},
		"everyone, under a strict ancestor": {[]access.Layer{restricted("1", user("ann")), restricted("2", everyone)}, "", "not-named", "not-named"},
	} {
		for account, want := range map[string]string{"ann": tc.ann, "bob": tc.bob, "": tc.nobody} {
			d := access.Decide(account, tc.layers, groups, now.Add(-time.Hour))
			require.Equal(t, want == "", d.Visible, "%s: %q", name, account)
			require.Len(t, d.Grounds, len(tc.layers))
			var first string
			for _, g := range d.Grounds {
				require.Equal(t, g.Admits, g.Reason == "", name)
				require.Equal(t, g.Admits, g.Through != access.Principal{}, name)
				if first == "" {
					first = g.Reason
				}
			}
			require.Equal(t, want, first, "%s: %q", name, account)
		}
	}
}

func TestTheZeroTimeAcceptsEveryAge(t *testing.T) {
	t.Parallel()
	l := restricted("1", user("ann"))
	l.ReadAt = time.Time{}
	require.True(t, access.Decide("ann", []access.Layer{l}, nil, time.Time{}).Visible)
}
