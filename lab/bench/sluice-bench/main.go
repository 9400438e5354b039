// Command sluice-bench measures Sluice from end to end. make bench runs it.
package main

import "github.com/sluicehq/sluice/lab/bench"

func main() { bench.Main() }
