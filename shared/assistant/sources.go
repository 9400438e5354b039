package assistant

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/shared/store"
)

type sourcesInput struct{ Window }

type sourceTold struct {
	Source        string    `json:"source"`
	Name          string    `json:"name"`
	System        string    `json:"system"`
	Space         string    `json:"space,omitempty"`
	Site          string    `json:"site,omitempty"`
	Pages         int       `json:"pages"`
	Chunks        int       `json:"chunks"`
	Complete      time.Time `json:"complete,omitzero"` // the end of the last complete sync
	Until         time.Time `json:"until,omitzero"`    // changes up to then are known, by the site's clock
	Syncing       bool      `json:"syncing"`
	PausedUntil   time.Time `json:"paused_until,omitzero"` // its site has asked for a pause
	Waiting       int       `json:"waiting"`               // changed pages that are not searchable yet
	Failed        int       `json:"failed"`
	OldestWaiting int       `json:"oldest_waiting_seconds"` // the age of the oldest change among waiting and failed
}

type sourcesOutput struct {
	Sources []sourceTold `json:"sources"`
	Next    string       `json:"next,omitempty"`
}

func (s *Server) sources(ctx context.Context, c *call, _ sourcesInput) (sourcesOutput, error) {
	out := sourcesOutput{Sources: []sourceTold{}}
	all, err := c.control.Sources(ctx, c.Viewer, store.Whole())
	if err != nil {
		return out, err
	}
	fresh, err := c.control.Reader.Freshness(ctx, c.Viewer)
	if err != nil {
		return out, err
	}
	of := map[string]store.Freshness{}
	for _, f := range fresh {
		of[f.SourceID] = f
	}
	c.left -= nextCosts
	from, err := c.told()
	if err != nil {
		return out, err
	}
	for i, src := range all[min(from, len(all)):] {
		f := of[src.ID]
		one := sourceTold{
			Source: src.ID, Name: oneLine(src.DisplayName), System: src.System, Space: src.SpaceKey, Site: src.BaseURL, Pages: src.Pages, Chunks: src.Chunks,
			Complete: f.Complete, Until: src.LastSync, Syncing: f.Running != "", Waiting: f.Waiting, Failed: f.Failed,
		}
		if !f.OldestWait.IsZero() {
			one.OldestWaiting = max(0, int(time.Since(f.OldestWait).Seconds()))
		}
		if src.Pause != nil {
			one.PausedUntil = src.Pause.Until
		}
		line := one.line()
		if !c.pay(one, line) {
			return out, c.more(&out.Next, strconv.Itoa(from+i), i)
		}
		out.Sources = append(out.Sources, one)
		c.text.add(line)
	}
	if len(all) == 0 {
		c.text.line("There is no source that this reader sees.")
	}
	return out, nil
}

func (t *sourceTold) line() string {
	line := fmt.Sprintf("- %s: %s, %d pages", t.Source, t.Name, t.Pages)
	if t.Space != "" {
		line += ", space " + t.Space + " of " + t.Site
	}
	if t.Complete.IsZero() {
		line += "; never synced completely: what is missing here may exist"
	} else {
		line += "; last complete sync ended " + t.Complete.Format(time.RFC3339)
	}
	if t.Syncing {
		line += "; a sync is under way"
	}
	if !t.PausedUntil.IsZero() {
		line += "; its site has asked for a pause until " + t.PausedUntil.Format(time.RFC3339)
	}
	if t.Waiting > 0 {
		line += fmt.Sprintf("; %d changed pages are not searchable yet", t.Waiting)
	}
	if t.Failed > 0 {
		line += fmt.Sprintf("; %d pages failed, so they are missing or old", t.Failed)
	}
	if t.OldestWaiting > 0 {
		line += "; the oldest such change is " + (time.Duration(t.OldestWaiting) * time.Second).String() + " old"
	}
	return line + "\n"
}
