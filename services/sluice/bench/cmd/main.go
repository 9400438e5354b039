// Command cmd measures Sluice from end to end. make bench runs it.
package main

import "github.com/sluicehq/sluice/services/sluice/bench"

func main() { bench.Main() }
