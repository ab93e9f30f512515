package gpt_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/checkpoint/tensorfile"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// lesson is a batch for gpt2-one, which knows 11 tokens: 4 sequences of 4.
var lesson = struct{ ids, targets []int }{
	[]int{3, 1, 4, 1, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9},
	[]int{1, 4, 1, 5, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3},
}

func lessonOptions(accumulate int) gpt.TrainOptions {
	return gpt.TrainOptions{Batch: 4 / accumulate, Time: 4, Accumulate: accumulate, AdamW: reference.adamW, Clip: 1, Seed: 7}
}

func trainer(t *testing.T, m *model.Model, o gpt.TrainOptions) *gpt.Trainer {
	t.Helper()
	tr, err := gpt.NewTrainer(m, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Close)
	return tr
}

func steps(t *testing.T, tr *gpt.Trainer, n int) (losses []float64) {
	t.Helper()
	for range n {
		loss, norm, err := tr.Step(lesson.ids, lesson.targets, 1e-3)
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, loss, norm)
	}
	return losses
}

// learned is the weights of the model as a checkpoint stores them, one after the other.
func learned(t *testing.T, m *model.Model) (all []float32) {
	t.Helper()
	for _, w := range m.Learned() {
		all = append(all, asStored(t, m.Backend, *w.Tensor, w)...)
	}
	return all
}

// sameWeights expects weights to be the same but for rounding. Of the key's
// bias AdamW makes steps of rounding, for its gradient is 0.
func sameWeights(t *testing.T, m *model.Model, got, want []float32, d backend.DType) {
	t.Helper()
	for _, w := range m.Learned() {
		n, tolerance := w.Tensor.Len(), 1e-6
		if d == backend.F16 {
			tolerance = 1e-4 // what is near the middle of two f16 may go either way
		}
		if strings.HasSuffix(w.Name(model.HuggingFace), "c_attn.bias") {
			tolerance = 5e-3
		}
		for i := range n {
			if !(math.Abs(float64(got[i]-want[i])) <= tolerance) {
				t.Errorf("%s: element %d is %v, expected %v", w.Name(model.HuggingFace), i, got[i], want[i])
				break
			}
		}
		got, want = got[n:], want[n:]
	}
}

// TestTrainAccumulates expects batches whose gradients add up to teach what one
// batch of them all does.
func TestTrainAccumulates(t *testing.T) {
	var want, losses []float64
	var all [][]float32
	for _, accumulate := range []int{1, 2, 4} {
		m := trainable(t, gpttest.OpenCPU(t), "testdata/gpt2-one")
		losses = steps(t, trainer(t, m, lessonOptions(accumulate)), 3)
		all = append(all, learned(t, m))
		if want == nil {
			want = losses
		}
		for i, v := range losses {
			if math.Abs(v-want[i]) > 1e-6*want[i] {
				t.Errorf("%d batches a step: losses and norms are %v, in one batch %v", accumulate, losses, want)
			}
		}
		sameWeights(t, m, all[len(all)-1], all[0], backend.F32)
	}
}

// TestTrainRecomputes expects the same weights, to the last bit.
func TestTrainRecomputes(t *testing.T) {
	var all [2][]float32
	for i, recompute := range []bool{false, true} {
		m := trainable(t, gpttest.OpenCPU(t), "testdata/gpt2-tiny")
		tr := trainer(t, m, gpt.TrainOptions{Batch: 2, Time: 8, AdamW: reference.adamW, Clip: 1, Dropout: 0.1, Recompute: recompute})
		steps(t, tr, 3)
		all[i] = learned(t, m)
	}
	if !slices.Equal(all[0], all[1]) {
		t.Error("weights differ when activations are computed again")
	}
}

// TestTrainRecomputesOnDevices expects nearly the same weights: ops fuse
// elsewhere, and a fused kernel may round otherwise.
func TestTrainRecomputesOnDevices(t *testing.T) {
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		var all [2][]float32
		for i, recompute := range []bool{false, true} {
			m := trainable(t, b, "testdata/gpt2-tiny")
			tr := trainer(t, m, gpt.TrainOptions{Batch: 2, Time: 8, AdamW: reference.adamW, Clip: 1, Dropout: 0.1, Recompute: recompute})
			steps(t, tr, 1)
			all[i] = nil
			for j, w := range m.Learned() {
				all[i] = append(all[i], asStored(t, b, tr.Parameters()[j].Grad, w)...)
			}
		}
		gpttest.CheckNear(t, "gradients", all[1], all[0], 1e-6)
	})
}

