// Command report compares the scanners' reports with lab/audit/exceptions.txt and
// lab/audit/licenses.txt. make audit runs it, from the root:
//
//	go run ./lab/audit/report govulncheck=FILE license=FILE license=FILE …
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/lab/audit"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "audit:", err)
		os.Exit(1)
	}
}

func run(reports []string, out io.Writer) error {
	exceptions, err := exceptions("lab/audit/exceptions.txt")
	if err != nil {
		return err
	}
	allowed, err := licenses("lab/audit/licenses.txt")
	if err != nil {
		return err
	}
	var found []audit.Finding
	var ran []string
	for _, arg := range reports {
		tool, file, _ := strings.Cut(arg, "=")
		list, err := read(tool, file, allowed)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		for _, f := range list {
			// Programs and modules share parts; each part is one finding.
			if !slices.Contains(found, f) {
				found = append(found, f)
			}
		}
		if !slices.Contains(ran, tool) {
			ran = append(ran, tool)
		}
	}
	if len(ran) == 0 {
		return errors.New("no report was given")
	}
	wrong := audit.Judge(found, exceptions, ran)
	for _, w := range wrong {
		fmt.Fprintln(out, w)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d findings: mend them, or explain them in lab/audit/exceptions.txt", len(wrong))
	}
	fmt.Fprintf(out, "%s: %d findings, each explained\n", strings.Join(ran, ", "), len(found))
	return nil
}

func read(tool, file string, allowed []string) ([]audit.Finding, error) {
	f, err := os.Open(filepath.Clean(file)) //nolint:gosec // make names the reports
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	switch tool {
	case "govulncheck":
		return audit.Govulncheck(f)
	case "license":
		return audit.Licenses(f, allowed)
	default:
		return nil, fmt.Errorf("there is no tool %q", tool)
	}
}

func exceptions(file string) ([]audit.Exception, error) {
	f, err := os.Open(filepath.Clean(file))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	list, err := audit.Exceptions(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return list, nil
}

func licenses(file string) ([]string, error) {
	text, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return nil, err
	}
	var ids []string
	for line := range strings.Lines(string(text)) {
		if id, _, _ := strings.Cut(line, "#"); strings.TrimSpace(id) != "" {
			ids = append(ids, strings.TrimSpace(id))
		}
	}
	return ids, nil
}
