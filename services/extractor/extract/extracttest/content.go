// Package extracttest writes files whose text is known, in every format that is extracted, and hostile
// files that try to break or to exhaust a reader.
package extracttest

// Content is what a file says, whatever its format.
type Content struct {
	Title    string
	Sections []Section
}

// Section is a heading with what stands below it: a page of a PDF, a slide, a sheet.
type Section struct {
	Heading    string
	Paragraphs []string
	List       []string
	Table      [][]string // the first row is the header
	Notes      string     // of a slide; a footnote elsewhere
}

// Sample returns content with what files of a company have: umlauts, Chinese, Japanese, Greek, emoji, signs
// that mean something to Markdown, numbers, tables.
func Sample() Content {
	return Content{
		Title: "Handbuch für Brücken",
		Sections: []Section{
			{
				Heading:    "Überblick und Größen",
				Paragraphs: []string{"Die Prüfung der Brücke dauert zwölf Tage & kostet 1.250,50 € (brutto).", "Set max_pool_size=20 in config_file.yaml, never * or _all_; a < b > c | d #5."},
				List:       []string{"Träger prüfen", "Lager ölen", "Fugen schließen"},
				Table:      [][]string{{"Bauteil", "Länge", "Zustand"}, {"Träger Süd", "12,5 m", "gut"}, {"Träger Nord", "13 m", "mäßig | offen"}, {"Geländer", "", "fehlt"}},
				Notes:      "Gemessen am 3. März mit 5 °C.",
			},
			{
				Heading:    "日本語の章",
				Paragraphs: []string{"東京 の 橋 は 新しい です", "中文 段落 关于 桥梁 维护"},
				List:       []string{"第一 項目", "第二 項目"},
				Table:      [][]string{{"部品", "数"}, {"ねじ", "42"}, {"板", "7"}},
				Notes:      "注 を 読む",
			},
			{
				Heading:    "Limits of the system",
				Paragraphs: []string{"The naïve façade costs 100% of “quoted” time – more or less … Ω≈α.", "1. This is no list. - Neither is this."},
				List:       []string{"Alpha: 1 < 2", "Beta `code` here", "Gamma [brackets](here)"},
				Table:      [][]string{{"Key", "Value"}, {"timeout_ms", "1500"}, {"retry*", "3"}, {"path", `C:\temp\x`}},
				Notes:      "Ask the owner first.",
			},
		},
	}
}
