// Command progress follows every run to its end and publishes its progress.
package main

import (
	"github.com/sluicehq/sluice/services/progress/progress"
	"github.com/sluicehq/sluice/shared/service"
)

func main() { service.Main(progress.Stage()) }
