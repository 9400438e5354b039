// Command gateway serves the HTTP API.
package main

import (
	"github.com/sluicehq/sluice/services/gateway/gateway"
	"github.com/sluicehq/sluice/shared/service"
)

func main() { service.Main(gateway.Stage()) }
