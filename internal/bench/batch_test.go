package bench

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/bench/peer"
	"caldera/internal/bench/result"
	"caldera/internal/commandtest"
)

func TestMaxSequences(t *testing.T) {
	if result.MaxSequences != gpt.MaxChunk {
		t.Errorf("results have at most %d sequences, batches %d", result.MaxSequences, gpt.MaxChunk)
	}
}

// TestMeasureBatch measures sequences together, and tells of their memory.
func TestMeasureBatch(t *testing.T) {
	d := openCPU(t)
	o := quiet(2)
	o.Cache = backend.F16
	tests := []Test{{Prompt: 20, Sequences: 1}, {Prompt: 20, Sequences: 3}, {Gen: 5, Sequences: 3}, {Gen: 5, Depth: 7, Sequences: 3}, {Gen: 5}}
	results, err := d.Measure(t.Context(), Random("tiny", tiny), tests, o)
	if err != nil || len(results) != len(tests) {
		t.Fatalf("%d results, %v", len(results), err)
	}
	// Contexts of 20 positions; a position has 2 layers of 2·16 numbers of f16.
	alone := result.Batched{NSequences: 1, KVBlock: 20, KVBlocks: 1, KVSequenceBytes: 20 * 128, KVPoolBytes: 20 * 128}
	three := result.Batched{NSequences: 3, KVBlock: 32, KVBlocks: 3, KVSequenceBytes: 32 * 128, KVPoolBytes: 3 * 32 * 128}
	for i, want := range []result.Batched{alone, three, three, three, {}} {
		r := results[i]
		if r.Test() != tests[i] || len(r.SamplesNS) != 2 || r.AvgShare <= 0 || r.FLOP != Count(onPaper(nil, tiny, backend.F32), tests[i], backend.F16).FLOP() {
			t.Errorf("%v: %+v", tests[i], r)
		}
		if got := r.AvgSequenceTS * float64(r.NSequences); i < 4 && (got < 0.999*r.AvgTS || got > 1.001*r.AvgTS) {
			t.Errorf("%v: %v tokens a second, and %v of each", tests[i], r.AvgTS, r.AvgSequenceTS)
		}
		got := r.Batched
		got.AvgSequenceTS, got.StddevSequenceTS = 0, 0
		if got != want {
			t.Errorf("%v: %+v, expected %+v", tests[i], got, want)
		}
		if err := reread(r); err != nil {
			t.Errorf("%v: %v", tests[i], err)
		}
	}
}

// TestBatchRun holds what sequences draw to a session that is fed the same tokens, and
// their steps to one for each token that is timed.
func TestBatchRun(t *testing.T) {
	d := openCPU(t)
	tests := []Test{{Prompt: 9, Sequences: 3}, {Gen: 6, Sequences: 3}, {Gen: 6, Depth: 9, Sequences: 3}, {Gen: 6, Depth: 9, Sequences: 1}}
	use := use(tests, backend.F32)
	m, err := d.load(t.Context(), d.b, Random("tiny", tiny), quiet(1), use)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	x, err := newBatches(m, tests, backend.F32)
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	s, err := gpt.NewSession(m, gpt.SessionOptions{Context: use.Context})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, test := range tests {
		starts := prompts(test, tiny.Vocab)
		for range 2 { // the second finds the batch as the first left it
			_, held, drawn, err := x.run(t.Context(), test, starts, d.now)
			if err != nil || len(drawn) != test.Sequences || held.Reserved != test.Sequences || x.of(test.Sequences).Memory().Used != 0 {
				t.Fatalf("%v: %d sequences, %+v, %v", test, len(drawn), held, err)
			}
			for i, got := range drawn {
				s.Reset()
				var want []int
				for token, err := range s.Generate(t.Context(), starts[i], gpt.Options{Predict: len(got), IgnoreEOS: true}) {
					if err != nil {
						t.Fatal(err)
					}
					want = append(want, token.ID)
				}
				if n := max(1, test.Gen) + min(1, test.Depth); !slices.Equal(got, want) || len(got) != n {
					t.Errorf("%v, sequence %d: %v, expected %d tokens as in a session: %v", test, i, got, n, want)
				}
			}
		}
		// Where sequences are at a depth, each step is one token of each.
		all, err := x.begin(t.Context(), test, starts)
		if err != nil {
			t.Fatal(err)
		}
		steps := 0
		for ; going(all); steps++ {
			if err := step(t.Context(), x.of(test.Sequences).Step); err != nil {
				t.Fatal(err)
			}
		}
		if test.Gen > 0 && steps != test.Gen {
			t.Errorf("%v: %d steps, expected %d", test, steps, test.Gen)
		}
	}
	// What is interrupted leaves no sequence behind.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, _, err := x.run(ctx, tests[1], prompts(tests[1], tiny.Vocab), d.now); !errors.Is(err, context.Canceled) || len(x.many.Live()) > 0 {
		t.Errorf("%v, and %d sequences are left", err, len(x.many.Live()))
	}
}

