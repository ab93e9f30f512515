//go:build cgo

package vulkan

import (
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// runConverted multiplies quantised weights with a row that becomes blocks in the product, and returns
// the names of the variants that did.
func runConverted(t *testing.T, b *Backend) (taken []string) {
	t.Helper()
	for _, d := range blocksOfEights() {
		op := &backend.Linear{Dst: newTensor(t, b, backend.F32, 1, 8), X: newTensor(t, b, backend.F32, 1, 64), W: newTensor(t, b, d, 8, 64), Rounded: newTensor(t, b, backend.Q8_A, 1, 64)}
		spans, err := backend.Profile(b, func(backend.Backend) error { return backend.Run(b, op) })
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range spans {
			taken = append(taken, s.Variants...)
		}
	}
	return taken
}

// runDots multiplies quantised weights with activations in blocks, and returns the names of the
// variants that did.
func runDots(t *testing.T, b *Backend, rows int) (taken []string) {
	t.Helper()
	for _, d := range blocksOfEights() {
		op := &backend.Linear{Dst: newTensor(t, b, backend.F32, rows, 8), X: newTensor(t, b, backend.Q8_A, rows, 64), W: newTensor(t, b, d, 8, 64)}
		spans, err := backend.Profile(b, func(backend.Backend) error { return b.Run(op) })
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range spans {
			taken = append(taken, s.Variants...)
		}
	}
	slices.Sort(taken)
	return taken
}

// TestDotsTaken tells which kernels products get whose activations are in blocks: those with integer
// dot products where the device has an instruction for them.
func TestDotsTaken(t *testing.T) {
	fast := openTest(t, lavapipe, func(l *Limits) { gpu(l); l.FastDot = true })
	for _, c := range []struct {
		b    *Backend
		rows int
		want string
	}{
		{fast, 1, "linear_one.q4_0.x_q8_a.dot.subgroup linear_one.q8_0.x_q8_a.dot.subgroup"},
		{fast, 3, "linear_rows.q4_0.x_q8_a.dot linear_rows.q8_0.x_q8_a.dot"},
		{fast, 33, "linear.q4_0.x_q8_a linear.q8_0.x_q8_a"},
		{openTest(t, lavapipe, gpu), 1, "linear_vec.q4_0.x_q8_a linear_vec.q8_0.x_q8_a"},
		{openTest(t, swiftshader, gpu), 3, "linear_rows.q4_0.x_q8_a linear_rows.q8_0.x_q8_a"},
	} {
		if got := strings.Join(runDots(t, c.b, c.rows), " "); got != c.want {
			t.Errorf("%d rows, an instruction for it %v: %s, expected %s", c.rows, c.b.limits.FastDot, got, c.want)
		}
	}
	if got, want := strings.Join(runConverted(t, fast), " "), "linear_one.q8_0.to_q8_a.dot.subgroup linear_one.q4_0.to_q8_a.dot.subgroup"; got != want {
		t.Errorf("x becomes blocks: %s, expected %s", got, want)
	}
	if got, want := strings.Join(runConverted(t, openTest(t, lavapipe, gpu)), " "), "quantize linear_vec.q8_0.x_q8_a quantize linear_vec.q4_0.x_q8_a"; got != want {
		t.Errorf("x becomes blocks, without an instruction for products of bytes: %s, expected %s", got, want)
	}
	if strings.Contains(fast.Describe(), "computed wrongly") {
		t.Error(fast.Describe())
	}
}

// TestDotsLie simulates a device that takes bytes as unsigned: it is found out, and does without.
func TestDotsLie(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir()) // where no verdicts are
	const opSDot, opUDot = 4450, 4451
	hooks := &vk.Hooks{Shader: func(words []uint32) []uint32 {
		words = slices.Clone(words)
		for at := 5; at < len(words); at += int(words[at] >> 16) {
			if words[at]&0xffff == opSDot {
				words[at] += opUDot - opSDot
			}
		}
		return words
	}}
	b, err := openWithHooks(t, lavapipe, func(l *Limits) { gpu(l); l.FastDot = true }, hooks)
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []int{1, 3} {
		if got := runDots(t, b, rows); slices.ContainsFunc(got, func(v string) bool { return strings.Contains(v, ".dot") }) {
			t.Errorf("%d rows: %v", rows, got)
		}
	}
	if got, want := strings.Join(runConverted(t, b), " "), "quantize linear_vec.q8_0.x_q8_a quantize linear_vec.q4_0.x_q8_a"; got != want {
		t.Errorf("x becomes blocks: %s, expected %s", got, want)
	}
	for _, v := range []string{"linear_one.q4_0.to_q8_a.dot.subgroup", "linear_one.q8_0.to_q8_a.dot.subgroup", "linear_one.q4_0.x_q8_a.dot.subgroup", "linear_one.q8_0.x_q8_a.dot.subgroup", "linear_rows.q4_0.x_q8_a.dot", "linear_rows.q8_0.x_q8_a.dot"} {
		if !strings.Contains(b.Describe(), v) {
			t.Errorf("%s is not said to be left out: %s", v, b.Describe())
		}
	}
}
