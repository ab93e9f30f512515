package spirv

import (
	"encoding/binary"
	"math"
	"testing"

	"caldera/shaders"
)

// TestCompiles compiles every shader for subgroups of several sizes.
func TestCompiles(t *testing.T) {
	for i := range shaders.Variants {
		v := &shaders.Variants[i]
		m, err := Parse(v.SPIRV())
		if err != nil {
			t.Errorf("%s: %v", v.Name(), err)
			continue
		}
		for _, lanes := range []int{1, 4, 32, 64, 128} {
			if _, err := m.Compile(Options{Name: v.Name(), Lanes: lanes}); err != nil {
				t.Error(err)
			}
		}
	}
}

func floats(m *Memory, at, n int) []float32 {
	b := make([]byte, 4*n)
	m.Read(b, at)
	out := make([]float32, n)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out
}

func put(mc *Machine, m *Memory, at int, x []float32) {
	var data []byte
	for _, v := range x {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	if err := mc.Put(m, at, data, "the test"); err != nil {
		panic(err)
	}
	mc.Barrier(Transfers)
}

func pushOf(t *testing.T, p any) []byte {
	b, err := binary.Append(nil, binary.LittleEndian, p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAdd runs a shader as it is.
func TestAdd(t *testing.T) {
	v := shaders.Find("add", "")
	m, err := Parse(v.SPIRV())
	if err != nil {
		t.Fatal(err)
	}
	for _, lanes := range []int{1, 4, 32, 64, 128} {
		p, err := m.Compile(Options{Name: v.Name(), Lanes: lanes, Spec: []uint32{64}})
		if err != nil {
			t.Fatal(err)
		}
		mc, mem := NewMachine(1), NewMemory(4096, 2)
		const n = 100
		a, b := make([]float32, n), make([]float32, n)
		for i := range a {
			a[i], b[i] = float32(i)+0.5, float32(i*i)
		}
		put(mc, mem, 0, a)
		put(mc, mem, 1024, b)
		push := shaders.AddPush{Rows: 1, N1: 1, N2: 1, N: n}
		bind := []Binding{{Memory: mem, Offset: 2048, Size: 4 * n}, {Memory: mem, Offset: 0, Size: 4 * n}, {Memory: mem, Offset: 1024, Size: 4 * n}}
		if err := mc.Dispatch(p, bind, pushOf(t, push), [3]uint32{2, 1, 1}); err != nil {
			t.Fatal(err)
		}
		if r := mc.Reports(); len(r) > 0 {
			t.Error(names(r))
		}
		for i, got := range floats(mem, 2048, n) {
			if got != a[i]+b[i] {
				t.Fatalf("%d lanes: element %d is %v, expected %v", lanes, i, got, a[i]+b[i])
			}
		}
	}
}

// TestSoftmax runs a shader with barriers, which is right, and without each of its barriers, which is not.
func TestSoftmax(t *testing.T) {
	v := shaders.Find("softmax", "")
	m, err := Parse(v.SPIRV())
	if err != nil {
		t.Fatal(err)
	}
	const n = 300
	x := make([]float32, n)
	sum := 0.0
	for i := range x {
		x[i] = float32(math.Sin(float64(i)) * 5)
		sum += math.Exp(float64(x[i]))
	}
	run := func(m *Module, lanes int, size uint32) ([]float32, []Report) {
		p, err := m.Compile(Options{Name: v.Name(), Lanes: lanes, Spec: []uint32{size}})
		if err != nil {
			t.Fatal(err)
		}
		mc, mem := NewMachine(1), NewMemory(4096, 2)
		put(mc, mem, 0, x)
		push := shaders.RowsPush{Rows: 1, N1: 1, N2: 1, N: n}
		bind := []Binding{{Memory: mem, Offset: 2048, Size: 4 * n}, {Memory: mem, Offset: 0, Size: 4 * n}}
		if err := mc.Dispatch(p, bind, pushOf(t, push), [3]uint32{1, 1, 1}); err != nil {
			t.Fatal(err)
		}
		return floats(mem, 2048, n), mc.Reports()
	}
	for _, lanes := range []int{1, 4, 32, 64, 128} {
		for _, size := range []uint32{4, 16, 64, 256} {
			got, reports := run(m, lanes, size)
			if len(reports) > 0 {
				t.Errorf("%d lanes, workgroup %d: %s", lanes, size, names(reports))
			}
			for i := range got {
				if want := math.Exp(float64(x[i])) / sum; math.Abs(float64(got[i])-want) > 1e-6 {
					t.Fatalf("%d lanes, workgroup %d: element %d is %v, expected %v", lanes, size, i, got[i], want)
				}
			}
		}
	}
	for n := range m.Barriers() {
		caught := false
		for _, size := range []uint32{16, 64} {
			_, reports := run(m.WithoutBarrier(n), 32, size)
			caught = caught || len(reports) > 0
		}
		t.Log(n, caught)
	}
}
