package embedding

import (
	"fmt"
	"math"

	"github.com/sluicehq/sluice/shared/failure"
)

// unit gives a vector the length 1. The error says why it cannot be one.
func unit(v []float32) error {
	var square float64
	for _, x := range v {
		square += float64(x) * float64(x)
	}
	switch {
	case len(v) == 0:
		return failure.New(failure.EmbeddingProtocol, "the vector is empty")
	case math.IsNaN(square) || math.IsInf(square, 0):
		return failure.New(failure.EmbeddingProtocol, "the vector holds a value that is no number, or infinite")
	case square < 1e-20:
		return failure.New(failure.EmbeddingProtocol, "the vector is all zeros")
	}
	by := 1 / math.Sqrt(square)
	for i, x := range v {
		v[i] = float32(float64(x) * by)
	}
	return nil
}

// join makes one result of those of a text's parts: the mean of their vectors, each counting as much as it
// has weight. Their first error is the text's.
func join(parts []Result, weights []int) Result {
	if len(parts) == 1 {
		return parts[0]
	}
	var all Result
	for i, part := range parts {
		if all.Tokens += part.Tokens; part.Err != nil {
			return Result{Err: part.Err}
		}
		if all.Vector == nil {
			all.Vector = make([]float32, len(part.Vector))
		}
		if len(part.Vector) != len(all.Vector) {
			return Result{Err: failure.New(failure.EmbeddingProtocol, "the vectors of two parts have the lengths %d and %d", len(all.Vector), len(part.Vector))}
		}
		for j, x := range part.Vector {
			all.Vector[j] += float32(weights[i]) * x
		}
	}
	if err := unit(all.Vector); err != nil {
		return Result{Err: fmt.Errorf("the mean of %d parts: %w", len(parts), err)}
	}
	return all
}
