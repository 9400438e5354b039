package extract

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/shared/failure"
)

// pack is a file in ZIP's format that holds others, as Office's files are.
type pack struct {
	j      *job
	zip    *zip.Reader
	byName map[string]*zip.File // by lower name without a leading slash
}

// container names the format of a file in ZIP's format.
func (j *job) container(claim claim) (kind, error) {
	office := slices.Contains([]string{"docx", "xlsx", "pptx"}, claim.format)
	z, err := zip.NewReader(j, j.file.Size)
	if err != nil {
		if office {
			return kind{}, damaged(err, "open the "+claim.format)
		}
		return kind{}, &SkippedError{Format: "archive", Reason: "archives are not opened"}
	}
	if len(z.File) > j.limits.Entries {
		return kind{}, failure.New(failure.FileTooManyParts, "the file holds %d files, the limit is %d", len(z.File), j.limits.Entries)
	}
	p := &pack{j: j, zip: z, byName: map[string]*zip.File{}}
	for _, f := range z.File {
		p.byName[inner(f.Name)] = f
	}
	for _, o := range []struct {
		root, format string
		read         func(*job, *pack) error
	}{{"word/document.xml", "docx", readDOCX}, {"xl/workbook.xml", "xlsx", readXLSX}, {"ppt/presentation.xml", "pptx", readPPTX}} {
		if p.byName[o.root] != nil || p.main() == o.format {
			return kind{o.format, func(j *job) error { return o.read(j, p) }}, nil
		}
	}
	if p.byName["encryptioninfo"] != nil || p.byName["encryptedpackage"] != nil {
		return kind{}, failure.New(failure.FileEncrypted, "the file needs a password")
	}
	switch {
	case p.byName["mimetype"] != nil && p.byName["content.xml"] != nil:
		return kind{}, &SkippedError{Format: "opendocument", Reason: "OpenDocument is not read; save it as docx, xlsx or pptx"}
	case p.byName["xl/workbook.bin"] != nil:
		return kind{}, &SkippedError{Format: "xlsb", Reason: "binary workbooks (xlsb) are not read; save it as xlsx"}
	case office:
		return kind{}, failure.New(failure.FileDamaged, "the file is called %s, but is an archive without a document", claim.format)
	}
	return kind{}, &SkippedError{Format: "archive", Reason: "archives are not opened"}
}

func inner(name string) string {
	return strings.ToLower(strings.TrimPrefix(strings.ReplaceAll(name, "\\", "/"), "/"))
}

// main returns the format of a document whose main part has another name than usual, by its content type.
func (p *pack) main() string {
	types, err := p.tree("[Content_Types].xml")
	if err != nil || types == nil {
		return ""
	}
	for _, o := range types.children {
		kind := o.attr("ContentType")
		for _, format := range []struct{ contains, is string }{
			{"wordprocessingml.document.main", "docx"}, {"wordprocessingml.template.main", "docx"}, {"ms-word.document.macroEnabled.main", "docx"},
			{"presentationml.presentation.main", "pptx"}, {"presentationml.slideshow.main", "pptx"}, {"spreadsheetml.sheet.main", "xlsx"},
		} {
			if strings.Contains(kind, format.contains) {
				return format.is
			}
		}
	}
	return ""
}

// open unpacks a file in the container, within the limits. A missing one is nil.
func (p *pack) open(name string) (io.ReadCloser, error) {
	f := p.byName[inner(name)]
	if f == nil {
		return nil, nil
	}
	return p.unpack(f)
}

func (p *pack) unpack(f *zip.File) (io.ReadCloser, error) {
	if f.Flags&1 != 0 {
		return nil, failure.New(failure.FileEncrypted, "%q in the file needs a password", f.Name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, damaged(err, "open "+f.Name)
	}
	return struct {
		io.Reader
		io.Closer
	}{&counted{j: p.j, r: r, name: f.Name, packed: int64(min(f.CompressedSize64, 1<<40))}, r}, nil
}

// elements unpacks a file in the container and counts what may be elements of XML.
func (p *pack) elements(f *zip.File) (int, error) {
	r, err := p.unpack(f)
	if err != nil {
		return 0, err
	}
	defer func() { _ = r.Close() }()
	n := 0
	buf := make([]byte, 64<<10)
	for {
		k, err := r.Read(buf)
		n += bytes.Count(buf[:k], []byte("<"))
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, damaged(err, "unpack "+f.Name)
		}
	}
}

// relations returns the targets of a file's relations, by id and by the end of their type. Both are paths
// in the container; targets outside are as they are.
func (p *pack) relations(name string) (byID, byType map[string]string, err error) {
	byID, byType = map[string]string{}, map[string]string{}
	root, err := p.tree(path.Join(path.Dir(name), "_rels", path.Base(name)+".rels"))
	if err != nil || root == nil {
		return byID, byType, err
	}
	for _, r := range root.children {
		target := r.attr("Target")
		if r.attr("TargetMode") != "External" {
			if strings.HasPrefix(target, "/") {
				target = strings.TrimPrefix(path.Clean(target), "/")
			} else {
				target = path.Join(path.Dir(name), target)
			}
		}
		byID[r.attr("Id")] = target
		byType[path.Base(r.attr("Type"))] = target
	}
	return byID, byType, nil
}

// The names of streams in Microsoft's compound files, which are in UTF-16.
var compoundNames = []struct{ name, format string }{
	{"EncryptedPackage", ""}, {"WordDocument", "doc"}, {"Workbook", "xls"}, {"PowerPoint Document", "ppt"}, {"Book", "xls"},
	{"VisioDocument", "vsd"}, {"__nameid_version1.0", "msg"}, {"__properties_version1.0", "msg"},
}

// compound says what a file in Microsoft's compound format is: an encrypted document, or one of the old
// formats, none of which is read.
func (j *job) compound() error {
	found := make([]bool, len(compoundNames))
	buf := make([]byte, 64<<10)
	const overlap = 128
	for off := int64(0); off < j.file.Size; off += int64(len(buf) - overlap) {
		n, err := j.ReadAt(buf, off)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		for i, c := range compoundNames {
			found[i] = found[i] || bytes.Contains(buf[:n], utf16le(c.name))
		}
		if n < len(buf) {
			break
		}
	}
	for i, c := range compoundNames {
		switch {
		case found[i] && c.format == "":
			return failure.New(failure.FileEncrypted, "the file needs a password")
		case found[i]:
			return &SkippedError{Format: c.format, Reason: "the old format " + c.format + " is not read; save it in a current one"}
		}
	}
	return &SkippedError{Format: "ole", Reason: "Microsoft's compound files are not read"}
}

func utf16le(s string) []byte {
	b := make([]byte, 0, 2*len(s))
	for _, c := range []byte(s) {
		b = append(b, c, 0)
	}
	return b
}
