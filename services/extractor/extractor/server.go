package extractor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/services/extractor/extract"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/confluence/outgoing"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
)

// server is a server that reads files of other formats. It speaks Apache Tika's HTTP: a file goes there by PUT /tika, and HTML
// comes back. It gets the bytes alone: no name, no credential.
type server struct {
	address string
	http    *http.Client
	within  time.Duration // for one file
	turns   chan struct{} // has one for each file that it reads
}

const (
	// mostHTML bounds its answer, in bytes. Larger HTML is not read.
	mostHTML = 8 << 20
	// mostWhy bounds what is read of a refusal.
	mostWhy = 64 << 10
	// mostWait bounds the time after which it may want to be asked again.
	mostWait = time.Hour
	// answerName names the answer for those who read it.
	answerName = "answer.html"
)

// withoutText are formats that are skipped with a server too.
var withoutText = []string{"audio", "video", "executable", "font", "archive", "database"}

// newServer returns the server of the settings, or nil if they name none.
func newServer(c config.Files, most int) (*server, error) {
	if c.URL == "" {
		return nil, nil //nolint:nilnil // no server is a choice
	}
	u, err := outgoing.ParseAddress(c.URL)
	if err != nil {
		return nil, fmt.Errorf("EXTRACTOR_URL: %w", err)
	}
	transport := outgoing.NewTransport(u.Scheme == "http", most)
	return &server{address: u.JoinPath("tika").String(), within: c.Time, turns: make(chan struct{}, most), http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the file goes nowhere else
	}}, nil
}

func (s *server) close() {
	if s != nil {
		s.http.CloseIdleConnections()
	}
}

// reads reports whether the server is asked for a file that is skipped here.
func (s *server) reads(e *extract.SkippedError) bool {
	return s != nil && !slices.Contains(withoutText, e.Format)
}

// errNoText says that the server has nothing to say of a file.
var errNoText = failure.New(failure.FileNoText, "the extraction server finds no text")

// read has the server read a file, and writes its answer to another one.
func (s *server) read(ctx context.Context, from, to *os.File) error {
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	case <-ctx.Done():
		return ctx.Err()
	}
	info, err := from.Stat()
	if err != nil {
		return fmt.Errorf("look at the file: %w", err)
	}
	within, cancel := context.WithTimeout(ctx, s.within)
	defer cancel()
	req, err := http.NewRequestWithContext(within, http.MethodPut, s.address, io.NopCloser(io.NewSectionReader(from, 0, info.Size())))
	if err != nil {
		return failure.New(failure.ExtractorUnavailable, "EXTRACTOR_URL cannot be asked")
	}
	req.ContentLength = info.Size()
	req.Header.Set("Accept", "text/html")
	req.Header.Set("User-Agent", "sluice")
	resp, err := s.http.Do(req)
	if err == nil {
		defer func() { _ = resp.Body.Close() }()
		err = accept(resp)
	}
	if err == nil {
		var n int64
		if n, err = io.Copy(to, io.LimitReader(resp.Body, mostHTML+1)); n > mostHTML {
			return failure.New(failure.FileTooLarge, "the extraction server's answer has more than %d bytes", mostHTML)
		}
	}
	var code interface{ FailureCode() failure.Code }
	switch {
	case err == nil || ctx.Err() == nil && errors.As(err, &code):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case within.Err() != nil:
		return failure.New(failure.ExtractorUnavailable, "the extraction server did not answer within %v", s.within)
	}
	var ue *url.Error // quotes the address
	if errors.As(err, &ue) {
		err = ue.Err
	}
	return failure.New(failure.ExtractorUnavailable, "the extraction server does not answer: %w", err)
}

// accept returns the error that an answer means. Those that may be about the server, and not about the file, are tried again.
func accept(resp *http.Response) error {
	switch status := resp.StatusCode; status {
	case http.StatusOK:
		return nil
	case http.StatusNoContent, http.StatusUnsupportedMediaType:
		return errNoText
	case http.StatusRequestEntityTooLarge:
		return failure.New(failure.FileTooLarge, "the file is too large for the extraction server")
	case http.StatusUnprocessableEntity:
		why, err := io.ReadAll(io.LimitReader(resp.Body, mostWhy))
		if err == nil && bytes.Contains(why, []byte("EncryptedDocumentException")) {
			return failure.New(failure.FileEncrypted, "the file needs a password")
		}
		return failure.New(failure.FileDamaged, "the extraction server cannot read the file")
	default:
		err := failure.New(failure.ExtractorUnavailable, "the extraction server at EXTRACTOR_URL answers with status %d", status)
		seconds, no := strconv.Atoi(resp.Header.Get("Retry-After"))
		if (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable) && no == nil && seconds > 0 {
			return failure.Later(err, min(time.Duration(seconds)*time.Second, mostWait))
		}
		return err
	}
}

// ask has the server read a file that is skipped here, and a process the answer, within the limits of HTML.
func (t *tray) ask(ctx context.Context, skipped *extract.SkippedError) (extract.Document, error) {
	answer, err := nameless()
	if err != nil {
		return extract.Document{}, err
	}
	defer func() { _ = answer.Close() }()
	var doc extract.Document
	if err = t.of.server.read(ctx, t.on, answer); err == nil {
		doc, err = t.hand(ctx, answer, page.Facts{ID: answerName, Title: answerName, File: &page.File{MediaType: "text/html; charset=utf-8"}})
	}
	if failure.CodeOf(err) == failure.FileNoText && skipped.Format == "" {
		return extract.Document{}, skipped // of no known format, for the server either
	}
	doc.Format = cmp.Or(skipped.Format, page.OtherFile)
	return doc, err
}
