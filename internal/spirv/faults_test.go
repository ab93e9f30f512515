package spirv

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"os"
	"slices"
	"testing"
)

//go:generate glslc --target-env=vulkan1.1 -O testdata/faults.comp -o testdata/faults.spv

// faults are the cases of testdata/faults.comp, with the kinds of reports that each must give for subgroups of 4, 32 and 64 lanes.
var faults = []struct {
	name   string
	groups uint32
	kinds  [3][]Kind
}{
	{"none", 3, [3][]Kind{}},
	{"no barrier", 1, [3][]Kind{{Race, Uninitialised}, {Race, Uninitialised}, {Race}}},
	{"a subgroup's barrier", 1, [3][]Kind{}},
	{"a subgroup's barrier for all", 1, [3][]Kind{{Race, Uninitialised}, {Race, Uninitialised}, {}}},
	{"two invocations write", 1, all(Race)},
	{"two workgroups write", 2, all(Race)},
	{"shared memory is not written", 1, all(Uninitialised)},
	{"a variable is not written", 1, all(Uninitialised)},
	{"past the end of a buffer", 1, all(OutOfBounds)},
	{"past the end of shared memory", 1, all(OutOfBounds)},
	{"a barrier for some", 1, all(BarrierMissed)},
	{"a subgroup operation for some", 1, all(Divergent)},
	{"shift", 1, all(Undefined)},
	{"conversion", 1, all(Undefined)},
	{"division", 1, all(Undefined)},
	{"barrier() for a buffer", 1, [3][]Kind{{Race}, {Race}, {Race}}},
	{"a barrier for buffers", 1, [3][]Kind{}},
	{"a read before a write", 2, [3][]Kind{}},
	{"a read beside a write", 1, all(Race)},
	{"atomics", 2, [3][]Kind{}},
	{"atomics beside a write", 1, all(Race)},
	{"rounds of a loop", 2, [3][]Kind{}},
	{"a buffer is not written", 1, all(Uninitialised)},
}

func all(k Kind) [3][]Kind { return [3][]Kind{{k}, {k}, {k}} }

// runFault dispatches a case and returns what it left in y.
func runFault(t *testing.T, m *Module, n, lanes int, groups uint32, seed uint64) ([]uint32, []Report) {
	t.Helper()
	p, err := m.Compile(Options{Name: "faults", Bindings: []string{"y", "x"}, Lanes: lanes, Spec: []uint32{uint32(n)}})
	if err != nil {
		t.Fatal(err)
	}
	mc, mem := NewMachine(seed), NewMemory(2048, 2)
	var data []byte
	for i := range uint32(64) {
		data = binary.LittleEndian.AppendUint32(data, 100+i)
	}
	for _, at := range []int{0, 256, 512} {
		if err := mc.Put(mem, at, data[:4], "the test"); err != nil {
			t.Fatal(err)
		}
	}
	if err := mc.Put(mem, 1024, data, "the test"); err != nil {
		t.Fatal(err)
	}
	mc.Barrier(Transfers)
	push := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, math.Float32bits(1e9)), 2)
	if err := mc.Dispatch(p, []Binding{{Memory: mem, Size: 768}, {Memory: mem, Offset: 1024, Size: 256}}, push, [3]uint32{groups, 1, 1}); err != nil {
		t.Fatal(err)
	}
	return mem.words[:192], mc.Reports()
}

