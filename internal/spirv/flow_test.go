package spirv

import (
	"encoding/binary"
	"math/bits"
	"os"
	"testing"
)

//go:generate glslc --target-env=vulkan1.1 -O testdata/flow.comp -o testdata/flow.spv

// flows are the cases of testdata/flow.comp: what invocation i of 64 computes, where x[k] is 100 + k.
var flows = []struct {
	name string
	want func(i uint32) uint32
}{
	{"shared memory without the first lanes", func(i uint32) uint32 { return weighted(i, 64, func(j uint32) uint32 { return (100 + j) * (j + 1) }) }},
	{"a buffer without the first lanes", func(i uint32) uint32 { return weighted(i, 64, func(j uint32) uint32 { return (100 + j) * (j + 1) }) }},
	{"texels without the first lanes", func(i uint32) uint32 {
		return weighted(i, 16, func(j uint32) uint32 { v := 100 + 4*j; return v + 2*(v+1) + 3*(v+2) + 5*(v+3) })
	}},
	{"lanes that go on early", func(i uint32) uint32 {
		last, round := uint32(0), uint32(0)
		for j := range uint32(8) {
			last = 100 + j
			round++
			if last+i%4 == 105 {
				continue
			}
			if last >= 104 {
				break
			}
		}
		return last*100 + round
	}},
	{"early returns", func(i uint32) (result uint32) {
		for j := range uint32(3) {
			result = result*10 + early(i+j, 100+i)
		}
		return result
	}},
	{"carries", func(i uint32) uint32 {
		sum, carry := bits.Add32((100+i)<<24, 1<<31, 0)
		high, low := bits.Mul32((100+i)<<24, i<<12)
		return sum ^ carry ^ high*3 ^ low*5
	}},
	{"vectors of bools", func(i uint32) uint32 {
		a, b := 100+i, 163-i
		return truth(a == 110 || b == 110) + 2*truth(a < 150 && b < 150)
	}},
	{"atomics", func(uint32) uint32 { return 101*1000 + 161 }},
	{"jumps", func(i uint32) uint32 { return 1 + i%2 + 10*(1+i/2%2) }},
}

// weighted is the sum that the shader computes in lanes that are there.
func weighted(i, n uint32, f func(j uint32) uint32) (sum uint32) {
	if i%16 < 3 {
		return 0
	}
	for j := range n {
		sum += f(j)
	}
	return sum
}

// early is the shader's function of this name.
func early(i, v uint32) uint32 {
	if i%5 == 1 {
		return v
	}
	for k := range uint32(8) {
		if v+k == 104 {
			return 1000 + k
		}
	}
	if i%3 == 0 {
		return 7
	}
	return 8
}

// TestFlow compares what lanes compute that part and meet.
func TestFlow(t *testing.T) {
	code, err := os.ReadFile("testdata/flow.spv")
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(code)
	if err != nil {
		t.Fatal(err)
	}
	var data []byte
	for i := range uint32(64) {
		data = binary.LittleEndian.AppendUint32(data, 100+i)
	}
	for n, f := range flows {
		for _, lanes := range []int{1, 4, 7, 16, 32, 64, 128} {
			p, err := m.Compile(Options{Name: "flow", Bindings: []string{"y", "x", "texels"}, Lanes: lanes, Spec: []uint32{uint32(n)}})
			if err != nil {
				t.Fatal(err)
			}
			mc, mem := NewMachine(1), NewMemory(512, 2)
			if err := mc.Put(mem, 256, data, "the test"); err != nil {
				t.Fatal(err)
			}
			mc.Barrier(Transfers)
			bindings := []Binding{{Memory: mem, Size: 256}, {Memory: mem, Offset: 256, Size: 256}, {Memory: mem, Offset: 256, Size: 256, Texels: RGBA32U}}
			if err := mc.Dispatch(p, bindings, nil, [3]uint32{1, 1, 1}); err != nil {
				t.Fatal(err)
			}
			if r := mc.Reports(); len(r) > 0 {
				t.Errorf("%s, %d lanes: %s", f.name, lanes, names(r))
			}
			for i := range uint32(64) {
				if got, want := mem.words[i], f.want(i); got != want {
					t.Errorf("%s, %d lanes: invocation %d has %d, expected %d", f.name, lanes, i, got, want)
					break
				}
			}
		}
	}
}
