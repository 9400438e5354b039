package sandbox

import (
	"bytes"
	"embed"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The built-in pages: one file for each page, with a front matter of "key: value" lines, a line of
// three dashes, and the body in storage format. Keys: id, title, kind, parent (an id), labels,
// author (a short name of builtinUsers), created and modified (RFC 3339), version, status, readers
// (short names, "nobody", "api" for the API user, or a group as @name), files (name of each
// attachment).
//
//go:embed pages/*.xml
var builtinPages embed.FS

// builtinFile is one parsed file of the built-in pages.
type builtinFile struct {
	name string
	meta map[string]string
	body string
}

// AddBuiltin adds the space DEMO: the documentation of an invented company, with every construct of
// real pages.
func (s *Site) AddBuiltin() {
	for _, u := range builtinUsers {
		s.AddUser(u)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sp, err := s.addSpace(BuiltinSpace, "Pelagia Systems")
	if err != nil {
		return // the space exists already
	}
	sp.created, sp.author = time.Date(2022, 4, 4, 7, 30, 0, 0, time.UTC), builtinUsers[0].AccountID
	files, err := builtinFiles()
	if err == nil {
		err = s.addFiles(sp, files)
	}
	if err == nil {
		err = s.addBuiltinComments()
	}
	if err != nil {
		// The pages are compiled in, and a test reads all of them.
		panic("sandbox: built-in pages: " + err.Error())
	}
}

func builtinFiles() ([]builtinFile, error) {
	entries, err := fs.ReadDir(builtinPages, "pages")
	if err != nil {
		return nil, fmt.Errorf("list the built-in pages: %w", err)
	}
	var files []builtinFile
	for _, e := range entries {
		raw, err := builtinPages.ReadFile(path.Join("pages", e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read a built-in page: %w", err)
		}
		f := builtinFile{name: e.Name(), meta: map[string]string{}}
		head, body, ok := strings.Cut(string(raw), "\n---\n")
		if !ok {
			return nil, fmt.Errorf("%s: no line of three dashes", e.Name())
		}
		for line := range strings.SplitSeq(head, "\n") {
			key, value, ok := strings.Cut(line, ":")
			if !ok {
				return nil, fmt.Errorf("%s: %q is not key: value", e.Name(), line)
			}
			f.meta[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
		f.body = strings.TrimSpace(body)
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b builtinFile) int { return int(parseID(a.meta["id"]) - parseID(b.meta["id"])) })
	return files, nil
}

// addFiles adds the pages in order of id, so that a parent's id is below its children's.
func (s *Site) addFiles(sp *space, files []builtinFile) error {
	for _, f := range files {
		n, err := s.addFile(sp, f)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if sp.home == nil {
			sp.home = n
		}
	}
	return nil
}

func (s *Site) addFile(sp *space, f builtinFile) (*node, error) {
	created, err := time.Parse(time.RFC3339, f.meta["created"])
	if err != nil {
		return nil, fmt.Errorf("created: %w", err)
	}
	author, err := builtinUser(f.meta["author"])
	if err != nil {
		return nil, err
	}
	var parent *node
	if id := f.meta["parent"]; id != "" {
		if parent, err = s.must(id); err != nil {
			return nil, fmt.Errorf("parent: %w", err)
		}
	}
	n, err := s.insert(Draft{
		ID: f.meta["id"], Kind: Kind(f.meta["kind"]), Title: f.meta["title"], Body: f.body, AuthorID: author,
		Labels: strings.Split(f.meta["labels"], ","),
	}, sp, parent, created)
	if err != nil {
		return nil, err
	}
	return n, s.dress(n, f.meta)
}

// dress sets the properties in the front matter that a new page does not have.
func (s *Site) dress(n *node, meta map[string]string) error {
	if v := meta["version"]; v != "" {
		number, err := strconv.Atoi(v)
		if err != nil {
			return fmt.Errorf("version: %w", err)
		}
		n.rev.number = number
	}
	if v := meta["modified"]; v != "" {
		at, err := time.Parse(time.RFC3339, v)
		if err != nil {
			return fmt.Errorf("modified: %w", err)
		}
		n.rev.at = at
	}
	if v := meta["readers"]; v != "" {
		n.read = &audience{}
		for _, name := range splitList(v) {
			if group, ok := strings.CutPrefix(name, "@"); ok {
				n.read.groups = append(n.read.groups, s.namedGroups([]string{group})...)
			} else if name == "api" {
				n.read.users = append(n.read.users, s.me)
			} else if id, err := builtinUser(name); err == nil {
				n.read.users = append(n.read.users, id)
			} else if name != "nobody" {
				return fmt.Errorf("readers: %w", err)
			}
		}
	}
	for i, name := range splitList(meta["files"]) {
		s.attach(n, newAttachment(n.id, i, name), n.created)
	}
	switch meta["status"] {
	case "", current:
	case archived:
		n.status = archived
	case trashed:
		s.trash(n)
	default:
		return fmt.Errorf("status: %w: %q", ErrInvalid, meta["status"])
	}
	return nil
}

func splitList(v string) []string {
	var out []string
	for part := range strings.SplitSeq(v, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

//go:embed files
var builtinContents embed.FS

// picture is a small picture, another one for each name.
func picture(name string) []byte {
	const wide, high = 48, 32
	h := hash(name)
	img := image.NewPaletted(image.Rect(0, 0, wide, high), color.Palette{color.White, color.RGBA{R: byte(h & 0xff), G: byte(h >> 8 & 0xff), B: byte(h >> 16 & 0xff), A: 255}})
	for i := range img.Pix {
		if (i/wide+i%wide)/8%2 == 1 {
			img.Pix[i] = 1
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic("sandbox: draw " + name + ": " + err.Error()) // a buffer takes everything
	}
	return b.Bytes()
}

// newAttachment is a file of the built-in space: one of the folder files, a picture, or generated bytes of that name.
func newAttachment(page int64, i int, name string) Attachment {
	types := map[string]string{
		".png": "image/png", ".svg": "image/svg+xml", ".pdf": "application/pdf", ".csv": "text/csv", ".md": "text/markdown", ".json": "application/json",
		".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
		".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
		".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	}
	a := Attachment{
		ID: fmt.Sprintf("att%d%02d", page, i), Name: name, Size: 2_000 + int64(hash(name)%90_000),
		MediaType: cmpOr(types[path.Ext(name)], "application/octet-stream"),
	}
	if content, err := builtinContents.ReadFile("files/" + name); err == nil {
		a.Content = content
	} else if a.MediaType == "image/png" {
		a.Content = picture(name)
	}
	return a
}

// addBuiltinComments adds the comments; the inline comment refers to a marker in the body.
func (s *Site) addBuiltinComments() error {
	for _, c := range []struct {
		page, author string
		Comment
	}{
		{"65662", "yuki", Comment{Body: "<p>Week 20: 7 alarms, 2 worth it. The silence at Gdynia ends on Friday.</p>"}},
		{"65662", "jonas", Comment{Body: "<p>Thank you. I looked at the Halifax broker first, as you said, and it was the debug tap.</p>"}},
		{"65613", "aiko", Comment{
			Body: "<p>Could the edge say how long the answer is good for, instead of us guessing an hour?</p>", Inline: true,
			MarkerRef: "b7e0c2d1-1111-4c8e-9c55-000000000001", Selection: "The hour is a compromise",
		}},
	} {
		n, err := s.must(c.page)
		if err != nil {
			return fmt.Errorf("comment: %w", err)
		}
		if c.AuthorID, err = builtinUser(c.author); err != nil {
			return fmt.Errorf("comment: %w", err)
		}
		c.At = n.rev.at.Add(30 * time.Minute)
		s.comment(n, c.Comment)
	}
	return nil
}
