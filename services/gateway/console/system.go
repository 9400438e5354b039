package console

import (
	"strings"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/control"
)

// systemHead is what every view of the system has.
type systemHead struct {
	Tab        string
	Everything bool // the caller sees every source
	Oversees   bool // and what they all share, whose numbers depend on all pages
	Operates   bool
	Admin      bool
}

func headOfSystem(r *request, tab string) systemHead {
	return systemHead{Tab: tab, Everything: r.viewer.SeesAll(), Oversees: r.viewer.SeesAll() && r.viewer.Oversees(), Operates: r.may("operate"), Admin: r.may("admin")}
}

type systemData struct {
	Head systemHead
	control.System
	Consumers []shownPart
	Streams   []shownPart
	Sluice    string
}

// shownPart is a part of the broker, without the kind in its name.
type shownPart struct {
	bus.Part
	Kind, Short string
}

// Full is how full a stream is, in percent; -1 without a limit.
func (p shownPart) Full() int {
	if p.MaxBytes <= 0 {
		return -1
	}
	return share(int(p.Bytes), int(p.MaxBytes)) //nolint:gosec // bytes of a stream, far below the limit of an int
}

// system shows what all sources share. Only who sees and oversees every source sees it, as in the API.
func (c *Console) system(r *request) (answer, error) {
	d := systemData{Head: headOfSystem(r, ""), Sluice: c.Version}
	if !d.Head.Oversees {
		return show("system", "System", d)
	}
	var err error
	if d.System, err = c.Control.System(r.Context(), r.viewer); err != nil {
		return answer{}, err
	}
	for _, p := range d.Broker.Parts {
		kind, short, _ := strings.Cut(p.Name, " ")
		if kind == "consumer" {
			d.Consumers = append(d.Consumers, shownPart{p, kind, short})
		} else {
			d.Streams = append(d.Streams, shownPart{p, kind, short})
		}
	}
	return show("system", "System", d)
}

type embeddingsData struct {
	Head systemHead
	control.Embeddings
}

// embeddings shows the spaces of vectors with their ledgers.
func (c *Console) embeddings(r *request) (answer, error) {
	e, err := c.Control.Embeddings(r.Context(), r.viewer)
	if err != nil {
		return answer{}, err
	}
	return show("embeddings", "Vectors", embeddingsData{headOfSystem(r, "embeddings"), e})
}

type doctorData struct {
	Head     systemHead
	Findings []control.Finding
	Wrong    int // findings that are not ok
}

// doctor examines everything. It calls the site of each source, so it is a view of its own.
func (c *Console) doctor(r *request) (answer, error) {
	found, err := c.Control.Examine(r.Context(), r.viewer)
	if err != nil {
		return answer{}, err
	}
	d := doctorData{Head: headOfSystem(r, "doctor"), Findings: found}
	for _, f := range found {
		if f.Verdict != control.VerdictOK {
			d.Wrong++
		}
	}
	return show("doctor", "Doctor", d)
}
