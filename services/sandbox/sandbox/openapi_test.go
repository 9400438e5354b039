//go:build openapi

package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// Atlassian's own documents cannot be part of this repository. With
//
//	SANDBOX_OPENAPI=folder go test -tags openapi ./services/sandbox/sandbox
//
// the test checks the answers against confluence-v1.yaml and confluence-v2.json of that folder.

// document is an OpenAPI document.
type document map[string]any

func readDocument(t *testing.T, name string) document {
	t.Helper()
	dir := os.Getenv("SANDBOX_OPENAPI")
	require.NotEmpty(t, dir, "SANDBOX_OPENAPI names no folder")
	raw, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	var d map[string]any
	require.NoError(t, yaml.Unmarshal(raw, &d)) // JSON is YAML
	return d
}

// beyond are keys that the real site sends and that the documents omit or name differently: the
// document of v1 has the placeholder operationType for read and update.
var beyond = []string{
	"ncsStepVersion", "ncsStepVersionSource", "edituiv2", "spaceOwnerId", "locale", "accountStatus", "directChildren", "read", "update",
}

func (d document) resolve(s map[string]any) map[string]any {
	for s["$ref"] != nil {
		var at any = map[string]any(d)
		for _, part := range strings.Split(strings.TrimPrefix(s["$ref"].(string), "#/"), "/") {
			at = at.(map[string]any)[part]
		}
		s = at.(map[string]any)
	}
	all, ok := s["allOf"].([]any)
	if !ok {
		return s
	}
	merged, properties := map[string]any{"type": "object"}, map[string]any{}
	for _, part := range all {
		one := d.resolve(part.(map[string]any))
		own, _ := one["properties"].(map[string]any)
		for k, v := range own {
			if earlier, twice := properties[k].(map[string]any); twice {
				v = map[string]any{"allOf": []any{earlier, v}}
			}
			properties[k] = v
		}
	}
	merged["properties"] = properties
	return merged
}

// faults lists the places where v does not fit the schema. Null is allowed: the real site sends it
// in places that the document does not mention, for example a page's parentId.
func (d document) faults(s map[string]any, v any, at string) []string {
	s = d.resolve(s)
	if enum, ok := s["enum"].([]any); ok && v != nil && !slices.Contains(enum, v) {
		return []string{fmt.Sprintf("%s: %v is none of %v", at, v, enum)}
	}
	want, _ := s["type"].(string)
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		if want != "" && want != "string" {
			return []string{at + ": a string, not a " + want}
		}
	case bool:
		if want != "" && want != "boolean" {
			return []string{at + ": a boolean, not a " + want}
		}
	case float64:
		if want != "" && want != "integer" && want != "number" || want == "integer" && v != float64(int64(v)) {
			return []string{fmt.Sprintf("%s: the number %v, not a %s", at, v, want)}
		}
	case []any:
		var out []string
		items, _ := s["items"].(map[string]any)
		for i, one := range v {
			out = append(out, d.faults(items, one, fmt.Sprintf("%s[%d]", at, i))...)
		}
		return out
	case map[string]any:
		return d.objectFaults(s, v, at)
	}
	return nil
}

func (d document) objectFaults(s, v map[string]any, at string) []string {
	var out []string
	required, _ := s["required"].([]any)
	for _, key := range required {
		if _, ok := v[key.(string)]; !ok {
			out = append(out, fmt.Sprintf("%s: %s is missing", at, key))
		}
	}
	properties, _ := s["properties"].(map[string]any)
	additional, _ := s["additionalProperties"].(map[string]any)
	for key, one := range v {
		known, ok := properties[key].(map[string]any)
		switch {
		case ok:
			out = append(out, d.faults(known, one, at+"."+key)...)
		case additional != nil:
			out = append(out, d.faults(additional, one, at+"."+key)...)
		case len(properties) > 0 && s["additionalProperties"] == nil && !slices.Contains(beyond, key):
			out = append(out, at+"."+key+": the document does not know it")
		}
	}
	return out
}

