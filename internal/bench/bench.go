// Package bench measures what a device does with GPTs: prompt processing and
// text generation as llama-bench does (test.go, measure.go), single ops
// (ops.go), what a backend costs beside the arithmetic (overhead.go), how long
// a new process takes to its first token (startup.go), training (train.go), and
// some of it beside other programs that run GPTs (peers.go, peer_race.go, and
// peer.go for what those are).
//
// Figures are held against what the same device was able to do in the same
// run: ceilings, measured once (ceilings.go), and yardsticks, measured between
// the repetitions of a test (yardstick.go). Shares compare between machines,
// and between moments of a machine that others use too.
//
// Each kind of result is a [Record]: record.go says what that takes, and to
// add a kind is to add one there. write.go, markdown.go and gobench.go are the
// output, read.go reads it again, compare.go and plot.go lay results of
// several machines side by side.
package bench
