package folder

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/failure"
)

// maxFile is the largest file in bytes that is read, the same limit as the converter's.
const maxFile = 16 << 20

// file is a page's file.
type file struct {
	name  string // its path in the folder
	body  string // without the front matter
	hash  string
	front front
	mtime time.Time
}

// read reads a file. With an error, the file has a name and a hash that no content has. The exception is
// fs.ErrNotExist, for a file that no longer exists.
func read(root *os.Root, name string) (file, error) {
	f := file{name: name, hash: "unreadable"}
	// It may have become a link since the listing.
	info, err := root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, err
	case err != nil:
		return f, describe(name, err)
	case !info.Mode().IsRegular():
		return f, fs.ErrNotExist
	}
	opened, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err != nil {
		return f, describe(name, err)
	}
	defer func() { _ = opened.Close() }()
	f.mtime = info.ModTime().UTC()
	content, err := io.ReadAll(io.LimitReader(opened, maxFile+1))
	if err != nil {
		return f, describe(name, err)
	}
	if len(content) > maxFile {
		f.hash = fmt.Sprintf("%d bytes at %s", info.Size(), f.mtime.Format(time.RFC3339Nano))
		return f, failure.New(failure.ConvertTooLarge, "the file %s has more than %d bytes", name, maxFile)
	}
	sum := sha256.Sum256(content)
	f.hash = hex.EncodeToString(sum[:])
	if bytes.IndexByte(content, 0) >= 0 {
		return f, failure.New(failure.NotText, "the file %s is not text", name)
	}
	f.front, f.body = cutFront(strings.TrimPrefix(string(content), "\uFEFF"))
	return f, nil
}

// title is the title in the front matter, else the first heading, else the file's name.
func (f file) title() string {
	name := strings.TrimSuffix(path.Base(f.name), path.Ext(f.name))
	return text(cmp.Or(oneLine(f.front.Title), firstHeading(f.body), name))
}

// modified is the time in the front matter, else the file's time.
func (f file) modified() time.Time {
	if at := f.front.modified(); !at.IsZero() {
		return at
	}
	return f.mtime
}

var (
	fence     = regexp.MustCompile("^ {0,3}(```+|~~~+)")
	hashes    = regexp.MustCompile(`^ {0,3}#{1,6}[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$`)
	underline = regexp.MustCompile(`^ {0,3}(?:=+|-+)[ \t]*$`)
	inline    = regexp.MustCompile(`!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])|<[^>]+>`)
	marks     = strings.NewReplacer("`", "", "**", "", "__", "", `\`, "")
)

// firstHeading returns the text of the first heading that is not empty.
func firstHeading(body string) string {
	open, before := "", ""
	for line := range strings.Lines(body) {
		line = strings.TrimRight(line, "\r\n")
		if m := fence.FindStringSubmatch(line); m != nil {
			switch {
			case open == "":
				open = m[1]
			case strings.HasPrefix(m[1], open):
				open = ""
			}
			before = ""
			continue
		}
		if open != "" {
			continue
		}
		heading := ""
		if m := hashes.FindStringSubmatch(line); m != nil {
			heading = m[1]
		} else if before != "" && underline.MatchString(line) {
			heading = before
		}
		if heading = oneLine(marks.Replace(inline.ReplaceAllString(heading, "$1"))); heading != "" {
			return heading
		}
		if before = strings.TrimSpace(line); strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "\t") {
			before = ""
		}
	}
	return ""
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
