package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"caldera/backend"
	"caldera/gpt"
	"caldera/internal/bench/peer"
	"caldera/internal/bench/result"
)

// PeerOptions are how to measure beside peers.
type PeerOptions struct {
	Options
	Peers   []peer.Peer
	Threads int           // of ours
	Timeout time.Duration // for each reply of a peer
}

// race begins one of a model that peers read with matrices of dtype.
func (d *Device) race(model Model, dtype backend.DType, o PeerOptions) peer.Race {
	return peer.Race{
		Device: d.Device, DType: o.DType, Threads: o.Threads, Timeout: o.Timeout,
		Files: peer.Files{Model: model.Name, Open: model.Open, DType: dtype},
	}
}

// Peers measures the tests on this device and in each of the peers by turns:
// ours, the first peer, the second, ours again. A peer that is absent, or fails,
// has a result that says so, and the rest goes on. The error joins what failed,
// without peers that are absent or lack the type of matrices.
func (d *Device) Peers(ctx context.Context, model Model, tests []Test, o PeerOptions) (results []*result.PeerResult, err error) {
	if err := d.lacks(model.Config, o.DType, backend.None); err != nil {
		return nil, fmt.Errorf("%s on %s: %w", model.Name, d.Spec(), err)
	}
	r := &peerTests{Race: d.race(model, o.DType, o), d: d, model: model, tests: tests, o: o, results: map[*peer.Rival][]*result.PeerResult{}}
	for _, t := range tests {
		r.Sequences = max(r.Sequences, t.Sequences)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := r.Start(ctx, o.Peers); err != nil {
		return nil, err
	}
	if len(r.Rivals) > 0 {
		err = r.run(ctx)
	}
	for _, x := range r.Rivals {
		for _, t := range r.results[x] {
			if len(t.SamplesNS) > 0 {
				t.Summarise()
				t.Incomplete = len(t.SamplesNS) < o.Repetitions
				results = append(results, t)
			}
		}
	}
	if ctx.Err() != nil {
		return results, err
	}
	for _, about := range r.Missing {
		results = append(results, r.result(Test{}, about))
	}
	return results, errors.Join(append(r.Failed, err)...)
}

// peerTests is the tests of a model on a device and on the peers beside it.
type peerTests struct {
	peer.Race
	d       *Device
	model   Model
	tests   []Test
	o       PeerOptions
	results map[*peer.Rival][]*result.PeerResult // of each test
}

func (r *peerTests) result(t Test, about result.PeerAbout) *result.PeerResult {
	return &result.PeerResult{
		Common: r.d.newCommon("peer"), ModelFilename: r.model.File, ModelType: r.model.Name, DType: r.o.DType.String(),
		ModelNParams: int64(r.model.Config.Parameters()), NPrompt: t.Prompt, NGen: t.Gen, NSequences: t.Sequences, PeerAbout: about,
	}
}

// run loads the model on all sides and runs the tests by turns.
func (r *peerTests) run(ctx context.Context) (err error) {
	p := progress{r.o.Progress, 0, 2 + len(r.tests)*(1+r.o.Repetitions)}
	p.step("writing the model for its peers")
	path, err := r.Files.GGUF(ctx)
	if err != nil {
		return err
	}
	p.step("loading")
	use := use(r.tests, backend.None)
	m, err := gpt.Load(ctx, r.d.b, path, gpt.LoadOptions{For: &use})
	if err != nil {
		return advice(err, false, false)
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	own := &runner{d: r.d, o: Options{Cache: m.CacheDType(backend.None)}, m: m}
	defer own.close()
	if err := own.sequences(r.tests, use.Context); err != nil {
		return err
	}
	err = r.Load(ctx, peer.Request{Command: "load", Context: use.Context, Sequences: sequenceNumbers(r.tests)}, func(x *peer.Rival, a peer.Reply) {
		for _, t := range r.tests {
			result := r.result(t, x.About(a))
			result.CacheType = own.o.Cache.String()
			result.DrawnOnDevice = t.Sequences == 0 && own.s.DrawsOnDevice(greedy(1))
			r.results[x] = append(r.results[x], result)
		}
	})
	if err != nil {
		return err
	}
	for i := range r.o.Repetitions + 1 {
		for n, t := range r.tests {
			what := fmt.Sprintf("%v %d/%d", t, i, r.o.Repetitions)
			if i == 0 {
				what = t.String() + " warm-up"
			}
			p.step(what)
			if err := r.turn(ctx, own, n, what, i == 0); err != nil {
				return fmt.Errorf("%v: %w", t, err)
			}
		}
	}
	return nil
}

// sequenceNumbers are those of the tests, each once; nil if they are of one by itself.
func sequenceNumbers(tests []Test) (all []int) {
	for _, t := range tests {
		if t.Sequences > 0 && !slices.Contains(all, t.Sequences) {
			all = append(all, t.Sequences)
		}
	}
	return all
}

// turn has each side run a test once.
func (r *peerTests) turn(ctx context.Context, own *runner, n int, what string, warm bool) error {
	t := r.tests[n]
	if t.Sequences > 0 {
		return r.turnBatch(ctx, own, n, what, warm)
	}
	ids, chunk := randomIDs(t, r.model.Config.Vocab), 1
	if t.Prompt > 0 {
		chunk = t.Prompt
	}
	ours, token, err := r.ours(ctx, own.s, ids, chunk, warm)
	if err != nil {
		return err
	}
	return r.Turn(ctx, what, peer.Request{Command: "run", IDs: ids, Chunk: chunk}, func(x *peer.Rival, a peer.Reply) {
		result := r.results[x][n]
		if warm {
			result.SameToken = a.Token == token
			return
		}
		result.SamplesNS = append(result.SamplesNS, ours.Nanoseconds())
		result.PeerSamplesNS = append(result.PeerSamplesNS, a.NS)
	})
}

// compared is how many tokens of each sequence are compared with a peer's, from the first
// on: further ones differ where a near tie came before, which rounding decides.
const compared = 8

// tries is how often a peer tries its ways to run sequences together: two, and one more
// because the first try warms up.
const tries = 3

// turnBatch is turn of a test of sequences together.
func (r *peerTests) turnBatch(ctx context.Context, own *runner, n int, what string, warm bool) error {
	t := r.tests[n]
	starts := prompts(t, r.model.Config.Vocab)
	ours, _, drawn, err := own.batches.run(ctx, t, starts, r.d.now)
	if err != nil {
		return err
	}
	q := peer.Request{Command: "batch", Prompts: starts, Predict: max(1, t.Gen), Told: compared}
	if warm && t.Sequences > 1 && t.Gen > 1 { // else both ways are the same
		tried := q
		tried.Try = true
		for range tries {
			if err := r.Turn(ctx, what, tried, func(*peer.Rival, peer.Reply) {}); err != nil {
				return err
			}
		}
	}
	return r.Turn(ctx, what, q, func(x *peer.Rival, a peer.Reply) {
		result := r.results[x][n]
		result.PeerBatches = a.Batches
		if warm {
			result.Compare(drawn, a.Tokens)
			return
		}
		result.SamplesNS = append(result.SamplesNS, ours.Nanoseconds())
		result.PeerSamplesNS = append(result.PeerSamplesNS, a.NS)
	})
}

// ours does what a peer does for a run: reads the ids and finds, after each chunk of them,
// the token that is likeliest to come next. Where the device draws tokens, ours generates as
// users do: single tokens after the first are those that were drawn. The warm-up feeds the
// ids there, too, so that both sides can be compared.
func (r *peerTests) ours(ctx context.Context, s *gpt.Session, ids []int, chunk int, warm bool) (took time.Duration, token int, err error) {
	n := len(ids) / chunk // how many tokens are found
	draws := s.DrawsOnDevice(greedy(n))
	s.Reset()
	if draws {
		if took, err = generate(ctx, s, ids[:chunk], n, r.d.now); err != nil || !warm {
			return took, 0, err
		}
		s.Reset()
	}
	sampler := gpt.NewSampler(gpt.Sampling{TopP: 1, RepeatPenalty: 1})
	start := r.d.now()
	for at := 0; at < len(ids); at += chunk {
		scores, err := s.Feed(ctx, ids[at:at+chunk]...)
		if err != nil {
			return 0, 0, err
		}
		if token, _, err = sampler.Next(scores, nil); err != nil {
			return 0, 0, err
		}
	}
	return r.d.now().Sub(start), token, nil
}
