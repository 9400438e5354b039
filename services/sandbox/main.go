// Command sandbox serves a stand-in for Confluence Cloud.
package main

import "github.com/sluicehq/sluice/services/sandbox/sandbox"

func main() { sandbox.Main() }
