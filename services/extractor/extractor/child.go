package extractor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"

	"github.com/sluicehq/sluice/services/extractor/extract"
	"github.com/sluicehq/sluice/shared/failure"
)

// child is the process that reads files: orders come in, answers go out, and the file is always the same one.
func child(args []string) int {
	if err := readOrders(args, os.Stdin, os.Stdout, carryOut); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func readOrders(args []string, in io.Reader, out io.Writer, carry func(order, io.ReaderAt) answer) error {
	if len(args) != 1 {
		return errors.New("a process that reads files is started by the extractor alone")
	}
	memory, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return fmt.Errorf("the memory that files may take: %w", err)
	}
	// The collector works harder before the system refuses.
	debug.SetMemoryLimit(memory / 4 * 3)
	if err := limitMemory(memory); err != nil {
		return err
	}
	file, err := handed()
	if err != nil {
		return err
	}
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o order
		if err := orders.Decode(&o); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read an order: %w", err)
		}
		err := answers.Encode(begun{true})
		if err == nil {
			err = answers.Encode(carry(o, file))
		}
		if err != nil {
			return fmt.Errorf("answer an order: %w", err)
		}
		debug.FreeOSMemory()
	}
}

func carryOut(o order, file io.ReaderAt) (a answer) {
	doc, err := extract.Extract(context.Background(), extract.File{Name: o.Name, MediaType: o.MediaType, Content: file, Size: o.Size}, o.Limits)
	switch {
	case err == nil:
		a.Document = doc
	case errors.As(err, &a.Skipped):
	default:
		a.Code, a.Error = failure.CodeOf(err), err.Error()
	}
	return a
}
