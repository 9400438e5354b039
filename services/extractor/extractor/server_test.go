package extractor

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/extractor/extract"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/failure"
)

// served are processes with a server that plays a handler.
func served(t *testing.T, within time.Duration, play http.HandlerFunc) (*processes, string) {
	t.Helper()
	s := httptest.NewServer(play)
	t.Cleanup(s.Close)
	p, err := openProcesses(config.Files{URL: s.URL + "/", MaxBytes: 100, Time: within, Memory: 256 << 20}, 1, zerolog.Nop())
	require.NoError(t, err)
	t.Cleanup(p.close)
	return p, s.URL
}

func TestAServerReadsOtherFormats(t *testing.T) {
	asked := make(chan string, 10)
	p, _ := served(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked <- r.Method + " " + r.URL.String() + " " + string(body)
		for name, values := range r.Header {
			if said := strings.Join(values, " "); name == "Authorization" || name == "Cookie" || strings.Contains(said, "a.txt") {
				asked <- name + ": " + said
			}
		}
		_, _ = io.WriteString(w, "<h1>Old</h1>")
	})
	doc, err := reads(t, p, "old")
	require.NoError(t, err)
	require.Equal(t, "PUT /tika old", <-asked)
	require.Empty(t, asked, "neither a credential nor the name of the file")
	require.Equal(t, []string{"doc", "<h1>Old</h1>\n"}, []string{doc.Format, doc.Markdown()}, "a process reads the answer")
	doc, err = reads(t, p, "odd")
	require.NoError(t, err)
	require.Equal(t, "other", doc.Format)
	<-asked

	// What is read here, and what has no text, does not go there.
	_, err = reads(t, p, "plain")
	require.NoError(t, err)
	_, err = reads(t, p, "audio")
	require.True(t, extract.Skipped(err))
	require.Empty(t, asked)
}

func TestWhatAServerRefuses(t *testing.T) {
	status, said, header := http.StatusOK, "", http.Header{}
	elsewhere := false
	p, _ := served(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		elsewhere = elsewhere || r.URL.Path != "/tika"
		for name := range header {
			w.Header().Set(name, header.Get(name))
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, said)
	})
	for _, c := range []struct {
		status int
		said   string
		code   failure.Code
	}{
		{200, "", failure.FileNoText}, {204, "", failure.FileNoText}, {415, "", failure.FileNoText}, {413, "", failure.FileTooLarge},
		{422, "", failure.FileDamaged}, {422, "org.apache.tika.exception.EncryptedDocumentException: x", failure.FileEncrypted},
		{200, strings.Repeat("x", mostHTML+1), failure.FileTooLarge},
		{500, "", failure.ExtractorUnavailable}, {503, "", failure.ExtractorUnavailable}, {401, "", failure.ExtractorUnavailable}, {404, "", failure.ExtractorUnavailable},
		{302, "", failure.ExtractorUnavailable},
	} {
		status, said = c.status, c.said
		header = http.Header{"Location": {"/elsewhere"}}
		_, err := reads(t, p, "old")
		require.Equal(t, c.code, failure.CodeOf(err), "%d: %v", c.status, err)
		require.Equal(t, c.code != failure.ExtractorUnavailable, failure.CodeOf(err).Final())
		require.False(t, elsewhere, "a redirect is not followed")
	}
	status, said = http.StatusNoContent, ""
	_, err := reads(t, p, "odd")
	require.True(t, extract.Skipped(err), "the server does not know the format either")

	status, header = http.StatusServiceUnavailable, http.Header{"Retry-After": {"7"}}
	_, err = reads(t, p, "old")
	at, later := failure.RetryAt(err)
	require.True(t, later)
	require.WithinRange(t, at, time.Now().Add(time.Second), time.Now().Add(8*time.Second))
}

func TestAServerThatDoesNotAnswer(t *testing.T) {
	begun := make(chan struct{}, 1)
	p, address := served(t, 50*time.Millisecond, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server learns of the end only then
		begun <- struct{}{}
		<-r.Context().Done()
	})
	_, err := reads(t, p, "old")
	require.Equal(t, failure.ExtractorUnavailable, failure.CodeOf(err))
	require.ErrorContains(t, err, "within 50ms")
	<-begun

	p.server.within = time.Minute
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		at, err := p.take(ctx)
		if err == nil {
			defer at.leave()
			err = p.server.read(ctx, at.file(), at.file())
		}
		ended <- err
	}()
	<-begun
	stop()
	require.ErrorIs(t, <-ended, context.Canceled)

	p.server.address = strings.Replace(address, "http://", "http://user@", 1) + "0/tika"
	_, err = reads(t, p, "old")
	require.Equal(t, failure.ExtractorUnavailable, failure.CodeOf(err))
	require.NotContains(t, err.Error(), "user@")
	_, err = newServer(config.Files{URL: "http://user:password@tika"}, 1)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "password@")
	none, err := newServer(config.Files{}, 1)
	require.NoError(t, err)
	require.False(t, none.reads(&extract.SkippedError{Format: "doc"}))
	require.False(t, errors.Is(err, errNoText))
}
