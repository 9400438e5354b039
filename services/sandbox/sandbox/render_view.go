package sandbox

import "net/url"

// view returns the page's body in the format of the API's view and export_view: with the classes
// and wrappers by which exporters distinguish macros. The caller must not hold the lock.
func (s *Site) view(page int64, storage string) string {
	return s.renderAt(page, storage, 0, true)
}

// viewClass are the classes that the view gives to plain elements.
var viewClass = map[string]string{"th": "confluenceTh", "td": "confluenceTd"}

// informed are the view's names for the panels.
var informed = map[string]struct{ class, icon string }{
	"info": {"information", "info"}, "note": {"note", "warning"}, "tip": {"tip", "approve"}, "warning": {"warning", "error"},
}

// viewMacro writes the macros with a known markup in the view, and reports whether it did.
func (r *renderer) viewMacro(e *element) bool {
	name := e.attr["ac:name"]
	rich, plain := e.kid("ac", "rich-text-body"), e.kid("ac", "plain-text-body")
	title := e.parameter("title").inner()
	switch name {
	case "code":
		r.out.WriteString(`<div class="code panel pdl conf-macro output-block" data-hasbody="true" data-macro-name="code">`)
		if title != "" {
			r.write(`<div class="codeHeader panelHeader pdl"><b>%s</b></div>`, title)
		}
		r.write(`<div class="codeContent panelContent pdl"><pre class="syntaxhighlighter-pre" data-syntaxhighlighter-params="brush: %s; gutter: false; theme: Confluence" data-theme="Confluence">%s</pre></div></div>`,
			cmpOr(e.parameter("language").inner(), "java"), plain.inner())
	case "noformat":
		r.write(`<div class="preformatted panel conf-macro output-block" data-hasbody="true" data-macro-name="noformat"><div class="preformattedContent panelContent"><pre>%s</pre></div></div>`, plain.inner())
	case "info", "note", "tip", "warning":
		kind := informed[name]
		r.write(`<div class="confluence-information-macro confluence-information-macro-%s conf-macro output-block" data-hasbody="true" data-macro-name="%s">`, kind.class, name)
		if title != "" {
			r.write(`<p class="title">%s</p>`, title)
		}
		r.write(`<span class="aui-icon aui-icon-small aui-iconfont-%s confluence-information-macro-icon"> </span><div class="confluence-information-macro-body">`, kind.icon)
		r.kids(rich)
		r.out.WriteString("</div></div>")
	case "panel":
		r.out.WriteString(`<div class="panel conf-macro output-block" data-hasbody="true" data-macro-name="panel">`)
		if title != "" {
			r.write(`<div class="panelHeader"><b>%s</b></div>`, title)
		}
		r.wrap(rich, `<div class="panelContent">`, "</div></div>")
	case "expand":
		r.write(`<div class="expand-container conf-macro output-block" data-hasbody="true" data-macro-name="expand"><div class="expand-control"><span class="expand-control-icon"></span><span class="expand-control-text">%s</span></div><div class="expand-content">`, cmpOr(title, "Click here to expand..."))
		r.kids(rich)
		r.out.WriteString("</div></div>")
	case "status":
		r.write(`<span class="status-macro aui-lozenge conf-macro output-inline" data-hasbody="false" data-macro-name="status">%s</span>`, title)
	case "jira":
		r.viewIssues(e)
	case "view-file":
		file := e.parameter("name").kid("ri", "attachment").attribute("ri:filename")
		r.write(`<a class="confluence-embedded-file" href="/wiki/download/attachments/%d/%s?api=v2">%s</a>`, r.page, url.PathEscape(file), file)
	default:
		return false
	}
	return true
}

// viewIssues writes a Jira issue, or a search for issues, as a link.
func (r *renderer) viewIssues(e *element) {
	if key := e.parameter("key").inner(); key != "" {
		r.write(`<span class="jira-issue conf-macro output-block" data-jira-key="%s" data-macro-name="jira"><a href="/browse/%s" class="jira-issue-key">%s</a></span>`, key, key, key)
		return
	}
	search := e.parameter("jqlQuery").inner()
	r.write(`<span class="static-jira-issues_count conf-macro output-inline" data-macro-name="jira"><a href="/issues/?jql=%s">%s</a></span>`, url.QueryEscape(search), search)
}

// viewTask writes a task; a class shows its state.
func (r *renderer) viewTask(e *element) {
	r.out.WriteString("<li")
	if e.kid("ac", "task-status").inner() == "complete" {
		r.out.WriteString(` class="checked"`)
	}
	r.write(` data-inline-task-id="%s"><span>`, e.kid("ac", "task-id").inner())
	r.kids(e.kid("ac", "task-body"))
	r.out.WriteString("</span></li>")
}

// either returns web for the browsable page and view for the API's view.
func (r *renderer) either(web, view string) string {
	if r.view {
		return view
	}
	return web
}
