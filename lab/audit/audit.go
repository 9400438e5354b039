// Package audit compares the scanners' findings with the explained ones. Every finding is fixed, or
// explained in lab/audit/exceptions.txt. An explanation without a finding fails as well, so that the
// file does not outlive its reasons.
package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Finding is one finding of a scanner.
type Finding struct {
	Tool  string // govulncheck or license
	Rule  string // GO-2026-1234, or the license
	Where string // a module
	Text  string // what it is, for people
}

// Exception explains all findings of one rule in one place.
type Exception struct {
	Tool, Rule, Where string
	Count             int // number of findings; one more is a new finding
	Reason            string
}

// Exceptions reads lines of the form "tool rule where count reason …". It skips empty lines and lines
// that begin with #.
func Exceptions(r io.Reader) ([]Exception, error) {
	var list []Exception
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Fields(line)
		if len(f) < 8 { // one or two words are not a reason
			return nil, fmt.Errorf("line %d: want tool, rule, where, count and a reason: %s", n, line)
		}
		count, err := strconv.Atoi(f[3])
		if err != nil || count < 1 {
			return nil, fmt.Errorf("line %d: %q is not a count", n, f[3])
		}
		e := Exception{Tool: f[0], Rule: f[1], Where: f[2], Count: count, Reason: strings.Join(f[4:], " ")}
		if slices.ContainsFunc(list, func(o Exception) bool { return o.Tool == e.Tool && o.Rule == e.Rule && o.Where == e.Where }) {
			return nil, fmt.Errorf("line %d: %s %s %s is explained twice", n, e.Tool, e.Rule, e.Where)
		}
		list = append(list, e)
	}
	return list, lines.Err()
}

// Judge returns the problems, one line each: findings without an explanation, and explanations that do
// not match the findings. ran names the tools that ran: explanations for other tools are not judged.
func Judge(findings []Finding, exceptions []Exception, ran []string) []string {
	type place struct{ tool, rule, where string }
	found := map[place][]Finding{}
	var order []place
	for _, f := range findings {
		p := place{f.Tool, f.Rule, f.Where}
		if found[p] == nil {
			order = append(order, p)
		}
		found[p] = append(found[p], f)
	}
	explained := map[place]Exception{}
	var wrong []string
	for _, e := range exceptions {
		p := place{e.Tool, e.Rule, e.Where}
		explained[p] = e
		switch n := len(found[p]); {
		case !slices.Contains(ran, e.Tool) || n == e.Count:
		case n == 0:
			wrong = append(wrong, fmt.Sprintf("%s %s %s is explained but no longer found: take its line out", e.Tool, e.Rule, e.Where))
		default:
			wrong = append(wrong, fmt.Sprintf("%s %s %s is explained %d times and found %d times", e.Tool, e.Rule, e.Where, e.Count, n))
		}
	}
	for _, p := range order {
		if _, ok := explained[p]; ok {
			continue
		}
		for _, f := range found[p] {
			wrong = append(wrong, fmt.Sprintf("%s %s %s: %s", f.Tool, f.Rule, f.Where, f.Text))
		}
	}
	return wrong
}

// Govulncheck reads govulncheck's stream of JSON. An advisory counts once per module, whether Sluice's
// code reaches the vulnerable part or not: any commit may change that.
func Govulncheck(r io.Reader) ([]Finding, error) {
	var list []Finding
	configured := false
	for dec := json.NewDecoder(r); ; {
		var m struct {
			Config  *struct{} `json:"config"`
			Finding *struct {
				OSV   string `json:"osv"`
				Fixed string `json:"fixed_version"`
				Trace []struct {
					Module   string `json:"module"`
					Version  string `json:"version"`
					Function string `json:"function"`
				} `json:"trace"`
			} `json:"finding"`
		}
		err := dec.Decode(&m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read govulncheck's report: %w", err)
		}
		configured = configured || m.Config != nil
		if m.Finding == nil || len(m.Finding.Trace) == 0 {
			continue
		}
		t := m.Finding.Trace[0]
		f := Finding{Tool: "govulncheck", Rule: m.Finding.OSV, Where: t.Module, Text: t.Version + ", mended in " + m.Finding.Fixed}
		if !slices.ContainsFunc(list, func(o Finding) bool { return o.Rule == f.Rule && o.Where == f.Where }) {
			list = append(list, f)
		}
	}
	if !configured {
		return nil, errors.New("govulncheck's report is empty: it did not run")
	}
	return list, nil
}

const ours = "github.com/sluicehq/sluice/"

// Licenses reads a CycloneDX list of a program's parts and returns the parts whose license is unknown or
// not allowed.
func Licenses(r io.Reader, allowed []string) ([]Finding, error) {
	type license struct {
		License struct{ ID, Name string } `json:"license"`
	}
	var bom struct {
		Components []struct {
			Name, Version string
			Licenses      []license
			Evidence      struct{ Licenses []license }
		} `json:"components"`
	}
	if err := json.NewDecoder(r).Decode(&bom); err != nil {
		return nil, fmt.Errorf("read the list of parts: %w", err)
	}
	if len(bom.Components) < 3 {
		return nil, fmt.Errorf("the list of parts has %d: it was not made of a program", len(bom.Components))
	}
	var list []Finding
	for _, c := range bom.Components {
		if c.Name == "std" || strings.HasPrefix(c.Name, ours) {
			continue // Go's own library comes with the compiler
		}
		found := slices.Concat(c.Licenses, c.Evidence.Licenses)
		if len(found) == 0 {
			list = append(list, Finding{Tool: "license", Rule: "unknown", Where: c.Name, Text: c.Version + " has no license that the detector knows"})
		}
		for _, l := range found {
			id := l.License.ID
			if id == "" {
				id = strings.ReplaceAll(l.License.Name, " ", "-")
			}
			if !slices.Contains(allowed, id) {
				list = append(list, Finding{Tool: "license", Rule: id, Where: c.Name, Text: c.Version + " is under a license that lab/audit/licenses.txt does not name"})
			}
		}
	}
	return list, nil
}
