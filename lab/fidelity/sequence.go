package fidelity

// maxEdits limits the work on pages that have little in common: beyond it, the rest counts as lost.
const maxEdits = 6000

// commonSubsequence reports which elements of want are part of a longest common subsequence with got. It is Myers'
// greedy algorithm, O((n+m)·d) for d differences.
func commonSubsequence(want, got []string) []bool {
	kept := make([]bool, len(want))
	n, m := len(want), len(got)
	// Most of a page is a common start and end, which need no search.
	start := 0
	for start < n && start < m && want[start] == got[start] {
		kept[start] = true
		start++
	}
	for n > start && m > start && want[n-1] == got[m-1] {
		n--
		m--
		kept[n] = true
	}
	a, b := want[start:n], got[start:m]
	if len(a) == 0 || len(b) == 0 {
		return kept
	}
	limit := min(len(a)+len(b), maxEdits)
	var rows [][]int // the furthest x on each diagonal after d edits, -d..d
	v := map[int]int{1: 0}
	for d := 0; d <= limit; d++ {
		row := make([]int, 2*d+1)
		done := false
		for k := -d; k <= d; k += 2 {
			var x int
			if k == -d || k != d && v[k-1] < v[k+1] {
				x = v[k+1]
			} else {
				x = v[k-1] + 1
			}
			for x < len(a) && x-k < len(b) && a[x] == b[x-k] {
				x++
			}
			v[k] = x
			row[k+d] = x
			if x >= len(a) && x-k >= len(b) {
				done = true
				break
			}
		}
		rows = append(rows, row)
		if done {
			backtrack(a, b, rows, kept[start:])
			return kept
		}
	}
	return kept
}

// backtrack follows the edits back and marks the elements that were kept.
func backtrack(a, b []string, rows [][]int, kept []bool) {
	x, y := len(a), len(b)
	for d := len(rows) - 1; d > 0; d-- {
		k := x - y
		before := rows[d-1]
		at := func(k int) int {
			if i := k + d - 1; i >= 0 && i < len(before) {
				return before[i]
			}
			return -1
		}
		down := k == -d || k != d && at(k-1) < at(k+1)
		fromK := k - 1
		if down {
			fromK = k + 1
		}
		fromX := at(fromK)
		fromY := fromX - fromK
		for x > fromX && y > fromY && x > 0 && y > 0 && (down && x > fromX || !down && x > fromX+1) {
			x--
			y--
			kept[x] = true
		}
		x, y = fromX, fromY
	}
	for x > 0 && y > 0 {
		x--
		y--
		kept[x] = true
	}
}
