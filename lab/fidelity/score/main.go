// Command score scores the conversion of a folder of storage-format bodies (*.xml):
//
//	go run ./lab/fidelity/score DIR
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/sluicehq/sluice/lab/fidelity"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "fidelity:", err)
		os.Exit(1)
	}
}

func run() error {
	worst := flag.Int("worst", 10, "how many of the worst pages to list")
	flag.Parse()
	if flag.NArg() != 1 {
		return fmt.Errorf("expected one folder, got %d", flag.NArg())
	}
	pages, unread, err := fidelity.Folder(flag.Arg(0))
	if err != nil {
		return err
	}
	for _, u := range unread {
		fmt.Fprintln(os.Stderr, "not scored:", u)
	}
	return fidelity.Write(os.Stdout, pages, *worst)
}
