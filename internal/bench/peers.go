package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"caldera/backend"
	"caldera/gpt"
)

// Peers measures the tests on this device and in each of the peers by turns:
// ours, the first peer, the second, ours again. A peer that is absent, or fails,
// has a result that says so, and the rest goes on. The error joins what failed,
// without peers that are absent or lack the type of matrices.
func (d *Device) Peers(ctx context.Context, model Model, tests []Test, peers []Peer, o PeerOptions) (results []*PeerResult, err error) {
	dir, err := os.MkdirTemp("", "caldera-peers-*")
	if err != nil {
		return nil, err
	}
	r := &peerTests{race: race{d: d, model: model, o: o, files: modelFiles{model, o.DType, dir}}, tests: tests, results: map[*rival][]*PeerResult{}}
	r.failure = func(about PeerAbout) {
		x := r.result(Test{}, about)
		r.failures = append(r.failures, x)
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := d.lacks(model.Config, o.DType, backend.F32); err != nil {
		return nil, fmt.Errorf("%s on %s: %w", model.Name, d.Spec(), err)
	}
	if err := r.find(ctx, peers); err != nil {
		return nil, err
	}
	if len(r.rivals) > 0 {
		err = r.run(ctx)
	}
	for _, x := range r.rivals {
		for _, t := range r.results[x] {
			if len(t.SamplesNS) > 0 {
				t.summarise()
				t.Incomplete = len(t.SamplesNS) < o.Repetitions
				results = append(results, t)
			}
		}
	}
	if ctx.Err() != nil {
		return results, err
	}
	return append(results, r.failures...), errors.Join(append(r.failed, err)...)
}

// peerTests is the tests of a model on a device and on the peers beside it.
type peerTests struct {
	race
	tests    []Test
	results  map[*rival][]*PeerResult // of each test
	failures []*PeerResult            // of peers that are absent or failed
}

func (r *peerTests) result(t Test, about PeerAbout) *PeerResult {
	return &PeerResult{
		Common: r.d.newCommon("peer"), ModelFilename: r.model.File, ModelType: r.model.Name, DType: r.o.DType.String(),
		ModelNParams: int64(r.model.Config.Parameters()), NPrompt: t.Prompt, NGen: t.Gen, PeerAbout: about,
	}
}

// run loads the model on all sides and runs the tests by turns.
func (r *peerTests) run(ctx context.Context) (err error) {
	r.p = progress{r.o.Progress, 0, 2 + len(r.tests)*(1+r.o.Repetitions)}
	r.p.step("writing the model for its peers")
	path, err := r.files.gguf(ctx)
	if err != nil {
		return err
	}
	r.p.step("loading")
	use := use(r.tests, backend.F32)
	m, err := gpt.Load(ctx, r.d.b, path, gpt.LoadOptions{For: &use})
	if err != nil {
		return advice(err, false, false)
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	s, err := m.NewSession(gpt.SessionOptions{})
	if err != nil {
		return err
	}
	defer s.Close()
	for _, x := range r.rivals {
		if err := r.load(ctx, x); err != nil {
			return err
		}
	}
	for i := range r.o.Repetitions + 1 {
		for n, t := range r.tests {
			what := fmt.Sprintf("%v %d/%d", t, i, r.o.Repetitions)
			if i == 0 {
				what = t.String() + " warm-up"
			}
			r.p.step(what)
			if err := r.turn(ctx, s, n, what, i == 0); err != nil {
				return fmt.Errorf("%v: %w", t, err)
			}
		}
	}
	return nil
}

// load gives a rival the model.
func (r *peerTests) load(ctx context.Context, x *rival) error {
	path, err := x.file(r.files, ctx)
	if err != nil {
		return err
	}
	most := 0
	for _, t := range r.tests {
		most = max(most, t.Tokens())
	}
	a, ok := r.ask(ctx, x, "loading", peerRequest{
		Command: "load", GPU: r.gpu(), Model: path, DType: r.o.DType.String(), Threads: x.threads, Context: most,
	})
	if !ok {
		return ctx.Err()
	}
	for _, t := range r.tests {
		r.results[x] = append(r.results[x], r.result(t, x.told(a)))
	}
	return nil
}

// turn has each side run a test once.
func (r *peerTests) turn(ctx context.Context, s *gpt.Session, n int, what string, warm bool) error {
	t := r.tests[n]
	ids, chunk := randomIDs(t, r.model.Config.Vocab), 1
	if t.Prompt > 0 {
		chunk = t.Prompt
	}
	ours, token, err := r.ours(ctx, s, ids, chunk)
	if err != nil {
		return err
	}
	for _, x := range r.rivals {
		if x.out {
			continue
		}
		if err := rest(ctx); err != nil {
			return err
		}
		a, ok := r.ask(ctx, x, what, peerRequest{Command: "run", IDs: ids, Chunk: chunk})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch result := r.results[x]; {
		case ok && warm:
			result[n].SameToken = a.Token == token
		case ok:
			result[n].SamplesNS = append(result[n].SamplesNS, ours.Nanoseconds())
			result[n].PeerSamplesNS = append(result[n].PeerSamplesNS, a.NS)
		}
	}
	return rest(ctx)
}

// ours does what a peer does for a run: feeds the ids and finds, after each
// chunk of them, the token that is likeliest to come next.
func (r *peerTests) ours(ctx context.Context, s *gpt.Session, ids []int, chunk int) (took time.Duration, token int, err error) {
	s.Reset()
	greedy := gpt.NewSampler(gpt.Sampling{TopP: 1, RepeatPenalty: 1})
	start := r.d.now()
	for at := 0; at < len(ids); at += chunk {
		scores, err := s.Feed(ctx, ids[at:at+chunk]...)
		if err != nil {
			return 0, 0, err
		}
		if token, _, err = greedy.Next(scores, nil); err != nil {
			return 0, 0, err
		}
	}
	return r.d.now().Sub(start), token, nil
}
