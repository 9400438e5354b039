package sandbox

import (
	"fmt"
	"net/http"
)

// attachmentRoutes are the control routes of files.
func (s *Site) attachmentRoutes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"POST /_sandbox/pages/{id}/attach": s.controlled(func(id string, o order) error {
			_, err := s.AddAttachment(id, o.Attachment)
			return err
		}),
		"POST /_sandbox/attachments/{id}/replace": s.commented(func(id string, o order) error { return s.ReplaceAttachment(id, o.Attachment.Content) }),
		"POST /_sandbox/attachments/{id}/rename":  s.commented(func(id string, o order) error { return s.RenameAttachment(id, o.Attachment.Name) }),
		"POST /_sandbox/attachments/{id}/move":    s.commented(func(id string, o order) error { return s.MoveAttachment(id, o.ParentID) }),
		"POST /_sandbox/attachments/{id}/trash":   s.commented(func(id string, _ order) error { return s.TrashAttachment(id) }),
		"POST /_sandbox/attachments/{id}/restore": s.commented(func(id string, _ order) error { return s.RestoreAttachment(id) }),
		"POST /_sandbox/attachments/{id}/purge":   s.commented(func(id string, _ order) error { return s.PurgeAttachment(id) }),
		"POST /_sandbox/media/expire": func(w http.ResponseWriter, _ *http.Request) {
			s.ExpireMedia()
			w.WriteHeader(http.StatusNoContent)
		},
	}
}

// mediaHandler serves files alone, for a host of their own.
func (s *Site) mediaHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+mediaRoute, s.wrap(endpoint{edge, "GET " + mediaRoute, s.serveMedia}))
	return mux
}

// mediaAt says at which port of its host the site's files are.
func (s *Site) mediaAt(port int) {
	text := fmt.Sprint(port)
	s.media.Store(&text)
}
