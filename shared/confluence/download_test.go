package confluence_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/failure"
)

// media is a media host; what it was asked stays.
type media struct {
	*httptest.Server
	mu    sync.Mutex
	asked []http.Header
}

func newMedia(t *testing.T, h http.HandlerFunc) *media {
	t.Helper()
	m := &media{}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		m.asked = append(m.asked, r.Header.Clone())
		m.mu.Unlock()
		h(w, r)
	}))
	t.Cleanup(m.Close)
	return m
}

// leads answers a download with a redirect.
func leads(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	}
}

func scratch(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(t.TempDir() + "/file")
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func content(t *testing.T, f *os.File) string {
	t.Helper()
	raw, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	return string(raw)
}

var attached = confluence.Attachment{ID: "att7", PageID: "1001", Version: 3, FileSize: 10}

func TestADownloadNeverCarriesTheCredential(t *testing.T) {
	m := newMedia(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("0123456789")) })
	f, c := serve(t, leads(m.URL+"/file?token=of-the-host"))
	to := scratch(t)
	_, err := to.WriteString("what was there before")
	require.NoError(t, err)
	got, err := c.Download(t.Context(), attached, 100, to)
	require.NoError(t, err)
	require.Equal(t, confluence.Downloaded{Size: 10, Sum: fmt.Sprintf("%x", sha256.Sum256([]byte("0123456789")))}, got)
	require.Equal(t, "0123456789", content(t, to))
	require.Equal(t, []string{"GET /wiki/rest/api/content/1001/child/attachment/att7/download?version=3"}, f.seen())
	require.Len(t, m.asked, 1)
	require.Empty(t, m.asked[0].Get("Authorization"))
	require.NotContains(t, fmt.Sprint(m.asked), canary)
}

func TestWhereAFileMayBe(t *testing.T) {
	for to, secure := range map[string]bool{
		"https://evil.example/f": true, "http://api.media.atlassian.com/f": true, "https://user:word@api.media.atlassian.com/f": true,
		"ftp://api.media.atlassian.com/f": true, "https://api.media.atlassian.com.evil.example/f": true, "http://evil.example/f": false,
	} {
		_, c := serve(t, leads(to))
		_, err := c.Download(t.Context(), attached, 100, scratch(t))
		var bad *confluence.ProtocolError
		require.ErrorAs(t, err, &bad, "%s %v", to, secure)
		require.Equal(t, "att7", bad.ObjectID)
	}
	_, c := serve(t, leads("/login?to=x"))
	_, err := c.Download(t.Context(), attached, 100, scratch(t))
	require.Equal(t, failure.Unauthorized, failure.CodeOf(err))
	_, c = serve(t, always(404, `{"statusCode":404,"message":"No attachment with id att7"}`))
	_, err = c.Download(t.Context(), attached, 100, scratch(t))
	require.Equal(t, failure.NotFound, failure.CodeOf(err))
}

// cut sends the whole length and a part of the bytes.
func cut(w http.ResponseWriter, r *http.Request, text string, after int) {
	w.Header().Set("ETag", `"one"`)
	if r.Header.Get("Range") == "" {
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		_, _ = w.Write([]byte(text[:after]))
		return
	}
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
}

func TestADownloadGoesOnWhereItBroke(t *testing.T) {
	m := newMedia(t, func(w http.ResponseWriter, r *http.Request) { cut(w, r, "0123456789", 4) })
	_, c := serve(t, leads(m.URL))
	to := scratch(t)
	_, err := c.Download(t.Context(), attached, 100, to)
	require.NoError(t, err)
	require.Equal(t, "0123456789", content(t, to))
	require.Len(t, m.asked, 2)
	require.Equal(t, []string{"bytes=4-", `"one"`}, []string{m.asked[1].Get("Range"), m.asked[1].Get("If-Range")})

	// The file is another one now: it begins again.
	n := 0
	m = newMedia(t, func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			cut(w, r, "abcdefghij", 4)
			return
		}
		w.Header().Set("ETag", `"two"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader("0123456789"))
	})
	_, c = serve(t, leads(m.URL))
	_, err = c.Download(t.Context(), attached, 100, to)
	require.NoError(t, err)
	require.Equal(t, "0123456789", content(t, to))

	// A host whose credential has ended is asked again with a new one.
	n = 0
	m = newMedia(t, func(w http.ResponseWriter, _ *http.Request) {
		if n++; n == 1 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte("0123456789"))
	})
	f, c := serve(t, leads(m.URL))
	_, err = c.Download(t.Context(), attached, 100, to)
	require.NoError(t, err)
	require.Len(t, f.seen(), 2)
}

func TestADownloadIsBounded(t *testing.T) {
	m := newMedia(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 1000 {
			if _, err := w.Write(make([]byte, 1000)); err != nil {
				return
			}
		}
	})
	f, c := serve(t, leads(m.URL))
	_, err := c.Download(t.Context(), attached, 5, scratch(t))
	require.Equal(t, failure.FileTooLarge, failure.CodeOf(err))
	require.Empty(t, f.seen(), "its size is known before")
	to := scratch(t)
	_, err = c.Download(t.Context(), attached, 5000, to)
	require.Equal(t, failure.FileTooLarge, failure.CodeOf(err))
	require.Len(t, content(t, to), 5001, "no more than needed")
	require.Len(t, m.asked, 1, "again would be no better")
}
