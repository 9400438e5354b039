// Command extractor turns attachments into Markdown.
package main

import (
	"github.com/sluicehq/sluice/services/extractor/extractor"
	"github.com/sluicehq/sluice/shared/service"
)

func main() { service.Main(extractor.Stage()) }
