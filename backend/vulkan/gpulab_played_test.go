//go:build cgo

package vulkan

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/conformance"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
	"caldera/internal/gpulab"
	"caldera/nn"
)

// Variables of a child of TestGPUs.
const (
	playedCard   = "CALDERA_GPULAB_CARD"   // its card's name; it runs TestPlayed
	playedReport = "CALDERA_GPULAB_REPORT" // the file that it writes a gpulab.Report to
	playedCode   = "CALDERA_GPULAB_CODE"   // a folder for the machine code of each pipeline; may be empty
)

// lab is a played device, and what models and the conformance suite dispatched on it.
type lab struct {
	*Backend
	t     testing.TB
	small bool                     // it can be given little memory
	use   string                   // what is being recorded
	uses  map[vk.Pipeline][]string // of each pipeline, in order

	without  bool     // barriers are left out
	messages []string // of the validation layer while they are
}

// TestPlayed records and submits models and the conformance suite on a device that computes
// nothing, under validation, and judges what its driver made of the kernels. TestGPUs runs
// it in a process of its own.
func TestPlayed(t *testing.T) {
	name := os.Getenv(playedCard)
	if name == "" {
		t.Skip("TestGPUs runs it")
	}
	card, err := gpulab.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	l := openLab(t, card)
	l.mustNotice()
	for _, m := range labModels {
		for _, d := range m.dtypes {
			l.generate(m, d, backend.None)
			if d.Quantized() {
				l.generate(m, d, backend.Q8_A)
			}
		}
		l.train(m)
	}
	l.use = ""
	conformance.Record(t, l.Backend, testing.Short())
	l.checkProducts()
	r := l.report(card)
	for _, fault := range gpulab.Judge(card, r.Kernels) {
		t.Error(fault)
	}
	if err := l.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	r.Kernels = slices.DeleteFunc(r.Kernels, func(k gpulab.Kernel) bool { return k.Uses == nil })
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(os.Getenv(playedReport), text, 0o666); err != nil {
		t.Fatal(err)
	}
}

// openLab opens the only device there is.
func openLab(t testing.TB, card gpulab.Card) *lab {
	l := &lab{t: t, small: card.Small, uses: map[vk.Pipeline][]string{}}
	messages := 0
	var err error
	l.Backend, err = Open(Options{
		Validation: true,
		OnMessage: func(text string) {
			if l.without {
				l.messages = append(l.messages, text)
			} else if messages++; messages <= 10 {
				t.Errorf("validation, while recording %q: %s", l.use, text)
			}
		},
		hooks: &vk.Hooks{Command: func(_ vk.CommandBuffer, c vk.Command) bool {
			if c.Kind == vk.Dispatch && l.use != "" && !slices.Contains(l.uses[c.Pipeline], l.use) {
				l.uses[c.Pipeline] = append(l.uses[c.Pipeline], l.use)
			}
			return !(l.without && c.Kind == vk.Barrier)
		}},
		Limits: func(l *Limits) {
			if card.Cores > 0 {
				l.setCores(card.Cores)
			}
		},
		played: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(l.phys.Name, card.Device) {
		t.Fatalf("this is %s, expected %s", l.phys.Name, card.Device)
	}
	return l
}

// mustNotice leaves out the barriers between two ops, which the validation layer must notice.
func (l *lab) mustNotice() {
	l.t.Helper()
	x, err := backend.New(l.Backend, backend.F32, 1024)
	l.must(err)
	defer x.Buf.Free()
	l.must(l.Run(&backend.Add{Dst: x, A: x, B: x}))
	l.without = true
	err = l.Run(&backend.Add{Dst: x, A: x, B: x}, &backend.Add{Dst: x, A: x, B: x})
	l.without = false
	if err == nil || len(l.messages) == 0 || !strings.Contains(l.messages[0], "SYNC-HAZARD") {
		l.t.Errorf("two ops without a barrier between them: the validation layer says %q (%v), expected a hazard", l.messages, err)
	}
	l.Backend.messages.list = nil
}

// labModel is a shape that is recorded, with matrices of these types.
type labModel struct {
	shape  string
	dtypes []backend.DType
	half   bool // it is trained in mixed precision too
	vocab  int  // of what is trained, and of all on small cards, where it is less: played NVIDIA cards have 3 GiB
}

var labModels = []labModel{
	{"gpt2", []backend.DType{backend.F16, backend.F32, backend.Q8_0, backend.Q4_0}, true, 0},
	{"gpt2-xl", []backend.DType{backend.F16, backend.Q8_0, backend.Q4_0}, true, 0},
	{"llama-3.2-1b", []backend.DType{backend.F16, backend.BF16, backend.Q8_0, backend.Q4_0, backend.Q4_K_M}, false, 32000},
}

// fewLayers are enough where blocks need the same pipelines.
const fewLayers = 2

// load is the model with memory for its weights, in which is nothing. Layers: 0 for all,
// where the device has the memory.
func (l *lab) load(s labModel, layers int, o checkpoint.LoadOptions) *model.Model {
	l.t.Helper()
	c, err := model.Shape(s.shape)
	if err != nil {
		l.t.Fatal(err)
	}
	c.Layers = cmp.Or(layers, c.Layers)
	if (o.Train || l.small) && s.vocab > 0 {
		c.Vocab, c.BOS, c.EOS = s.vocab, nil, nil
	}
	random, err := checkpoint.Random(c, 1)
	if err != nil {
		l.t.Fatal(err)
	}
	var m *model.Model
	planned := errors.New("planned")
	o.Fits = func(p checkpoint.Plan) error {
		m, _, _ = p.Paper(o.DType)
		return planned
	}
	if _, err := random.Load(l.t.Context(), l.Backend, o); !errors.Is(err, planned) {
		l.t.Fatal(err)
	}
	need := uint64(0)
	for _, w := range m.Weights() {
		need += uint64(w.Tensor.Size())
	}
	most := l.available() / 3 * 2
	if l.small {
		most = min(most, 1<<30)
	}
	if layers == 0 && need > most {
		l.t.Logf("%s as %v takes %s of %s: %d layers of it", s.shape, o.DType, bytesString(need), bytesString(most), fewLayers)
		return l.load(s, fewLayers, o)
	}
	made := map[backend.Buffer]*buffer{} // several weights may lie in one
	for _, w := range m.Weights() {
		buf := made[w.Tensor.Buf]
		if buf == nil {
			if buf, err = l.alloc(uint64(w.Tensor.Buf.Size())); err != nil {
				l.t.Fatalf("%s: %v", s.shape, err)
			}
			buf.zeroFrom = buf.size // as if it were written: memory that nobody touches takes none
			made[w.Tensor.Buf] = buf
		}
		w.Tensor.Buf = buf
	}
	return m
}

// must ends the test with the error of a device or a model.
func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatalf("%s: %v", l.use, err)
	}
}

