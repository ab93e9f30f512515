package checkpoint

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/model"
	"caldera/internal/atomicfile"
)

// SaveAdapter writes the adapter that m learns, which was loaded with [LoadOptions].Train and an
// adapter, to the directory dir, which is there, as PEFT reads it: f32, under PEFT's names. l are its settings.
// A number that is NaN or infinite is a [NonFiniteError], and then nothing is written.
func SaveAdapter(dir string, m *model.Model, l LoRA) error {
	if !m.Tune {
		return fmt.Errorf("the model has no adapter that learns: load it with LoadOptions.Train and an adapter")
	}
	var tensors []safetensors.Tensor
	weights := map[string]model.Weight{}
	for _, w := range m.Trained() {
		name := w.Name(model.HuggingFace)
		tensors = append(tensors, safetensors.Tensor{Name: name, DType: safetensors.F32, Shape: w.Shape})
		weights[name] = w
	}
	targets, turned := l.Targets, false
	var ends []string
	for _, w := range m.Weights() {
		if w.Linear != nil {
			module := w.Module(m.Architecture())
			if end := module[strings.LastIndex(module, ".")+1:]; !slices.Contains(ends, end) {
				ends = append(ends, end)
			}
			turned = turned || w.Order == model.InOut
		}
	}
	if slices.Contains(targets, AllLinear) {
		targets = ends
	}
	text, err := l.json(targets, turned)
	if err != nil {
		return err
	}
	err = safetensors.Write(filepath.Join(dir, adapterWeightsName), tensors, map[string]string{"format": "pt"}, func(w io.Writer, t safetensors.Tensor) error {
		// One is in memory at a time. The file takes its name when all of them are good.
		data, err := read(m, weights[t.Name], *weights[t.Name].Tensor, 0)
		if err == nil {
			err = checkFinite(context.Background(), rawTensor{Name: t.Name, DType: string(t.DType), Shape: t.Shape, Data: func() []byte { return data }})
		}
		if err != nil {
			return fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		_, err = w.Write(data)
		return err
	})
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, adapterConfigName), func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}
