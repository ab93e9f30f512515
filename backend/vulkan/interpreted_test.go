//go:build cgo

package vulkan

import (
	"slices"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/conformance"
	"caldera/internal/spirv"
	"caldera/shaders"
)

// cards are what interpreters play. They differ in the kernels that they take, and in the lanes of a subgroup.
var cards = []struct {
	played
	groups []string // of the suite; nil: all
}{
	{played{name: "4-lanes", lanes: 4, software: true, unified: true, clamp: fewGroups}, nil},
	{played{name: "32-lanes", lanes: 32, shapes: []vk.MatrixShape{{M: 16, N: 16, K: 16}}, clamp: func(l *Limits) { fewGroups(l); largeTiles(l); dots(l); l.Vendor = nvidia }}, nil},
	{played{name: "64-lanes", lanes: 64, shapes: []vk.MatrixShape{{M: 16, N: 16, K: 16}}, clamp: dots}, nil},
	{played{name: "4-lanes-gpu", lanes: 4, clamp: dots}, []string{"linear/w=q8_0", "linear/w=q4_0", "linear/x=q8_a", "linear/x=to_q8_a", "linear/w=f16,x=1x"}},
	{played{name: "no-subgroups", lanes: 16, clamp: noSubgroups}, []string{"linear"}},
	// All that is long comes in pieces.
	{played{name: "pieces", lanes: 32, clamp: func(l *Limits) { l.BindingRange, l.BindingAlign = 8<<10, 256 }}, []string{"attention/kv=f32,q=", "attention/kv=f16,q=", "attention_backward"}},
}

// dots gives a card an instruction for integer dot products.
func dots(l *Limits) { l.FastDot = true }

// smallCase is what an op of the suite may cost on a card: bytes and operations. Larger cases are left to drivers.
const smallCase = 200_000

// TestInterpreted holds the kernels to the conformance suite on devices that forgive nothing, and then each barrier of
// each shader to being needed.
func TestInterpreted(t *testing.T) {
	t.Parallel()
	all := make([]traces, len(cards))
	t.Run("cards", func(t *testing.T) {
		for i, c := range cards {
			all[i] = traces{}
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				conformance.TestSmall(t, func(tb testing.TB) backend.Backend { return c.open(tb, all[i]) }, smallCase, c.groups...)
			})
		}
	})
	t.Run("more", func(t *testing.T) { all = append(all, runMore(t)) })
	t.Run("barriers", func(t *testing.T) { deleteBarriers(t, all, "") })
}

// traces are dispatches that were run, by their pipeline.
type traces map[pipelineKey][]trace

// trace is a dispatch, with all that it needs to be run again.
type trace struct {
	lanes    int
	spec     []uint32
	bindings []spirv.Binding
	push     []byte
	groups   [3]uint32
}

const (
	maxTraces = 16        // of a pipeline
	maxTrace  = 256 << 10 // bytes of all bindings
)

// keep copies what a dispatch works on, if it is small.
func (ts traces) keep(v *shaders.Variant, spec []uint32, lanes int, bindings []spirv.Binding, push []byte, groups [3]uint32) {
	key := pipelineKey{v, string(shaderKey(spec))}
	if len(ts[key]) >= maxTraces {
		return
	}
	t := trace{lanes: lanes, spec: spec, push: slices.Clone(push), groups: groups}
	var parts []*part // bindings that overlap are of one part
	for _, b := range bindings {
		p := &part{memory: b.Memory, from: b.Offset, to: b.Offset + b.Size}
		for before := -1; before != len(parts); { // one that is joined may reach others
			before = len(parts)
			parts = slices.DeleteFunc(parts, p.join)
		}
		parts = append(parts, p)
	}
	total := 0
	for _, p := range parts {
		total += p.to - p.from
	}
	if total > maxTrace || int(groups[0]*groups[1]*groups[2]) > 256 {
		return
	}
	for _, p := range parts {
		p.copied = p.memory.Part(p.from, p.to-p.from)
	}
	for _, b := range bindings {
		for _, p := range parts {
			if p.memory == b.Memory && p.from <= b.Offset && b.Offset < p.to {
				b.Memory, b.Offset = p.copied, b.Offset-p.from
				break
			}
		}
		t.bindings = append(t.bindings, b)
	}
	ts[key] = append(ts[key], t)
}

// part is a range of a memory that a trace copies.
type part struct {
	memory   *spirv.Memory
	from, to int
	copied   *spirv.Memory
}

