package config

import (
	"net/url"
	"regexp"
	"time"

	"github.com/sluicehq/sluice/shared/secret"
)

// Sandbox configures services/sandbox, the Confluence stand-in, and the command that serves it.
// It serves the built-in space unless Pages or Corpus says otherwise.
type Sandbox struct {
	Process
	Standin
}

// Standin is what kind of site the stand-in plays.
type Standin struct {
	_ struct{} `title:"The stand-in"`

	Addr   string        `env:"SANDBOX_ADDR" default:"127.0.0.1:8090" need:"a host and port to listen on" example:"127.0.0.1:8090" desc:"Where the stand-in serves its API."`
	Email  string        `env:"SANDBOX_EMAIL" default:"demo@example.com" need:"an e-mail address" example:"demo@example.com" desc:"The account that the stand-in accepts."`
	Token  secret.String `env:"SANDBOX_TOKEN" default:"sandbox-demo-token" need:"a text without spaces" example:"sandbox-demo-token" desc:"The API token that the stand-in accepts. It protects generated pages only."`
	Pages  int           `env:"SANDBOX_PAGES" default:"0" need:"a whole number from 0 to 1000000" example:"2000" desc:"How many pages are made up; 0 serves the built-in space."`
	Seed   int64         `env:"SANDBOX_SEED" default:"1" need:"a whole number" example:"1" desc:"The seed of the generated pages: the same seed gives the same pages."`
	Corpus string        `env:"SANDBOX_CORPUS" need:"a folder of storage-format bodies, without SANDBOX_PAGES" example:"./bodies" desc:"Serves a folder of storage-format bodies instead."`
	Faults string        `env:"SANDBOX_FAULTS" need:"a seed and faults as JSON, as its control route takes them" example:"{\"seed\":7,\"faults\":[{\"kind\":\"reset\",\"rate\":0.05}]}" desc:"Makes the stand-in misbehave from the start."`

	Title    string        `env:"SANDBOX_TITLE" default:"Sluice sandbox" need:"a text" example:"Acme" desc:"The stand-in's title, on the pages that a browser shows."`
	BaseURL  string        `env:"SANDBOX_BASE_URL" need:"scheme and host" example:"http://acme.localhost:8090" desc:"The stand-in's address in links; else the one that is asked."`
	MovedTo  string        `env:"SANDBOX_MOVED_TO" need:"scheme and host" example:"http://acme2.localhost:8090" desc:"The stand-in's new address, as of a site that was renamed: calls to any other are redirected to it with 301."`
	CloudID  string        `env:"SANDBOX_CLOUD_ID" default:"5a9d0b0c-5b0e-4d5f-8a3c-2f6f1c6f7e10" need:"letters, digits and hyphens" example:"5a9d0b0c-5b0e-4d5f-8a3c-2f6f1c6f7e10" desc:"The stand-in's cloud id, which is part of its gateway address."`
	Latency  time.Duration `env:"SANDBOX_LATENCY" default:"0s" need:"a time from 0s to 1m" example:"120ms" desc:"How long the stand-in takes over each answer."`
	IndexLag time.Duration `env:"SANDBOX_INDEX_LAG" default:"0s" need:"a time from 0s to 24h" example:"1m" desc:"How long the stand-in's search lags behind what is written."`
	TimeZone string        `env:"SANDBOX_TIME_ZONE" default:"UTC" need:"a time zone" example:"America/Halifax" desc:"The zone in which the stand-in's search reads dates: that of its account."`
	Scoped   bool          `env:"SANDBOX_SCOPED" default:"false" need:"true or false" example:"true" desc:"Makes the stand-in's token a scoped one, which only its gateway address takes."`
	OldAPI   string        `env:"SANDBOX_OLD_API" default:"deprecated" need:"deprecated, gone or lists" example:"gone" desc:"What becomes of the v1 routes that Atlassian removes: deprecated warns of it in headers, gone answers 410 on all of them, lists answers those of content, spaces and attachments too, as some sites still do."`
}

func (s Standin) check(c *checker) {
	c.ensure("SANDBOX_ADDR", isAddr(s.Addr))
	c.ensure("SANDBOX_PAGES", s.Pages >= 0 && s.Pages <= 1_000_000)
	c.ensure("SANDBOX_EMAIL", IsEmail(s.Email))
	c.ensure("SANDBOX_CORPUS", s.Pages == 0)
	c.ensure("SANDBOX_BASE_URL", isOrigin(s.BaseURL))
	c.ensure("SANDBOX_MOVED_TO", isOrigin(s.MovedTo))
	c.ensure("SANDBOX_CLOUD_ID", cloudID.MatchString(s.CloudID))
	c.ensure("SANDBOX_LATENCY", s.Latency >= 0 && s.Latency <= time.Minute)
	c.ensure("SANDBOX_INDEX_LAG", s.IndexLag >= 0 && s.IndexLag <= 24*time.Hour)
	c.ensure("SANDBOX_OLD_API", oneOf(s.OldAPI, "deprecated", "gone", "lists"))
	_, err := time.LoadLocation(s.TimeZone)
	c.ensure("SANDBOX_TIME_ZONE", err == nil)
}

var cloudID = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// isOrigin accepts scheme and host, with nothing behind them but a slash or /wiki.
func isOrigin(v string) bool {
	u, err := url.Parse(v)
	return err == nil && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" &&
		oneOf(u.Scheme, "http", "https") && oneOf(u.Path, "", "/", "/wiki")
}
