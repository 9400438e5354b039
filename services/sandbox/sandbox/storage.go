package sandbox

import (
	"encoding/xml"
	"strings"
)

// storageDecoder reads storage format: an XML fragment with undeclared prefixes and the
// entities of HTML. The prefix of a name is in its Space.
func storageDecoder(storage string) *xml.Decoder {
	d := xml.NewDecoder(strings.NewReader("<storage>" + storage + "</storage>"))
	d.Entity = xml.HTMLEntity
	return d
}

// plainText is the body's text without markup. Macro parameters are not text.
func plainText(storage string) string {
	d := storageDecoder(storage)
	var b strings.Builder
	for {
		tok, err := d.Token()
		if err != nil {
			return strings.Join(strings.Fields(b.String()), " ")
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if t.Name.Space == "ac" && t.Name.Local == "parameter" {
				_ = d.Skip() // the next token returns an error again
			}
		case xml.EndElement:
			b.WriteByte(' ')
		case xml.CharData:
			b.Write(t)
		}
	}
}

func escapeText(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder takes everything
	return b.String()
}
