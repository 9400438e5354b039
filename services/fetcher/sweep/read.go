// Package sweep reads who may see the pages of a source: all of it in every full run and once an hour, and
// that of single pages when they are fetched.
//
// A restriction changes without the page's version, so nothing but asking again finds it. No answer, an
// error and an answer that is cut off never open a page: what was known stays until it is too old, and what
// nobody has read yet is hidden.
package sweep

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/store"
)

// Ledger is the part of the store that reading permissions needs.
type Ledger interface {
	PermissionsOf(ctx context.Context, sourceID string) (store.Permissions, error)
	AccessNodes(ctx context.Context, sourceID string) ([]store.AccessNode, time.Time, error)
	UnknownAccess(ctx context.Context, sourceID string, ids []string) ([]store.AccessNode, time.Time, error)
	SaveAccess(ctx context.Context, r store.AccessRead) (store.AccessChange, error)
	SaveGroups(ctx context.Context, sourceID string, started time.Time, groups []access.Group) error
	AccessGroups(ctx context.Context, sourceID string) ([]string, error)
	UnknownGroups(ctx context.Context, sourceID string) ([]string, error)
	FailAccess(ctx context.Context, sourceID, code string) error
	UncheckedContainers(ctx context.Context, run store.Run, limit int) ([]store.Node, error)
	PutNodes(ctx context.Context, run store.Run, nodes []store.Node) error
	BuildPaths(ctx context.Context, sourceID string) error
	Repath(ctx context.Context, run store.Run) error
}

var _ Ledger = (*store.Store)(nil)

const (
	atOnce = 4 // calls for single pieces of content

	// maxRefusals is how many calls for single pieces of content may fail one after the other. Then it is not
	// about the content.
	maxRefusals = 8
)

// Reader reads the permissions of one source for one piece of work.
type Reader struct {
	Ledger Ledger
	System source.System
	Source string // its id
	Log    zerolog.Logger
}

// permissions returns the system's permissions, nil if they do not matter for the source.
func (r Reader) permissions(ctx context.Context) (source.Permissions, error) {
	system, ok := r.System.(source.Permissions)
	if !ok {
		return nil, nil
	}
	setting, err := r.Ledger.PermissionsOf(ctx, r.Source)
	if err != nil || setting == store.OpenToAll {
		return nil, err
	}
	return system, nil
}

// All reads everything: the site's users, who reads the source as a whole, the restriction of every node of the tree, and the
// members of the groups that occur. With parents, it also reads where the nodes are now: a page is moved without
// a new version. It saves what it has learned even if it returns an error, which says what could not be read.
func (r Reader) All(ctx context.Context, parents bool) error {
	system, err := r.permissions(ctx)
	if err != nil || system == nil {
		return err
	}
	nodes, started, err := r.Ledger.AccessNodes(ctx, r.Source)
	if err != nil {
		return err
	}
	w := &work{Reader: r, system: system, known: map[string]access.Layer{}}
	read := store.AccessRead{SourceID: r.Source, Started: started}
	var m moves
	if parents {
		if m, err = r.moved(ctx, nodes); err != nil {
			return r.failed(ctx, err)
		}
		read.Parents = m.nodes
	}
	whole, wholeErr := system.SpaceReaders(ctx)
	if stops(ctx, wholeErr) {
		return r.failed(ctx, wholeErr)
	}
	if wholeErr == nil {
		site := access.Layer{
			Object:     access.Object{Kind: access.ObjectSite},
			Principals: []access.Principal{{Kind: access.KindGroup, ID: source.SiteUsers}},
		}
		read.Source = []access.Layer{site, whole}
	}
	ids := make([]string, len(nodes))
	for i, n := range nodes {
		ids[i] = n.ID
	}
	contentErr := w.content(ctx, nil, ids)
	read.Layers, read.Covered = w.learned(contentErr == nil)
	read.Complete = contentErr == nil
	if _, err := r.Ledger.SaveAccess(ctx, read); err != nil {
		return err
	}
	var groupsErr, aboveErr error
	if !stops(ctx, contentErr) {
		aboveErr = r.above(ctx, m)
	}
	if err := r.place(ctx); err != nil {
		return err
	}
	if !stops(ctx, errors.Join(contentErr, aboveErr)) {
		groupsErr = r.groups(ctx, system, started)
	}
	if err := errors.Join(contentErr, wholeErr, aboveErr, groupsErr); err != nil {
		return r.failed(ctx, err)
	}
	return nil
}

// place writes the breadcrumbs of pages that have moved, which are hidden until then. It is also done when nothing has
// moved: an earlier reading may have ended before it.
func (r Reader) place(ctx context.Context) error {
	if err := r.Ledger.BuildPaths(ctx, r.Source); err != nil {
		return err
	}
	return r.Ledger.Repath(ctx, store.Run{SourceID: r.Source})
}

// failed records why not everything could be read.
func (r Reader) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return errors.Join(err, r.Ledger.FailAccess(ctx, r.Source, code(err)))
}

// code is the reason that people see.
func code(err error) string {
	if c := failure.CodeOf(err); c != "" {
		return string(c)
	}
	return string(failure.Internal)
}

