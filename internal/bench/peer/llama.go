package peer

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"caldera/backend"
	"caldera/internal/bench/result"
)

// llamaPeer is llama.cpp as npm has it.
func llamaPeer(at Places) Peer {
	return Peer{
		Name:     "node-llama-cpp",
		Programs: func(gpu string) ([]Program, error) { return llamaPrograms(at.Llama, gpu) },
		DTypes: func(string) []backend.DType {
			return backend.DTypes(backend.Targets)
		},
		// Its threads wait for one another by spinning. Where others use the
		// machine, if only a little, it may be faster with a core to spare.
		Threads: func(gpu string, n int) []int {
			if n == 1 || gpu != "" {
				return []int{n}
			}
			return []int{n, n - 1}
		},
		File:      Files.GGUF,
		Sequences: 256, // LLAMA_MAX_SEQ
	}
}

// vulkanIndices is how many Vulkan devices are tried to find the one that ours
// runs on, because llama.cpp counts them in another order.
const vulkanIndices = 4

func llamaPrograms(library, gpu string) ([]Program, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, fmt.Errorf("%w: node is not on the PATH: install Node.js 20 or newer (nodejs.org, or apt-get install npm)", result.ErrAbsent)
	}
	if library == "" {
		if library, err = installedLlama(); err != nil {
			return nil, err
		}
	}
	if _, err := os.Stat(filepath.Join(library, "dist", "index.js")); err != nil {
		return nil, fmt.Errorf("%w: %s holds no node-llama-cpp (%w): expected node_modules/node-llama-cpp, as scripts/peers.sh llama prints it", result.ErrAbsent, library, err)
	}
	p := Program{Path: node, Args: []string{"peer_llama.mjs"}, Start: Request{Library: library}}
	if gpu == "" {
		return []Program{p}, nil
	}
	modules := filepath.Dir(library)
	if builds, _ := fs.Glob(os.DirFS(modules), "@node-llama-cpp/*-vulkan"); len(builds) == 0 {
		return nil, fmt.Errorf("%w: %s holds no build for Vulkan: scripts/peers.sh llama-vulkan installs one and prints where", result.ErrAbsent, modules)
	}
	var all []Program
	for i := range vulkanIndices {
		p.Env = []string{fmt.Sprintf("GGML_VK_VISIBLE_DEVICES=%d", i)}
		all = append(all, p)
	}
	return all, nil
}

// installedLlama is where scripts/peers.sh puts it; with the build for Vulkan,
// whose name comes last, where there are both.
func installedLlama() (string, error) {
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	dir := filepath.Join(cache, "caldera")
	found, _ := fs.Glob(os.DirFS(dir), "node-llama-cpp-*/node_modules/node-llama-cpp")
	if len(found) == 0 {
		return "", fmt.Errorf("%w: it is not in %s: scripts/peers.sh llama installs it there", result.ErrAbsent, dir)
	}
	return filepath.Join(dir, filepath.FromSlash(found[len(found)-1])), nil
}
