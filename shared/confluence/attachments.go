package confluence

import (
	"context"
	"fmt"
	"iter"
	"strings"
)

// Attachment is a file of a page.
type Attachment struct {
	ID          string // att and digits
	Status      string
	Title       string // the file's name
	MediaType   string
	FileID      string
	FileSize    int64 // bytes
	Version     int
	DownloadURL string // absolute; it redirects to another host, where the credential must not go
}

type wireAttachment struct {
	ID           string `json:"id"`
	Status       string `json:"status"`
	Title        string `json:"title"`
	MediaType    string `json:"mediaType"`
	FileID       string `json:"fileId"`
	FileSize     int64  `json:"fileSize"`
	DownloadLink string `json:"downloadLink"`
	Version      struct {
		Number int `json:"number"`
	} `json:"version"`
}

// Attachments lists a page's files, without their content. It returns *NotFoundError when the
// page is missing or hidden.
func (c *Client) Attachments(ctx context.Context, pageID string) iter.Seq2[Attachment, error] {
	if !isID(pageID) {
		return fail[Attachment](fmt.Errorf("list attachments: page %w", ErrInvalidID))
	}
	return list(ctx, c, listing{limit: maxLimit, request: ofPage(pageID, "attachments")}, func(w wireAttachment) (Attachment, error) {
		if !isID(strings.TrimPrefix(w.ID, "att")) || w.Title == "" {
			return Attachment{}, &objectError{pageID, "an attachment without a valid id or name"}
		}
		a := Attachment{
			ID: w.ID, Status: w.Status, Title: plain(w.Title), MediaType: w.MediaType,
			FileID: w.FileID, FileSize: w.FileSize, Version: w.Version.Number,
		}
		if strings.HasPrefix(w.DownloadLink, "/") {
			a.DownloadURL = c.BaseURL() + w.DownloadLink
		}
		return a, nil
	})
}
