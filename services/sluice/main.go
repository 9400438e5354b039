// Command sluice is the program that people type: it runs every stage in one process, asks
// for syncs, shows how they go, searches, and serves the Confluence stand-in.
package main

import "github.com/sluicehq/sluice/services/sluice/cli"

func main() { cli.Main() }