// Pages reads the own restrictions of pages, and of those of their ancestors that nobody has read yet, so that a
// new page need not wait for the next sweep. With again, it also reads pages that are known.
func (r Reader) Pages(ctx context.Context, ids []string, again bool) error {
	system, err := r.permissions(ctx)
	if err != nil || system == nil || len(ids) == 0 {
		return err
	}
	unknown, started, err := r.Ledger.UnknownAccess(ctx, r.Source, ids)
	if err != nil {
		return err
	}
	var bulk []string
	if again {
		bulk = slices.Clone(ids)
	}
	all := slices.Clone(bulk)
	for _, n := range unknown {
		if slices.Contains(all, n.ID) {
			continue
		}
		all = append(all, n.ID)
		if page.IsContent(n.Kind) {
			bulk = append(bulk, n.ID)
		}
	}
	if len(all) == 0 {
		return nil
	}
	w := &work{Reader: r, system: system, known: map[string]access.Layer{}}
	readErr := w.content(ctx, orEmpty(bulk), all)
	read := store.AccessRead{SourceID: r.Source, Started: started}
	read.Layers, read.Covered = w.learned(false)
	if _, err := r.Ledger.SaveAccess(ctx, read); err != nil {
		return err
	}
	if readErr != nil {
		return readErr
	}
	return r.newGroups(ctx, system)
}

// newGroups reads the groups that a layer names and that nobody has read yet.
func (r Reader) newGroups(ctx context.Context, system source.Permissions) error {
	ids, err := r.Ledger.UnknownGroups(ctx, r.Source)
	if err != nil || len(ids) == 0 {
		return err
	}
	_, started, err := r.Ledger.UnknownAccess(ctx, r.Source, nil)
	if err != nil {
		return err
	}
	return r.readGroups(ctx, system, started, ids)
}

func orEmpty(ids []string) []string {
	if ids == nil {
		return []string{}
	}
	return ids
}

// groups reads the members of the groups that the source's layers name.
func (r Reader) groups(ctx context.Context, system source.Permissions, started time.Time) error {
	ids, err := r.Ledger.AccessGroups(ctx, r.Source)
	if err != nil {
		return err
	}
	return r.readGroups(ctx, system, started, ids)
}

func (r Reader) readGroups(ctx context.Context, system source.Permissions, started time.Time, ids []string) error {
	var failures error
	groups := make([]access.Group, 0, len(ids))
	for _, id := range ids {
		group, err := r.group(ctx, system, id)
		if stops(ctx, err) {
			return err
		}
		if err != nil {
			failures = errors.Join(failures, err)
			group = access.Group{ID: id, Unknown: code(err)}
		}
		groups = append(groups, group)
	}
	if err := r.Ledger.SaveGroups(ctx, r.Source, started, groups); err != nil {
		return err
	}
	return failures
}

func (r Reader) group(ctx context.Context, system source.Permissions, id string) (access.Group, error) {
	if id == source.SiteUsers {
		return system.SiteUsers(ctx)
	}
	return system.GroupMembers(ctx, id)
}

// stops reports whether err is about the whole system: that it asks for a pause, or that the work ends.
func stops(ctx context.Context, err error) bool {
	if err == nil {
		return false
	}
	_, pause := failure.RetryAt(err)
	return ctx.Err() != nil || pause && !errors.Is(err, source.ErrBroken)
}

// work is one reading of content.
type work struct {
	Reader
	system source.Permissions

	mu       sync.Mutex
	known    map[string]access.Layer // by id; a layer without an object restricts nobody
	refusals int                     // failed calls for single content, one after the other
}

func (w *work) learn(x source.Restriction) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refusals = 0
	w.known[x.ContentID] = access.Layer{}
	if x.Layer != nil {
		w.known[x.ContentID] = *x.Layer
	}
	return nil
}

// learned returns the layers and the ids that were read; unknown layers only if they are asked for.
func (w *work) learned(unknown bool) (layers []access.Layer, covered []string) {
	for _, id := range slices.Sorted(maps.Keys(w.known)) {
		layer := w.known[id]
		if layer.Unknown != "" && !unknown {
			continue
		}
		covered = append(covered, id)
		if layer.Object.ID != "" {
			layers = append(layers, layer)
		}
	}
	return layers, covered
}

// content reads the restrictions of all: in bulk those in bulk, where nil is the whole source, and one by one
// what that has not answered.
func (w *work) content(ctx context.Context, bulk, all []string) error {
	if bulk == nil || len(bulk) > 0 {
		if err := w.system.Restrictions(ctx, bulk, w.learn); err != nil {
			if stops(ctx, err) || w.System.Probe(ctx) != nil {
				return err
			}
			w.Log.Warn().Str("source", w.Source).Err(err).Msg("restrictions cannot be read in bulk; they are read page by page")
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, id := range all {
		w.mu.Lock()
		_, have := w.known[id]
		w.mu.Unlock()
		if have {
			continue
		}
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			x, err := w.system.RestrictionOf(ctx, id)
			if err != nil {
				return w.excuse(ctx, id, err)
			}
			return w.learn(x)
		})
	}
	return group.Wait()
}

// excuse makes the content unknown if the error is about it alone; else it returns the error.
func (w *work) excuse(ctx context.Context, id string, err error) error {
	if stops(ctx, err) {
		return err
	}
	gone := failure.CodeOf(err) == failure.NotFound
	w.mu.Lock()
	if !gone {
		w.refusals++
	}
	n := w.refusals
	w.mu.Unlock()
	if n >= maxRefusals || !gone && w.System.Probe(ctx) != nil {
		return err
	}
	w.Log.Warn().Str("source", w.Source).Str("content", id).Err(err).Msg("its view restriction cannot be read: it and what is below it are hidden")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known[id] = access.Layer{Object: access.Object{Kind: access.ObjectContent, ID: id}, Unknown: code(err)}
	return nil
}
