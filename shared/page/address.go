package page

import (
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

var (
	pageInAddress = regexp.MustCompile(`/pages/(?:edit(?:-v2)?/)?(\d+)(?:/|$)`)
	tinyAddress   = regexp.MustCompile(`/x/([A-Za-z0-9_-]{1,11})/?$`)
)

// IDIn returns the page's id that an address of Confluence holds, or "".
func IDIn(u *url.URL) string {
	if found := pageInAddress.FindStringSubmatch(u.Path); found != nil {
		return found[1]
	}
	if id := u.Query().Get("pageId"); id != "" {
		return id
	}
	found := tinyAddress.FindStringSubmatch(u.Path)
	if found == nil {
		return ""
	}
	// The id's bytes, the lowest first, without the zeros at the end.
	wire, err := base64.RawStdEncoding.DecodeString(strings.NewReplacer("-", "/", "_", "+").Replace(found[1] + strings.Repeat("A", 11-len(found[1]))))
	if err != nil {
		return ""
	}
	return strconv.FormatUint(binary.LittleEndian.Uint64(wire), 10)
}
