package conformance

import (
	"slices"
	"testing"

	"caldera/backend"

	"github.com/google/go-cmp/cmp"
)

// Fusing is the inverse of lowering: for every case of a fused op,
// Fuse(Lower(op)) is op and Lower(Fuse(ops)) is ops. A product that rounds x is
// written as one op by whoever wants it (nn.Tape): Fuse leaves its two ops apart.
func TestFuseInvertsLower(t *testing.T) {
	b := &faulty{reference: &reference{}, fused: true}
	sameBuffer := cmp.Comparer(func(a, b backend.Buffer) bool { return a == b })
	n := 0
	for _, name := range names() {
		if _, ok := kinds[name].Op.(backend.Lowerer); !ok {
			continue
		}
		for _, c := range kinds[name].Cases() {
			op, _ := c.Build()
			if !lowers(op) {
				continue
			}
			ops := op.(backend.Lowerer).Lower()
			if _, ok := ops[0].(*backend.Round); ok {
				continue
			}
			fused := backend.Fuse(b, ops, func(backend.Tensor) bool { return false })
			if diff := cmp.Diff([]backend.Op{op}, fused, sameBuffer); diff != "" {
				t.Fatalf("%s: Fuse(Lower(op)) differs from op (-want +got):\n%s", c.Name, diff)
			}
			if diff := cmp.Diff(ops, fused[0].(backend.Lowerer).Lower(), sameBuffer); diff != "" {
				t.Fatalf("%s: Lower(Fuse(ops)) differs from ops (-want +got):\n%s", c.Name, diff)
			}
			n++
		}
	}
	if n == 0 {
		t.Fatal("there is no op that lowers to others")
	}
}

// Fuse must leave what others need: of the small GPT's ops it joins linear
// with what follows, and keeps every tensor that is looked at.
func TestFuseModel(t *testing.T) {
	b := &faulty{reference: &reference{}, fused: true}
	m := tinyGPT2()
	p := m.forward(m.cache(1), 3)
	ops := backend.Fuse(b, p.ops, p.keep)
	count := func(name string) (n int) {
		for _, op := range ops {
			if backend.Label(op) == name {
				n++
			}
		}
		return n
	}
	for name, each := range map[string]int{"layernorm+linear+store": 1, "attention": 1, "linear+residual": 2, "layernorm+linear+gelu_tanh": 1} {
		if n := count(name); n != each*m.layers {
			t.Errorf("%d layers gave %d %s, expected %d", m.layers, n, name, each*m.layers)
		}
	}
	lowered, err := backend.Prepare(&reference{}, ops...)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(p.ops, lowered, func(a, b backend.Op) bool { return a.Name() == b.Name() }) {
		t.Error("Lower(Fuse(ops)) is another list than ops")
	}
}
