package extract

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"mime"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/net/html/charset"

	"github.com/sluicehq/sluice/shared/page"
)

// decode makes UTF-8 of text: by its byte order mark, as UTF-8 if it is valid, as UTF-16 if every second
// byte is zero, by the media type's charset, and else as Windows-1252, which contains Latin-1.
func decode(b []byte, mediaType string) string {
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return strings.ToValidUTF8(string(b[3:]), "\uFFFD")
	case bytes.HasPrefix(b, []byte("\xff\xfe")):
		return decode16(b[2:], binary.LittleEndian)
	case bytes.HasPrefix(b, []byte("\xfe\xff")):
		return decode16(b[2:], binary.BigEndian)
	case utf8.Valid(b) && bytes.IndexByte(b, 0) < 0:
		return string(b)
	}
	if order := order16(b); order != nil {
		return decode16(b, order)
	}
	if _, params, err := mime.ParseMediaType(mediaType); err == nil && params["charset"] != "" {
		if enc, _ := charset.Lookup(params["charset"]); enc != nil {
			if s, err := enc.NewDecoder().Bytes(b); err == nil {
				return string(s)
			}
		}
	}
	enc, _ := charset.Lookup("windows-1252")
	s, err := enc.NewDecoder().Bytes(b)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return string(s)
}

func decode16(b []byte, order binary.ByteOrder) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// order16 recognizes UTF-16 without a mark: text of it has zeros at every second place, at one side.
func order16(b []byte) binary.ByteOrder {
	b = b[:min(len(b), 1024)]
	var zeros [2]int
	for i, c := range b {
		if c == 0 {
			zeros[i%2]++
		}
	}
	half := len(b) / 2
	switch {
	case half > 0 && zeros[1] > half/2 && zeros[0] == 0:
		return binary.LittleEndian
	case half > 0 && zeros[0] > half/2 && zeros[1] == 0:
		return binary.BigEndian
	}
	return nil
}

// text reads the whole file as text. A file that is larger than the Markdown may be is not read.
func (j *job) text() (string, error) {
	if j.file.Size/2 > int64(j.limits.Markdown) {
		return "", j.tooMuchText()
	}
	b, err := io.ReadAll(j.reader())
	if err != nil {
		return "", damaged(err, "read the file")
	}
	s := decode(b, j.file.MediaType)
	if n := strings.Count(s, "\uFFFD"); n > 0 {
		j.losses[lossKind{"text", page.Rendered, "characters of an unknown encoding were replaced"}] += n
	}
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "", "\f", "\n\n").Replace(s)
	return s, j.room(len(s))
}

func readText(j *job) error {
	s, err := j.text()
	if err != nil {
		return err
	}
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString(escape(strings.TrimSpace(line)))
		b.WriteByte('\n')
	}
	return j.part("", b.String())
}

func readCode(j *job, language string) error {
	s, err := j.text()
	if err != nil || strings.TrimSpace(s) == "" {
		return err
	}
	return j.part("", fence(language, s))
}

func readJSON(j *job) error {
	s, err := j.text()
	if err != nil || strings.TrimSpace(s) == "" {
		return err
	}
	if !strings.Contains(strings.TrimSpace(s), "\n") && len(s) > 120 { // one long line: nobody reads it so
		var b bytes.Buffer
		if depthOf(s) <= j.limits.Depth && json.Indent(&b, []byte(s), "", " ") == nil && b.Len() < 4*len(s) {
			s = b.String()
		}
	}
	return j.part("", fence("json", s))
}

// depthOf counts how deep JSON may nest at most.
func depthOf(s string) int {
	depth, deepest := 0, 0
	for _, c := range []byte(s) {
		switch c {
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
	}
	return deepest
}

// readMarkdown keeps Markdown as it is, without its front matter.
func readMarkdown(j *job) error {
	s, err := j.text()
	if err != nil {
		return err
	}
	if rest, ok := strings.CutPrefix(s, "---\n"); ok {
		if front, body, ok := strings.Cut("\n"+rest, "\n---\n"); ok && len(front) < 64<<10 {
			s = body
		}
	}
	return j.part("", s)
}

// readImage says that the file is a picture, and what its page says of it. It does not say its name: that is its title, and texts are
// shared by whoever has the same bytes, whose name may be another.
func readImage(j *job) error {
	lines := []string{"Image"}
	for _, s := range []string{j.file.Alt, j.file.Caption} {
		if s = strings.TrimSpace(s); s != "" {
			lines = append(lines, escape(s))
		}
	}
	j.lose("image", page.Placeholder, "the text in pictures is not read")
	return j.part("", strings.Join(lines, "\n\n"))
}
