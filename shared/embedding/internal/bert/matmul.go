package bert

// The tile that a kernel computes: so many rows of the left matrix, so many columns of the right one.
const (
	tileRows = 6
	tileCols = 16
)

// matrix is the right side of a product, of rows × cols: panels of 16 columns, each row by row, so that a
// kernel reads it in order. The columns are filled up with zeros to a multiple of 16.
type matrix struct {
	rows, cols int
	panels     []float32
}

func newMatrix(rows, cols int) matrix {
	return matrix{rows, cols, make([]float32, rows*upTo(cols, tileCols))}
}

// transposed packs the weights of a layer, which are stored as cols × rows.
func transposed(weights []float32, cols, rows int) matrix {
	m := newMatrix(rows, cols)
	for c := range cols {
		m.column(c, weights[c*rows:(c+1)*rows])
	}
	return m
}

// column sets a column.
func (m matrix) column(c int, values []float32) {
	panel := m.panels[c/tileCols*tileCols*m.rows+c%tileCols:]
	for r, v := range values {
		panel[r*tileCols] = v
	}
}

// row sets a row.
func (m matrix) row(r int, values []float32) {
	for c := 0; c < len(values); c += tileCols {
		copy(m.panels[c*m.rows+r*tileCols:][:tileCols], values[c:])
	}
}

// multiply computes out = a × m. a has rows of m.rows values, every lda values; out has rows of m.cols
// values filled up to 16, every ldo values. Both need room for n rows filled up to 6: the rows in between
// are overwritten.
func (m matrix) multiply(out []float32, ldo int, a []float32, lda, n int) {
	if n == 0 || m.rows == 0 || m.cols == 0 {
		return
	}
	// What the kernels, which check no bounds, read and write last.
	last := upTo(n, tileRows) - 1
	_, _ = a[last*lda+m.rows-1], out[last*ldo+upTo(m.cols, tileCols)-1]
	for c := 0; c < m.cols; c += tileCols {
		panel := m.panels[c*m.rows : (c+tileCols)*m.rows]
		for r := 0; r < n; r += tileRows {
			kernel(m.rows, a[r*lda:], lda, panel, out[r*ldo+c:], ldo)
		}
	}
}

// kernelGo is the kernel for processors without one of their own.
func kernelGo(k int, a []float32, lda int, b, c []float32, ldc int) {
	for r := 0; r < tileRows; r += 2 {
		a0, a1 := a[r*lda:][:k], a[(r+1)*lda:][:k]
		for half := 0; half < tileCols; half += 4 {
			var s00, s01, s02, s03, s10, s11, s12, s13 float32
			for i, x := range a0 {
				y, w := a1[i], b[i*tileCols+half:][:4:4]
				s00 += x * w[0]
				s01 += x * w[1]
				s02 += x * w[2]
				s03 += x * w[3]
				s10 += y * w[0]
				s11 += y * w[1]
				s12 += y * w[2]
				s13 += y * w[3]
			}
			top, below := c[r*ldc+half:][:4:4], c[(r+1)*ldc+half:][:4:4]
			top[0], top[1], top[2], top[3] = s00, s01, s02, s03
			below[0], below[1], below[2], below[3] = s10, s11, s12, s13
		}
	}
}

func upTo(n, multiple int) int { return (n + multiple - 1) / multiple * multiple }