// TestTrainDropout expects dropout to follow the seed and the count of steps,
// and evaluation and generation to have none.
func TestTrainDropout(t *testing.T) {
	first := func(rate float32, seed uint64, accumulate int) []float64 {
		m := trainable(t, gpttest.OpenCPU(t), "testdata/gpt2-one")
		o := lessonOptions(accumulate)
		o.Dropout, o.Seed = rate, seed
		tr := trainer(t, m, o)
		n := len(lesson.ids) / accumulate
		loss, err := tr.Loss(lesson.ids[:n], lesson.targets[:n])
		if err != nil {
			t.Fatal(err)
		}
		again, err := tr.Loss(lesson.ids[:n], lesson.targets[:n])
		if err != nil || again != loss {
			t.Errorf("evaluated twice: %v, %v, %v", loss, again, err)
		}
		var out []float64
		for range 2 { // a learning rate of 0: the model stays, the masks do not
			loss, _, err := tr.Step(lesson.ids, lesson.targets, 0)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, loss)
		}
		return append(out, loss)
	}
	without, with := first(0, 1, 1), first(0.3, 1, 1)
	if without[0] != without[1] || without[0] != without[2] {
		t.Errorf("without dropout losses are %v, expected one number", without)
	}
	if with[0] == with[1] || with[0] == with[2] || with[2] != without[2] {
		t.Errorf("with dropout two steps and evaluation give %v, without %v", with, without)
	}
	if same := first(0.3, 1, 1); !slices.Equal(with, same) {
		t.Errorf("one seed gives %v and %v", with, same)
	}
	for _, seed := range []uint64{2, 1 << 40} {
		if other := first(0.3, seed, 1); other[0] == with[0] {
			t.Errorf("seeds 1 and %d drop the same", seed)
		}
	}
	if halves := first(0.3, 1, 2); halves[0] == with[0] {
		t.Error("both batches of a step drop the same")
	}
}

// TestTrainDropoutBatches expects each batch to drop something else, also those of
// one step, and all bits of the seed and of the count to matter.
func TestTrainDropoutBatches(t *testing.T) {
	ids, targets := lesson.ids[:8], lesson.targets[:8]
	losses := func(seed uint64, step, accumulate, n int) (out []float64) {
		o := lessonOptions(2)
		o.Dropout, o.Seed, o.Accumulate = 0.3, seed, accumulate
		tr := trainer(t, trainable(t, gpttest.OpenCPU(t), "testdata/gpt2-one"), o)
		path := filepath.Join(t.TempDir(), "state")
		if err := tr.SaveState(path); err != nil {
			t.Fatal(err)
		}
		setStep(t, path, step)
		if err := tr.LoadState(path); err != nil {
			t.Fatal(err)
		}
		for range n { // the model stays as it is
			loss, _, err := tr.Step(slices.Repeat(ids, accumulate), slices.Repeat(targets, accumulate), 0)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, loss)
		}
		return out
	}
	single := losses(1, 0, 1, 6)
	for i, x := range single {
		if slices.Contains(single[:i], x) {
			t.Errorf("of the batches %v two drop the same", single)
		}
	}
	for i, x := range losses(1, 0, 3, 2) {
		if want := (single[3*i] + single[3*i+1] + single[3*i+2]) / 3; math.Abs(x-want) > 1e-6 {
			t.Errorf("step %d of three batches costs %v, expected %v, the mean of batches %d to %d, %v", i, x, want, 3*i, 3*i+2, single)
		}
	}
	for what, other := range map[string][]float64{
		"seed 1 + 2⁴⁰": losses(1<<40+1, 0, 1, 1), "step 2³²": losses(1, 1<<32, 1, 1), "seed 0": losses(0, 0, 1, 1),
	} {
		if other[0] == single[0] {
			t.Errorf("%s drops what seed 1 drops in step 0", what)
		}
	}
}

// setStep changes the count of steps in the state of an optimiser.
func setStep(t *testing.T, path string, step int) {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var tensors []safetensors.Tensor
	for _, name := range f.Tensors() {
		x, _ := f.Tensor(name)
		tensors = append(tensors, x)
	}
	metadata := f.Metadata()
	metadata["step"] = strconv.Itoa(step)
	if err := gpttest.WriteTensors(path, tensors, metadata); err != nil {
		t.Fatal(err)
	}
}

// TestTrainResumes saves after three of six steps, and goes on from the files,
// where the first went on in memory: both must end with the same bits. So must
// one whose backend stores matrices otherwise.
func TestTrainResumes(t *testing.T) {
	for _, d := range []backend.DType{backend.F32, backend.F16} {
		t.Run(d.String(), func(t *testing.T) { testTrainResumes(t, d) })
	}
}

