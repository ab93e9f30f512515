package conformance

import (
	"testing"

	"caldera/backend"
	"caldera/internal/opcases"
)

// Bench measures ops at the shapes of GPT-2 (124M): one token at a time and
// 128 at once. GB/s and GFLOP/s count what backend.Cost does. The time is that of a recorded program. What
// the backend lacks is skipped.
func Bench(b *testing.B, open func(testing.TB) backend.Backend) {
	be := open(b)
	defer be.Close()
	for _, c := range opcases.Cases(opcases.GPT2, backend.DTypes(backend.Weights)) {
		b.Run(c.Name(), func(b *testing.B) { measure(b, be, c) })
	}
}

func measure(b *testing.B, be backend.Backend, c opcases.Case) {
	op, err := c.Build(be)
	if err != nil {
		b.Fatal(err)
	}
	defer op.Free()
	program, err := backend.Record(be, op.Op)
	if err != nil {
		b.Skip(err)
	}
	defer program.Close()
	run := func() {
		if err := program.Run(); err != nil {
			b.Fatal(err)
		}
	}
	wait := func() {
		if err := op.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	run() // compiles shaders
	wait()
	for i := 0; b.Loop(); i++ {
		run()
		if i%16 == 15 { // so that the queue stays short
			wait()
		}
	}
	wait()
	seconds := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(op.Bytes/seconds/1e9, "GB/s")
	if op.FLOP > 0 {
		b.ReportMetric(op.FLOP/seconds/1e9, "GFLOP/s")
	}
}
