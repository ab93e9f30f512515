package view

import (
	"context"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/inspect"
	"caldera/internal/gpttest"
)

// BenchmarkEmbedded asks views of the embedded model about a text of 18 tokens, as the
// page does at each keystroke.
func BenchmarkEmbedded(b *testing.B) {
	each(b, func(b *testing.B, device backend.Backend) {
		in := gpttest.Inspect(b, device)
		const text = "It is a truth universally acknowledged, that a single man"
		ask(b, in, "tokens?text="+text, "embed?word=man", "next?text="+text, "attention?layer=3&head=1&text="+text, "mlp?layer=3&text="+text,
			"lens?show=lens&text="+text, "lens?show=attribution&text="+text, "lens?show=ablation&off=3.mlp&text="+text, "lens?show=ablation&each=heads&text="+text)
	})
}

// BenchmarkGPT2 asks views of a model of GPT-2's shape, with random weights, about a
// text that fills its context; the last one about a text of 18 tokens.
func BenchmarkGPT2(b *testing.B) {
	each(b, func(b *testing.B, device backend.Backend) {
		config, err := model.Shape("gpt2")
		if err != nil {
			b.Fatal(err)
		}
		m, err := gpt.Random(context.Background(), device, config, gpt.LoadOptions{}, 1)
		if err != nil {
			b.Fatal(err)
		}
		defer m.Close()
		in := inspect.New(m, nil, inspect.Options{Name: "gpt2"})
		defer in.Close()
		ids := strings.TrimSuffix(strings.Repeat("11,262,", config.Context/2), ",")
		ask(b, in, "next?tokens="+ids, "attention?layer=5&head=3&tokens="+ids, "attention?tokens="+ids, "mlp?layer=5&tokens="+ids,
			"lens?show=lens&tokens="+ids, "lens?show=attribution&tokens="+ids, "lens?show=ablation&off=3.mlp&tokens="+ids,
			"lens?show=ablation&each=attention&tokens="+strings.Repeat("11,262,", 8)+"11,262")
	})
}

// each runs a benchmark on the CPU, and on the best Vulkan device if there is one.
func each(b *testing.B, run func(b *testing.B, device backend.Backend)) {
	for _, name := range []string{"cpu", "vulkan"} {
		device, err := backend.Open(name)
		if err != nil {
			b.Logf("%s: %v", name, err)
			continue
		}
		b.Run(name, func(b *testing.B) { run(b, device) })
		if err := device.Close(); err != nil {
			b.Error(err)
		}
	}
}

// ask runs views by their addresses, once before they are measured: programs are then
// recorded and shaders compiled.
func ask(b *testing.B, in *inspect.Inspector, addresses ...string) {
	for _, address := range addresses {
		name, _, _ := strings.Cut(strings.NewReplacer("text=", "|", "tokens=", "|", "word=", "|").Replace(address), "|")
		b.Run(strings.TrimRight(name, "?&"), func(b *testing.B) {
			v, p, err := parse(b, address)
			if err != nil {
				b.Fatal(err)
			}
			run := func() {
				if _, err := Ask(context.Background(), in, v, p, Options{}); err != nil {
					b.Fatal(err)
				}
			}
			run()
			for b.Loop() {
				run()
			}
		})
	}
}
