package console

import (
	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

type overviewData struct {
	Wants   []want
	Sources list[control.Standing]
	Recent  []store.Run
	Meaning bool
	Ends    bool              // it is known of a source when its token ends
	Titles  map[string]string // of the sources, by id
}

// want is something that waits for a person.
type want struct{ Tone, What, Why, To string }

func (c *Console) overview(r *request) (answer, error) {
	p, err := part(r, sourcesShown)
	if err != nil {
		return answer{}, err
	}
	o, err := c.Control.Overview(r.Context(), r.viewer, p, 8)
	if err != nil {
		return answer{}, err
	}
	d := overviewData{Sources: cut(r, o.Sources, sourcesShown), Recent: o.Recent, Meaning: o.Meaning, Titles: map[string]string{}}
	for _, s := range d.Sources.Rows {
		d.Titles[s.ID] = s.DisplayName
		d.Ends = d.Ends || !s.TokenEnds.IsZero()
	}
	d.Wants = wants(o, r.caller.Key.Role)
	return show("overview", "Overview", d)
}

// wants lists what waits for a person, the most urgent first. Who may not decide on removals does not see them, as in
// the API.
func wants(o control.Overview, role apikey.Role) []want {
	var list []want
	if role.May(apikey.Operate) {
		for _, run := range o.Held {
			list = append(list, want{"warn", "Removals of " + run.SourceID + " wait for a decision", run.Message, "/removals/" + run.ID})
		}
	}
	failed := map[string]bool{}
	for _, run := range o.Recent { // the newest first: only a source's newest run counts
		if _, seen := failed[run.SourceID]; !seen && run.State.Final() {
			if failed[run.SourceID] = run.State == event.StateFailed; failed[run.SourceID] {
				list = append(list, want{"bad", "The latest run of " + run.SourceID + " failed", run.Message, "/runs/" + run.ID})
			}
		}
	}
	if role.May(apikey.Operate) {
		for _, e := range o.Expiring {
			tone := "warn"
			if e.Left <= 0 {
				tone = "bad"
			}
			to := "/system/doctor"
			if role.May(apikey.Admin) {
				to = "/system/credentials"
			}
			list = append(list, want{tone, e.Says(), e.Mend() + ".", to})
		}
	}
	for _, s := range o.Sources {
		if w, wanted := wantedOfPermissions(s.Source, role); wanted {
			list = append(list, w)
		}
		if s.Pause != nil {
			list = append(list, want{"warn", "The site of " + s.ID + " asked for a pause until " + s.Pause.Until.UTC().Format("15:04 MST"), s.Pause.Why, "/sources/" + s.ID})
		}
		if s.Fresh.Failed > 0 {
			list = append(list, want{"warn", many(s.Fresh.Failed, "page", "pages") + " of " + s.ID + " failed", "Look at the reason, then retry.", "/sources/" + s.ID + "/failures"})
		}
		if n := s.Vectors.AllFailed(); n > 0 {
			list = append(list, want{"warn", many(n, "chunk", "chunks") + " of " + s.ID + " got no vector", "They are found by their words only.", "/system/embeddings"})
		}
	}
	return list
}
