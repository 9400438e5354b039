package markdown

// rendering is the way a macro is rendered.
type rendering uint8

const (
	asUnknown    rendering = iota // keep the body
	asBody                        // the body, without a trace of the macro
	asTitled                      // a title above the body
	asAlert                       // an alert; arg is its kind
	asQuote                       // a quotation
	asCode                        // a fence; arg is the language, else the macro's parameter says it
	asPlain                       // a fence without a language
	asMath                        // LaTeX
	asHTML                        // HTML in a plain-text body
	asStatus                      // a lozenge
	asUser                        // a mention
	asJira                        // an issue or a query
	asInclude                     // another page, named; arg leads to its name
	asFile                        // an attachment
	asFileList                    // the list of the page's files
	asPicture                     // an image from an address
	asAddress                     // a link to an address
	asDiagram                     // a diagram's text or name
	asQuery                       // the name of a report and its query; arg is the name
	asRoadmap                     // a plan that a parameter holds; arg is its name
	asNothing                     // dropped; arg says why
	asNavigation                  // dropped: navigation to other pages, or interactive widgets
)

type macroRule struct {
	as  rendering
	arg string
}

// macros gives each macro its rule. A macro that is not listed keeps its body.
var macros = map[string]macroRule{
	// Boxes. The names collide with the editor's own panels, see adfPanel: the macro "note" is
	// the yellow box and "warning" the red one.
	"info": {asAlert, "NOTE"}, "tip": {asAlert, "TIP"}, "note": {asAlert, "WARNING"}, "warning": {asAlert, "CAUTION"},
	"panel": {asAlert, "NOTE"}, "auimessage": {asAlert, "NOTE"}, "success": {asAlert, "TIP"}, "error": {asAlert, "CAUTION"},

	"expand": {asTitled, ""}, "ui-expand": {asTitled, ""}, "card": {asTitled, ""}, "deck": {asBody, ""}, "ui-tabs": {asBody, ""},
	"ui-tab": {asTitled, ""}, "tab": {asTitled, ""}, "tabs": {asTitled, ""}, "tab-pane": {asTitled, ""}, "tabs-page": {asTitled, ""}, "tabs-group": {asBody, ""},
	"localtab": {asTitled, ""}, "localtabgroup": {asBody, ""}, "excerpt": {asBody, ""}, "details": {asBody, ""},
	"section": {asBody, ""}, "column": {asBody, ""}, "div": {asBody, ""}, "span": {asBody, ""},
	"center": {asBody, ""}, "align": {asBody, ""}, "bgcolor": {asBody, ""}, "highlight": {asBody, ""},
	"toc-zone": {asBody, ""}, "multiexcerpt": {asBody, ""}, "multiexcerpt-macro": {asBody, ""}, "chart": {asTitled, ""},
	"quote": {asQuote, ""}, "blockquote": {asQuote, ""},

	// Code and text that is shown unchanged.
	"code": {asCode, ""}, "codeblock": {asCode, ""}, "paste-code-macro": {asCode, ""},
	"noformat": {asPlain, ""}, "preformatted": {asPlain, ""}, "markdown": {asCode, "markdown"},
	"mermaid": {asCode, "mermaid"}, "mermaid-macro": {asCode, "mermaid"}, "mermaid-cloud": {asCode, "mermaid"},
	"mermaiddiagram": {asCode, "mermaid"}, "plantuml": {asCode, "plantuml"}, "plantumlrender": {asCode, "plantuml"},
	"plantumlcloud": {asCode, "plantuml"}, "graphviz": {asCode, "dot"}, "flowchart": {asCode, "dot"},
	"swagger-open-api": {asCode, "json"}, "html": {asHTML, ""}, "xhtml": {asHTML, ""},
	"mathblock": {asMath, ""}, "mathinline": {asMath, ""}, "latex": {asMath, ""}, "latexmath": {asMath, ""},
	"latex-formatting": {asMath, ""}, "math": {asMath, ""}, "unit": {asMath, ""},
	"eazy-math-block": {asMath, ""}, "eazy-math-inline": {asMath, ""},
	"easy-math-block": {asMath, ""}, "easy-math-inline": {asMath, ""},

	// Inline elements.
	"status": {asStatus, ""}, "status-handy": {asStatus, ""}, "profile": {asUser, ""}, "profile-picture": {asUser, ""},
	"jira": {asJira, ""}, "jiraissues": {asJira, ""}, "jira-issues": {asJira, ""},
	"anchor": {asNothing, "a target for links, nothing to read"},

	// Content from elsewhere.
	"include": {asInclude, "Included page: "}, "includeplus": {asInclude, "Included page: "},
	"excerpt-include": {asInclude, "Excerpt of "}, "excerpt-includeplus": {asInclude, "Excerpt of "},
	"multiexcerpt-include": {asInclude, "Excerpt of "}, "multiexcerpt-include-macro": {asInclude, "Excerpt of "},
	"view-file": {asFile, ""}, "viewpdf": {asFile, ""}, "viewdoc": {asFile, ""}, "viewxls": {asFile, ""},
	"viewppt": {asFile, ""}, "multimedia": {asFile, ""},
	"attachments": {asFileList, "Attachments"}, "gallery": {asFileList, "Gallery of attached images"}, "img": {asPicture, ""},
	"widget": {asAddress, ""}, "iframe": {asAddress, ""}, "html-include": {asAddress, ""}, "rss": {asAddress, ""},
	"swagger-integration": {asAddress, ""}, "viewport-url-redirect": {asAddress, ""},
	"drawio": {asDiagram, ""}, "drawio-sketch": {asDiagram, ""}, "inc-drawio": {asDiagram, ""}, "drawio-board": {asDiagram, ""},
	"gliffy": {asDiagram, ""}, "lucidchart": {asDiagram, ""}, "balsamiq": {asDiagram, ""}, "mockup": {asDiagram, ""},
	"contentbylabel": {asQuery, "Pages by label"}, "detailssummary": {asQuery, "Page properties report"},
	"tasks-report-macro": {asQuery, "Task report"}, "content-report-table": {asQuery, "Content report"},
	"roadmap": {asRoadmap, "Roadmap"},

	"toc": {asNavigation, ""}, "pagetree": {asNavigation, ""}, "pagetreesearch": {asNavigation, ""},
	"children": {asNavigation, ""}, "livesearch": {asNavigation, ""}, "search": {asNavigation, ""},
	"recently-updated": {asNavigation, ""}, "recently-updated-dashboard": {asNavigation, ""},
	"blog-posts": {asNavigation, ""}, "index": {asNavigation, ""}, "navmap": {asNavigation, ""},
	"space-index": {asNavigation, ""}, "spaces": {asNavigation, ""}, "space-list": {asNavigation, ""},
	"spacejump": {asNavigation, ""}, "space-details": {asNavigation, ""}, "labels": {asNavigation, ""},
	"labels-list": {asNavigation, ""}, "listlabels": {asNavigation, ""}, "popular-labels": {asNavigation, ""},
	"related-labels": {asNavigation, ""}, "recently-used-labels": {asNavigation, ""}, "favpages": {asNavigation, ""},
	"contributors": {asNavigation, ""}, "contributors-summary": {asNavigation, ""}, "change-history": {asNavigation, ""},
	"network": {asNavigation, ""}, "userlister": {asNavigation, ""}, "global-reports": {asNavigation, ""},
	"create-from-template": {asNavigation, ""}, "create-space-button": {asNavigation, ""},
	"add-page-form": {asNavigation, ""}, "outgoing-links": {asNavigation, ""}, "incoming-links": {asNavigation, ""},
	"breadcrumbs": {asNavigation, ""}, "gadget": {asNavigation, ""}, "divider": {asNavigation, ""},
}
