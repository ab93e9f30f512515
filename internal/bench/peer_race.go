package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"caldera/backend"
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

// race is a model on a device and the peers beside it.
type race struct {
	d     *Device
	model Model
	o     PeerOptions
	files modelFiles // in a folder of the race's
	p     progress

	rivals  []*rival
	failure func(PeerAbout) // is told of peers that are absent or failed
	failed  []error         // of those that failed
}

// rival is a peer that runs.
type rival struct {
	Peer
	process *peerProcess
	threads int
	about   peerReply
	out     bool // it failed
}

// told is what a rival said of itself when it started and when it loaded the model.
func (x *rival) told(loaded peerReply) PeerAbout {
	info := strings.Trim(x.about.Info+", "+loaded.Info, ", ")
	return PeerAbout{
		Peer: x.Name, PeerVersion: oneLine(x.about.Version), PeerDevice: oneLine(x.about.Device),
		PeerInfo: oneLine(info), PeerThreads: loaded.Threads,
	}
}

// close ends all processes and takes the files away.
func (r *race) close() error {
	for _, x := range r.rivals {
		x.process.close()
	}
	return os.RemoveAll(r.files.dir)
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
				if process != nil { // it started just before
					process.close()
				}
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
	x := PeerAbout{Peer: name, PeerThreads: n, Failure: oneLine(err.Error())}
	switch {
	case errors.Is(err, errAbsent):
		x.FailureKind = PeerAbsent
	case errors.Is(err, ErrUnsupported):
		x.FailureKind = PeerUnsupported
	default:
		x.FailureKind = PeerFailed
		r.failed = append(r.failed, fmt.Errorf("%s beside %s %v on %s: %w", x.peer(), r.model.Name, r.o.DType, r.d.Spec(), err))
	}
	r.failure(x)
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

func rest(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(settle):
		return nil
	}
}
