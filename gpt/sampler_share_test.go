package gpt_test

import (
	"context"
	"testing"
	"time"

	"caldera/backend"
	"caldera/backend/cpu"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
)

// BenchmarkSamplerShare tells how much of a token of GPT-2 124M on the CPU the host's sampler takes, in percent: both are the least
// of many.
func BenchmarkSamplerShare(b *testing.B) {
	back, err := cpu.Open()
	if err != nil {
		b.Fatal(err)
	}
	defer back.Close()
	for _, d := range []backend.DType{backend.F32, backend.F16, backend.Q8_0, backend.Q4_0} {
		b.Run(d.String(), func(b *testing.B) {
			config, err := model.Shape("gpt2")
			if err != nil {
				b.Fatal(err)
			}
			c, err := checkpoint.Random(config.Complete(), 1)
			if err != nil {
				b.Fatal(err)
			}
			m, err := gpt.LoadCheckpoint(b.Context(), back, c, gpt.LoadOptions{DType: d})
			if err != nil {
				b.Fatal(err)
			}
			defer m.Close()
			token := leastStep(b, m)
			logits, recent := gpt.VocabularyLogits(1), sequence(100, 1000)
			for _, test := range gpt.SamplingBenchmarks {
				b.Run(test.Name, func(b *testing.B) {
					s, least := gpt.NewSampler(test.S), time.Hour
					s.UseThreads(back)
					for b.Loop() {
						start := time.Now()
						if _, _, err := s.Next(logits, recent); err != nil {
							b.Fatal(err)
						}
						least = min(least, time.Since(start))
					}
					b.ReportMetric(float64(least.Nanoseconds())/1e3, "µs")
					b.ReportMetric(100*least.Seconds()/token.Seconds(), "%")
				})
			}
		})
	}
}

// leastStep is the time of the fastest of some steps of one token.
func leastStep(b *testing.B, m *model.Model) time.Duration {
	s, err := gpt.NewSession(m, gpt.SessionOptions{Context: 256})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	least := time.Hour
	for i := range 200 {
		start := time.Now()
		if _, err := s.Feed(context.Background(), i); err != nil {
			b.Fatal(err)
		}
		least = min(least, time.Since(start))
	}
	return least
}