// join makes p span o too, if they overlap.
func (p *part) join(o *part) bool {
	if p.memory != o.memory || o.to <= p.from || p.to <= o.from {
		return false
	}
	p.from, p.to = min(p.from, o.from), max(p.to, o.to)
	return true
}

func shaderKey(spec []uint32) (key []byte) {
	for _, w := range spec {
		key = append(key, byte(w), byte(w>>8), byte(w>>16), byte(w>>24))
	}
	return key
}

// run runs a trace again.
func (t *trace) run(p *spirv.Pipeline, seed uint64) (results []*spirv.Memory, reports []spirv.Report, err error) {
	fresh := map[*spirv.Memory]*spirv.Memory{}
	var bindings []spirv.Binding
	for _, b := range t.bindings {
		if fresh[b.Memory] == nil {
			fresh[b.Memory] = b.Memory.Part(0, b.Memory.Size())
		}
		b.Memory = fresh[b.Memory]
		bindings = append(bindings, b)
		results = append(results, b.Memory)
	}
	m := spirv.NewMachine(seed)
	err = m.Dispatch(p, bindings, t.push, t.groups)
	return results, m.Reports(), err
}

// deleteBarriers leaves out each barrier of each shader in turn. Then a dispatch must be reported, or compute something
// else. Variants of a shader for other dtypes have the same barriers: one that no dispatch passes in a variant must be
// needed in another. Source names the only shader to look at; empty: all.
func deleteBarriers(t *testing.T, all []traces, source string) {
	total, wrong, elsewhere := 0, 0, 0
	type place struct {
		source   string
		barriers int // of the variant
		n        int
	}
	needed := map[place]bool{}
	unpassed := map[place][]string{}
	for i := range shaders.Variants {
		v := &shaders.Variants[i]
		if source != "" && v.Source != source {
			continue
		}
		m, err := spirv.Parse(v.SPIRV())
		if err != nil {
			t.Fatal(err)
		}
		how := make([]string, m.Barriers()) // each is noticed; "": not yet
		passed := make([]bool, m.Barriers())
		for _, ts := range all {
			for key, list := range ts {
				if key.variant == v && slices.Contains(how, "") {
					withoutBarriers(t, v, m, list, how, passed)
				}
			}
		}
		total += len(how)
		for n, h := range how {
			p := place{v.Source, len(how), n}
			switch {
			case h != "":
				needed[p] = true
				if h == wrongResult {
					wrong++
				}
			default:
				unpassed[p] = append(unpassed[p], v.Name())
				elsewhere++
			}
			if h == "" && passed[n] {
				t.Logf("%s: dispatches pass barrier %d of %d, and none needs it", v.Name(), n, m.Barriers())
			}
		}
	}
	for p, names := range unpassed {
		if !needed[p] {
			t.Errorf("%v: barrier %d of %d can be left out, and nothing shows it", names, p.n, p.barriers)
		}
	}
	t.Logf("%d barriers left out: %d noticed (%d by wrong results alone), %d in another variant of the shader", total, total-elsewhere, wrong, elsewhere)
}

const wrongResult = "a wrong result"

// withoutBarriers runs dispatches of one pipeline without each of the barriers that nothing has shown to be needed yet.
func withoutBarriers(t *testing.T, v *shaders.Variant, m *spirv.Module, list []trace, how []string, passed []bool) {
	t.Helper()
	compile := func(m *spirv.Module) *spirv.Pipeline {
		p, err := m.Compile(spirv.Options{Name: v.Name(), Spec: list[0].spec, Lanes: list[0].lanes})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	run := func(tr trace, p *spirv.Pipeline) ([]*spirv.Memory, []spirv.Report) {
		results, reports, err := tr.run(p, 1)
		if err != nil {
			t.Fatal(err)
		}
		return results, reports
	}
	whole, edited := compile(m), make([]*spirv.Pipeline, len(how))
	for _, tr := range list {
		want, reports := run(tr, whole)
		if len(reports) > 0 {
			t.Fatalf("%s: %v", v.Name(), reports)
		}
		for n := range how {
			if how[n] != "" || !whole.Passed(n) {
				continue
			}
			passed[n] = true
			if edited[n] == nil {
				edited[n] = compile(m.WithoutBarrier(n))
			}
			got, reports := run(tr, edited[n])
			if len(reports) > 0 {
				how[n] = reports[0].Kind.String()
			} else if !slices.EqualFunc(got, want, (*spirv.Memory).Equal) {
				how[n] = wrongResult
			}
		}
	}
}