// generate reads a prompt and goes on, as a session and as a batch do.
func (l *lab) generate(s labModel, d, activations backend.DType) {
	layers := fewLayers
	if d == s.dtypes[0] {
		layers = 0
	}
	types := d.String()
	if activations.Quantized() {
		types += fmt.Sprintf(" by %v", activations)
	}
	m := l.load(s, layers, checkpoint.LoadOptions{DType: d, Activations: activations})
	defer m.Close()
	ctx := l.t.Context()
	for _, cache := range []backend.DType{backend.F32, backend.F16} {
		session, err := gpt.NewSession(m, gpt.SessionOptions{Context: 1024, Cache: cache})
		l.must(err)
		l.use = fmt.Sprintf("%s %s prefill", s.shape, types)
		_, err = session.Feed(ctx, make([]int, 512)...)
		l.must(err)
		l.use = fmt.Sprintf("%s %s decode", s.shape, types)
		for range 2 {
			_, err = session.Feed(ctx, 0)
			l.must(err)
		}
		session.Close()
	}
	l.use = fmt.Sprintf("%s %s batch", s.shape, types)
	l.batch(ctx, m)
}

// batch makes steps of many sequences: prompts, then tokens of each.
func (l *lab) batch(ctx context.Context, m *model.Model) {
	const sequences = 8
	b, err := gpt.NewBatch(m, gpt.BatchOptions{Sequences: sequences, Context: 512})
	l.must(err)
	defer b.Close()
	for i := range sequences {
		_, err := b.Admit(make([]int, 20+40*i), gpt.Options{Predict: 4, IgnoreEOS: true})
		l.must(err)
	}
	for _, err := range b.Run(ctx) {
		l.must(err)
	}
}

// train makes steps of a trainer, in f32 and in mixed precision.
func (l *lab) train(s labModel) {
	dtypes := []backend.DType{backend.F32}
	if s.half {
		dtypes = append(dtypes, backend.F16)
	}
	for _, d := range dtypes {
		l.use = fmt.Sprintf("%s %v train", s.shape, d)
		layers := fewLayers
		if l.small {
			layers = 1
		}
		err := l.trainIn(s, layers, d)
		if errors.Is(err, backend.ErrOutOfMemory) && layers > 1 {
			l.t.Logf("%s of %d layers: %v: one layer of it", l.use, layers, err)
			err = l.trainIn(s, 1, d)
		}
		l.must(err)
	}
}

