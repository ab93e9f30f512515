package conformance

import (
	"embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
)

// A GPT-2 with random weights, and what PyTorch computes with it in float64:
// written by scripts/reference.py, gradients left out.
//
//go:embed testdata/gpt2-tiny/model.safetensors testdata/gpt2-tiny/expected.safetensors
var testdata embed.FS

// figures are the tensors of one file, in row-major order.
type figures map[string][]float64

// readFigures reads one of the embedded files. It trusts them; package gpt has
// a reader for files that anybody may have written.
func readFigures(name string) figures {
	data, err := testdata.ReadFile("testdata/gpt2-tiny/" + name)
	if err != nil {
		panic(err)
	}
	n := binary.LittleEndian.Uint64(data)
	var header map[string]struct {
		DType   string
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		panic(err)
	}
	all := figures{}
	for name, h := range header {
		if name == "__metadata__" {
			continue
		}
		p := data[8+n:][h.Offsets[0]:h.Offsets[1]]
		var values []float64
		switch h.DType {
		case "F32":
			for ; len(p) > 0; p = p[4:] {
				values = append(values, float64(math.Float32frombits(binary.LittleEndian.Uint32(p))))
			}
		case "I64":
			for ; len(p) > 0; p = p[8:] {
				values = append(values, float64(int64(binary.LittleEndian.Uint64(p))))
			}
		default:
			panic(fmt.Sprintf("%s: dtype %s", name, h.DType))
		}
		all[name] = values
	}
	return all
}
