package config

import (
	"time"

	"github.com/sluicehq/sluice/shared/secret"
)

// Fetcher configures services/fetcher.
type Fetcher struct {
	Service
	Nats
	Postgres
	Confluence
	Master
}

// Converter configures services/converter.
type Converter struct {
	Service
	Nats
}

// ChunkWriter configures services/chunk-writer.
type ChunkWriter struct {
	Service
	Nats
	Postgres
	Chunks
}

// DeletionDetector configures services/deletion-detector.
type DeletionDetector struct {
	Service
	Nats
	Postgres
	Confluence
	Master
	Brake
}

// Progress configures services/progress.
type Progress struct {
	Service
	Nats
	Postgres
	History
	StallAfter time.Duration `env:"STALL_AFTER" default:"2m" need:"a time from 5s to 1h, longer than NATS_ACK_WAIT" example:"2m" desc:"A run in which nothing has moved for so long is sent again from its ledger."`
}

func (p Progress) check(c *checker) {
	// A worker that died gets so long before its work comes again by itself.
	c.ensure("STALL_AFTER", p.StallAfter >= 5*time.Second && p.StallAfter <= time.Hour && p.StallAfter > p.NatsAckWait)
}

// Gateway configures services/gateway.
type Gateway struct {
	Process
	Nats
	Postgres
	Sites
	Master
	API
}

func (Gateway) check(c *checker) {
	if c.raw["GATEWAY_ADDR"] == "" {
		c.wrong("GATEWAY_ADDR", "is empty")
	}
}

// Sandbox configures services/sandbox, the Confluence stand-in. It serves the built-in
// space unless Pages or Corpus says otherwise.
type Sandbox struct {
	Process
	Addr   string        `env:"SANDBOX_ADDR" default:"127.0.0.1:8090" need:"a host and port to listen on" example:"127.0.0.1:8090" desc:"Where the stand-in serves its API."`
	Email  string        `env:"SANDBOX_EMAIL" default:"demo@example.com" need:"an e-mail address" example:"demo@example.com" desc:"The account that the stand-in accepts."`
	Token  secret.String `env:"SANDBOX_TOKEN" default:"sandbox-demo-token" need:"a text without spaces" example:"sandbox-demo-token" desc:"The API token that the stand-in accepts. It guards nothing but made-up pages."`
	Pages  int           `env:"SANDBOX_PAGES" default:"0" need:"a whole number from 0 to 1000000" example:"2000" desc:"How many pages are made up; 0 serves the built-in space."`
	Seed   int64         `env:"SANDBOX_SEED" default:"1" need:"a whole number" example:"1" desc:"Makes the made-up pages the same each time."`
	Corpus string        `env:"SANDBOX_CORPUS" need:"a folder of storage-format bodies, without SANDBOX_PAGES" example:"./bodies" desc:"Serves a folder of storage-format bodies instead."`
	Faults string        `env:"SANDBOX_FAULTS" need:"a seed and faults as JSON, as its control route takes them" example:"{\"seed\":7,\"faults\":[{\"kind\":\"reset\",\"rate\":0.05}]}" desc:"Makes the stand-in misbehave from the start."`
}

func (s Sandbox) check(c *checker) {
	c.ensure("SANDBOX_ADDR", isAddr(s.Addr))
	c.ensure("SANDBOX_PAGES", s.Pages >= 0 && s.Pages <= 1_000_000)
	c.ensure("SANDBOX_EMAIL", IsEmail(s.Email))
	c.ensure("SANDBOX_CORPUS", s.Pages == 0)
}

// Sluice configures services/sluice: the command-line program, which also runs every stage
// in one process. Nothing is required: what is not named, it starts itself.
type Sluice struct {
	Service    `defaults:"HEALTH_ADDR= LOG_FORMAT=console LOG_LEVEL=warn"`
	Nats       `optional:"true" defaults:"NATS_URL="`
	Postgres   `optional:"true"`
	Confluence `optional:"true"`
	Master
	Chunks
	Search
	Brake
	History
	API
	DataDir  string `env:"SLUICE_DATA_DIR" need:"a folder that can be written" example:"/var/lib/sluice" desc:"Where sluice keeps the NATS and Postgres that it starts itself; else sluice in the user's data folder."`
	PGBinDir string `env:"SLUICE_PG_BINDIR" need:"a folder with initdb and postgres" example:"/usr/lib/postgresql/17/bin" desc:"Postgres programs to use instead of those that sluice finds or gets."`
}
