// Command chunk-writer splits Markdown into chunks and writes pages to Postgres.
package main

import (
	"github.com/sluicehq/sluice/services/chunk-writer/chunkwriter"
	"github.com/sluicehq/sluice/shared/service"
)

func main() { service.Main(chunkwriter.Stage()) }
