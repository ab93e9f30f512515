//go:build cgo

package vulkan

import (
	"os"

	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/internal/gpulab"
)

// BenchmarkPlayedHost is what the host takes for a token, through the driver of a GPU that is
// played: there a submit does nothing, and nothing has to be waited for. It runs by hand, as in
//
//	go test -c -o /tmp/vulkan.test ./backend/vulkan
//	CALDERA_GPULAB_CARD=navi31 $CALDERA_GPULAB_TRIXIE navi31 /tmp/vulkan.test -test.run=^$ -test.bench=PlayedHost
func BenchmarkPlayedHost(b *testing.B) {
	name := os.Getenv(playedCard)
	if name == "" {
		b.Skip(playedCard + " names no card")
	}
	card, err := gpulab.Find(name)
	if err != nil {
		b.Fatal(err)
	}
	device, err := Open(Options{played: true})
	if err != nil {
		b.Fatal(err)
	}
	defer device.Close()
	l := &lab{Backend: device, t: b, small: card.Small}
	for _, shape := range []string{"gpt2", "gpt2-xl"} {
		m := l.load(labModel{shape: shape}, 0, checkpoint.LoadOptions{DType: backend.F16})
		defer m.Close()
		for _, c := range []struct {
			name string
			s    gpt.Sampling
		}{
			{"greedy", gpt.Sampling{}},
			{"default", gpt.Sampling{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05}},
			{"penalty", gpt.Sampling{Temperature: 0.8, TopK: 40, RepeatPenalty: 1.1, RepeatLastN: 64}},
		} {
			b.Run(shape+"/"+c.name, func(b *testing.B) {
				s, err := gpt.NewSession(m, gpt.SessionOptions{Context: 1024})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				generate := func(n int) {
					for _, err := range s.Generate(b.Context(), []int{1}, gpt.Options{Sampling: c.s, IgnoreEOS: true, Predict: n}) {
						if err != nil {
							b.Fatal(err)
						}
					}
					s.Reset()
				}
				generate(3) // which records the step
				b.ResetTimer()
				before := processorTime(b)
				for left := b.N; left > 0; left -= 1000 {
					generate(min(left, 1000))
				}
				b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
			})
		}
	}
}
