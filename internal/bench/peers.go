package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"caldera/backend"
	"caldera/gpt"
)

// PeerOptions are how to measure beside peers.
type PeerOptions struct {
	Options
	Threads int           // of ours
	Timeout time.Duration // for each reply of a peer
}

// settle is how long a side may take to come to rest before the other begins:
// threads of BLAS libraries wait for more work for some time before they sleep.
const settle = 50 * time.Millisecond

// Peers measures the tests on this device and in each of the peers by turns:
// ours, the first peer, the second, ours again. A peer that is absent, or fails,
// has a result that says so, and the rest goes on. The error joins what failed,
// without peers that are absent or lack the type of matrices.
func (d *Device) Peers(ctx context.Context, model Model, tests []Test, peers []Peer, o PeerOptions) (results []*PeerResult, err error) {
	dir, err := os.MkdirTemp("", "caldera-peers-*")
	if err != nil {
		return nil, err
	}
	r := &race{d: d, model: model, tests: tests, o: o, files: modelFiles{model, o.DType, dir}}
	defer func() {
		for _, x := range r.rivals {
			x.process.close()
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
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
		for _, t := range x.results {
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

// race is a model on a device and the peers beside it.
type race struct {
	d     *Device
	model Model
	tests []Test
	o     PeerOptions
	files modelFiles
	p     progress

	rivals   []*rival
	failures []*PeerResult // of peers that are absent or failed
	failed   []error       // of those that failed
}

// rival is a peer that runs.
type rival struct {
	Peer
	process *peerProcess
	threads int
	about   peerReply
	out     bool          // it failed
	results []*PeerResult // of each test
}

// find starts the processes of all peers.
func (r *race) find(ctx context.Context, peers []Peer) error {
	if err := writePeerFiles(r.files.dir); err != nil {
		return err
	}
	for _, p := range peers {
		if err := p.lacks(r.o.DType, r.gpu()); err != nil {
			r.fail(p.Name, 0, err)
			continue
		}
		for _, n := range p.threads(r.gpu(), r.o.Threads) {
			process, about, err := p.find(ctx, r.gpu(), r.o, r.files.dir)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				r.fail(p.Name, 0, err)
				break // it would fail with other threads too
			}
			r.rivals = append(r.rivals, &rival{Peer: p, process: process, threads: n, about: about})
		}
	}
	return nil
}

// writePeerFiles writes the peers' programs to a folder, where they find each other.
func writePeerFiles(dir string) error {
	files, err := peerFiles.ReadDir(".")
	if err != nil {
		return err
	}
	for _, f := range files {
		text, err := peerFiles.ReadFile(f.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name()), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// gpu is the device's name for peers; empty for the CPU.
func (r *race) gpu() string {
	if r.d.Kind == backend.Host {
		return ""
	}
	return r.d.Name
}

// fail notes why a peer is not measured, or not to the end.
func (r *race) fail(name string, n int, err error) {
	x := r.result(Test{})
	x.Peer, x.PeerThreads, x.Failure = name, n, oneLine(err.Error())
	r.failures = append(r.failures, x)
	switch {
	case errors.Is(err, errAbsent):
		x.FailureKind = PeerAbsent
	case errors.Is(err, ErrUnsupported):
		x.FailureKind = PeerUnsupported
	default:
		x.FailureKind = PeerFailed
		r.failed = append(r.failed, fmt.Errorf("%s beside %s %v on %s: %w", x.peer(), r.model.Name, r.o.DType, r.d.Spec(), err))
	}
}

func (r *race) result(t Test) *PeerResult {
	return &PeerResult{
		Common: r.d.newCommon("peer"), ModelFilename: r.model.File, ModelType: r.model.Name, DType: r.o.DType.String(),
		ModelNParams: int64(r.model.Config.Parameters()), NPrompt: t.Prompt, NGen: t.Gen,
	}
}

// ask has a rival do something. Where it fails it is out.
func (r *race) ask(ctx context.Context, x *rival, what string, q peerRequest) (peerReply, bool) {
	a, err := x.process.ask(ctx, r.o.Timeout, q)
	if err == nil {
		return a, true
	}
	x.process.close()
	x.out = true
	if ctx.Err() == nil {
		r.fail(x.Name, x.threads, fmt.Errorf("%s: %w", what, err))
	}
	return a, false
}

// run loads the model on all sides and runs the tests by turns.
func (r *race) run(ctx context.Context) (err error) {
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
func (r *race) load(ctx context.Context, x *rival) error {
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
		result := r.result(t)
		result.Peer, result.PeerVersion, result.PeerDevice = x.Name, oneLine(x.about.Version), oneLine(x.about.Device)
		result.PeerInfo, result.PeerThreads = oneLine(x.about.Info), a.Threads
		x.results = append(x.results, result)
	}
	return nil
}

// turn has each side run a test once.
func (r *race) turn(ctx context.Context, s *gpt.Session, n int, what string, warm bool) error {
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
		switch result := x.results; {
		case ok && warm:
			result[n].SameToken = a.Token == token
		case ok:
			result[n].SamplesNS = append(result[n].SamplesNS, ours.Nanoseconds())
			result[n].PeerSamplesNS = append(result[n].PeerSamplesNS, a.NS)
		}
	}
	return rest(ctx)
}

func rest(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(settle):
		return nil
	}
}

// ours does what a peer does for a run: feeds the ids and finds, after each
// chunk of them, the token that is likeliest to come next.
func (r *race) ours(ctx context.Context, s *gpt.Session, ids []int, chunk int) (took time.Duration, token int, err error) {
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
