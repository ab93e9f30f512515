//go:build cgo

package vulkan

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestHazards(t *testing.T) {
	type command struct {
		s       stage
		touches []touch
	}
	r := func(buffer, from, to uint64) touch { return touch{buffer, from, to, false} }
	w := func(buffer, from, to uint64) touch { return touch{buffer, from, to, true} }
	shader := func(t ...touch) command { return command{compute, t} }
	copying := func(t ...touch) command { return command{transfer, t} }

	for _, c := range []struct {
		name     string
		commands []command
		want     []stage // before each command: 0 is no barrier
	}{
		{"first", []command{shader(r(1, 0, 64), w(2, 0, 64))}, []stage{0}},
		{"read after write", []command{shader(w(1, 0, 64)), shader(r(1, 0, 64))}, []stage{0, compute}},
		{"write after read", []command{shader(r(1, 0, 64)), shader(w(1, 0, 64))}, []stage{0, compute}},
		{"write after write", []command{shader(w(1, 0, 64)), shader(w(1, 0, 64))}, []stage{0, compute}},
		{"read after read", []command{shader(r(1, 0, 64)), shader(r(1, 0, 64))}, []stage{0, 0}},
		{"neighbours", []command{shader(w(1, 0, 64)), shader(w(1, 64, 128))}, []stage{0, 0}},
		{"one byte shared", []command{shader(w(1, 0, 65)), shader(w(1, 64, 128))}, []stage{0, compute}},
		{"other buffer", []command{shader(w(1, 0, 64)), shader(w(2, 0, 64))}, []stage{0, 0}},
		{
			"three projections of one input, then their reader",
			[]command{
				shader(w(1, 0, 64)),
				shader(r(1, 0, 64), w(1, 64, 128)),
				shader(r(1, 0, 64), w(1, 128, 192)),
				shader(r(1, 0, 64), w(1, 192, 256)),
				shader(r(1, 64, 256), w(1, 256, 320)),
			},
			[]stage{0, compute, 0, 0, compute},
		},
		{
			"a barrier settles everything before it",
			[]command{
				shader(w(1, 0, 64)),
				shader(w(2, 0, 64)),
				shader(r(1, 0, 64), w(3, 0, 64)),
				shader(r(2, 0, 64), w(4, 0, 64)),
			},
			[]stage{0, 0, compute, 0},
		},
		{
			"a read before the barrier does not hold up a write after it",
			[]command{shader(r(1, 0, 64), w(2, 0, 64)), shader(r(2, 0, 64)), shader(w(1, 0, 64))},
			[]stage{0, compute, 0},
		},
		{"copy, then shader", []command{copying(w(1, 0, 8)), shader(r(1, 0, 64))}, []stage{0, transfer}},
		{"shader, then copy", []command{shader(w(1, 0, 8)), copying(r(1, 0, 8))}, []stage{0, compute}},
		{
			"both stages",
			[]command{copying(w(1, 0, 8)), shader(w(2, 0, 8)), shader(r(1, 0, 8))},
			[]stage{0, 0, compute | transfer},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h hazards
			for i, cmd := range c.commands {
				if got := h.add(cmd.s, cmd.touches); got != c.want[i] {
					t.Errorf("command %d: waits for stages %b, want %b", i, got, c.want[i])
				}
			}
		})
	}
}

// TestHazardsModel compares hazards with its definition: if two commands access the same
// byte and one of them writes it, there is a barrier between them.
func TestHazardsModel(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var h hazards
		var all [][]touch
		lastBarrier := 0
		for i := range 3000 {
			touches := make([]touch, 1+rng.IntN(4))
			for j := range touches {
				from := rng.Uint64N(1 << 16)
				touches[j] = touch{rng.Uint64N(4), from, from + 1 + rng.Uint64N(64), rng.IntN(3) == 0}
			}
			needed := ""
			for k := lastBarrier; k < i && needed == ""; k++ {
				for _, a := range all[k] {
					for _, b := range touches {
						if a.buffer == b.buffer && (a.write || b.write) && max(a.from, b.from) < min(a.to, b.to) {
							needed = fmt.Sprintf("%+v of command %d, %+v", a, k, b)
						}
					}
				}
			}
			after := h.add(compute, touches)
			if needed != "" && after == 0 {
				t.Fatalf("seed %d, command %d: no barrier between %s", seed, i, needed)
			}
			if needed == "" && after != 0 && h.count > len(touches) {
				t.Fatalf("seed %d, command %d: a barrier, but everything is still open", seed, i)
			}
			if after != 0 {
				lastBarrier = i
			}
			all = append(all, touches)
		}
	}
}
