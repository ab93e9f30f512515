// Package bench measures what a device does with GPTs: prompt processing and
// text generation as llama-bench does (test.go, measure.go), single ops
// (ops.go), what a backend costs beside the arithmetic (overhead.go), how long
// a new process takes to its first token (startup.go), how well a model predicts
// a text (perplexity.go), training (train.go), and some of it beside other
// programs that run GPTs (peers.go).
//
// Figures are compared with what the same device was able to do in the same
// run: ceilings, measured once (ceilings.go), and yardsticks, measured between
// the repetitions of a test (yardstick.go). Shares compare between machines,
// and between moments of a machine that others use too.
//
// What comes of a measurement is a record of package result, which reads,
// writes, compares and draws them. Package peer runs the other programs.
package bench
