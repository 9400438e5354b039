package sandbox

import "net/http"

func (s *Site) webRoutes() map[string]http.HandlerFunc { return nil }

func (s *Site) render(_ int64, storage string) string {
	return "<p>" + escapeText(plainText(storage)) + "</p>"
}