func testTrainResumes(t *testing.T, d backend.DType) {
	o := lessonOptions(2)
	o.Dropout, o.DType = 0.1, d
	dir := t.TempDir()
	state := filepath.Join(dir, "optimizer.safetensors")
	m := trainable(t, gpttest.OpenCPU(t), "testdata/gpt2-one")
	tr := trainer(t, m, o)
	steps(t, tr, 3)
	if tr.Count() != 3 {
		t.Errorf("after three steps the count is %d", tr.Count())
	}
	save(t, m, dir)
	if err := tr.SaveState(state); err != nil {
		t.Fatal(err)
	}
	wantLosses := steps(t, tr, 3)
	want := learned(t, m)

	for name, b := range map[string]backend.Backend{"same": gpttest.OpenCPU(t), "other layout": gpttest.DeviceOf(gpttest.OpenCPU(t))} {
		m := trainable(t, b, dir)
		tr := trainer(t, m, o)
		if err := tr.LoadState(state); err != nil {
			t.Fatal(err)
		}
		if tr.Count() != 3 {
			t.Errorf("%s: loaded, the count is %d", name, tr.Count())
		}
		other := filepath.Join(t.TempDir(), "state")
		if err := tr.SaveState(other); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(contents(t, other), contents(t, state)) {
			t.Errorf("%s: the state saved again is another", name)
		}
		losses, got := steps(t, tr, 3), learned(t, m)
		if name == "same" {
			if !slices.Equal(losses, wantLosses) || !slices.Equal(got, want) {
				t.Errorf("resumed, losses and norms are %v, expected %v; weights are equal: %t", losses, wantLosses, slices.Equal(got, want))
			}
			continue
		}
		sameWeights(t, m, got, want, d)
	}
}

