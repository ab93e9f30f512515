// Package peer runs other programs that run GPTs, to be measured beside ours.
//
// peer.go lists them, and llama.go and torch.go tell how each is found. model.go
// writes a model as they read it. process.go is a process and the protocol with
// it: peer_llama.mjs and peer_torch.py are what runs there. race.go has them
// work by turns.
package peer

import (
	"context"
	"embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"caldera/backend"
	"caldera/internal/bench/result"
)

// Peer is another program that runs GPTs, to be measured beside ours: how to
// find it, and what it is given. To add one is to add a function to peers and a
// program that speaks the protocol of process.go.
type Peer struct {
	Name     string
	Programs func(gpu string) ([]Program, error)                // to try, the best first
	DTypes   func(gpu string) []backend.DType                   // of matrices, that it computes on
	Threads  func(gpu string, n int) []int                      // to measure it with where we have n
	File     func(f Files, ctx context.Context) (string, error) // writes the model as it reads it
	Trains   bool

	Sequences int // the most that it runs together; 0: it is written for one
}

// Program is a process to start, and the first request to it.
type Program struct {
	Path  string
	Args  []string // files of scripts by their name there
	Env   []string // on top of ours
	Start Request
}

// Places are where peers may be; empty: where they usually are.
type Places struct {
	Llama  string // directory of node-llama-cpp
	Python string // interpreter that has PyTorch
}

// peers are functions that make each of them.
var peers = []func(Places) Peer{llamaPeer, torchPeer}

// scripts are the programs that run peers' libraries.
//
//go:embed peer_llama.mjs peer_torch*.py
var scripts embed.FS

// Names are what Find takes.
func Names() []string { return names(func(Peer) bool { return true }) }

// TrainNames are what FindTrainers takes.
func TrainNames() []string { return append(names(trains), None) }

// None stands for no peer in FindTrainers.
const None = "none"

func trains(p Peer) bool { return p.Trains }

func names(which func(Peer) bool) (names []string) {
	for _, p := range peers {
		if p := p(Places{}); which(p) {
			names = append(names, p.Name)
		}
	}
	return names
}

// Find returns the peers of these names, all of them where there are none.
// Whether the machine has them shows when they are started.
func Find(names []string, at Places) (found []Peer, err error) {
	if err := checkNames(names, Names()); err != nil {
		return nil, err
	}
	for _, p := range peers {
		if p := p(at); len(names) == 0 || slices.Contains(names, p.Name) {
			found = append(found, p)
		}
	}
	return found, nil
}

// FindTrainers returns those that train; for [None] alone there is none.
func FindTrainers(names []string, at Places) ([]Peer, error) {
	if slices.Equal(names, []string{None}) {
		return nil, nil
	}
	if slices.Contains(names, None) {
		return nil, fmt.Errorf("%s goes without other peers: found %s", None, strings.Join(names, ","))
	}
	if err := checkNames(names, TrainNames()); err != nil {
		return nil, err
	}
	found, err := Find(names, at)
	return slices.DeleteFunc(found, func(p Peer) bool { return !trains(p) }), err
}

func checkNames(names, all []string) error {
	for _, name := range names {
		if !slices.Contains(all, name) {
			return fmt.Errorf("unknown peer %q: expected %s", name, strings.Join(all, " or "))
		}
	}
	return nil
}

// lacks reports a type that the peer does not compute with, or more sequences together
// than it runs.
func (p Peer) lacks(d backend.DType, gpu string, sequences int) error {
	if sequences > p.Sequences && p.Sequences == 0 {
		return fmt.Errorf("%w: it is measured with one sequence, not with several at once", result.ErrUnsupported)
	}
	if sequences > p.Sequences {
		return fmt.Errorf("%w: it runs at most %d sequences at once", result.ErrUnsupported, p.Sequences)
	}
	all := p.DTypes(gpu)
	if slices.Contains(all, d) {
		return nil
	}
	on := "CPUs"
	if gpu != "" {
		on = "GPUs"
	}
	return fmt.Errorf("%w: on %s it is measured with matrices of %s", result.ErrUnsupported, on, strings.Trim(fmt.Sprint(all), "[]"))
}

// find starts the first of the peer's programs that can do what is asked for.
// The machine lacks the peer where each says that it cannot.
func (p Peer) find(ctx context.Context, gpu string, timeout time.Duration, dir string) (*process, Reply, error) {
	programs, err := p.Programs(gpu)
	if err != nil {
		return nil, Reply{}, err
	}
	var why []string
	for _, program := range programs {
		process, err := startProcess(program, dir)
		if err != nil {
			return nil, Reply{}, err
		}
		program.Start.Command, program.Start.GPU = "start", gpu
		about, err := process.ask(ctx, timeout, program.Start)
		if err == nil && about.Absent == "" {
			return process, about, nil
		}
		process.close()
		if err != nil {
			return nil, Reply{}, err
		}
		if !slices.Contains(why, about.Absent) {
			why = append(why, about.Absent)
		}
	}
	return nil, Reply{}, fmt.Errorf("%w: %s", result.ErrAbsent, strings.Join(why, "; "))
}

// same is the Threads of peers that are measured with as many as ours.
func same(_ string, n int) []int { return []int{n} }
