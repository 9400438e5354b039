package sandbox

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"
)

// Attachment is a file of a page or blog post.
type Attachment struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	MediaType string `json:"media_type"`
	Content   []byte `json:"content"` // in base64 over HTTP; nil: Size bytes are generated
	Size      int64  `json:"size"`    // bytes; that of Content if there is one

	on      *node
	author  string
	created time.Time
	version int       // counts from 1
	changed time.Time // when this version was made
	trashed bool
	files   []file // of all versions, the oldest first
}

// file is what a version of an attachment has.
type file struct {
	id      string // on the media host
	content []byte
	size    int64
}

// bytes are the file's content: generated, and always the same, where it has none of its own.
func (f file) bytes(name string) []byte {
	if f.content != nil || f.size == 0 {
		return f.content
	}
	line := name + "\n"
	return []byte(strings.Repeat(line, int(f.size)/len(line)+1)[:f.size])
}

// now is the newest version's file.
func (a *Attachment) now() file { return a.files[len(a.files)-1] }

// put gives the attachment another file.
func (a *Attachment) put(content []byte, size int64) {
	if content != nil {
		size = int64(len(content))
	}
	a.Content, a.Size = content, size
	a.files = append(a.files, file{
		id:      fmt.Sprintf("%08x-0000-4000-8000-%012x", crc32.ChecksumIEEE([]byte(a.ID)), len(a.files)+1),
		content: content, size: size,
	})
}

// AddAttachment adds a file to the page or blog post and returns its id. It generates one if a has none. It makes no version
// of the page.
func (s *Site) AddAttachment(page string, a Attachment) (id string, err error) {
	err = s.change("attach to", page, func(n *node) error {
		if a.Name == "" {
			return fmt.Errorf("%w: the file has no name", ErrInvalid)
		}
		id = s.attach(n, a, s.now()).ID
		return nil
	})
	return id, err
}

func (s *Site) attach(n *node, a Attachment, at time.Time) *Attachment {
	n.attached++
	a.ID = cmpOr(a.ID, fmt.Sprintf("att%d%03d", n.id, n.attached))
	a.MediaType = cmpOr(a.MediaType, "application/octet-stream")
	a.on, a.author, a.created, a.version, a.changed = n, cmpOr(a.author, s.me), at, 1, at
	a.put(a.Content, a.Size)
	n.files = append(n.files, &a)
	s.files[a.ID] = &a
	s.moment++
	return &a
}

// changeAttachment runs f on the attachment with the id under the write lock.
func (s *Site) changeAttachment(what, id string, f func(a *Attachment) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.files[id]
	err := ErrNotFound
	if a != nil {
		err = f(a)
	}
	if err != nil {
		return fmt.Errorf("%s attachment %s: %w", what, id, err)
	}
	s.moment++
	return nil
}

// ReplaceAttachment uploads another file under the attachment's name: a new version of it.
func (s *Site) ReplaceAttachment(id string, content []byte) error {
	return s.changeAttachment("replace", id, func(a *Attachment) error {
		a.put(content, 0)
		a.version, a.changed = a.version+1, s.now()
		return nil
	})
}

// RenameAttachment gives the attachment another name: a new version with the same file.
func (s *Site) RenameAttachment(id, name string) error {
	return s.changeAttachment("rename", id, func(a *Attachment) error {
		if name == "" {
			return fmt.Errorf("%w: the file has no name", ErrInvalid)
		}
		a.Name, a.version, a.changed = name, a.version+1, s.now()
		return nil
	})
}

// TrashAttachment moves the attachment to the trash: it is known by its id only. RestoreAttachment takes it out again.
func (s *Site) TrashAttachment(id string) error {
	return s.changeAttachment("trash", id, func(a *Attachment) error { a.trashed = true; return nil })
}

// RestoreAttachment takes the attachment out of the trash.
func (s *Site) RestoreAttachment(id string) error {
	return s.changeAttachment("restore", id, func(a *Attachment) error { a.trashed = false; return nil })
}

// PurgeAttachment deletes the attachment for good.
func (s *Site) PurgeAttachment(id string) error {
	return s.changeAttachment("purge", id, func(a *Attachment) error {
		a.on.files = slices.DeleteFunc(a.on.files, func(o *Attachment) bool { return o == a })
		delete(s.files, id)
		return nil
	})
}

// MoveAttachment moves the attachment to another page. It makes no version.
func (s *Site) MoveAttachment(id, page string) error {
	return s.changeAttachment("move", id, func(a *Attachment) error {
		to, err := s.must(page)
		if err != nil {
			return err
		}
		a.on.files = slices.DeleteFunc(a.on.files, func(o *Attachment) bool { return o == a })
		a.on, to.files = to, append(to.files, a)
		return nil
	})
}

// attachmentsSeen are all attachments that the API user sees and that are not trashed, nor is what they are on.
func (s *Site) attachmentsSeen() []*Attachment {
	var all []*Attachment
	for _, a := range s.files {
		if !a.trashed && a.on.status == current && s.sees(a.on) {
			all = append(all, a)
		}
	}
	return all
}

// attachmentOf returns the attachment if the API user sees it. Trashed ones are known by their ids.
func (s *Site) attachmentOf(id string) *Attachment {
	if !strings.HasPrefix(id, "att") {
		id = "att" + id
	}
	a := s.files[id]
	if a == nil || s.nodes[a.on.id] != a.on || !s.sees(a.on) {
		return nil
	}
	return a
}

// place is the attachment's place in the order of a v2 sort field.
func (a *Attachment) place(field string) place {
	at := a.created
	if field == "modified-date" {
		at = a.changed
	}
	return place{Num: at.UnixMilli(), ID: parseID(strings.TrimPrefix(a.ID, "att"))}
}

// sortAttachments orders attachments by a v2 sort field and direction.
func sortAttachments(all []*Attachment, field string, down bool) {
	slices.SortStableFunc(all, func(a, b *Attachment) int {
		by := a.place(field).compare(b.place(field))
		if down {
			by = -by
		}
		return cmp.Or(by, cmp.Compare(a.ID, b.ID))
	})
}

// node is the attachment as content that a search finds. It is in no tree and on no shelf.
func (a *Attachment) node() *node {
	return &node{
		id: parseID(strings.TrimPrefix(a.ID, "att")), kind: KindAttachment, space: a.on.space, parent: a.on, status: current, created: a.created,
		author: a.author, rev: revision{number: a.version, at: a.changed, author: a.author, title: a.Name, body: literal("")}, upload: a,
	}
}
