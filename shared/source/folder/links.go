package folder

import (
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// destination finds the destinations of links: [text](destination) and [label]: destination. It searches
// the markup without parsing it: a wrong match costs a look-up of a file and changes nothing.
var destination = regexp.MustCompile(`\]\([ \t]*(?:<([^<>\n]+)>|([^\s()<>]+(?:\([^\s()]*\)[^\s()]*)*))|(?m:^ {0,3}\[[^\]\n]+\]:[ \t]*(?:<([^<>\n]+)>|(\S+)))`)

// links finds the pages of the folder to which a file links; the key is the destination as written.
func (f *folder) links(root *os.Root, file file) map[string]page.Link {
	links := map[string]page.Link{}
	for _, m := range destination.FindAllStringSubmatch(file.body, -1) {
		written := m[1] + m[2] + m[3] + m[4]
		if name, fragment, ok := target(root, file.name, written); ok {
			address := f.address(name)
			if fragment != "" {
				address += "#" + fragment
			}
			links[written] = page.Link{PageID: f.pageID(name), PageURL: address}
		}
	}
	return links
}

// target returns the page to which a destination in the page from leads.
func target(root *os.Root, from, written string) (name, fragment string, ok bool) {
	u, err := url.Parse(written)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Path == "" {
		return "", "", false
	}
	if name = path.Join(path.Dir(from), u.Path); strings.HasPrefix(u.Path, "/") {
		name = path.Join(".", u.Path[1:])
	}
	if name == ".." || strings.HasPrefix(name, "../") {
		return "", "", false
	}
	// A link may omit the extension, or lead to a folder, whose page is its README or index.
	for _, name := range []string{name, name + ".md", path.Join(name, "README.md"), path.Join(name, "index.md"), path.Join(name, "_index.md")} {
		if isMarkdown(name) && !hidden(name) {
			if info, err := root.Lstat(name); err == nil && info.Mode().IsRegular() {
				return name, u.EscapedFragment(), true
			}
		}
	}
	return "", "", false
}

func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.Contains(name, "/.")
}
