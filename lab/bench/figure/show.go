package figure

import (
	"fmt"
	"math"

	"github.com/dustin/go-humanize"
)

// Number shows three significant digits, or all digits of a whole number.
func Number(v float64) string {
	switch {
	case math.Abs(v) >= 100:
		return Thousands(v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	case v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// Thousands shows a whole number with a comma after every three digits.
func Thousands(v float64) string { return humanize.Comma(int64(math.Round(v))) }
