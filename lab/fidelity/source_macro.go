package fidelity

import (
	"net/url"
	"strings"
)

// macro reads what a macro shows the reader. The oracle knows the macros that show parameters; of all other macros it
// reads the bodies.
func (o *oracle) macro(e *element) {
	name := strings.ToLower(e.attrs["ac:name"])
	plain, rich := e.child("ac:plain-text-body"), e.child("ac:rich-text-body")
	switch name {
	case "status":
		o.text.WriteString(e.paramText("title"))
		return
	case "jira", "jiraissues":
		o.jira(e)
		return
	case "include", "excerpt-include":
		if p := e.find("ri:page"); p != nil && !o.noIncludes {
			o.f.links = append(o.f.links, o.pageAddress(p))
			o.line(p.attrs["ri:content-title"])
		}
		return
	case "view-file", "viewpdf", "viewdoc", "viewxls", "viewppt", "multimedia":
		if a := e.find("ri:attachment"); a != nil {
			o.f.links = append(o.f.links, o.fileAddress(a))
			o.line(a.attrs["ri:filename"])
		}
		return
	case "widget", "iframe":
		if u := e.find("ri:url"); u != nil {
			o.f.links = append(o.f.links, o.address(u.attrs["ri:value"]))
		}
		return
	case "profile":
		if u := e.find("ri:user"); u != nil {
			o.text.WriteByte('\n')
			o.user(u)
			o.text.WriteByte('\n')
		}
		return
	case "mathinline", "mathblock":
		if body := e.paramText("body"); body != "" {
			o.f.inline = append(o.f.inline, body)
			o.text.WriteString(body)
		}
		return
	case "html", "toc", "children", "pagetree", "livesearch":
		return // read elsewhere, or nothing to read
	}
	if plain == nil && rich == nil {
		return
	}
	o.line(e.paramText("title"))
	if plain != nil {
		if code := strings.ReplaceAll(plain.rawText(), "\r\n", "\n"); code != "" {
			o.f.code = append(o.f.code, code)
			o.line(code)
		}
		return
	}
	o.block(rich)
}

func (o *oracle) jira(e *element) {
	key := e.paramText("key")
	if key != "" {
		o.f.links = append(o.f.links, strings.TrimSuffix(o.facts.BaseURL, "/wiki")+"/browse/"+key)
		o.text.WriteString(key)
		return
	}
	if jql := e.paramText("jqlQuery"); jql != "" {
		o.f.links = append(o.f.links, strings.TrimSuffix(o.facts.BaseURL, "/wiki")+"/issues/?jql="+url.QueryEscape(jql))
		o.text.WriteString(jql)
	}
}
