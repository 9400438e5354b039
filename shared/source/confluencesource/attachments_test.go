package confluencesource_test

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"path"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/source/confluencesource"
	"github.com/sluicehq/sluice/shared/store"
)

// A file of which Confluence says nothing fails alone, and what was read before another error is not lost.
func TestOneFileFailsAlone(t *testing.T) {
	answers := http.NewServeMux()
	answers.Handle("/", talk{})
	answers.HandleFunc("/wiki/api/v2/attachments/{id}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch id := path.Base(r.URL.Path); id {
		case "att2":
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"errors":[{"status":400,"code":"BAD_REQUEST","title":"No"}]}`))
		case "att4":
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"message":"no"}`))
		default:
			_, _ = fmt.Fprintf(w, `{"id":%q,"status":"current","title":"a.txt","pageId":"7","version":{"number":1,"createdAt":"2026-01-01T00:00:00Z"}}`, id)
		}
	})
	srv := httptest.NewServer(answers)
	c, err := confluence.New(srv.URL, "a@example.org", secret.New("token"), confluence.WithInsecureHTTP(), confluence.WithRate(math.Inf(1), 1))
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); srv.Close() })
	system, err := confluencesource.New(oneSite{c}, zerolog.Nop()).Open(t.Context(), store.Source{ID: "docs", SpaceKey: "ENG", BaseURL: srv.URL + "/wiki"})
	require.NoError(t, err)
	read := func(ids ...string) (map[string]bool, error) {
		var refs []page.Ref
		for _, id := range ids {
			refs = append(refs, page.Ref{ID: id, Kind: page.Attachment})
		}
		found, err := system.Bodies(t.Context(), refs)
		good := map[string]bool{}
		for _, p := range found {
			good[p.Facts.ID] = p.Err == nil
		}
		return good, err
	}
	good, err := read("att1", "att2", "att3")
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"att1": true, "att2": false, "att3": true}, good)
	good, err = read("att1", "att2", "att4", "att3")
	require.Equal(t, failure.Unauthorized, failure.CodeOf(err))
	require.Equal(t, map[string]bool{"att1": true, "att2": false}, good)
}
