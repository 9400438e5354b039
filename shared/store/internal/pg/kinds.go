package pg

import (
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// ContentKinds is an SQL list of the kinds of what is stored, pages included. The index on confluence_tree.layer_set is of
// nodes of such kinds only.
var ContentKinds = kinds("'page'", func(page.Kind) bool { return true })

// LayeredKinds is the SQL list in the condition of the index on confluence_tree.layer_set: a condition with this very list reads
// nothing but the index.
const LayeredKinds = "('page', 'blogpost', 'comment', 'attachment')"

// PartKinds is an SQL list of the kinds of what is a part of a page.
var PartKinds = kinds("", func(k page.Kind) bool { return k.Part })

func kinds(first string, have func(page.Kind) bool) string {
	var list []string
	if first != "" {
		list = append(list, first)
	}
	for _, k := range page.Kinds {
		if have(k) {
			list = append(list, "'"+k.Name+"'")
		}
	}
	return "(" + strings.Join(list, ", ") + ")"
}
