// Command embedder gives every chunk a vector, by which it is found by meaning.
package main

import (
	"github.com/sluicehq/sluice/services/embedder/embedder"
	"github.com/sluicehq/sluice/shared/service"
)

func main() { service.Main(embedder.Stage()) }
