package gpt_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
	"caldera/nn"
)

// windowReferences are those of families whose layers have a window that ends within their texts.
var windowReferences = []string{"mistral", "gemma2", "gemma3", "gemma3-layers", "olmo3", "phi3", "qwen2-window", "smollm3-window", "gpt-oss"}

// TestBatchWindowFamilies holds what batches draw to PyTorch's, where layers with a window have
// the latest blocks alone, of sequences that begin one after the other.
func TestBatchWindowFamilies(t *testing.T) {
	gpt.BatchWindows(t, true)
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		for _, name := range windowReferences {
			want := gpttest.Expected(t, "testdata/"+name)
			time, greedy := want.Shape("input_ids")[1], numbers(want.Ints(t, "greedy"))
			m := gpttest.Load(t, b, "testdata/"+name, backend.F32)
			m.EOS = nil // the reference goes on after it
			batch := newBatch(t, m, gpt.BatchOptions{Sequences: 3, Block: 2, Chunk: 3})
			o := gpt.Options{Sampling: gpt.Sampling{RepeatPenalty: 1}, Predict: len(greedy) - time}
			all := []*gpt.Sequence{admit(t, batch, greedy[:time], o), admit(t, batch, greedy[:time-1], gpt.Options{Predict: 5})}
			for range 3 {
				step(t, batch)
			}
			all = append(all, admit(t, batch, greedy[:time], o))
			for len(batch.Live()) > 0 {
				step(t, batch)
				if mem := batch.Memory(); mem.WindowBlockBytes == 0 || mem.WindowUsed > mem.WindowBlocks {
					t.Fatalf("%s: %+v", name, mem)
				}
			}
			for _, i := range []int{0, 2} {
				if got := all[i].Tokens(); !slices.Equal(got, greedy) {
					t.Errorf("%s: sequence %d:\ngot  %v\nwant %v", name, i, got[time:], greedy[time:])
				}
			}
		}
	})
}

// TestBatchWindowBits expects the same bits with a pool for layers with a window and without:
// a long prompt among short ones, forks, and contexts that get full.
func TestBatchWindowBits(t *testing.T) {
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		m := windowed(t, b, 20)
		var runs [2][][]gpt.Token
		for i, always := range []bool{false, true} {
			gpt.BatchWindows(t, always)
			batch := newBatch(t, m, gpt.BatchOptions{Sequences: 5, Context: 160, Block: 8, Chunk: 16})
			o := gpt.Options{Predict: 60, IgnoreEOS: true, LogProbs: 20}
			all := []*gpt.Sequence{admit(t, batch, sequence(5, 200), o), admit(t, batch, sequence(130, 199), o), admit(t, batch, sequence(19, 197), o)}
			all = append(all, fork(t, all[1], gpt.Options{Predict: 20, IgnoreEOS: true, LogProbs: 20, Sampling: gpt.Sampling{Temperature: 1, Seed: 3}}))
			tokens := map[*gpt.Sequence][]gpt.Token{}
			for n := 0; len(batch.Live()) > 0; n++ {
				for _, e := range step(t, batch) {
					if e.Token != nil {
						tokens[e.Sequence] = append(tokens[e.Sequence], *e.Token)
					}
				}
				if n == 30 {
					all = append(all, fork(t, all[0], o))
				}
			}
			slid := false
			for _, s := range all {
				runs[i] = append(runs[i], tokens[s])
				for _, x := range tokens[s] {
					slid = slid || x.Slid
				}
			}
			if mem := batch.Memory(); (mem.WindowBlocks > 0) != always || !slid {
				t.Fatalf("%+v, a context slid: %v", mem, slid)
			}
		}
		for i := range runs[0] {
			if len(runs[0][i]) == 0 || !reflect.DeepEqual(runs[0][i], runs[1][i]) {
				t.Errorf("sequence %d has other bits with blocks of windows", i)
			}
		}
	})
}

