package spirv

import (
	"os"
	"strings"
	"testing"
)

//go:generate glslc --target-env=vulkan1.1 -O testdata/subgroup.comp -o testdata/subgroup.spv

// TestSubgroupOperations compares what lanes tell each other, in subgroups of which the last is not full.
func TestSubgroupOperations(t *testing.T) {
	code, err := os.ReadFile("testdata/subgroup.spv")
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(code)
	if err != nil {
		t.Fatal(err)
	}
	const n, each = 100, 10
	for _, lanes := range []int{4, 20, 100, 128} {
		p, err := m.Compile(Options{Name: "subgroup", Lanes: lanes})
		if err != nil {
			t.Fatal(err)
		}
		mc, mem := NewMachine(1), NewMemory(4*(n*each+1), 1)
		if err := mc.Put(mem, 4*n*each, make([]byte, 4), "the test"); err != nil {
			t.Fatal(err)
		}
		mc.Barrier(Transfers)
		bindings := []Binding{{Memory: mem, Size: 4 * n * each}, {Memory: mem, Offset: 4 * n * each, Size: 4}}
		if err := mc.Dispatch(p, bindings, nil, [3]uint32{1, 1, 1}); err != nil {
			t.Fatal(err)
		}
		if r := mc.Reports(); len(r) > 0 {
			t.Fatalf("%d lanes: %s", lanes, names(r))
		}
		for i := range uint32(n) {
			first := i / uint32(lanes) * uint32(lanes)
			end := min(first+uint32(lanes), n)
			var want [each]uint32
			halves := float32(0)
			for k := first; k < end; k++ {
				want[0] += k
				halves += float32(k) * 0.5
				want[2] = max(want[2], k*7%10)
				want[6] ^= (k & 1) << ((k - first) % 32)
			}
			want[1], want[3], want[4] = uint32(halves), 200-first, truth(i == first)
			want[5], want[7], want[8] = first+1, first+(i-first)^1, first+(i-first)^2
			want[9] = uint32(lanes)*10000 + uint32(p.subs)*100 + i/uint32(lanes)
			if got := [each]uint32(mem.words[each*i:]); got != want {
				t.Fatalf("%d lanes, invocation %d: %v, expected %v", lanes, i, got, want)
			}
		}
		if got := mem.words[n*each]; got != n*(n-1)/2 {
			t.Errorf("%d lanes: a sum of atomics is %d, expected %d", lanes, got, n*(n-1)/2)
		}
	}
}

// names are reports, a line each.
func names(list []Report) string {
	var b strings.Builder
	for _, r := range list {
		b.WriteString(r.String() + "\n")
	}
	return b.String()
}
