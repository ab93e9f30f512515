package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/model"
	"caldera/inspect"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
	"caldera/internal/train/folder"
)

const learnVocab = 37

// learned makes the folder of a run: snapshots of steps 0, 1 and 10, and checkpoints
// of steps 10 and 12, all with weights of their own.
func learned(t *testing.T, family string) string {
	t.Helper()
	dir := t.TempDir()
	c := model.Config{Family: family, Layers: 2, Heads: 4, KVHeads: 2, Width: 16, Context: 90, Vocab: learnVocab, TieEmbeddings: true}
	if family == "gpt2" {
		c.KVHeads = 4
	}
	for step, name := range map[int]string{0: "snapshots/step-000000", 1: "snapshots/step-000001", 10: "snapshots/step-000010", 12: "step-000012", 9: "step-000009"} {
		weights(t, filepath.Join(dir, name), c, uint64(step))
		loss := 5 - float64(step)/10
		var err error
		if filepath.Dir(name) == "snapshots" {
			err = folder.WriteSnapshot(filepath.Join(dir, name), folder.Snapshot{Step: step, ValLoss: &loss})
		} else {
			err = os.WriteFile(filepath.Join(dir, name, folder.StateName), fmt.Appendf(nil, `{"step": %d}`, step), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink("step-000009", filepath.Join(dir, folder.Best)), os.Symlink("step-000012", filepath.Join(dir, folder.Newest)),
		os.WriteFile(filepath.Join(dir, folder.LogName), []byte(`{"step":0,"val_loss":4.5}`+"\n"+`{"step":1,"loss":3.5}`+"\n"+`{"step":1,"val_loss":3.25}`+"\n"+`{"step":12,"loss":2.5}`+"\n"), 0o666)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// weights saves a model with random weights.
func weights(t *testing.T, dir string, c model.Config, seed uint64) {
	t.Helper()
	x, err := checkpoint.Random(c.Complete(), seed)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if err := errors.Join(os.MkdirAll(dir, 0o777), x.SaveDir(context.Background(), dir, checkpoint.SaveOptions{DType: backend.F32})); err != nil {
		t.Fatal(err)
	}
}

// reader is the text of a test.
func reader(ids ...int) func(*inspect.Inspector) ([]int, error) {
	return func(*inspect.Inspector) ([]int, error) { return ids, nil }
}

// TestLearn expects of each checkpoint what a session and its file say.
func TestLearn(t *testing.T) {
	for _, family := range []string{"gpt2", "llama"} {
		dir := learned(t, family)
		devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
			text := ids(70, learnVocab)
			in := inspect.New(&model.Model{Backend: b}, nil, inspect.Options{})
			l, err := in.Learn(t.Context(), dir, inspect.LearnOptions{Text: reader(text...), Near: "5", Layer: 1, Head: 2, Top: 3, Most: 12})
			if err != nil {
				t.Fatal(err)
			}
			var stages []string
			for _, s := range l.Stages {
				stages = append(stages, fmt.Sprintf("%d %s %.2f %.2f", s.Step, strings.Join(s.Kinds, "+"), s.Training, s.Validation))
				checkStage(t, b, s, text)
			}
			if got := strings.Join(stages, ", "); got != "0 snapshot NaN 5.00, 1 snapshot 3.50 4.90, 9 best NaN NaN, 10 snapshot NaN 4.00, 12 newest 2.50 NaN" {
				t.Errorf("stages %s", got)
			}
			if len(l.Tokens) != 70 || l.Near.ID != 5 || l.LeftOut != 0 || len(l.Notes) != 0 || l.Vocab != learnVocab {
				t.Errorf("%+v", l)
			}
			if got := fmt.Sprint(l.Losses); got != "[{0 NaN 4.5} {1 3.5 3.25} {12 2.5 NaN}]" {
				t.Errorf("losses %s", got)
			}
		})
	}
}

// checkStage looks at a checkpoint in other ways.
func checkStage(t *testing.T, b backend.Backend, s inspect.Stage, text []int) {
	t.Helper()
	m, err := gpt.Load(t.Context(), b, s.Path, gpt.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	session, err := gpt.NewSession(m, gpt.SessionOptions{Watch: []string{"blocks.1.attention.probs"}})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	sum := 0.0
	for i, id := range text {
		scores, err := session.Feed(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		logs := inspect.LogProbs(scores, 1)
		if i+1 < len(text) {
			sum -= logs[text[i+1]]
		} else {
			best := slices.Clone(logs)
			slices.Sort(best)
			for k, n := range s.Next {
				want := best[len(best)-1-k]
				if math.Abs(math.Exp(want)-float64(n.Prob)) > 1e-5 || math.Abs(logs[n.ID]-want) > 1e-4 {
					t.Errorf("step %d: next %d is %+v, expected a probability of %v", s.Step, k, n, math.Exp(want))
				}
			}
		}
		probs := gpttest.Floats(t, b, gpttest.Compact(t, b, session.Seen("blocks.1.attention.probs").Slice(-1, 0, len(text)).Slice(1, 2, 3)))
		if len(s.Attention[i]) != i+1 {
			t.Fatalf("step %d: attention of %d to %d positions", s.Step, i, len(s.Attention[i]))
		}
		for k, p := range probs[:i+1] {
			if got := float64(s.Attention[i][k]); math.Abs(got-float64(p)) > 1e-5 {
				t.Fatalf("step %d: attention of %d to %d is %v, expected %v", s.Step, i, k, got, p)
			}
		}
	}
	if want := sum / float64(len(text)-1); math.Abs(float64(s.Surprise)-want) > 1e-5*want {
		t.Errorf("step %d: surprise %v, expected %v", s.Step, s.Surprise, want)
	}
	table := gpttest.ReadDirectory(t, s.Path).Tensors
	i := slices.IndexFunc(table, func(x safetensors.Tensor) bool { return slices.Equal(x.Shape, []int{learnVocab, 16}) })
	e := gpttest.Decode(table[i].Data)
	dot := func(a, b int) (x float64) {
		for i := range 16 {
			x += float64(e[a*16+i]) * float64(e[b*16+i])
		}
		return x
	}
	var cosines []float64
	for id := range learnVocab {
		if id != 5 {
			cosines = append(cosines, dot(5, id)/math.Sqrt(dot(5, 5)*dot(id, id)))
		}
	}
	slices.Sort(cosines)
	if len(s.Next) != 3 || len(s.Neighbours) != 3 {
		t.Errorf("step %d: %d next tokens, %d neighbours", s.Step, len(s.Next), len(s.Neighbours))
	}
	for k, n := range s.Neighbours {
		want := dot(5, n.ID) / math.Sqrt(dot(5, 5)*dot(n.ID, n.ID))
		if math.Abs(float64(n.Cosine)-want) > 1e-6 || math.Abs(want-cosines[len(cosines)-1-k]) > 1e-6 {
			t.Errorf("step %d: neighbour %d is %+v, expected %v, %v", s.Step, k, n, want, cosines[len(cosines)-1-k])
		}
	}
}

// TestLearnOneAtATime has the memory of one model taken at any time, and none at the end.
func TestLearnOneAtATime(t *testing.T) {
	dir := learned(t, "gpt2")
	b := gpttest.OpenCPU(t)
	in := inspect.New(&model.Model{Backend: b}, nil, inspect.Options{})
	var used []int
	text := func(child *inspect.Inspector) ([]int, error) {
		used = append(used, b.InUse())
		return []int{1, 2, 3}, nil
	}
	made, err := in.Profile(func() error {
		_, err := in.Learn(t.Context(), dir, inspect.LearnOptions{Text: text, Most: 12})
		return err
	})
	if err != nil || len(used) != 5 || used[0] == 0 || slices.Max(used) != slices.Min(used) || b.InUse() != 0 {
		t.Errorf("%v, buffers in use %v, then %d", err, used, b.InUse())
	}
	for _, m := range made {
		if m.Calls != 5 {
			t.Errorf("%s is made in %d calls", m.Value, m.Calls)
		}
	}
	if len(made) == 0 {
		t.Error("nothing tells what made the values")
	}
	// Nor where it ends early.
	for n := 0; ; n++ {
		_, err := in.Learn(gpttest.Countdown(t.Context(), n), dir, inspect.LearnOptions{Text: reader(1, 2, 3), Most: 1})
		if b.InUse() != 0 {
			t.Fatalf("%d buffers in use after %v", b.InUse(), err)
		}
		if err == nil {
			break
		}
	}
}

// TestLearnChooses takes the steps that are asked for.
func TestLearnChooses(t *testing.T) {
	dir := learned(t, "gpt2")
	in := inspect.New(&model.Model{Backend: gpttest.OpenCPU(t)}, nil, inspect.Options{})
	for _, c := range []struct {
		steps []int
		most  int
		want  string
		left  int
	}{
		{nil, 12, "[0 1 9 10 12]", 0},
		{nil, 3, "[0 9 12]", 2},
		{nil, 2, "[0 12]", 3},
		{nil, 1, "[12]", 4},
		{[]int{10, 0, 10}, 0, "[0 10]", 3},
	} {
		l, err := in.Learn(t.Context(), dir, inspect.LearnOptions{Text: reader(1), Steps: c.steps, Most: c.most})
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, s := range l.Stages {
			got = append(got, s.Step)
			if !math.IsNaN(float64(s.Surprise)) || len(s.Attention) != 1 || s.Attention[0][0] != 1 || len(s.Next) != 0 || l.Near.ID != 1 {
				t.Errorf("of a text of one token: %+v", s)
			}
		}
		if fmt.Sprint(got) != c.want || l.LeftOut != c.left {
			t.Errorf("%v, at most %d: steps %v and %d left out, expected %s and %d", c.steps, c.most, got, l.LeftOut, c.want, c.left)
		}
	}
	for want, o := range map[string]inspect.LearnOptions{
		"step 2: the run has kept no weights of it, but of 0, 1, 9, 10, 12": {Steps: []int{0, 2}, Text: reader(1)},
		"0 checkpoints at most: expected 1 or more":                         {Text: reader(1)},
		"layer 2: this model has layers 0 to 1":                             {Text: reader(1), Most: 1, Layer: 2},
		"head -1: a layer of this model has heads 0 to 3":                   {Text: reader(1), Most: 1, Head: -1},
		"top -1: expected 0 to 100":                                         {Text: reader(1), Most: 1, Top: -1},
		"expected 0 to 36":                                                  {Text: reader(37), Most: 1},
		"no tokens":                                                         {Text: reader(), Most: 1},
		`word "x": the model has no tokenizer`:                              {Text: reader(1), Most: 1, Near: "x"},
		"none: no such file or directory":                                   {Text: reader(1), Most: 1, Near: "none"},
	} {
		run := dir
		if o.Near == "none" {
			run = filepath.Join(dir, "none")
		}
		_, err := in.Learn(t.Context(), run, o)
		if user := (inspect.UserError{}); !errors.As(err, &user) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, expected %q", err, want)
		}
	}
}

// TestLearnHostile has folders that no run made.
func TestLearnHostile(t *testing.T) {
	in := inspect.New(&model.Model{Backend: gpttest.OpenCPU(t)}, nil, inspect.Options{})
	c := model.Config{Family: "gpt2", Layers: 1, Heads: 2, Width: 8, Context: 90, Vocab: learnVocab, TieEmbeddings: true}
	look := func(dir string) (*inspect.Learned, error) {
		return in.Learn(t.Context(), dir, inspect.LearnOptions{Text: reader(1, 2), Most: 12, Top: 2})
	}
	dir := t.TempDir()
	for step := range 3 {
		path := filepath.Join(dir, "snapshots", folder.StepDir(step))
		weights(t, path, c, uint64(step))
		if err := folder.WriteSnapshot(path, folder.Snapshot{Step: step}); err != nil {
			t.Fatal(err)
		}
	}
	last := filepath.Join(dir, "snapshots", folder.StepDir(2))
	c.Vocab++
	weights(t, last, c, 1)
	if _, err := look(dir); err == nil || !strings.Contains(err.Error(), last+" has another vocabulary than the checkpoints before it") {
		t.Errorf("another vocabulary: %v", err)
	}
	if err := os.WriteFile(filepath.Join(last, "model.safetensors"), []byte("xx"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := look(dir); err == nil || !strings.Contains(err.Error(), last) {
		t.Errorf("no weights: %v", err)
	}
	if err := os.WriteFile(filepath.Join(last, "snapshot.json"), []byte("xx"), 0o666); err != nil {
		t.Fatal(err)
	}
	l, err := look(dir)
	if err != nil || len(l.Stages) != 2 || len(l.Notes) != 1 || !strings.Contains(l.Notes[0], last) {
		t.Errorf("no snapshot.json: %+v, %v", l, err)
	}
	// Weights that are no numbers are shown as such.
	base := gpttest.ReadDirectory(t, filepath.Join(dir, "snapshots", folder.StepDir(1)))
	for _, x := range base.Tensors {
		values := gpttest.Decode(x.Data)
		for i := range values {
			values[i] = float32(math.NaN())
		}
		copy(x.Data, gpttest.Encode(x.DType, values))
	}
	if err := gpttest.WriteTensors(filepath.Join(dir, "snapshots", folder.StepDir(1), "model.safetensors"), base.Tensors, nil); err != nil {
		t.Fatal(err)
	}
	l, err = look(dir)
	if err != nil || !math.IsNaN(float64(l.Stages[1].Surprise)) || math.IsNaN(float64(l.Stages[0].Surprise)) {
		t.Errorf("NaN: %+v, %v", l, err)
	}
	// Maps of many long texts would take more memory than anybody looks at.
	c.Vocab, c.Context = learnVocab, 1500
	dir = t.TempDir()
	for step := range 2 {
		path := filepath.Join(dir, folder.StepDir(step))
		weights(t, path, c, 1)
		if err := folder.WriteSnapshot(path, folder.Snapshot{Step: step}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = in.Learn(t.Context(), dir, inspect.LearnOptions{Text: reader(ids(1500, learnVocab)...), Most: 12})
	if user := (inspect.UserError{}); !errors.As(err, &user) || !strings.Contains(err.Error(), "too many numbers: give a shorter text, or fewer steps") {
		t.Errorf("long maps: %v", err)
	}
}
