package peer

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"caldera/backend"
	"caldera/internal/bench/result"
)

// settle is how long a side may take to come to rest before the other begins:
// threads of BLAS libraries wait for more work for some time before they sleep.
const settle = 50 * time.Millisecond

// Race is the work of a model on a device and, by turns, in peers. It runs the
// peers; the caller runs the device.
type Race struct {
	Device  backend.Device
	Files   Files
	DType   backend.DType // that the peers compute in
	Threads int           // of ours
	Timeout time.Duration // for each reply of a peer

	Sequences int // the most that are run together; 0: one by itself

	Rivals  []*Rival
	Missing []result.PeerAbout // peers that are absent or failed
	Failed  []error            // of those that failed
}

// Rival is a peer that runs.
type Rival struct {
	Peer
	process *process
	threads int
	about   Reply
	out     bool // it failed
}

// About describes a rival, by its replies when it started and when it loaded the
// model.
func (x *Rival) About(loaded Reply) result.PeerAbout {
	info := strings.Trim(x.about.Info+", "+loaded.Info, ", ")
	return result.PeerAbout{
		Peer: x.Name, PeerVersion: result.OneLine(x.about.Version), PeerDevice: result.OneLine(x.about.Device),
		PeerInfo: result.OneLine(info), PeerThreads: loaded.Threads,
	}
}

// Start starts the processes of all peers.
func (r *Race) Start(ctx context.Context, peers []Peer) (err error) {
	if r.Files.dir, err = os.MkdirTemp("", "caldera-peers-*"); err != nil {
		return err
	}
	// The programs find each other in the folder.
	if err := os.CopyFS(r.Files.dir, scripts); err != nil {
		return err
	}
	for _, p := range peers {
		if err := p.lacks(r.DType, r.gpu(), r.Sequences); err != nil {
			r.miss(p.Name, 0, err)
			continue
		}
		for _, n := range p.Threads(r.gpu(), r.Threads) {
			process, about, err := p.find(ctx, r.gpu(), r.Timeout, r.Files.dir)
			if ctx.Err() != nil {
				if process != nil { // it started just before
					process.close()
				}
				return ctx.Err()
			}
			if err != nil {
				r.miss(p.Name, 0, err)
				break // it would fail with other threads too
			}
			r.Rivals = append(r.Rivals, &Rival{Peer: p, process: process, threads: n, about: about})
		}
	}
	return nil
}

// Close ends all processes and removes the files.
func (r *Race) Close() error {
	for _, x := range r.Rivals {
		x.process.close()
	}
	return os.RemoveAll(r.Files.dir)
}

// gpu is the device's name for peers; empty for the CPU.
func (r *Race) gpu() string {
	if r.Device.Kind == backend.Host {
		return ""
	}
	return r.Device.Name
}

// miss records why a peer is not measured, or not to the end.
func (r *Race) miss(name string, threads int, err error) {
	x := result.Unmeasured(name, threads, err)
	if x.FailureKind == result.PeerFailed {
		r.Failed = append(r.Failed, fmt.Errorf("%s beside %s %v on %s: %w", x.Name(), r.Files.Model, r.DType, r.Device.Spec(), err))
	}
	r.Missing = append(r.Missing, x)
}

// Load has each rival load the model, as q says.
func (r *Race) Load(ctx context.Context, q Request, loaded func(*Rival, Reply)) error {
	for _, x := range r.Rivals {
		path, err := x.File(r.Files, ctx)
		if err != nil {
			return err
		}
		q.GPU, q.Model, q.DType, q.Threads = r.gpu(), path, r.DType.String(), x.threads
		if err := r.ask(ctx, x, "loading", q, loaded); err != nil {
			return err
		}
	}
	return nil
}

// Turn has each rival do q, one after the other, each on an idle machine. what
// names the work in messages.
func (r *Race) Turn(ctx context.Context, what string, q Request, done func(*Rival, Reply)) error {
	for _, x := range r.Rivals {
		if x.out {
			continue
		}
		if err := rest(ctx); err != nil {
			return err
		}
		if err := r.ask(ctx, x, what, q, done); err != nil {
			return err
		}
	}
	return rest(ctx)
}

// ask has a rival do something. One that fails is no error: the others go on
// without it.
func (r *Race) ask(ctx context.Context, x *Rival, what string, q Request, done func(*Rival, Reply)) error {
	a, err := x.process.ask(ctx, r.Timeout, q)
	if err == nil {
		done(x, a)
		return ctx.Err()
	}
	x.process.close()
	x.out = true
	if ctx.Err() == nil {
		r.miss(x.Name, x.threads, fmt.Errorf("%s: %w", what, err))
	}
	return ctx.Err()
}

func rest(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(settle):
		return nil
	}
}
