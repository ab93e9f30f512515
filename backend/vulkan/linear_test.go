//go:build cgo

package vulkan

import (
	"strings"
	"testing"

	"caldera/backend"
)

// TestRowsTake tells which kernel multiplies how many rows, in one dispatch: a step of
// several sequences reads each weight once for up to 8 or 16 of them, and is no tile of 64
// rows that is mostly padding.
func TestRowsTake(t *testing.T) {
	type row struct {
		rows  int
		takes string
	}
	texels := []row{{1, "linear_lanes"}, {2, "linear_lanes"}, {8, "linear_lanes"}, {9, "linear_spread"}, {64, "linear_spread"}}
	blocks := []row{{1, "linear_lanes"}, {2, "linear_lanes"}, {3, "linear_lanes"}, {16, "linear_lanes"}, {64, "linear_lanes"}}
	plain := []row{{1, "linear_vec"}, {2, "linear_texel"}, {3, "linear_texel"}, {16, "linear_texel"}, {64, "linear_texel"}}
	for _, c := range []struct {
		device string
		clamp  func(*Limits)
		dtypes []backend.DType
		rows   []row
	}{
		{"lavapipe", nil, []backend.DType{backend.F32, backend.F16, backend.BF16}, texels},
		{"lavapipe", nil, []backend.DType{backend.Q8_0, backend.Q4_0}, blocks},
		{"without shuffles", func(l *Limits) { l.SubgroupShuffle = false }, []backend.DType{backend.F32, backend.Q8_0}, plain},
		{"without texels", func(l *Limits) { l.TexelElements = 0 }, []backend.DType{backend.F32, backend.Q8_0}, []row{{1, "linear_vec"}, {8, "linear_vec"}}},
		{"gpu", gpu, []backend.DType{backend.F32, backend.BF16, backend.Q4_0},
			[]row{{1, "linear_one"}, {2, "linear_rows"}, {5, "linear_rows"}, {9, "linear_rows"}, {32, "linear_rows"}, {33, "linear"}}},
	} {
		b := openTest(t, lavapipe, c.clamp)
		for _, d := range c.dtypes {
			for _, row := range c.rows {
				spans, err := backend.Profile(b, func(backend.Backend) error {
					return backend.Run(b, &backend.Linear{
						Dst: newTensor(t, b, backend.F32, row.rows, 20), X: newTensor(t, b, backend.F32, row.rows, 64), W: newTensor(t, b, d, 20, 64),
					})
				})
				if err != nil {
					t.Fatal(err)
				}
				if len(spans) != 1 || spans[0].Dispatches != 1 || len(spans[0].Variants) != 1 || source(spans[0].Variants[0]) != row.takes {
					t.Errorf("%s: %d rows by %v: %+v, expected one dispatch of %s", c.device, row.rows, d, spans, row.takes)
				}
			}
		}
	}
}

// source is the shader of a variant.
func source(variant string) string {
	name, _, _ := strings.Cut(variant, ".")
	return name
}