// save writes the model as it is now.
func save(t *testing.T, m *model.Model, dir string) {
	t.Helper()
	c, err := checkpoint.Snapshot(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SaveDir(t.Context(), dir, checkpoint.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
}

func contents(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestCheckpoint saves weights that were never trained: they must come back as
// they were, from backends of either layout, and not follow the model.
func TestCheckpoint(t *testing.T) {
	for _, reference := range gpttest.References {
		from := "testdata/" + reference
		want := learned(t, trainable(t, gpttest.OpenCPU(t), from))
		for _, b := range []backend.Backend{gpttest.OpenCPU(t), gpttest.DeviceOf(gpttest.OpenCPU(t))} {
			m := trainable(t, b, from)
			dir := t.TempDir()
			save(t, m, dir)
			if got := learned(t, trainable(t, gpttest.OpenCPU(t), dir)); !slices.Equal(got, want) {
				t.Errorf("%s: weights saved and loaded differ", reference)
			}
		}
	}
	m := trainable(t, gpttest.OpenCPU(t), "testdata/gpt2-one")
	want := learned(t, m)
	c, err := checkpoint.Snapshot(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	steps(t, trainer(t, m, lessonOptions(1)), 1)
	dir := t.TempDir()
	if err := c.SaveDir(t.Context(), dir, checkpoint.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := learned(t, trainable(t, gpttest.OpenCPU(t), dir)); !slices.Equal(got, want) {
		t.Error("a step changed the checkpoint taken before it")
	}
	_, err = checkpoint.Snapshot(gpttest.Load(t, gpttest.OpenCPU(t), "testdata/gpt2-one", backend.F32), nil)
	gpttest.WantError(t, err, "never changed", "LoadOptions.Train")
}

// TestLoadStateErrors changes files that are right.
func TestLoadStateErrors(t *testing.T) {
	m := trainable(t, gpttest.OpenCPU(t), "testdata/gpt2-one")
	tr := trainer(t, m, lessonOptions(1))
	steps(t, tr, 2)
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	if err := tr.SaveState(state); err != nil {
		t.Fatal(err)
	}
	good, err := safetensors.Open(state)
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	before := filepath.Join(dir, "before")
	if err := tr.SaveState(before); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		change func(tensors []safetensors.Tensor, metadata map[string]string) []safetensors.Tensor
		parts  []string
	}{
		{func(x []safetensors.Tensor, m map[string]string) []safetensors.Tensor { delete(m, "step"); return x }, []string{`found ""`, "number of steps", "no state"}},
		{func(x []safetensors.Tensor, m map[string]string) []safetensors.Tensor { m["step"] = "-1"; return x }, []string{`found "-1"`}},
		{func(x []safetensors.Tensor, m map[string]string) []safetensors.Tensor { return x[1:] }, []string{"is missing", "another model"}},
		{func(x []safetensors.Tensor, m map[string]string) []safetensors.Tensor {
			return append(x, safetensors.Tensor{Name: "more", DType: safetensors.F32, Shape: []int{1}, Data: make([]byte, 4)})
		}, []string{`tensor "more"`, "no weight"}},
		{func(x []safetensors.Tensor, m map[string]string) []safetensors.Tensor {
			x[0].Shape = []int{tensorfile.Elements(x[0].Shape), 1}
			return x
		}, []string{"expected F32", "another model"}},
		{func(x []safetensors.Tensor, m map[string]string) []safetensors.Tensor {
			x[0].DType, x[0].Data = safetensors.F16, x[0].Data[:len(x[0].Data)/2]
			return x
		}, []string{"F16", "expected F32"}},
		{func(x []safetensors.Tensor, m map[string]string) []safetensors.Tensor {
			x[3].Data = append([]byte{0, 0, 0x80, 0xff}, x[3].Data[4:]...)
			return x
		}, []string{"tensor exp_avg", "is -Inf", "expected a finite number"}},
	} {
		var tensors []safetensors.Tensor
		for _, name := range good.Tensors() {
			x, _ := good.Tensor(name)
			tensors = append(tensors, x)
		}
		metadata := map[string]string{"step": good.Metadata()["step"]}
		tensors = c.change(tensors, metadata)
		bad := filepath.Join(dir, "bad")
		if err := gpttest.WriteTensors(bad, tensors, metadata); err != nil {
			t.Fatal(err)
		}
		gpttest.WantError(t, tr.LoadState(bad), c.parts...)
		after := filepath.Join(dir, "after")
		if err := tr.SaveState(after); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(contents(t, before), contents(t, after)) {
			t.Errorf("%v: a state that was refused changed this one", c.parts)
		}
	}
	cut := filepath.Join(dir, "cut")
	if err := os.WriteFile(cut, contents(t, state)[:200], 0o666); err != nil {
		t.Fatal(err)
	}
	if err := tr.LoadState(cut); err == nil {
		t.Error("a state cut short was loaded")
	}
	if err := tr.LoadState(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// small is a backend that tells how much memory it has left, and fails where
// more is taken.
type small struct {
	*gpttest.Account
	free int64
}

func (s *small) Memory() (used, free, total int64) { return 0, s.free, 1 << 40 }

// TestTrainMemory expects a step that does not fit to be refused before memory
// is taken, and what is said to fit to fit.
func TestTrainMemory(t *testing.T) {
	for _, d := range []backend.DType{backend.F32, backend.F16} {
		t.Run(d.String(), func(t *testing.T) { testTrainMemory(t, d) })
	}
}

func testTrainMemory(t *testing.T, d backend.DType) {
	s := &small{gpttest.OpenCPU(t), 1 << 39}
	m := trainable(t, s, "testdata/gpt2-tiny")
	need := func(o gpt.TrainOptions) int64 {
		before := s.Allocated
		tr, err := gpt.NewTrainer(m, o)
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		n := o.Batch * o.Time
		if _, err := tr.Loss(make([]int, n), make([]int, n)); err != nil {
			t.Fatal(err)
		}
		return int64(s.Allocated - before)
	}
	o := gpt.TrainOptions{Batch: 64, Time: 16, AdamW: reference.adamW, Clip: 1, Chunk: 64, DType: d}
	of := func(batch int, recompute bool) gpt.TrainOptions {
		o := o
		o.Batch, o.Recompute = batch, recompute
		return o
	}
	s.free = 1 << 39
	limit := need(of(24, false))
	all := need(o)
	s.free = limit
	before, recorded := s.Allocated, s.Recorded
	_, err := gpt.NewTrainer(m, o)
	var e *gpt.TrainMemoryError
	if !errors.As(err, &e) || !errors.Is(err, backend.ErrOutOfMemory) {
		t.Fatalf("%v, expected a TrainMemoryError", err)
	}
	if s.Allocated != before || s.Recorded != recorded {
		t.Errorf("%d bytes were taken before the step was refused", s.Allocated-before)
	}
	if e.Need != all || e.Free != limit || e.Batch != 24 || e.Recompute <= e.Batch || e.Recompute >= 64 {
		t.Errorf("%+v, expected need %d, free %d, 24 sequences, more of them with Recompute", e, all, limit)
	}
	gpttest.WantError(t, err, "training step needs", "are free", m.Backend.Name())
	if got := need(of(e.Recompute, true)); got > limit {
		t.Errorf("%d sequences computed again need %d bytes of %d", e.Recompute, got, limit)
	}
	s.free = 1
	if _, err := gpt.NewTrainer(m, o); !errors.As(err, &e) || e.Batch != 0 || e.Recompute != 0 {
		t.Errorf("%v, %+v: expected that nothing fits", err, e)
	}
}