// narrow is a small model with layers of both kinds, whose window is 6.
func narrow(t *testing.T, b backend.Backend, vocab int) *model.Model {
	t.Helper()
	s := &model.DecoderSettings{Activation: backend.GELUTanh, Rope: model.Rope{Theta: 1e6, Local: 10000}, Window: 6, Period: 2}
	c := model.Config{Family: "gemma3_text", Layers: 3, Heads: 2, KVHeads: 1, HeadSize: 16, Width: 32, Inner: 64, Context: 400, Vocab: vocab, TieEmbeddings: true, Settings: s}
	m, err := gpt.Random(t.Context(), b, c.Complete(), gpt.LoadOptions{}, 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// TestBatchWindowLives is TestBatch with such a pool, and what breaks it is found.
func TestBatchWindowLives(t *testing.T) {
	gpt.DrawAnywhere(t)
	gpt.BatchWindows(t, true)
	alone := narrow(t, gpttest.OpenCPU(t), 100)
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		m, steps := narrow(t, b, 100), 200
		if b.Name() != "cpu" {
			steps = 100
		}
		for _, c := range []struct{ block, blocks, chunk int }{{4, 90, 8}, {16, 0, 128}} {
			batch := newBatch(t, m, gpt.BatchOptions{Sequences: 16, Context: 40, Block: c.block, Blocks: c.blocks, Chunk: c.chunk})
			lives, err := liveAtRandom(t, batch, steps, func() {})
			if err != nil {
				t.Fatal(err)
			}
			ties, drawn := 0, 0
			for _, l := range lives {
				n, err := checkAlone(t, alone, 40, l)
				if err != nil {
					t.Fatalf("blocks of %d: %v", c.block, err)
				}
				ties, drawn = ties+n, drawn+len(l.got)
			}
			if ties > drawn/1000+1 {
				t.Errorf("%d of %d tokens are not the likeliest, if only just", ties, drawn)
			}
		}
	})
}

// TestBatchWindowAgain has the host draw for a sequence whose tokens are read ahead, and are then read again, when
// the blocks behind them are given back already.
func TestBatchWindowAgain(t *testing.T) {
	gpt.DrawAnywhere(t)
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		m := narrow(t, b, 3000)
		broad := gpt.Sampling{Temperature: 1, TopP: 0.9, Seed: 2} // most tokens are candidates: the host draws
		for _, block := range []int{1, 8} {
			var texts [2][][]int
			for i, always := range []bool{false, true} {
				gpt.BatchWindows(t, always)
				batch := newBatch(t, m, gpt.BatchOptions{Sequences: 3, Context: 60, Block: block})
				all := []*gpt.Sequence{
					admit(t, batch, sequence(9, 50), gpt.Options{Predict: 90, IgnoreEOS: true}),
					admit(t, batch, sequence(3, 50), gpt.Options{Predict: 40, IgnoreEOS: true, Sampling: broad}),
					admit(t, batch, sequence(20, 50), gpt.Options{Predict: 40, IgnoreEOS: true}),
				}
				ahead := 0
				for len(batch.Live()) > 0 {
					if step(t, batch); batch.Ahead() {
						ahead++
					}
				}
				for _, s := range all {
					texts[i] = append(texts[i], s.Tokens())
				}
				if _, draws := backend.As[backend.Fetcher](b); draws && ahead < 3 {
					t.Errorf("%d steps were read ahead", ahead)
				}
			}
			if !reflect.DeepEqual(texts[0], texts[1]) {
				t.Errorf("blocks of %d: other texts with blocks of windows:\n%v\n%v", block, texts[0], texts[1])
			}
		}
	})
}

