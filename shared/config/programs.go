package config

import (
	"time"
)

// Fetcher configures services/fetcher. Without a site of its own it reads sources that have a token
// of their own, and folders.
type Fetcher struct {
	Service
	Nats
	Postgres
	Confluence `optional:"true"`
	Master
	Permissions
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
	Confluence `optional:"true"`
	Master
	Brake
}

// Progress configures services/progress.
type Progress struct {
	_ struct{} `title:"The progress stage"`
	Service
	Nats
	Postgres
	History
	StallAfter time.Duration `env:"STALL_AFTER" default:"2m" need:"a time from 5s to 1h, longer than NATS_ACK_WAIT" example:"2m" desc:"A run that makes no progress for this long is sent again from its ledger."`
}

func (p Progress) check(c *checker) {
	// A worker that died gets so long before its work comes again by itself.
	c.ensure("STALL_AFTER", p.StallAfter >= 5*time.Second && p.StallAfter <= time.Hour && p.StallAfter > p.NatsAckWait)
}

// Gateway configures services/gateway. It calls Confluence only when a person adds a source or asks what is wrong;
// without a site of its own it does so with stored tokens.
type Gateway struct {
	Process
	Nats
	Postgres
	Confluence `optional:"true"`
	Master
	API
	Embeddings
	Reranking
}

func (Gateway) check(c *checker) {
	if c.raw["GATEWAY_ADDR"] == "" {
		c.wrong("GATEWAY_ADDR", "is empty")
	}
}

// Sluice configures services/sluice: the command-line program, which also runs every stage
// in one process. Nothing is required: what is not named, it starts itself. The settings of the
// stages are its own as well; see NewProgram.
type Sluice struct {
	_          struct{} `title:"The sluice command"`
	Service    `defaults:"HEALTH_ADDR= LOG_FORMAT=console LOG_LEVEL=warn"`
	Nats       `optional:"true" defaults:"NATS_URL="`
	Postgres   `optional:"true"`
	Confluence `optional:"true"`
	Master
	Chunks
	API
	Remote
	DataDir  string `env:"SLUICE_DATA_DIR" need:"a folder that can be written" example:"/var/lib/sluice" desc:"Where sluice keeps the NATS and Postgres that it starts itself; else sluice in the user's data folder."`
	PGBinDir string `env:"SLUICE_PG_BINDIR" need:"a folder with initdb and postgres" example:"/usr/lib/postgresql/17/bin" desc:"Postgres programs to use instead of those that sluice finds or gets."`
}