// answerSchema is the document's schema for a successful answer.
func (d document) answerSchema(t *testing.T, method, path string) map[string]any {
	t.Helper()
	var at any = map[string]any(d)
	for _, part := range []string{"paths", path, strings.ToLower(method), "responses", "200", "content", "application/json", "schema"} {
		next := at.(map[string]any)[part]
		require.NotNil(t, next, "%s %s: %s", method, path, part)
		at = next
	}
	return at.(map[string]any)
}

func TestAnswersFitTheOfficialDocumentOfV2(t *testing.T) {
	d := readDocument(t, "confluence-v2.json")
	c := builtin(t)
	space := c.spaceID(BuiltinSpace)
	live := create(t, c.site, Draft{Space: BuiltinSpace, Title: "Live", Subtype: "live"})
	users, err := json.Marshal(map[string]any{"accountIds": []string{builtinUsers[0].AccountID, builtinUsers[2].AccountID}})
	require.NoError(t, err)
	for _, call := range []struct{ method, template, query, body string }{
		{"GET", "/spaces", "", ""}, {"GET", "/spaces/" + space, "", ""},
		{"GET", "/spaces/" + space + "/pages", "?limit=250&body-format=storage&status=current,archived,trashed", ""},
		{"GET", "/pages", "?limit=250", ""}, {"GET", "/pages", "?limit=3&sort=-modified-date&body-format=atlas_doc_format", ""},
		{"GET", "/pages/65666", "?body-format=storage&include-labels=true&include-versions=true&include-direct-children=true", ""},
		{"GET", "/pages/65771", "", ""}, {"GET", "/pages/" + live.ID, "", ""}, {"GET", "/pages/65601", "?body-format=view", ""},
		{"GET", "/pages/65666/labels", "", ""}, {"GET", "/pages/65614/ancestors", "", ""}, {"GET", "/pages/65611/direct-children", "", ""},
		{"GET", "/pages/65660/children", "", ""}, {"GET", "/pages/65601/descendants", "?depth=10&limit=250", ""},
		{"GET", "/pages/65611/attachments", "", ""}, {"GET", "/attachments", "?sort=created-date", ""}, {"GET", "/attachments/att6561101", "", ""},
		{"GET", "/blogposts/65780/attachments", "", ""}, {"GET", "/pages/65662/footer-comments", "?body-format=storage", ""},
		{"GET", "/pages/65613/inline-comments", "?body-format=storage", ""}, {"GET", "/pages/65666/versions", "", ""},
		{"GET", "/footer-comments", "?body-format=storage&sort=created-date", ""}, {"GET", "/inline-comments", "?body-format=storage", ""},
		{"GET", "/footer-comments/65662001", "?body-format=storage", ""}, {"GET", "/inline-comments/65613001", "?body-format=storage", ""},
		{"GET", "/footer-comments/65662001/children", "?body-format=storage", ""}, {"GET", "/inline-comments/65613001/children", "", ""},
		{"GET", "/footer-comments/65662001/versions/1", "", ""}, {"GET", "/inline-comments/65613001/versions/1", "", ""},
		{"GET", "/blogposts/65780/footer-comments", "", ""}, {"GET", "/blogposts/65780/inline-comments", "", ""},
		{"GET", "/folders/65665", "", ""}, {"GET", "/folders/65665/direct-children", "", ""}, {"GET", "/whiteboards/65760", "", ""},
		{"GET", "/databases/65762", "", ""}, {"GET", "/embeds/65764", "", ""}, {"GET", "/blogposts", "?body-format=storage", ""},
		{"GET", "/spaces/" + space + "/blogposts", "", ""}, {"GET", "/blogposts/65780", "?body-format=storage&include-labels=true&include-versions=true", ""},
		{"GET", "/blogposts", "?id=65780,65781&status=current,trashed", ""}, {"GET", "/blogposts/65780/labels", "", ""},
		{"GET", "/spaces/" + space + "/permissions", "", ""}, {"GET", "/space-role-mode", "", ""}, {"GET", "/space-roles", "", ""},
		{"GET", "/spaces/" + space + "/role-assignments", "", ""},
		{"POST", "/users-bulk", "", string(users)}, {"POST", "/content/convert-ids-to-types", "", `{"contentIds":["65601"]}`},
	} {
		template := call.template
		for _, part := range strings.Split(call.template, "/") {
			if parseID(strings.TrimPrefix(part, "att")) != 0 {
				template = strings.Replace(template, part, "{id}", 1)
			}
		}
		template = strings.Replace(template, "comments/{id}/versions/{id}", "comments/{id}/versions/{version-number}", 1)
		for _, of := range []string{"/footer-comments/{id}", "/inline-comments/{id}"} {
			if template == of { // the document has another name here, and nowhere else
				template = strings.Replace(template, "{id}", "{comment-id}", 1)
			}
		}
		a := c.do(c.request(call.method, "/wiki/api/v2"+call.template+call.query, call.body))
		require.Equal(t, http.StatusOK, a.status, call.template)
		assert.Empty(t, d.faults(d.answerSchema(t, call.method, template), a.body, ""), call.template+call.query)
	}
}

