package nn

import (
	"math/rand/v2"
	"testing"

	"caldera/backend"
)

// anyOp has as many operands as a test wants.
type anyOp struct {
	tensors []Tensor
	access  []backend.Access
}

func (*anyOp) Name() string { return "any" }
func (*anyOp) Check() error { return nil }
func (o *anyOp) Operands(yield func(string, *Tensor, backend.Access)) {
	for i := range o.tensors {
		yield("x", &o.tensors[i], o.access[i])
	}
}

func (o *anyOp) add(r *slot, a backend.Access) {
	o.tensors = append(o.tensors, Tensor{Buf: r, DType: backend.F32})
	o.access = append(o.access, a)
}

// buffer is memory that is not the planner's.
type buffer struct{ backend.Buffer }

// randomOps is a list of ops that read what earlier ones wrote, mostly recent.
func randomOps(r *rand.Rand) (ops []backend.Op, slots []*slot) {
	for range 1 + r.IntN(40) {
		op := &anyOp{}
		for range r.IntN(3) {
			if len(slots) > 0 {
				op.add(slots[max(0, len(slots)-1-int(r.ExpFloat64()*3))], backend.Read)
			}
		}
		op.tensors = append(op.tensors, Tensor{Buf: &buffer{}, DType: backend.F32})
		op.access = append(op.access, backend.Read)
		for range 1 + r.IntN(2) {
			slots = append(slots, &slot{size: 1 + r.IntN(5000), persistent: r.IntN(10) == 0, block: []int{0, 4, 36}[r.IntN(3)]})
			op.add(slots[len(slots)-1], backend.Write)
		}
		ops = append(ops, op)
	}
	return ops, slots
}

// TestPlan plays random programs on the planned memory: each op stamps the
// bytes of what it writes, and whoever reads finds the stamp whole.
func TestPlan(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	reused := 0
	for trial := range 200 {
		ops, slots := randomOps(r)
		total := plan(ops)
		sum := 0
		stamps := map[*slot]int{}
		for i, s := range slots {
			stamps[s] = i + 1
			sum += (s.size+alignment-1)/alignment*alignment + s.step() - alignment
			if s.at%alignment != 0 || s.at%max(1, s.block) != 0 || s.at < 0 || s.at+s.size > total {
				t.Fatalf("trial %d: a slot of %d bytes is at %d of %d", trial, s.size, s.at, total)
			}
		}
		if total > sum {
			t.Fatalf("trial %d: %d bytes planned for slots of %d", trial, total, sum)
		}
		if total < sum/2 {
			reused++
		}
		memory := make([]int, total)
		whole := func(x *slot) bool {
			for _, stamp := range memory[x.at : x.at+x.size] {
				if stamp != stamps[x] {
					return false
				}
			}
			return true
		}
		for i, op := range ops {
			// All of an op's operands are in use at once: first everything
			// is written, then everything is looked at.
			op.Operands(func(_ string, x *Tensor, a backend.Access) {
				if s, ok := x.Buf.(*slot); ok && a == backend.Write {
					for j := range s.size {
						memory[s.at+j] = stamps[s]
					}
				}
			})
			op.Operands(func(_ string, x *Tensor, _ backend.Access) {
				if s, ok := x.Buf.(*slot); ok && !whole(s) {
					t.Fatalf("trial %d: op %d finds a slot of %d bytes at %d overwritten", trial, i, s.size, s.at)
				}
			})
		}
		for _, s := range slots {
			if s.persistent && !whole(s) {
				t.Fatalf("trial %d: a persistent slot of %d bytes at %d was overwritten by the end", trial, s.size, s.at)
			}
		}
	}
	if reused < 40 {
		t.Errorf("%d of 200 plans took less than half of the slots' sizes: memory is hardly reused", reused)
	}
}

// TestPlanChain expects a chain of equal results to live in two places.
func TestPlanChain(t *testing.T) {
	var ops []backend.Op
	last := &slot{size: 1000}
	for range 20 {
		next := &slot{size: 1000}
		op := &anyOp{}
		op.add(last, backend.Read)
		op.add(next, backend.Write)
		ops = append(ops, op)
		last = next
	}
	if got := plan(ops); got != 1024+1000 {
		t.Errorf("a chain of 21 results of 1000 bytes takes %d, expected 2024", got)
	}
	if got := plan(nil); got != 0 {
		t.Errorf("no ops take %d bytes", got)
	}
}
