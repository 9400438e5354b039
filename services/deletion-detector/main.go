// Command deletion-detector proves which pages left a source, and removes them.
package main

import (
	"github.com/sluicehq/sluice/services/deletion-detector/deletiondetector"
	"github.com/sluicehq/sluice/shared/service"
)

func main() { service.Main(deletiondetector.Stage()) }
