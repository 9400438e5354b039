package extract

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/xuri/excelize/v2"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
)

// readCSV reads values separated by the character that separates most in the first lines.
func readCSV(j *job) error {
	s, err := j.text()
	if err != nil {
		return err
	}
	r := csv.NewReader(strings.NewReader(s))
	r.Comma = separator(s)
	r.LazyQuotes, r.FieldsPerRecord, r.ReuseRecord = true, -1, false
	g := &grid{j: j, place: func(first, last, _, _ int) string { return rowsPlace(first, last) }}
	for n := 1; ; n++ {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return g.end()
		}
		if err != nil {
			return damaged(err, "read values")
		}
		if n == 1 && len(cells) == 1 && strings.HasPrefix(strings.ToLower(cells[0]), "sep=") { // a hint for Excel
			continue
		}
		if err := g.add(n, cells); err != nil {
			return err
		}
	}
}

func rowsPlace(first, last int) string {
	if first == last {
		return fmt.Sprintf("row %d", first)
	}
	return fmt.Sprintf("rows %d-%d", first, last)
}

func separator(s string) rune {
	head := s[:min(len(s), 8<<10)]
	if lower := strings.ToLower(head); strings.HasPrefix(lower, "sep=") && len(head) > 4 && !strings.ContainsRune("\"\r\n", rune(head[4])) {
		return rune(head[4])
	}
	best, most := ',', 0
	for _, sep := range ",;\t|" {
		n, quoted := 0, false
		for _, c := range head {
			if c == '"' {
				quoted = !quoted
			}
			if c == sep && !quoted {
				n++
			}
		}
		if n > most {
			best, most = sep, n
		}
	}
	return best
}

// The elements that one inner file of a workbook may have beside its sheets: the library holds those
// whole, about two hundred bytes each.
const maxWorkbookElements = 2_000_000

// readXLSX reads a workbook sheet by sheet and row by row, with the values as Excel shows them.
func readXLSX(j *job, p *pack) error {
	for _, e := range p.zip.File { // the library unpacks everything: see first what that would be
		n, err := p.elements(e)
		if err != nil {
			return err
		}
		if n > maxWorkbookElements && !strings.HasPrefix(e.Name, "xl/worksheets/sheet") {
			return failure.New(failure.FileTooManyParts, "%q in the file has more than %d elements", e.Name, maxWorkbookElements)
		}
	}
	f, err := excelize.OpenReader(j.reader(), excelize.Options{
		// Nothing is written to the disk, so that nothing is left there.
		UnzipSizeLimit: j.limits.Unpacked + 1, UnzipXMLSizeLimit: j.limits.Unpacked + 1,
	})
	if err != nil {
		return damaged(err, "open the workbook")
	}
	defer func() { _ = f.Close() }()
	for _, name := range f.GetSheetList() {
		if err := readSheet(j, f, name); err != nil {
			return err
		}
	}
	return nil
}

func readSheet(j *job, f *excelize.File, name string) error {
	if err := j.ctx.Err(); err != nil {
		return err
	}
	rows, err := f.Rows(name)
	var notSheet excelize.ErrSheetNotExist
	if errors.As(err, &notSheet) || err != nil && strings.Contains(err.Error(), "is not a worksheet") {
		j.lose("chart sheet", page.Dropped, "charts are not read")
		return nil
	}
	if err != nil {
		return damaged(err, "read sheet "+name)
	}
	defer func() { _ = rows.Close() }()
	shown := name
	if strings.ContainsAny(name, " '!-") { // as a formula would name it
		shown = "'" + strings.ReplaceAll(name, "'", "''") + "'"
	}
	g := &grid{j: j, place: func(first, last, left, right int) string { return shown + "!" + cellRange(first, last, left, right) }}
	for n := 1; rows.Next(); n++ {
		cells, err := rows.Columns()
		if err != nil {
			return damaged(err, "read sheet "+name)
		}
		if len(cells) == 0 {
			if n%1024 == 0 && j.ctx.Err() != nil {
				return j.ctx.Err()
			}
			continue
		}
		if err := g.add(n, cells); err != nil {
			return err
		}
	}
	if err := rows.Error(); err != nil {
		return damaged(err, "read sheet "+name)
	}
	return g.end()
}
