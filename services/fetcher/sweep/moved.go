package sweep

import (
	"cmp"
	"context"

	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/store"
)

// moves are the nodes of the tree that are somewhere else now.
type moves struct {
	nodes []store.Node
	pages []store.Node          // pages above them that the tree does not have yet
	came  map[string]store.Node // the other pages that the tree does not have
}

// from takes the page id, and the pages above it, out of those that came, and returns them; none if it is known.
func (m moves) from(id string) (pages []store.Node) {
	for n, ok := m.came[id]; ok; n, ok = m.came[n.ParentID] {
		delete(m.came, n.ID)
		pages = append(pages, n)
	}
	return pages
}

// moved reads where the nodes of the tree are now.
func (r Reader) moved(ctx context.Context, nodes []store.AccessNode) (moves, error) {
	m := moves{came: map[string]store.Node{}}
	was := make(map[string]store.AccessNode, len(nodes))
	var refs []source.ContainerRef
	for _, n := range nodes {
		was[n.ID] = n
		if !page.IsContent(n.Kind) {
			refs = append(refs, source.ContainerRef{ID: n.ID, Kind: n.Kind})
		}
	}
	listing, err := r.System.List(ctx, nil)
	if err != nil {
		return m, err
	}
	note := func(n store.Node) {
		_, above := was[n.ParentID]
		if old, known := was[n.ID]; !known {
			m.came[n.ID] = n
		} else if old.ParentID != n.ParentID || n.ParentID != "" && !above { // an earlier reading may have ended before it added what is above
			m.nodes = append(m.nodes, n)
		}
	}
	for _, part := range listing.Parts {
		for item, err := range part(ctx) {
			if err != nil {
				return m, err
			}
			if item.Err == nil {
				note(store.Node{ID: item.ID, Kind: cmp.Or(item.Kind, "page"), Title: item.Title, ParentID: item.ParentID, ParentKind: item.ParentKind})
			}
		}
	}
	if containers, ok := r.System.(source.Containers); ok && len(refs) > 0 {
		found, err := containers.Containers(ctx, refs)
		if err != nil {
			return m, err
		}
		for _, c := range found {
			if c.Err == nil && (c.ParentID != "" || c.Title != "") {
				note(store.Node{ID: c.ID, ParentID: c.ParentID, ParentKind: c.ParentKind})
			}
		}
	}
	for _, n := range m.nodes {
		m.pages = append(m.pages, m.from(n.ParentID)...)
	}
	return m, nil
}

// containersAtOnce is the number of containers that are looked up before they are written.
const containersAtOnce = 250

// above adds to the tree what is above nodes that have moved and that it does not have: a new page, or a folder that had
// no page before. It reads their restrictions. Without it, what has moved there would be hidden until the next full run.
// What cannot be looked up stays unknown until then.
func (r Reader) above(ctx context.Context, m moves) error {
	if len(m.nodes) == 0 {
		return nil
	}
	here := store.Run{SourceID: r.Source} // no run: the next full one looks these nodes up again
	if len(m.pages) > 0 {
		if err := r.Ledger.PutNodes(ctx, here, m.pages); err != nil {
			return err
		}
	}
	if containers, ok := r.System.(source.Containers); ok {
		if err := r.grow(ctx, here, containers, m); err != nil {
			return err
		}
	}
	ids := make([]string, len(m.nodes))
	for i, n := range m.nodes {
		ids[i] = n.ID
	}
	return r.Pages(ctx, ids, false)
}

// grow looks up the containers that the tree lacks, up to the top, and adds the new pages above them.
func (r Reader) grow(ctx context.Context, here store.Run, containers source.Containers, m moves) error {
	asked := map[string]bool{}
	for {
		unknown, err := r.Ledger.UncheckedContainers(ctx, here, containersAtOnce)
		if err != nil {
			return err
		}
		var refs []source.ContainerRef
		for _, n := range unknown {
			if !asked[n.ID] {
				asked[n.ID] = true
				refs = append(refs, source.ContainerRef{ID: n.ID, Kind: n.Kind})
			}
		}
		if len(refs) == 0 {
			return nil
		}
		found, err := containers.Containers(ctx, refs)
		if err != nil {
			return err
		}
		var nodes []store.Node
		for _, c := range found {
			if c.Err == nil {
				nodes = append(nodes, store.Node{ID: c.ID, Kind: c.Kind, Title: c.Title, ParentID: c.ParentID, ParentKind: c.ParentKind})
				nodes = append(nodes, m.from(c.ParentID)...)
			}
		}
		if err := r.Ledger.PutNodes(ctx, here, nodes); err != nil {
			return err
		}
	}
}
