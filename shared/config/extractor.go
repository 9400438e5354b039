package config

import (
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/confluence/outgoing"
	"github.com/sluicehq/sluice/shared/page"
)

// Extractor is the configuration of services/extractor.
type Extractor struct {
	Service
	Nats
	Postgres
	Confluence `optional:"true"`
	Master
	Files
}

// Files bounds what attachments may take.
type Files struct {
	_        struct{}      `title:"Attachments"`
	MaxBytes int64         `env:"ATTACHMENT_MAX_BYTES" default:"26214400" need:"a whole number from 1 to 1073741824" example:"26214400" desc:"The largest attachment that is read, in bytes. A larger one ends as failed with the code file_too_large."`
	Time     time.Duration `env:"ATTACHMENT_TIME" default:"1m" need:"a time from 1s to 10m" example:"1m" desc:"How long one attachment may be read. Then its process is killed, and it ends as failed with the code file_too_slow."`
	Memory   int64         `env:"ATTACHMENT_MEMORY" default:"805306368" need:"a whole number from 134217728 to 17179869184" example:"805306368" desc:"The memory of a process that reads attachments, in bytes; there are at most as many as WORKERS, 2 by default. A file that needs more ends as failed."`
	URL      string        `env:"EXTRACTOR_URL" need:"the address of a server with /tika, with https:// (http:// for a server on this machine or a private network), without user, query and fragment" example:"http://tika:9998" desc:"A server that speaks Apache Tika's HTTP, up to the /tika. It reads what the extractor does not: doc, xls, ppt, RTF, OpenDocument, … Unset, such files end as skipped."`
	Types    string        `env:"ATTACHMENT_TYPES" need:"comma-separated types: pdf, docx, xlsx, pptx, html, markdown, text, csv, json, code, drawio, svg, image, and with EXTRACTOR_URL doc, xls, ppt, rtf, opendocument, …" example:"pdf,docx,pptx,xlsx" desc:"The types of attachments that are read; empty: all. Others end as skipped, and leave with the next full sync. Tell all extractors the same."`
	PerPage  int           `env:"ATTACHMENT_MAX_PER_PAGE" default:"1000" need:"a whole number from 1 to 100000" example:"1000" desc:"How many attachments of one page are read: the oldest ones. Others end as skipped, and leave with the next full sync. Tell all extractors the same."`
}

// FileTypes are the types of attachments that are read; nil: all.
func (f Files) FileTypes() []string {
	var types []string
	for one := range strings.SplitSeq(f.Types, ",") {
		if one = strings.ToLower(strings.TrimSpace(one)); one != "" {
			types = append(types, one)
		}
	}
	slices.Sort(types)
	return slices.Compact(types)
}

func (f Files) check(c *checker) {
	if _, err := outgoing.ParseAddress(f.URL); f.URL != "" && err != nil {
		c.wrong("EXTRACTOR_URL", "has a value that cannot be used") // in which a password may stand
	}
	c.ensure("ATTACHMENT_TYPES", !slices.ContainsFunc(f.FileTypes(), func(one string) bool {
		return !slices.Contains(slices.Concat(page.FileTypes, page.OtherFileTypes), one)
	}))
	c.ensure("ATTACHMENT_MAX_PER_PAGE", f.PerPage >= 1 && f.PerPage <= 100_000)
	c.ensure("ATTACHMENT_MAX_BYTES", f.MaxBytes >= 1 && f.MaxBytes <= 1<<30)
	c.ensure("ATTACHMENT_TIME", f.Time >= time.Second && f.Time <= 10*time.Minute)
	c.ensure("ATTACHMENT_MEMORY", f.Memory >= 128<<20 && f.Memory <= 16<<30)
}
