package bert

import (
	"context"
	"math"
)

// Scratch is the memory of one pass. It is for one goroutine at a time, and used again it costs nothing.
type Scratch struct {
	x, y, qkv, inner, scores []float32
	keys, values, shares     []float32
}

func sized(buffer *[]float32, n int) []float32 {
	if cap(*buffer) < n {
		*buffer = make([]float32, n)
	}
	return (*buffer)[:n]
}

// Run returns the vector of up to Window tokens, not yet of length 1.
func (m *Model) Run(ctx context.Context, s *Scratch, ids []int32) ([]float32, error) {
	h := m.cfg.Hidden
	ids = append(append([]int32{m.tokenizer.cls}, ids[:min(len(ids), m.Window())]...), m.tokenizer.sep)
	n := len(ids)
	rows := upTo(n, tileRows)
	x := sized(&s.x, rows*h)
	for i, id := range ids {
		row := x[i*h : (i+1)*h]
		copy(row, m.words[int(id)*h:])
		add(row, m.positions[i*h:(i+1)*h])
	}
	clear(x[n*h:])
	m.normalize(m.begin, x, n)
	for i := range m.layers {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m.pass(&m.layers[i], s, x, n)
	}
	vector := make([]float32, h)
	if !m.mean {
		n = 1
	}
	for i := range n {
		add(vector, x[i*h:(i+1)*h])
	}
	scale(vector, 1/float64(n))
	return vector, nil
}

// pass sends the rows of x through a layer.
func (m *Model) pass(l *layer, s *Scratch, x []float32, n int) {
	h, inner, rows := m.cfg.Hidden, m.cfg.Inner, upTo(n, tileRows)
	qkv, y, wide := sized(&s.qkv, rows*3*h), sized(&s.y, rows*h), sized(&s.inner, rows*inner)
	l.attend.apply(qkv, x, n)
	m.attention(s, y, qkv, n)
	l.project.apply(wide[:rows*h], y, n)
	add(x[:n*h], wide[:n*h])
	m.normalize(l.settle, x, n)
	l.widen.apply(wide, x, n)
	for i, v := range wide[:n*inner] {
		wide[i] = gelu(v)
	}
	l.narrow.apply(y, wide, n)
	add(x[:n*h], y[:n*h])
	m.normalize(l.finish, x, n)
}

// attention writes into out what each token gathers from all of them.
func (m *Model) attention(s *Scratch, out, qkv []float32, n int) {
	h, d := m.cfg.Hidden, m.cfg.Hidden/m.cfg.Heads
	wide := upTo(n, tileCols)
	scores := sized(&s.scores, upTo(n, tileRows)*wide)
	keys, values := matrix{d, n, sized(&s.keys, d*wide)}, matrix{n, d, sized(&s.values, n*d)}
	shares := sized(&s.shares, n)
	for head := range m.cfg.Heads {
		for i := range n {
			keys.column(i, qkv[i*3*h+h+head*d:][:d])
			values.row(i, qkv[i*3*h+2*h+head*d:][:d])
		}
		keys.multiply(scores, wide, qkv[head*d:], 3*h, n)
		for i := range n {
			shares[i] = softmax(scores[i*wide : i*wide+n])
		}
		values.multiply(out[head*d:], h, scores, wide, n)
		for i, share := range shares {
			row := out[i*h+head*d:][:d]
			for j := range row {
				row[j] *= share
			}
		}
	}
}

// apply computes the layer for n rows.
func (d dense) apply(out, in []float32, n int) {
	cols := d.weights.cols
	d.weights.multiply(out, cols, in, d.weights.rows, n)
	for i := range n {
		add(out[i*cols:(i+1)*cols], d.bias)
	}
}

func add(to, what []float32) {
	what = what[:len(to)]
	for i := range to {
		to[i] += what[i]
	}
}

func (m *Model) normalize(by normalization, x []float32, n int) {
	h := m.cfg.Hidden
	for i := range n {
		row := x[i*h : (i+1)*h]
		var sum, square float32
		for _, v := range row {
			sum += v
		}
		mean := sum / float32(h)
		for _, v := range row {
			square += (v - mean) * (v - mean)
		}
		scale := float32(1 / math.Sqrt(float64(square)/float64(h)+m.cfg.Epsilon))
		weight, bias := by.weight[:len(row)], by.bias[:len(row)]
		for j, v := range row {
			row[j] = (v-mean)*scale*weight[j] + bias[j]
		}
	}
}

// softmax replaces the values of a row by their exponentials, of which the largest is 1, and returns one by
// their sum. Four sums in turn do not wait for each other.
func softmax(row []float32) float32 {
	most := row[0]
	for _, v := range row {
		if v > most {
			most = v
		}
	}
	var s0, s1, s2, s3 float32
	rest := row
	for ; len(rest) >= 4; rest = rest[4:] {
		e0, e1, e2, e3 := exp(rest[0]-most), exp(rest[1]-most), exp(rest[2]-most), exp(rest[3]-most)
		rest[0], rest[1], rest[2], rest[3] = e0, e1, e2, e3
		s0 += e0
		s1 += e1
		s2 += e2
		s3 += e3
	}
	for i, v := range rest {
		rest[i] = exp(v - most)
		s0 += rest[i]
	}
	return 1 / (s0 + s1 + s2 + s3)
}

// exp is e to the power of x, for x up to 0, to seven digits: the power of two of the whole part, and a
// polynomial for the rest.
func exp(x float32) float32 {
	if x < -87 {
		return 0
	}
	t := x * math.Log2E
	whole := int32(t - 0.5) // the conversion cuts off, so this rounds a number up to 0
	f := (t - float32(whole)) * math.Ln2
	p := 1 + f*(1+f*(1.0/2+f*(1.0/6+f*(1.0/24+f*(1.0/120+f*(1.0/720))))))
	return p * math.Float32frombits(uint32(whole+127)<<23) //nolint:gosec // from 1 to 127
}

// gelu is x·Φ(x), by a table with 256 steps per unit between -8 and 8; outside it is 0 or x.
func gelu(x float32) float32 {
	switch {
	case x > -geluRange && x < geluRange:
		at := (x + geluRange) * geluSteps
		i := int(at)
		below, above := geluTable[i], geluTable[i+1]
		return below + (above-below)*(at-float32(i))
	case x <= -geluRange:
		return 0
	default:
		return x // NaN too
	}
}

const geluRange, geluSteps = 8, 256

var geluTable = func() *[2*geluRange*geluSteps + 2]float32 {
	var table [2*geluRange*geluSteps + 2]float32
	for i := range table {
		x := float64(i)/geluSteps - geluRange
		table[i] = float32(x * 0.5 * (1 + math.Erf(x/math.Sqrt2)))
	}
	return &table
}()
