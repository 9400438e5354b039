package extract

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"path"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"

	"github.com/sluicehq/sluice/shared/failure"
)

// kind is a format and how it is read.
type kind struct {
	format string
	read   func(*job) error
}

// magic are the first bytes of formats. What has text to read has a reader; of the others the reason
// says why they are skipped.
var magic = []struct {
	at     int
	bytes  string
	format string
	reason string
}{
	{0, "\x89PNG\r\n\x1a\n", "image", ""},
	{0, "\xff\xd8\xff", "image", ""},
	{0, "GIF87a", "image", ""},
	{0, "GIF89a", "image", ""},
	{8, "WEBP", "image", ""},
	{0, "II*\x00", "image", ""},
	{0, "MM\x00*", "image", ""},
	{0, "\x00\x00\x01\x00", "image", ""},
	{4, "ftypheic", "image", ""},
	{4, "ftypavif", "image", ""},
	{0, "8BPS", "image", ""},
	{0, "{\\rtf", "rtf", "rich text (RTF) is not read; save it as docx"},
	{0, "%!PS", "postscript", "PostScript is not read; save it as PDF"},
	{0, "ID3", "audio", "audio has no text"},
	{0, "\xff\xfb", "audio", "audio has no text"},
	{0, "fLaC", "audio", "audio has no text"},
	{0, "OggS", "audio", "audio has no text"},
	{0, "MThd", "audio", "audio has no text"},
	{8, "WAVE", "audio", "audio has no text"},
	{4, "ftypM4A", "audio", "audio has no text"},
	{8, "AVI ", "video", "video has no text"},
	{4, "ftyp", "video", "video has no text"},
	{0, "\x1aE\xdf\xa3", "video", "video has no text"},
	{0, "FLV\x01", "video", "video has no text"},
	{0, "\x00\x00\x01\xba", "video", "video has no text"},
	{0, "\x1f\x8b", "archive", "archives are not opened"},
	{0, "BZh", "archive", "archives are not opened"},
	{0, "\xfd7zXZ\x00", "archive", "archives are not opened"},
	{0, "7z\xbc\xaf\x27\x1c", "archive", "archives are not opened"},
	{0, "Rar!\x1a\x07", "archive", "archives are not opened"},
	{0, "\x28\xb5\x2f\xfd", "archive", "archives are not opened"},
	{0, "PK\x05\x06", "archive", "archives are not opened"},
	{257, "ustar", "archive", "archives are not opened"},
	{0, "\x7fELF", "executable", "programs have no text"},
	{0, "MZ", "executable", "programs have no text"},
	{0, "\xfe\xed\xfa", "executable", "programs have no text"},
	{0, "\xcf\xfa\xed\xfe", "executable", "programs have no text"},
	{0, "\xca\xfe\xba\xbe", "executable", "programs have no text"},
	{0, "\x00asm", "executable", "programs have no text"},
	{0, "SQLite format 3\x00", "database", "databases are not read"},
	{0, "wOFF", "font", "fonts have no text"},
	{0, "wOF2", "font", "fonts have no text"},
	{0, "\x00\x01\x00\x00\x00", "font", "fonts have no text"},
	{0, "OTTO", "font", "fonts have no text"},
}

const (
	headSize = 4096
	oleMagic = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
	zipMagic = "PK\x03\x04"
)

// kind finds out what the file is: by its content first, then by its name and media type.
func (j *job) kind() (kind, error) {
	head := make([]byte, headSize)
	n, err := j.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return kind{}, err
	}
	head = head[:n]
	claim := claimed(j.file)
	switch {
	case bytes.Contains(head[:min(n, 1024)], []byte("%PDF-")):
		return kind{"pdf", readPDF}, nil
	case bytes.HasPrefix(head, []byte(oleMagic)):
		return kind{}, j.compound()
	case bytes.HasPrefix(head, []byte(zipMagic)):
		return j.container(claim)
	}
	for _, m := range magic {
		if len(head) >= m.at && bytes.HasPrefix(head[m.at:], []byte(m.bytes)) && !(m.reason != "" && claim.isText() && looksLikeText(head)) {
			if m.reason != "" {
				return kind{}, &SkippedError{Format: m.format, Reason: m.reason}
			}
			return kind{"image", readImage}, nil
		}
	}
	return j.textual(head, claim)
}

