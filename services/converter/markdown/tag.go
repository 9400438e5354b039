package markdown

// tag is the kind of a node. Elements that share a meaning share a tag.
type tag uint8

const (
	tagUnknown tag = iota
	tagRoot
	tagText
	tagCDATA

	// Inline HTML.
	tagStrong
	tagEm
	tagDel
	tagCode
	tagSub
	tagSup
	tagTransparent // span, u, font, small, …: the text stays, the element has no Markdown
	tagBr
	tagWbr
	tagA
	tagImg
	tagTime
	tagInput

	// Block HTML.
	tagP
	tagDiv
	tagH1
	tagH2
	tagH3
	tagH4
	tagH5
	tagH6
	tagUL
	tagOL
	tagLI
	tagDL
	tagDT
	tagDD
	tagTable
	tagTHead
	tagTBody
	tagTFoot
	tagTR
	tagTH
	tagTD
	tagCaption
	tagCol
	tagQuote
	tagPre
	tagHR
	tagScript

	// Confluence.
	tagMacro
	tagParameter
	tagRichBody
	tagPlainBody
	tagLink
	tagLinkBody
	tagPlainLinkBody
	tagImage
	tagImageCaption
	tagTaskList
	tagTask
	tagTaskStatus
	tagTaskBody
	tagEmoticon
	tagADFExtension
	tagADFNode
	tagADFAttribute
	tagADFContent
	tagADFFallback
	tagHidden     // known but not shown: placeholders, ids, marks, template declarations
	tagHiddenVoid // the same, never with content
	tagRIPage
	tagRIBlogPost
	tagRIAttachment
	tagRIURL
	tagRIUser
	tagRISpace
	tagRIContentEntity
	tagRIShortcut
)

func tagOf(name string) tag {
	if len(name) > 3 && name[2] == ':' {
		return confluenceTagOf(name)
	}
	return htmlTagOf(name)
}

func htmlTagOf(name string) tag {
	switch name {
	case "p":
		return tagP
	case "td":
		return tagTD
	case "li":
		return tagLI
	case "span", "u", "ins", "font", "small", "big", "mark", "abbr", "acronym", "cite", "dfn", "q", "bdi", "bdo", "label", "ruby", "rt", "rp", "rb", "data", "tt":
		return tagTransparent
	case "strong", "b":
		return tagStrong
	case "em", "i", "var":
		return tagEm
	case "code", "kbd", "samp":
		return tagCode
	case "a":
		return tagA
	case "br":
		return tagBr
	case "tr":
		return tagTR
	case "th":
		return tagTH
	case "ul", "menu", "dir":
		return tagUL
	case "ol":
		return tagOL
	case "h1":
		return tagH1
	case "h2":
		return tagH2
	case "h3":
		return tagH3
	case "h4":
		return tagH4
	case "h5":
		return tagH5
	case "h6":
		return tagH6
	case "del", "s", "strike":
		return tagDel
	case "sub":
		return tagSub
	case "sup":
		return tagSup
	case "time":
		return tagTime
	case "img":
		return tagImg
	case "col", "colgroup":
		return tagCol
	case "table":
		return tagTable
	case "tbody":
		return tagTBody
	case "thead":
		return tagTHead
	case "tfoot":
		return tagTFoot
	case "caption":
		return tagCaption
	case "div", "section", "article", "main", "aside", "header", "footer", "nav", "center", "address",
		"figure", "figcaption", "details", "summary", "form", "fieldset", "legend", "body", "html", "hgroup":
		return tagDiv
	case "blockquote":
		return tagQuote
	case "pre", "listing", "xmp":
		return tagPre
	case "hr":
		return tagHR
	case "dl":
		return tagDL
	case "dt":
		return tagDT
	case "dd":
		return tagDD
	case "wbr":
		return tagWbr
	case "input":
		return tagInput
	case "script", "style":
		return tagScript
	case "head", "template":
		return tagHidden
	case "area", "base", "link", "meta", "source", "track", "embed":
		return tagHiddenVoid
	}
	return tagUnknown
}

func confluenceTagOf(name string) tag {
	switch name {
	case "ac:parameter", "ac:default-parameter":
		return tagParameter
	case "ac:structured-macro", "ac:macro":
		return tagMacro
	case "ac:rich-text-body":
		return tagRichBody
	case "ac:plain-text-body":
		return tagPlainBody
	case "ac:link":
		return tagLink
	case "ac:link-body":
		return tagLinkBody
	case "ac:plain-text-link-body":
		return tagPlainLinkBody
	case "ac:image":
		return tagImage
	case "ac:caption":
		return tagImageCaption
	case "ac:layout", "ac:layout-section", "ac:layout-cell":
		return tagDiv
	case "ac:inline-comment-marker":
		return tagTransparent
	case "ac:task-list":
		return tagTaskList
	case "ac:task":
		return tagTask
	case "ac:task-status":
		return tagTaskStatus
	case "ac:task-body":
		return tagTaskBody
	case "ac:emoticon":
		return tagEmoticon
	case "ac:adf-extension":
		return tagADFExtension
	case "ac:adf-node":
		return tagADFNode
	case "ac:adf-attribute", "ac:adf-parameter":
		return tagADFAttribute
	case "ac:adf-content":
		return tagADFContent
	case "ac:adf-fallback":
		return tagADFFallback
	case "ac:placeholder", "ac:task-id", "ac:task-uuid", "ac:adf-mark", "ac:adf-fragment-mark",
		"ac:adf-fragment-mark-detail", "at:declarations", "at:var", "at:i18n":
		return tagHidden
	case "ri:page":
		return tagRIPage
	case "ri:blog-post":
		return tagRIBlogPost
	case "ri:attachment":
		return tagRIAttachment
	case "ri:url":
		return tagRIURL
	case "ri:user":
		return tagRIUser
	case "ri:space":
		return tagRISpace
	case "ri:content-entity":
		return tagRIContentEntity
	case "ri:shortcut":
		return tagRIShortcut
	}
	return tagUnknown
}

// isVoid reports whether the element never has content, closed or not.
func isVoid(t tag) bool {
	switch t {
	case tagBr, tagWbr, tagImg, tagInput, tagHR, tagHiddenVoid:
		return true
	}
	return false
}

// optionalEnd reports whether HTML makes the element's end tag optional.
func (t tag) optionalEnd() bool {
	switch t {
	case tagLI, tagDT, tagDD, tagTR, tagTH, tagTD, tagTHead, tagTBody, tagTFoot, tagCol:
		return true
	}
	return false
}

// heading returns 1 to 6 for a heading, 0 otherwise.
func (t tag) heading() int {
	if tagH1 <= t && t <= tagH6 {
		return int(t-tagH1) + 1
	}
	return 0
}

// isRI reports whether the tag is a resource identifier, the target of a link.
func (t tag) isRI() bool { return tagRIPage <= t && t <= tagRIShortcut }