// TestBatchWindowMutants breaks what a batch knows of these blocks, and expects that it shows.
func TestBatchWindowMutants(t *testing.T) {
	gpt.BatchWindows(t, true)
	m := narrow(t, gpttest.OpenCPU(t), 100)
	run := func(spoil func(*gpt.Batch)) (err error) {
		defer func() {
			if p := recover(); p != nil { // no block is left
				err = fmt.Errorf("%v", p)
			}
		}()
		batch := newBatch(t, m, gpt.BatchOptions{Sequences: 4, Context: 400, Block: 16, Chunk: 8})
		for i := range 4 {
			admit(t, batch, sequence(30+i, 100), gpt.Options{Predict: 200, IgnoreEOS: true})
		}
		for len(batch.Live()) > 0 {
			spoil(batch)
			events, err := batch.Step(t.Context())
			if err != nil {
				return err
			}
			for _, e := range events {
				if e.Err != nil {
					return e.Err
				}
			}
		}
		return nil
	}
	if err := run(func(*gpt.Batch) {}); err != nil {
		t.Errorf("nothing is broken: %v", err)
	}
	for what, spoil := range map[string]func(*gpt.Batch){"a block is given back too early": (*gpt.Batch).TrimTooMuch, "nothing is given back": (*gpt.Batch).TrimNothing} {
		err := run(spoil)
		if t.Logf("%s: %v", what, err); err == nil {
			t.Errorf("%s, and nothing was found", what)
		}
	}
}

// TestBatchOfOneWindow: a batch of one sequence keeps the latest positions as a session does, of
// one sequence after the other, with contexts that get full.
func TestBatchOfOneWindow(t *testing.T) {
	gpt.SetTailStep(t, 32)
	gpt.DrawAnywhere(t)
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		m := windowed(t, b, 20)
		for _, logProbs := range []int{0, 1} { // drawn by the device a step ahead, and by the host
			batch := newBatch(t, m, gpt.BatchOptions{Sequences: 1, Context: 200})
			for _, n := range []int{150, 7, 90} {
				o := gpt.Options{Predict: 250, IgnoreEOS: true, LogProbs: logProbs}
				s := admit(t, batch, sequence(n, 200), o)
				moved := 0
				for len(batch.Live()) > 0 {
					step(t, batch)
					start, rows := batch.TailStart()
					if moved = max(moved, start); rows != 19+64 {
						t.Fatalf("caches of %d rows", rows)
					}
				}
				session := newSession(t, m, gpt.SessionOptions{Context: 200, Whole: true})
				want := sequence(n, 200)
				for token, err := range session.Generate(t.Context(), want, o) {
					if err != nil {
						t.Fatal(err)
					}
					want = append(want, token.ID)
				}
				if !slices.Equal(s.Tokens(), want) || moved < 96 {
					t.Errorf("%d log-probabilities, a prompt of %d, caches that moved to %d:\ngot  %v\nwant %v", logProbs, n, moved, s.Tokens()[n:], want[n:])
				}
			}
		}
	})
}