// textual names the format of a file that is text, or says that it is none.
func (j *job) textual(head []byte, claim claim) (kind, error) {
	if !looksLikeText(head) {
		if claim.format != "" {
			return kind{}, failure.New(failure.FileDamaged, "the file is called %s, but its content is something else", claim.format)
		}
		return kind{}, &SkippedError{Reason: "the content is of no known format"}
	}
	start := strings.ToLower(strings.TrimSpace(strings.TrimPrefix(decode(head, ""), "\uFEFF")))
	root := firstElement(start)
	switch {
	case root == "mxfile" || root == "mxgraphmodel":
		return kind{"drawio", readDrawio}, nil
	case root == "svg":
		return kind{"svg", readSVG}, nil
	case root == "html" || strings.HasPrefix(start, "<!doctype html"):
		return kind{"html", readHTML}, nil
	}
	switch claim.format {
	case "pdf", "docx", "xlsx", "pptx", "image":
		return kind{}, failure.New(failure.FileDamaged, "the file is called %s, but its content is text", claim.format)
	case "html":
		return kind{"html", readHTML}, nil
	case "drawio":
		return kind{"drawio", readDrawio}, nil
	case "svg":
		return kind{"svg", readSVG}, nil
	case "markdown":
		return kind{"markdown", readMarkdown}, nil
	case "csv":
		return kind{"csv", readCSV}, nil
	case "json":
		return kind{"json", readJSON}, nil
	case "code":
		return kind{"code", func(j *job) error { return readCode(j, claim.language) }}, nil
	}
	if root == "?xml" || strings.HasPrefix(start, "<?xml") {
		return kind{"code", func(j *job) error { return readCode(j, "xml") }}, nil
	}
	return kind{"text", readText}, nil
}

// firstElement returns the name of the first element of XML or HTML, after declarations and comments.
func firstElement(s string) string {
	for {
		s = strings.TrimSpace(s)
		switch {
		case strings.HasPrefix(s, "<!--"):
			_, rest, ok := strings.Cut(s, "-->")
			if !ok {
				return ""
			}
			s = rest
		case strings.HasPrefix(s, "<?"), strings.HasPrefix(s, "<!doctype svg"):
			_, rest, ok := strings.Cut(s, ">")
			if !ok {
				return ""
			}
			s = rest
		case strings.HasPrefix(s, "<"):
			name := s[1:]
			if end := strings.IndexAny(name, " \t\r\n>/"); end >= 0 {
				name = name[:end]
			}
			if _, local, ok := strings.Cut(name, ":"); ok {
				name = local
			}
			return name
		default:
			return ""
		}
	}
}

// looksLikeText reports whether the beginning of a file is text: no control characters but those of
// text, once its encoding is taken off.
func looksLikeText(head []byte) bool {
	if len(head) >= headSize { // it may end inside of a character
		for cut := 1; cut < utf8.UTFMax && !utf8.Valid(head); cut++ {
			head = head[:len(head)-1]
		}
	}
	odd := 0
	text := decode(head, "")
	for _, r := range text {
		if r < ' ' && !strings.ContainsRune("\t\n\r\f\x1b", r) || r == utf8.RuneError || 0x7f <= r && r < 0xa0 {
			odd++
		}
	}
	return odd*50 <= len(text)/2 // one in a hundred: an old log has a stray one
}

// claim is what a file's name and media type say that it is.
type claim struct{ format, language string }

func (c claim) isText() bool {
	switch c.format {
	case "markdown", "csv", "json", "code", "html", "text", "svg", "drawio":
		return true
	}
	return false
}

// Claim is what a file's name and media type say of its content, beside which they do not count: the same bytes under the same claim
// are the same document. It has no part of the name but a known extension.
func Claim(name, mediaType string) string {
	c := claimed(File{Name: name, MediaType: mediaType})
	said := []string{c.format}
	if c.language != "" {
		said = append(said, c.language)
	}
	if _, params, err := mime.ParseMediaType(mediaType); err == nil {
		if enc, encoding := charset.Lookup(params["charset"]); enc != nil {
			said = append(said, encoding)
		}
	}
	return strings.TrimSpace(strings.Join(said, " "))
}

