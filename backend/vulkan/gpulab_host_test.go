//go:build cgo

package vulkan

import (
	"os"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/internal/gpulab"
)

// BenchmarkPlayedHost is what the host takes for a token, through the driver of a GPU that is
// played: there a submit does nothing, and nothing has to be waited for; and how many dispatches,
// barriers and submits a token has. It runs by hand, as in
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
	var counted [3]int // dispatches, barriers, submits
	device, err := Open(Options{played: true, hooks: &vk.Hooks{
		Command: func(_ vk.CommandBuffer, c vk.Command) bool {
			switch c.Kind {
			case vk.Dispatch:
				counted[0]++
			case vk.Barrier:
				counted[1]++
			}
			return true
		},
		Submit: func() (commands, fence bool) {
			counted[2]++
			return true, true
		},
	}})
	if err != nil {
		b.Fatal(err)
	}
	defer device.Close()
	l := &lab{Backend: device, t: b, small: card.Small}
	for _, shape := range []string{"gpt2", "gpt2-xl", "llama-3.2-1b"} {
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
				// The first time records the step; what the second time counts is recorded for each token.
				const few = 3
				var first, again [3]int
				counted = [3]int{}
				generate(few)
				first, counted = counted, [3]int{}
				generate(few)
				again = counted
				b.ResetTimer()
				before := processorTime(b)
				for left := b.N; left > 0; left -= 1000 {
					generate(min(left, 1000))
				}
				for i, unit := range []string{"dispatches/op", "barriers/op"} {
					b.ReportMetric(float64(first[i]-again[i])+float64(again[i])/few, unit)
				}
				b.ReportMetric(float64(again[2])/few, "submits/op")
				b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
			})
		}
	}
}