// TestBatchWindowMemory: what a batch takes is what is told, and where a window saves nothing it
// is what it was.
func TestBatchWindowMemory(t *testing.T) {
	b := gpttest.OpenCPU(t)
	m := windowed(t, b, 100)
	row := int64(4 * m.CacheWidth())
	for _, c := range []struct {
		o     gpt.BatchOptions
		bytes int64
		each  int64 // of a sequence that has all of its blocks
	}{
		// Of three layers two have a window: (100-1)/64 + 3 blocks of each sequence, and 8 for a prompt.
		{gpt.BatchOptions{Sequences: 4}, row * 64 * (4*64 + 2*(4*4+8)), row * 64 * (64 + 2*4)},
		{gpt.BatchOptions{Sequences: 4, Block: 16}, row * 16 * (4*256 + 2*(4*9+32)), row * 16 * (256 + 2*9)},
		{gpt.BatchOptions{Sequences: 4, Context: 300}, row * 64 * 3 * 4 * 5, row * 64 * 3 * 5},
		{gpt.BatchOptions{Sequences: 4, Blocks: 20}, row * 64 * 3 * 20, row * 64 * 3 * 64},
		{gpt.BatchOptions{Sequences: 1}, row * (4096 + 2*1123), row * (4096 + 2*1123)},
		{gpt.BatchOptions{Sequences: 1, Context: 1000}, row * 3 * 1000, row * 3 * 1000},
	} {
		c.o.Cache = backend.F32
		before := b.Bytes()
		batch := newBatch(t, m, c.o)
		mem := batch.Memory()
		taken := int64(b.Bytes() - before)
		batch.Close()
		each := int64(64 * 64 / mem.Block)
		if c.o.Context > 0 {
			each = int64((c.o.Context + mem.Block - 1) / mem.Block)
		}
		if beside := taken - c.bytes; mem.Bytes() != c.bytes || beside < 0 || beside > 64<<10 || mem.SequenceBytes(int(max(1, each))) != c.each {
			t.Errorf("%+v: %d bytes were taken and %d are told, expected %d and little beside; %d of a sequence, expected %d", c.o, taken, mem.Bytes(), c.bytes, mem.SequenceBytes(int(each)), c.each)
		}
	}
}

// TestEvaluatorWindow holds scores of texts, whose layers with a window keep the latest
// positions, to PyTorch's, and to those with all positions: on the CPU to the bit.
func TestEvaluatorWindow(t *testing.T) {
	scores := func(e *gpt.Evaluator, text []int) (all [][]float32) {
		if err := e.Scores(t.Context(), [][]int{text}, 0, func(_, _ int, scores []float32) error {
			all = append(all, slices.Clone(scores))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	t.Run("references", func(t *testing.T) {
		gpt.SetTailStep(t, 4)
		devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
			for _, name := range windowReferences {
				want := gpttest.Expected(t, "testdata/"+name)
				time, logits := want.Shape("input_ids")[1], want.Floats(t, "logits")
				m := gpttest.Load(t, b, "testdata/"+name, backend.F32)
				e, err := gpt.NewEvaluatorInChunks(m, gpt.EvaluatorOptions{Texts: 1}, 4)
				if err != nil {
					t.Fatal(err)
				}
				for p, got := range scores(e, numbers(want.Ints(t, "input_ids"))[:time]) {
					gpttest.CheckNear(t, fmt.Sprintf("%s, position %d", name, p), got, logits[p*m.Vocab:][:m.Vocab], 1e-5)
				}
				if start, rows := e.TailStart(); rows == 0 || rows >= m.Context || start == 0 && time > rows {
					t.Errorf("%s: caches of %d rows begin at %d after %d tokens", name, rows, start, time)
				}
				e.Close()
			}
		})
	})
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		m := windowed(t, b, 100)
		asIs := func(_ *nn.Tape, _ string, x backend.Tensor) backend.Tensor { return x }
		for _, d := range []backend.DType{backend.F32, backend.F16} {
			var all [2][][]float32
			for i, edit := range []nn.Edit{nil, asIs} {
				e, err := gpt.NewEvaluator(m, gpt.EvaluatorOptions{Window: 2000, Cache: d, Edit: edit})
				if err != nil {
					t.Fatal(err)
				}
				scores(e, sequence(1700, 200)) // of which nothing may be left
				all[i] = scores(e, sequence(1900, 199))
				if start, rows := e.TailStart(); (rows == 1123 && start == 1024) != (edit == nil) || edit != nil && rows != 0 {
					t.Errorf("caches of %d rows begin at %d", rows, start)
				}
				e.Close()
			}
			for p := range all[0] {
				if b.Name() == "cpu" && !slices.Equal(all[0][p], all[1][p]) {
					t.Fatalf("%v keys, position %d: other scores than with all positions", d, p)
				}
				gpttest.CheckNear(t, fmt.Sprintf("%v keys, position %d", d, p), all[0][p], all[1][p], 2e-5)
			}
		}
	})
}