func parseFaults(t *testing.T) *Module {
	t.Helper()
	code, err := os.ReadFile("testdata/faults.spv")
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(code)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestFaults holds reports to small shaders that have one fault, and to some that have none.
func TestFaults(t *testing.T) {
	m := parseFaults(t)
	for n, f := range faults {
		for i, lanes := range []int{4, 32, 64} {
			for seed := range uint64(3) {
				_, reports := runFault(t, m, n, lanes, f.groups, seed)
				var got []Kind
				for _, r := range reports {
					if !slices.Contains(f.kinds[i], r.Kind) {
						t.Errorf("%s, %d lanes: %v", f.name, lanes, r)
					}
					got = append(got, r.Kind)
				}
				if want := f.kinds[i]; len(want) > 0 && !slices.ContainsFunc(got, func(k Kind) bool { return k == want[0] }) {
					t.Errorf("%s, %d lanes, seed %d: %v, expected %v", f.name, lanes, seed, got, want)
				}
			}
		}
	}
}

// TestLanes computes what depends on lanes that part and meet.
func TestLanes(t *testing.T) {
	m := parseFaults(t)
	for _, lanes := range []int{1, 2, 7, 16, 32, 64, 128} {
		y, _ := runFault(t, m, 21, lanes, 3, 1)
		for i, got := range y {
			sum, last := uint32(0), uint32(0)
			for k := uint32(0); k <= uint32(i%64) && sum <= 1000; k++ {
				sum, last = sum+k, 2*k
			}
			if got != sum+last {
				t.Fatalf("%d lanes: word %d is %d, expected %d", lanes, i, got, sum+last)
			}
		}
		y, _ = runFault(t, m, 0, lanes, 3, 1)
		for i, got := range y {
			if want := uint32(100 + i%64 ^ 1); got != 100+(uint32(i)%64^1) {
				t.Fatalf("%d lanes: word %d is %d, expected %d", lanes, i, got, want)
			}
		}
	}
}

// TestRepeats runs the same seed twice, and another one.
func TestRepeats(t *testing.T) {
	m := parseFaults(t)
	first, _ := runFault(t, m, 5, 32, 3, 4)
	kept := slices.Clone(first)
	again, _ := runFault(t, m, 5, 32, 3, 4)
	if !slices.Equal(kept, again) {
		t.Error("the same seed gives other results")
	}
	_, a := runFault(t, m, 5, 32, 3, 4)
	texts := map[string]bool{fmt.Sprint(a): true}
	for seed := range uint64(8) {
		_, b := runFault(t, m, 5, 32, 3, seed)
		texts[fmt.Sprint(b)] = true
	}
	if len(texts) < 2 {
		t.Error("nine seeds give the same order of workgroups")
	}
}

// TestFma compares with a sum that is exact in 106 bits.
func TestFma(t *testing.T) {
	for _, c := range [][3]float32{
		{1 + 1.0/(1<<12), 1 + 1.0/(1<<12), 1.0 / (1 << 25)}, {1 + 1.0/(1<<23), 1 + 1.0/(1<<23), -1}, {3, 1.0 / 3, -1},
		{1.5e-23, 1.1e-22, 3e-45}, {16777216, 1, 1}, {16777215, 16777215, -1}, {1e30, 1e30, -1}, {0, 5, -7},
		{1 + 1.0/(1<<12), 4096 + 1.0/(1<<11), 1e-30}, {-4097, 4097, 1e-30},
	} {
		got := fma(c[0], c[1], c[2])
		want := exactFma(c[0], c[1], c[2])
		if math.Float32bits(got) != math.Float32bits(want) {
			t.Errorf("fma%v is %g, expected %g", c, got, want)
		}
	}
}

// TestUnknown holds to being errors: what is no SPIR-V, is cut off, or is not known.
func TestUnknown(t *testing.T) {
	code, err := os.ReadFile("testdata/faults.spv")
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(code); n += 40 {
		if m, err := Parse(code[:n&^3]); err == nil {
			if _, err := m.Compile(Options{Lanes: 4}); err == nil {
				t.Errorf("%d of %d bytes are taken", n, len(code))
			}
		}
	}
	for at := 20; at < len(code); {
		n := int(binary.LittleEndian.Uint16(code[at+2:]))
		other := slices.Clone(code)
		binary.LittleEndian.PutUint16(other[at:], 9999)
		if _, err := Parse(other); err == nil {
			t.Errorf("opcode 9999 at byte %d is taken", at)
		}
		at += 4 * n
	}
	m := parseFaults(t)
	for _, lanes := range []int{0, 129} {
		if _, err := m.Compile(Options{Lanes: lanes}); err == nil {
			t.Errorf("a subgroup of %d lanes is taken", lanes)
		}
	}
}

func exactFma(a, b, c float32) float32 {
	x := new(big.Float).SetPrec(400).SetFloat64(float64(a))
	x.Mul(x, new(big.Float).SetPrec(400).SetFloat64(float64(b)))
	x.Add(x, new(big.Float).SetPrec(400).SetFloat64(float64(c)))
	v, _ := x.Float32()
	return v
}
