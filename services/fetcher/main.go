// Command fetcher lists what changed in a source and fetches the bodies.
package main

import (
	"github.com/sluicehq/sluice/services/fetcher/fetcher"
	"github.com/sluicehq/sluice/shared/service"
)

func main() { service.Main(fetcher.Stage()) }
