package page

import "slices"

// Kind is a kind of content that a source may have besides pages.
type Kind struct {
	Name string
	// Part says that content of the kind is a part of one page or blog post, its parent. Who sees the parent sees it, and
	// nobody else. It has no restriction, no label and no place in an outline of its own, and it leaves with its parent.
	Part bool
}

// Kinds are all kinds besides pages. Whether a source has them is a setting: see package store.
var Kinds = []Kind{
	{Name: BlogPost},
	{Name: Comment, Part: true},
	{Name: Attachment, Part: true},
}

// FileTypes are the types of files whose text is read: the formats in which attachments are stored.
var FileTypes = []string{"pdf", "docx", "xlsx", "pptx", "html", "markdown", "text", "csv", "json", "code", "drawio", "svg", "image"}

// OtherFileTypes are the types of files whose text is read by a server, where there is one.
var OtherFileTypes = []string{"doc", "xls", "ppt", "xlsb", "opendocument", "rtf", "vsd", "msg", "postscript", "ole", OtherFile}

// OtherFile is the type of a file that only the server knows.
const OtherFile = "other"

// IsPart reports whether content of the kind is a part of a page. A page itself, with either of its names, is none.
func IsPart(kind string) bool {
	return slices.ContainsFunc(Kinds, func(k Kind) bool { return k.Name == kind && k.Part })
}

// IsContent reports whether content of the kind is stored, as a folder is not.
func IsContent(kind string) bool {
	return kind == "" || kind == "page" || slices.ContainsFunc(Kinds, func(k Kind) bool { return k.Name == kind })
}
