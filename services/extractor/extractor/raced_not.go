//go:build !race

package extractor

const raced = false
