package peer

import (
	"fmt"
	"os/exec"
	"slices"

	"caldera/backend"
	"caldera/internal/bench/result"
)

// torchPeer is PyTorch, whichever Python has it.
func torchPeer(at Places) Peer {
	return Peer{
		Name:     "pytorch",
		Programs: func(string) ([]Program, error) { return torchPrograms(at.Python) },
		DTypes: func(gpu string) []backend.DType {
			if gpu == "" {
				return []backend.DType{backend.F32}
			}
			return []backend.DType{backend.F32, backend.F16}
		},
		Threads: same,
		File:    Files.Safetensors,
		Trains:  true,
	}
}

func torchPrograms(python string) ([]Program, error) {
	names := []string{"python3", "/usr/bin/python3"} // a version manager's may hide the system's
	if python != "" {
		names = []string{python}
	}
	var paths []string
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%w: there is no %s: install Python and PyTorch (pytorch.org, or apt-get install python3-torch)", result.ErrAbsent, names[0])
	}
	var all []Program
	for _, path := range paths {
		all = append(all, Program{Path: path, Args: []string{"peer_torch.py"}})
	}
	return all, nil
}
