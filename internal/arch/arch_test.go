package arch_test

import (
	"testing"

	"caldera/internal/arch"
)

// module is this module's directory, seen from here.
const module = "../.."

// Arrows go one way: cmd → gpt → gpt/checkpoint → gpt/model → nn → backend ← backend/cpu, backend/vulkan → shaders; conformance → backend.
var rules = []arch.Rule{{
	From:  []string{"inspect", "gpt/...", "nn/..."},
	Never: []string{"backend/cpu/...", "backend/vulkan/...", "shaders/..."},
	Why:   "a model is written once, against package backend: what it may do on one backend it could not do on the others",
}, {
	From:  []string{"backend"},
	Never: []string{"backend/cpu/...", "backend/vulkan/...", "shaders/...", "nn/...", "gpt/...", "conformance/...", "models"},
	Why:   "the interface knows nobody who implements or uses it: backends reach it through Register",
}, {
	From:  []string{"backend/null/...", "backend/calltrace/..."},
	Never: []string{"backend/cpu/...", "backend/vulkan/...", "shaders/...", "nn/...", "gpt/...", "conformance/...", "models"},
	Why:   "they are no hardware: one counts and computes nothing, the other reports calls. So a model may plan with them, and every package may test with them",
}, {
	From:  []string{"backend/cpu/..."},
	Never: []string{"backend/vulkan/...", "shaders/...", "nn/...", "gpt/...", "conformance/...", "models"},
	Why:   "a backend stands alone: it builds and is tested without the other one, and knows ops, not models",
}, {
	From:  []string{"backend/vulkan/..."},
	Never: []string{"backend/cpu/...", "nn/...", "gpt/...", "conformance/...", "models"},
	Why:   "a backend stands alone: it must not lean on the other one for what it lacks (Prepare lowers that), and knows ops, not models",
}, {
	From:  []string{"shaders/..."},
	Never: []string{"backend/...", "nn/...", "gpt/...", "conformance/...", "models"},
	Why:   "shaders are a table of SPIR-V at the bottom of all, which the generator and the tests read without a backend",
}, {
	From:  []string{"conformance/..."},
	Never: []string{"backend/cpu/...", "backend/vulkan/...", "shaders/..."},
	Why:   "the suite judges backends, so it must not be built from one; third parties import it for theirs",
}, {
	From:  []string{"nn/..."},
	Never: []string{"gpt/...", "models"},
	Why:   "layers serve every architecture, so they know none",
}, {
	From:  []string{"gpt/model"},
	Never: []string{"gpt", "gpt/checkpoint/...", "gpt/tokenizer"},
	Why:   "what a model is and computes has no file format and no tokenizer: a family tells its names and settings in tables, which package checkpoint reads",
}, {
	From:  []string{"gpt/checkpoint/..."},
	Never: []string{"gpt"},
	Why:   "a checkpoint is opened, checked and converted where nothing runs: what sessions and training take is told it by who loads (LoadOptions.Fits)",
}, {
	From:  []string{"gpt/checkpoint/safetensors", "gpt/checkpoint/gguf", "gpt/checkpoint/tensorfile"},
	Never: []string{"gpt/checkpoint", "gpt/model", "gpt/tokenizer"},
	Why:   "a format is bytes, names and shapes: it knows no model, and is read and tested without one",
}, {
	From:  []string{"gpt/tokenizer"},
	Never: []string{"gpt", "gpt/checkpoint/...", "gpt/model", "nn/...", "backend/..."},
	Why:   "a tokenizer turns text into ids and back: it knows no model, and trains where there is none",
}, {
	From:  []string{"internal/bench/result"},
	Never: []string{"internal/bench", "internal/bench/peer", "gpt/...", "nn/..."},
	Why:   "results are read, compared and drawn where nothing is measured: a record knows neither models nor how it came about",
}, {
	From:  []string{"internal/bench/peer"},
	Never: []string{"internal/bench"},
	Why:   "a race with other programs is run by whoever measures our side: it knows no measurement",
}, {
	From:  []string{"gpt/...", "nn/...", "backend/..."},
	Never: []string{"inspect"},
	Why:   "a model runs without being looked at: it gives names to what it computes, and package inspect watches them",
}, {
	From:  []string{"inspect", "gpt/...", "internal/bench/...", "internal/train/...", "internal/trace", "internal/view", "internal/serve/...", "internal/hub/..."},
	Never: []string{"internal/cli/...", "internal/command/..."},
	Why:   "what commands do can be used, and tested, without a command line: flags and messages about them are the commands'",
}, {
	From:   []string{"..."},
	Except: []string{"backend/vulkan/internal/vk"},
	Never:  []string{"github.com/vulkan-go/vulkan"},
	Why:    "the binding may free what it passes to Vulkan during a call, crashes on absent functions and loses error codes: backend/vulkan/internal/vk is the one place that knows which of its calls are safe",
	Direct: true,
}, {
	From:  []string{"..."},
	Never: []string{"github.com/go-gl/glfw/..."},
	Why:   "windows need headers that many machines lack: files that open one have the build tag watch, so that everything builds everywhere",
}}

// TestImports holds this module to the rules.
func TestImports(t *testing.T) {
	pkgs, err := arch.List(module)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range arch.Imports(pkgs, rules) {
		t.Error(line)
	}
}

// TestFiles keeps files short and formatted. ggml's Vulkan backend is one file of 19,761 lines, because adding an op
// there edits five switches in it.
func TestFiles(t *testing.T) {
	wrong, err := arch.Files(module, 500)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range wrong {
		t.Error(line)
	}
}

// rooms are where an op has a file of its own.
var rooms = []string{"backend/*.go", "backend/cpu/*.go", "backend/vulkan/*.go", "shaders/*.comp", "conformance/*.go"}

// exceptions are the files that an op does without, and why.
var exceptions = map[string]string{}

// TestRooms lets a reader who knows an op's name find every part of it.
func TestRooms(t *testing.T) {
	wrong, err := arch.Rooms(module, rooms, exceptions)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range wrong {
		t.Error(line)
	}
}

// TestFlags keeps the names of flags in commands. Libraries are used without a command line.
func TestFlags(t *testing.T) {
	wrong, err := arch.Flags(module, []string{"cmd", "internal/cli", "internal/command", "internal/commandtest"}, map[string]string{
		"gpt/checkpoint/find.go":        "--local-dir --modelfile", // of hf and ollama
		"internal/setting/setting.go":   "--batch_size",            // an example
		"shaders/internal/glsl/glsl.go": "--target-env --version",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range wrong {
		t.Error(line)
	}
}
