// Package page holds the types that the stages share about one Confluence page: its facts, its stored
// metadata, and the record of losses in conversion.
package page

import "time"

// BlogPost is the kind of a blog post. In every other respect a blog post is a page at the top of its
// space. A page has no kind.
const BlogPost = "blogpost"

// Comment is the kind of a thread of comments: a comment on a page or blog post, with all replies below it. Its id is the
// comment's, its parent is what the comment is on. It has no version numbers: it is known by a hash.
const Comment = "comment"

// Attachment is the kind of a file of a page or blog post, its parent. Its body is made from its bytes by the stage
// extractor.
const Attachment = "attachment"

// The resolutions of a thread.
const (
	Open     = "open"
	Resolved = "resolved"
)

// Markdown is the format of a body that is already Markdown.
const Markdown = "markdown"

// MaxBody is the largest body that is taken, in bytes; Confluence itself refuses bodies above 5 MB.
const MaxBody = 16 << 20

// Ref names one version of a page. ID is a string of digits.
type Ref struct {
	ID      string `json:"id"`
	Version int    `json:"version"`
	Kind    string `json:"kind,omitempty"` // one of Kinds, or "" for a page
}

// Facts is everything that Confluence returns about a page except its body.
type Facts struct {
	ID         string    `json:"id"`
	Kind       string    `json:"kind,omitempty"` // one of Kinds, or "" for a page
	Version    int       `json:"version"`
	Title      string    `json:"title"`
	SpaceKey   string    `json:"space_key"`
	SpaceKeys  []string  `json:"space_keys,omitempty"` // other keys that the space has or had, in small letters
	BaseURL    string    `json:"base_url"`             // the site with /wiki, e.g. https://acme.atlassian.net/wiki; no trailing slash
	URL        string    `json:"url"`                  // the page's address for people, absolute
	Status     string    `json:"status"`               // current, archived, trashed, …
	ParentID   string    `json:"parent_id,omitempty"`
	ParentType string    `json:"parent_type,omitempty"` // page, folder, whiteboard, database, embed
	AuthorID   string    `json:"author_id,omitempty"`   // account id of the creator
	CreatedAt  time.Time `json:"created_at,omitzero"`
	ModifiedAt time.Time `json:"modified_at,omitzero"` // when this version was made
	Labels     []string  `json:"labels,omitempty"`
	Format     string    `json:"format,omitempty"` // of the body: Markdown, or "" for storage format
	Hash       string    `json:"hash,omitempty"`   // of the content, if the system has no version numbers
	// Resolution is Open or Resolved for a thread of comments that can be resolved, else "".
	Resolution string `json:"resolution,omitempty"`
	// File is what an attachment has in place of a body.
	File *File `json:"file,omitempty"`
	// Unnamed says that the look-up of display names failed, so the page is read again later.
	Unnamed bool `json:"unnamed,omitempty"`

	// Users maps the account ids of the author and of people that the body mentions to display names, as
	// far as known.
	Users map[string]string `json:"users,omitempty"`
	// Links maps the body's links to pages of this source to those pages, as far as known. The key is
	// the page's title in storage format, and the destination as written in Markdown.
	Links map[string]Link `json:"links,omitempty"`
}

// Metadata is stored as confluence_pages.metadata; its keys are a contract with readers of the database.
type Metadata struct {
	Ancestors      []Ancestor  `json:"ancestors"`
	Children       []string    `json:"children"`
	CreatedBy      *User       `json:"created_by,omitempty"`
	Labels         []string    `json:"labels"`
	JiraIssueLinks []JiraIssue `json:"jira_issue_links"`
	UserMentions   []User      `json:"user_mentions"`
	InternalLinks  []Link      `json:"internal_links"`
	ExternalLinks  []External  `json:"external_links"`
	AssetLinks     []Asset     `json:"asset_links"`
	WordCount      int         `json:"word_count"`
	ContentLength  int         `json:"content_length"`       // bytes of the Markdown
	Resolution     string      `json:"resolution,omitempty"` // as in Facts
	File           *File       `json:"file,omitempty"`       // of an attachment
}

// File is what is known of an attachment's bytes. Format and SHA256 are known when they have been read.
type File struct {
	MediaType string `json:"media_type"`
	Size      int64  `json:"size"`             // bytes
	Format    string `json:"format,omitempty"` // what it was read as: pdf, docx, xlsx, pptx, html, markdown, text, csv, json, code, drawio, svg, image
	SHA256    string `json:"sha256,omitempty"` // of the bytes, in hex
	Reader    string `json:"reader,omitempty"` // which version of the extractor read it, and as what
}

// Ancestor is one step of a page's breadcrumb, from the top of the space down.
type Ancestor struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

// User is a person with an Atlassian account id; the name may be empty if unknown.
type User struct {
	AccountID   string `json:"account_id"`
	DisplayName string `json:"display_name"`
	ProfileURL  string `json:"profile_url"`
}

// JiraIssue is a Jira issue that a page shows or links to.
type JiraIssue struct {
	IssueKey string `json:"issue_key"`
	IssueURL string `json:"issue_url"`
}

// Link is a link to another Confluence page. PageID is empty if only the title is known.
type Link struct {
	PageID    string `json:"page_id"`
	PageTitle string `json:"page_title"`
	PageURL   string `json:"page_url"`
}

// External is a link that leaves the site.
type External struct {
	Title string `json:"title"`
	URL   string `json:"url"`
}

// Asset is an attachment that a page shows or links to. ID is empty if the body contains only the file's
// name.
type Asset struct {
	ID          string `json:"id"`
	Title       string `json:"title"`
	Type        string `json:"type"` // image, file, diagram
	DownloadURL string `json:"download_url"`
}

// Fate says how conversion treated a macro or element.
type Fate string

// The fates of a macro or element.
const (
	Rendered    Fate = "rendered"
	Placeholder Fate = "placeholder" // its name or title replaces content that the body does not contain
	Dropped     Fate = "dropped"
)

// HiddenText is the Element of text that a page holds and its readers do not see. Rendered, it is in the
// Markdown all the same; Dropped, it is not.
const HiddenText = "hidden-text"

// Loss counts the macros or elements with the same name and fate.
type Loss struct {
	Element string `json:"element"` // "macro:jira", "ac:image", …
	Fate    Fate   `json:"fate"`
	Count   int    `json:"count"`
	Reason  string `json:"reason,omitempty"`
	// Lines are the lines of the Markdown, from 1, before or in which it happened, the first MostLossLines of them. They are
	// known for what was not rendered, and for hidden text, in content that was converted since there are lines.
	Lines []int `json:"lines,omitempty"`
}

// MostLossLines is the largest number of Loss.Lines.
const MostLossLines = 20

// Heading is a heading of the page with the anchor that Confluence gives it, so that
// URL + "#" + Anchor lands on it.
type Heading struct {
	Level  int    `json:"level"`
	Text   string `json:"text"`
	Anchor string `json:"anchor"`
}