// trainIn is train of a type of products.
func (l *lab) trainIn(s labModel, layers int, d backend.DType) error {
	const batch, time = 2, 256
	m := l.load(s, layers, checkpoint.LoadOptions{Train: true})
	defer m.Close()
	tr, err := gpt.NewTrainer(m, gpt.TrainOptions{Batch: batch, Time: time, Clip: 1, DType: d, Dropout: 0.1,
		AdamW: nn.AdamW{Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8, Decay: 0.1}})
	if err != nil {
		return err
	}
	defer tr.Close()
	ids := make([]int, batch*time)
	for range 2 {
		if _, _, err := tr.Step(ids, ids, 1e-4); err != nil {
			return err
		}
	}
	_, err = tr.Loss(ids, ids)
	return err
}

// checkProducts records the checks of the products that were taken, which were left out. They must
// tell that nothing is computed.
func (l *lab) checkProducts() {
	l.t.Helper()
	var all []unchecked
	seen := map[pipelineKey]bool{}
	for p, c := range l.checks.chosen {
		u := unchecked{c.pipeline(&l.limits, &p), func(t *trials) { tryLinear(t, &p, &c) }}
		if !seen[u.key()] {
			seen[u.key()] = true
			all = append(all, u)
		}
	}
	if l.limits.SubgroupArithmetic {
		all = append(all, unchecked{l.subgroupTest(), trySubgroups})
	}
	for list := range slices.Chunk(all, 32) {
		found, err := l.tryAll(list)
		l.must(err)
		for i, err := range found {
			if err == nil || !strings.Contains(err.Error(), "expected") {
				l.t.Errorf("the check of %s on a device that computes nothing: %v", l.pipelineName(list[i].pipelineSpec), err)
			}
		}
	}
	l.t.Logf("%d checks", len(all))
}

// report asks the driver what it made of each pipeline.
func (l *lab) report(card gpulab.Card) gpulab.Report {
	r := gpulab.Report{Card: card.Name, Device: l.Describe(), Pipelines: len(l.pipes.made)}
	for key, made := range l.pipes.made {
		if <-made.done; made.err != nil {
			l.t.Errorf("%s {%s}: %v", key.variant.Name(), specOf(key.spec), made.err)
			continue
		}
		all, err := l.dev.(*vk.Device).Executables(made.handle)
		if err != nil {
			l.t.Fatal(err)
		}
		name, spec := key.variant.Name(), specOf(key.spec)
		if len(all) == 0 {
			l.t.Errorf("%s {%s}: the driver tells of no machine code", name, spec)
		}
		for i, e := range all {
			if dir := os.Getenv(playedCode); dir != "" {
				file := fmt.Sprintf("%s/%s {%s} %d.txt", dir, name, strings.ReplaceAll(spec, "/", "-"), i)
				text := fmt.Sprintf("%+v\n%s", e.Statistics, e.Code)
				if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
					l.t.Fatal(err)
				}
			}
			statistics := map[string]float64{}
			for _, s := range e.Statistics {
				statistics[s.Name] = s.Value
			}
			k, err := gpulab.Read(card.Maker, statistics, e.Code)
			if err != nil {
				l.t.Errorf("%s {%s}: %v", name, spec, err)
				continue
			}
			k.Name, k.Spec, k.Uses, k.Subgroup = name, spec, l.uses[made.handle], e.Subgroup
			r.Kernels = append(r.Kernels, k)
		}
	}
	slices.SortFunc(r.Kernels, func(a, b gpulab.Kernel) int { return strings.Compare(a.Name+"\x00"+a.Spec, b.Name+"\x00"+b.Spec) })
	return r
}

// specOf is the constants that are not 0, as "Lanes 64, Rows 1".
func specOf(spec any) string {
	if spec == nil {
		return ""
	}
	text := strings.NewReplacer("{", "", "}", "", "LinearEpilogue:", "", "LinearSpec:", "").Replace(fmt.Sprintf("%+v", spec))
	fields := strings.Fields(text)
	fields = slices.DeleteFunc(fields, func(f string) bool { return strings.HasSuffix(f, ":0") || strings.HasSuffix(f, ":false") })
	return strings.ReplaceAll(strings.ReplaceAll(strings.Join(fields, ", "), ":true", ""), ":", " ")
}
