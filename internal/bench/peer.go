package bench

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"caldera/backend"
)

// Peer is another program that runs GPTs, to be measured beside ours: how to
// find it, and what it is given. To add one is to add a function to peers and a
// program that speaks the protocol of peer_process.go.
type Peer struct {
	Name     string
	programs func(gpu string) ([]peerProgram, error)                 // to try, the best first; see find
	dtypes   func(gpu string) []backend.DType                        // of matrices, that it computes on
	threads  func(gpu string, n int) []int                           // to measure it with where we have n
	file     func(f modelFiles, ctx context.Context) (string, error) // writes the model as it reads it
	trains   bool
}

// peerProgram is a process to start, and the first request to it.
type peerProgram struct {
	path  string
	args  []string // files of peerFiles by their name there
	env   []string // on top of ours
	start peerRequest
}

// PeerPlaces are where peers may be; empty: where they usually are.
type PeerPlaces struct {
	Llama  string // directory of node-llama-cpp
	Python string // interpreter that has PyTorch
}

// peers makes each of them.
var peers = []func(PeerPlaces) Peer{llamaPeer, torchPeer}

// peerFiles are the programs that run peers' libraries.
//
//go:embed peer_llama.mjs peer_torch.py peer_torch_train.py
var peerFiles embed.FS

// PeerNames are what FindPeers takes.
func PeerNames() []string { return peerNames(func(Peer) bool { return true }) }

// TrainPeerNames are what FindTrainPeers takes.
func TrainPeerNames() []string { return append(peerNames(trains), NoPeer) }

// NoPeer is the name of none, for FindTrainPeers.
const NoPeer = "none"

func trains(p Peer) bool { return p.trains }

func peerNames(which func(Peer) bool) (names []string) {
	for _, p := range peers {
		if p := p(PeerPlaces{}); which(p) {
			names = append(names, p.Name)
		}
	}
	return names
}

// FindPeers returns the peers of these names, all of them where there are none.
// Whether the machine has them shows when they are started.
func FindPeers(names []string, at PeerPlaces) (found []Peer, err error) {
	if err := checkNames(names, PeerNames()); err != nil {
		return nil, err
	}
	for _, p := range peers {
		if p := p(at); len(names) == 0 || slices.Contains(names, p.Name) {
			found = append(found, p)
		}
	}
	return found, nil
}

// FindTrainPeers returns those that train; for [NoPeer] alone there is none.
func FindTrainPeers(names []string, at PeerPlaces) ([]Peer, error) {
	if slices.Equal(names, []string{NoPeer}) {
		return nil, nil
	}
	if slices.Contains(names, NoPeer) {
		return nil, fmt.Errorf("%s goes without other peers: found %s", NoPeer, strings.Join(names, ","))
	}
	if err := checkNames(names, TrainPeerNames()); err != nil {
		return nil, err
	}
	found, err := FindPeers(names, at)
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

// errAbsent is wrapped by errors that say that the machine lacks a peer, which
// is no failure.
var errAbsent = errors.New("absent")

// lacks tells a type that the peer does not compute on.
func (p Peer) lacks(d backend.DType, gpu string) error {
	all := p.dtypes(gpu)
	if slices.Contains(all, d) {
		return nil
	}
	on := "CPUs"
	if gpu != "" {
		on = "GPUs"
	}
	return fmt.Errorf("%w: on %s it is measured with matrices of %s", ErrUnsupported, on, strings.Trim(fmt.Sprint(all), "[]"))
}

// find starts the first of the peer's programs that can do what is asked for.
// The machine lacks the peer where each says that it cannot.
func (p Peer) find(ctx context.Context, gpu string, o PeerOptions, dir string) (*peerProcess, peerReply, error) {
	programs, err := p.programs(gpu)
	if err != nil {
		return nil, peerReply{}, err
	}
	var why []string
	for _, program := range programs {
		process, err := startPeer(program, dir)
		if err != nil {
			return nil, peerReply{}, err
		}
		program.start.Command, program.start.GPU = "start", gpu
		about, err := process.ask(ctx, o.Timeout, program.start)
		if err == nil && about.Absent == "" {
			return process, about, nil
		}
		process.close()
		if err != nil {
			return nil, peerReply{}, err
		}
		if !slices.Contains(why, about.Absent) {
			why = append(why, about.Absent)
		}
	}
	return nil, peerReply{}, fmt.Errorf("%w: %s", errAbsent, strings.Join(why, "; "))
}

// threads is a number of them for people.
func threads(n int) string {
	if n == 1 {
		return "1 thread"
	}
	return fmt.Sprintf("%d threads", n)
}

// only is for peers that are measured with as many threads as ours alone.
func only(_ string, n int) []int { return []int{n} }
