package bert

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// tensors are the weights of a safetensors file, by name.
type tensors map[string]tensor

type tensor struct {
	shape []int
	data  []float32
}

// maxHeader and maxTensors limit what a file can make this process allocate.
const (
	maxHeader  = 16 << 20
	maxTensors = 4 << 30
)

// readTensors reads a safetensors file from its beginning to its end. It skips tensors that are no
// weights, such as positions stored as numbers, and what wanted does not want. The names lose a leading
// "bert.".
func readTensors(r io.Reader, wanted func(name string) bool) (tensors, error) {
	var size [8]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, fmt.Errorf("safetensors: the file ends early: %w", err)
	}
	n := binary.LittleEndian.Uint64(size[:])
	if n > maxHeader {
		return nil, errors.New("not a safetensors file")
	}
	doc := make([]byte, n)
	if _, err := io.ReadFull(r, doc); err != nil {
		return nil, fmt.Errorf("safetensors: the file ends early: %w", err)
	}
	type entry struct {
		name    string
		Type    string   `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(doc, &header); err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	var entries []entry
	for name, raw := range header {
		e := entry{name: strings.TrimPrefix(name, "bert.")}
		if name == "__metadata__" {
			continue
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			return nil, fmt.Errorf("safetensors: %s: %w", name, err)
		}
		if wanted(e.name) {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return int(min(1, max(-1, a.Offsets[0]-b.Offsets[0]))) })
	all, at := tensors{}, int64(0)
	for _, e := range entries {
		width := map[string]int64{"F32": 4, "F16": 2, "BF16": 2}[e.Type]
		if width == 0 {
			return nil, fmt.Errorf("safetensors: %s is of type %q; only F32, F16 and BF16 are supported", e.name, e.Type)
		}
		count := int64(1)
		for _, d := range e.Shape {
			if d < 1 || count > maxTensors/int64(d) {
				return nil, fmt.Errorf("safetensors: %s has an impossible shape", e.name)
			}
			count *= int64(d)
		}
		if e.Offsets[0] < at || e.Offsets[1]-e.Offsets[0] != count*width || e.Offsets[1] > maxTensors {
			return nil, fmt.Errorf("safetensors: %s is at an impossible place", e.name)
		}
		if _, err := io.CopyN(io.Discard, r, e.Offsets[0]-at); err != nil {
			return nil, fmt.Errorf("safetensors: the file ends early: %w", err)
		}
		data, err := readFloats(r, int(count), e.Type)
		if err != nil {
			return nil, fmt.Errorf("safetensors: the file ends early: %w", err)
		}
		all[e.name], at = tensor{e.Shape, data}, e.Offsets[1]
	}
	return all, nil
}

// readFloats reads values as they are stored. The memory grows with what is really there.
func readFloats(r io.Reader, count int, kind string) ([]float32, error) {
	width := 2
	if kind == "F32" {
		width = 4
	}
	var values []float32
	buffer := make([]byte, 1<<20)
	for len(values) < count {
		piece := buffer[:min(len(buffer), (count-len(values))*width)]
		if _, err := io.ReadFull(r, piece); err != nil {
			return nil, err
		}
		if values == nil {
			values = make([]float32, 0, count)
		}
		for ; len(piece) > 0; piece = piece[width:] {
			switch kind {
			case "F32":
				values = append(values, math.Float32frombits(binary.LittleEndian.Uint32(piece)))
			case "BF16":
				values = append(values, math.Float32frombits(uint32(binary.LittleEndian.Uint16(piece))<<16))
			default:
				values = append(values, half(binary.LittleEndian.Uint16(piece)))
			}
		}
	}
	return values, nil
}

// half converts a 16-bit float.
func half(h uint16) float32 {
	sign, exponent, fraction := uint32(h&0x8000)<<16, uint32(h>>10&0x1F), uint32(h&0x3FF)
	switch exponent {
	case 0:
		value := float32(fraction) / (1 << 24)
		return math.Float32frombits(math.Float32bits(value) | sign)
	case 31:
		return math.Float32frombits(sign | 0x7F800000 | fraction<<13)
	default:
		return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
	}
}

// take removes a tensor and returns its values. The error says that it is missing or of another shape.
func (t tensors) take(name string, shape ...int) ([]float32, error) {
	w, ok := t[name]
	if !ok {
		return nil, fmt.Errorf("model.safetensors lacks %s", name)
	}
	if !slices.Equal(w.shape, shape) {
		return nil, fmt.Errorf("model.safetensors: %s has the shape %v, and config.json says %v", name, w.shape, shape)
	}
	delete(t, name)
	return w.data, nil
}