// TestBatchMemory refuses sequences that do not fit, and says how many would.
func TestBatchMemory(t *testing.T) {
	config := tiny
	config.Context = 1024
	p := &played{hostOp: 10, total: 1 << 40}
	d := playedDevice(p)
	measure := func(free int64, tests ...Test) *gpt.MemoryError {
		p.free = free
		_, err := d.Measure(t.Context(), Random("tiny", config), tests, quiet(1))
		var e *gpt.MemoryError
		if !errors.As(err, &e) || p.most > 0 {
			t.Fatalf("with %d bytes free: %d were taken, %v", free, p.most, err)
		}
		return e
	}
	const each = 1024 * 2 * 2 * 16 * 4
	many, one := Test{Gen: 1024, Sequences: 8}, Test{Gen: 1024, Sequences: 1}
	need := measure(1, many).Need
	if need.Cache != 8*each || measure(1, one).Need.Cache != each {
		t.Errorf("%+v: expected keys and values of 8 × %d bytes", need, each)
	}
	if n := measure(1, many, one).Need; n.Cache != 9*each || n.Beside != need.Beside {
		t.Errorf("%+v: expected %d bytes of keys and values more than %+v", n, each, need)
	}
	if n := measure(1, many, one, Test{Gen: 1024}).Need; n.Cache != 10*each || n.Beside != need.Beside {
		t.Errorf("%+v, of sequences together and alone: expected %d bytes more than %+v", n, 2*each, need)
	}
	if e := measure(need.Total()-1, many); e.Sequences != 7 || !strings.Contains(e.Error(), "it would fit with 7 sequences at once") {
		t.Errorf("a byte too little: %+v", e)
	}
}

// TestBatchWindows tells of layers with a window the memory that they have, and refuses by it.
func TestBatchWindows(t *testing.T) {
	c := model.Config{Family: "gemma3_text", Layers: 3, Heads: 2, KVHeads: 1, HeadSize: 16, Width: 32, Inner: 64, Context: 4096, Vocab: 50, TieEmbeddings: true,
		Settings: &model.DecoderSettings{Activation: backend.GELUTanh, Rope: model.Rope{Theta: 1e6}, Window: 100, Period: 3}} // two of three layers
	const row = 2 * 16 * 4
	all := map[int]int64{8: 64 * row * (8*64 + 2*(8*4+8)), 1: row * (4096 + 2*1123)} // (100-1)/64 + 3 blocks of each, and 8 for a prompt
	each := map[int]int64{8: 64 * row * (64 + 2*4), 1: all[1]}
	p := &played{hostRun: 1000, submit: 20000, dispatch: 3000, read: 5000, flops: 1e9, bandwidth: 1e10, total: 1 << 40}
	d := playedDevice(p)
	for _, n := range []int{8, 1} {
		test := Test{Gen: 1, Depth: 4095, Sequences: n}
		results, err := d.Measure(t.Context(), Random("windows", c), []Test{test}, quiet(1))
		if err != nil || len(results) != 1 {
			t.Fatalf("%d results, %v", len(results), err)
		}
		if r := results[0]; r.KVSequenceBytes != each[n] || r.KVPoolBytes != all[n] || reread(r) != nil {
			t.Errorf("%d sequences have %d bytes each, of %d; expected %d of %d; %v", n, r.KVSequenceBytes, r.KVPoolBytes, each[n], all[n], reread(r))
		}
		p.free, p.most = 1, 0
		_, err = d.Measure(t.Context(), Random("windows", c), []Test{test}, quiet(1))
		var e *gpt.MemoryError
		if !errors.As(err, &e) || e.Need.Cache != all[n] {
			t.Errorf("%d sequences: %v, expected %d bytes of keys and values", n, err, all[n])
		}
		p.free = 0
	}
}

// TestPeersBatch measures sequences together beside a peer that draws the tokens which
// its mode says, one that cannot, and one that answers nonsense.
func TestPeersBatch(t *testing.T) {
	several := func(mode string) peer.Peer {
		p := fake(mode, mode)
		p.Sequences = 4
		return p
	}
	results, err := tinyPeersOf(t, t.Context(), commandtest.Patience, []Test{{Prompt: 8, Sequences: 3}, {Gen: 4, Sequences: 3}},
		several("good"), several("few sequences"), several("few tokens"), fake("alone", "good"))
	good := results["good"]
	if len(good) != 2 {
		t.Fatalf("%d results of the good peer, expected 2: %v", len(good), err)
	}
	for i, want := range []Test{{Prompt: 8, Sequences: 3}, {Gen: 4, Sequences: 3}} {
		r := good[i]
		if r.Test() != want || len(r.SamplesRatio) != 3 || r.AvgRatio <= 0 || len(r.SamePrefix) != 3 || r.Compared != max(1, want.Gen) || r.PeerBatches != 7 {
			t.Errorf("the good peer: %+v", r)
		}
		// It draws token 1 each time, which ours may do too.
		if r.SameToken != !slices.Contains(r.SamePrefix, 0) {
			t.Errorf("the same first token: %v, of %v", r.SameToken, r.SamePrefix)
		}
	}
	for mode, want := range map[string]string{
		"few sequences": "it tells tokens of 2 sequences, expected 3",
		"few tokens":    "it tells 0 tokens of sequence 0, expected 1",
		"alone":         "not supported: it is measured with one sequence, not with several at once",
	} {
		if r := results[mode]; len(r) != 1 || !strings.Contains(r[0].Failure, want) {
			t.Errorf("%s: %+v, expected %s", mode, r, want)
		}
	}
	if strings.Contains(err.Error(), "alone") {
		t.Errorf("a peer that has no such test is an error: %v", err)
	}
	few := fake("good", "good")
	few.Sequences = 2
	results, err = tinyPeersOf(t, t.Context(), commandtest.Patience, []Test{{Gen: 1, Sequences: 3}}, few)
	if r := results["good"]; err != nil || len(r) != 1 || !strings.Contains(r[0].Failure, "not supported: it runs at most 2 sequences at once") {
		t.Errorf("%+v, %v", r, err)
	}
}
