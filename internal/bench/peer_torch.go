package bench

import (
	"fmt"
	"os/exec"
	"slices"

	"caldera/backend"
)

// torchPeer is PyTorch, whichever Python has it.
func torchPeer(at PeerPlaces) Peer {
	return Peer{
		Name:     "pytorch",
		programs: func(string) ([]peerProgram, error) { return torchPrograms(at.Python) },
		dtypes: func(gpu string) []backend.DType {
			if gpu == "" {
				return []backend.DType{backend.F32}
			}
			return []backend.DType{backend.F32, backend.F16}
		},
		threads: only,
		file:    modelFiles.safetensors,
		trains:  true,
	}
}

func torchPrograms(python string) ([]peerProgram, error) {
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
		return nil, fmt.Errorf("%w: there is no %s: install Python and PyTorch (pytorch.org, or apt-get install python3-torch)", errAbsent, names[0])
	}
	var all []peerProgram
	for _, path := range paths {
		all = append(all, peerProgram{path: path, args: []string{"peer_torch.py"}})
	}
	return all, nil
}