// Format is the format that a file's name and media type say that it has; "" if they say nothing that is known.
func Format(name, mediaType string) string {
	return claimed(File{Name: name, MediaType: mediaType}).format
}

func claimed(f File) claim {
	ext := strings.TrimPrefix(strings.ToLower(path.Ext(f.Name)), ".")
	if ext == "" {
		ext = strings.ToLower(path.Base(f.Name)) // Dockerfile, Makefile
	}
	if format := formatOf[ext]; format != "" {
		return claim{format: format}
	}
	if language := languageOf[ext]; language != "" {
		return claim{"code", language}
	}
	media, _, _ := strings.Cut(strings.ToLower(f.MediaType), ";")
	return claim{format: formatOfMedia[strings.TrimSpace(media)]}
}

var formatOf = map[string]string{
	"pdf": "pdf", "docx": "docx", "docm": "docx", "dotx": "docx", "xlsx": "xlsx", "xlsm": "xlsx", "xltx": "xlsx",
	"pptx": "pptx", "pptm": "pptx", "ppsx": "pptx", "potx": "pptx",
	"html": "html", "htm": "html", "xhtml": "html", "md": "markdown", "markdown": "markdown", "mdown": "markdown",
	"csv": "csv", "tsv": "csv", "tab": "csv", "json": "json", "geojson": "json", "ipynb": "json", "txt": "text", "text": "text",
	"drawio": "drawio", "dio": "drawio", "svg": "svg",
	"png": "image", "jpg": "image", "jpeg": "image", "gif": "image", "webp": "image", "tif": "image", "tiff": "image",
}

var formatOfMedia = map[string]string{
	"application/pdf": "pdf",
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document":   "docx",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":         "xlsx",
	"application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
	"text/html": "html", "application/xhtml+xml": "html", "text/markdown": "markdown", "text/csv": "csv",
	"text/tab-separated-values": "csv", "application/json": "json", "image/svg+xml": "svg",
	"image/png": "image", "image/jpeg": "image", "image/gif": "image", "image/webp": "image",
}

// languageOf gives the language of a fenced block for a file's extension.
var languageOf = map[string]string{
	"go": "go", "py": "python", "js": "javascript", "mjs": "javascript", "ts": "typescript", "tsx": "tsx", "jsx": "jsx",
	"java": "java", "kt": "kotlin", "kts": "kotlin", "scala": "scala", "groovy": "groovy", "gradle": "groovy", "c": "c",
	"h": "c", "cc": "cpp", "cpp": "cpp", "cxx": "cpp", "hpp": "cpp", "cs": "csharp", "fs": "fsharp", "vb": "vb",
	"rs": "rust", "rb": "ruby", "php": "php", "pl": "perl", "lua": "lua", "r": "r", "swift": "swift", "m": "objectivec",
	"sh": "bash", "bash": "bash", "zsh": "bash", "ps1": "powershell", "bat": "bat", "cmd": "bat", "sql": "sql",
	"yaml": "yaml", "yml": "yaml", "toml": "toml", "ini": "ini", "cfg": "ini", "conf": "ini", "properties": "properties",
	"env": "bash", "xml": "xml", "xsd": "xml", "xsl": "xml", "xslt": "xml", "wsdl": "xml", "bpmn": "xml", "css": "css",
	"scss": "scss", "less": "less", "vue": "vue", "proto": "protobuf", "graphql": "graphql", "tf": "hcl", "hcl": "hcl",
	"dockerfile": "dockerfile", "makefile": "makefile", "mk": "makefile", "puml": "plantuml", "plantuml": "plantuml",
	"mmd": "mermaid", "dot": "dot", "diff": "diff", "patch": "diff", "log": "text", "tex": "latex", "jsonl": "json",
	"ndjson": "json", "dart": "dart", "ex": "elixir", "exs": "elixir", "erl": "erlang", "hs": "haskell", "clj": "clojure",
}
