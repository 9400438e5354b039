package sandbox

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// AddCorpus adds the space CORPUS. Every .xml file of the folder is a page: its body is the file,
// its title the first heading, or the file's name without a heading. Ids follow from the names. The
// space has no homepage, so that it holds only these bodies.
func (s *Site) AddCorpus(dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.xml"))
	if err != nil {
		return fmt.Errorf("add the corpus: %w", err)
	}
	if len(paths) == 0 {
		if _, err := os.Stat(dir); err != nil {
			return fmt.Errorf("add the corpus: %w", err)
		}
		return fmt.Errorf("add the corpus: %w: there is no .xml file in %s", ErrNotFound, dir)
	}
	slices.Sort(paths)
	s.mu.Lock()
	defer s.mu.Unlock()
	sp, err := s.addSpace(CorpusSpace, "Corpus")
	if err != nil {
		return fmt.Errorf("add the corpus: %w", err)
	}
	made := time.Date(2024, 1, 1, 9, 0, 0, 0, time.UTC)
	for i, path := range paths {
		if err := s.addCorpusPage(sp, path, made.Add(time.Duration(i+1)*time.Minute)); err != nil {
			return fmt.Errorf("add the corpus: %s: %w", filepath.Base(path), err)
		}
	}
	return nil
}

func (s *Site) addCorpusPage(sp *space, path string, at time.Time) error {
	raw, err := os.ReadFile(path) //nolint:gosec // SANDBOX_CORPUS names the folder
	if err != nil {
		return err
	}
	name := strings.TrimSuffix(filepath.Base(path), ".xml")
	id := 4_000_000_001 + int64(hash(name)%900_000_000)
	for s.nodes[id] != nil {
		id++
	}
	title := cmp.Or(firstHeading(string(raw)), name)
	if sp.titles[titleKey(KindPage, title)] != nil {
		title += " (" + name + ")"
	}
	_, err = s.insert(Draft{ID: formatID(id), Title: title, Body: string(raw)}, sp, nil, at)
	if errors.Is(err, ErrConflict) {
		return fmt.Errorf("two pages want the title %q: %w", title, err)
	}
	return err
}

// firstHeading returns the text of the first heading, at most 200 bytes.
func firstHeading(storage string) string {
	d := storageDecoder(storage)
	for {
		tok, err := d.Token()
		if err != nil {
			return ""
		}
		start, ok := tok.(xml.StartElement)
		if !ok || headingLevel(start.Name) == 0 {
			continue
		}
		var inner struct {
			Text string `xml:",innerxml"`
		}
		if d.DecodeElement(&inner, &start) != nil {
			return ""
		}
		if text := plainText(inner.Text); text != "" {
			return strings.ToValidUTF8(text[:min(len(text), 200)], "")
		}
	}
}

// headingLevel is 1 to 6 for h1 to h6, and 0 for everything else.
func headingLevel(name xml.Name) int {
	if name.Space == "" && len(name.Local) == 2 && name.Local[0] == 'h' && name.Local[1] >= '1' && name.Local[1] <= '6' {
		return int(name.Local[1] - '0')
	}
	return 0
}
