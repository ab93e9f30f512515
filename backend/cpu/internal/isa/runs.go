package isa

// A kernel that reads n rows of a matrix at once has them far from each other: see RunRows.

// AheadL1 says that kernels which read blocks ask for memory into the L1 cache rather than L2. AMD's processors generate up to
// a fifth faster so (Zen 5); Intel's have few buffers for lines on their way to L1.
var AheadL1 = amd()

// l1Span is the distance at which lines of an L1 cache of 64 sets have the same set.
const l1Span = 64 * 64

// RunRows is how many rows, stride bytes from one to the next, each of n runs has that together are most of the
// given columns. Less than n, or a little more, are left. Rows at the same place of their runs are not
// a multiple of half of l1Span from each other if that can be had: all of them would have one or two sets of the cache, of 8 to 12
// lines each, and drive each other out.
func RunRows(columns, n, stride int) int {
	rows := columns / n
	if rows > 1 && rows*stride%(l1Span/2) == 0 {
		rows-- // if stride is such a multiple too, nothing is gained or lost
	}
	return rows
}

// AfterRun is how far from the beginning of the first of n runs, each of size bytes and followed by the next, the byte lies that is
// read after at bytes of that run. When a run ends it is that of the n runs which follow.
func AfterRun(at, n, size int) int { return at/size*n*size + at%size }