func TestAnswersFitTheOfficialDocumentOfV1(t *testing.T) {
	d := readDocument(t, "confluence-v1.yaml")
	c := builtin(t)
	cql := "?limit=25&cql=" + url.QueryEscape("space = DEMO order by lastmodified desc")
	for _, call := range []struct{ template, path string }{
		{"/rest/api/search", "/rest/api/search" + cql + "&expand=content.version,content.space,content.ancestors,content.history,content.body.storage"},
		{"/rest/api/content/search", "/rest/api/content/search" + cql + "&expand=version,space,ancestors,history,metadata.labels,body.view"},
		{"/rest/api/content/search", "/rest/api/content/search?cql=" + url.QueryEscape("type = comment") + "&expand=version,ancestors,container,extensions.resolution"},
		{"/rest/api/content/search", "/rest/api/content/search?cql=" + url.QueryEscape("type = attachment") + "&expand=version,container"},
		{"/rest/api/user/current", "/rest/api/user/current"},
		{"/rest/api/content/{id}/restriction/byOperation", "/rest/api/content/65706/restriction/byOperation"},
		{"/rest/api/content/{id}/restriction/byOperation/{operationKey}", "/rest/api/content/65745/restriction/byOperation/read"},
		{"/rest/api/content/search", "/rest/api/content/search" + cql + "&expand=restrictions.read.restrictions.user,restrictions.read.restrictions.group"},
		{"/rest/api/group", "/rest/api/group?accessType=user"},
		{"/rest/api/group/{groupId}/membersByGroupId", "/rest/api/group/" + c.site.GroupID(UsersGroup) + "/membersByGroupId"},
	} {
		a := c.get(http.StatusOK, "/wiki"+call.path)
		assert.Empty(t, d.faults(d.answerSchema(t, http.MethodGet, call.template), a.body, ""), call.path)
	}
	check := c.post(http.StatusOK, "/wiki/rest/api/content/65706/permission/check", `{"subject":{"type":"user","identifier":"`+apiUser+`"},"operation":"read"}`)
	assert.Empty(t, d.faults(d.answerSchema(t, http.MethodPost, "/rest/api/content/{id}/permission/check"), check.body, ""))
}

func TestAnswersFitTheOfficialDocumentOfRoles(t *testing.T) {
	d := readDocument(t, "confluence-v2.json")
	c := builtin(t)
	require.NoError(t, c.site.SetRoleMode(Roles))
	require.NoError(t, c.site.SetSpaceReaders(BuiltinSpace, Reader{Kind: ReaderAll}, Reader{Kind: ReaderGroup, ID: UsersGroup}, Reader{Kind: ReaderUser, ID: apiUser}))
	a := c.get(http.StatusOK, "/wiki/api/v2/spaces/"+c.spaceID(BuiltinSpace)+"/role-assignments")
	require.Len(t, a.rows(), 3)
	assert.Empty(t, d.faults(d.answerSchema(t, http.MethodGet, "/spaces/{id}/role-assignments"), a.body, ""))
}
