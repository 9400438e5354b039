// Command converter turns storage format into Markdown.
package main

import (
	"github.com/sluicehq/sluice/services/converter/converter"
	"github.com/sluicehq/sluice/shared/service"
)

func main() { service.Main(converter.Stage()) }
