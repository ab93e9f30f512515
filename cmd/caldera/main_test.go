package main_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"caldera/internal/commandtest"
)

// programs is a folder with caldera and the commands that are programs of their own.
var programs string

func TestMain(m *testing.M) {
	if bytes := os.Getenv(freeBytes); bytes != "" {
		os.Exit(shortOfMemory(bytes))
	}
	os.Exit(commandtest.Main(m, func(folder string) error {
		programs = folder
		var errs []error
		for _, name := range []string{"caldera", "generate", "train", "convert", "bench"} {
			errs = append(errs, commandtest.Build(filepath.Join(folder, name), "caldera/cmd/"+name))
		}
		return errors.Join(errs...)
	}))
}

func run(t *testing.T, name string, args ...string) commandtest.Result {
	t.Helper()
	return commandtest.Run(t, exec.Command(filepath.Join(programs, name), args...))
}

// TestSubcommands has each command do the same as the program of its name.
func TestSubcommands(t *testing.T) {
	dir := t.TempDir()
	words := filepath.Join(dir, "words.txt")
	if err := os.WriteFile(words, []byte(strings.Repeat("to be or not to be\n", 50)), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"generate", "--backend=cpu", "--temp=0", "-n", "8", "--seed=1", "It is"},
		{"convert", "--dtype=q8_0", "-o", "OUT.gguf"},
		{"train", "tokenizer", "--vocab-size=260", "-o", "OUT", words},
		{"train", "--backend=cpu", "--eval-only", "--init=../../gpt/testdata/gpt2-tiny", "--data=/nonexistent"},
		{"bench", "show", "../../docs/results/gpt2-cpu.json"},
		{"bench", "--backend=nothing"},
	} {
		var got [2]commandtest.Result
		for i, program := range []string{args[0], "caldera"} {
			call := append([]string{}, args...)
			for j := range call {
				call[j] = strings.ReplaceAll(call[j], "OUT", filepath.Join(dir, program))
			}
			if i == 0 {
				call = call[1:]
			}
			got[i] = run(t, program, call...)
		}
		alone, sub := got[0], got[1]
		// Messages begin with what the user called.
		told := strings.ReplaceAll(strings.ReplaceAll(sub.Stderr, "caldera "+args[0]+":", args[0]+":"), filepath.Join(dir, "caldera"), filepath.Join(dir, args[0]))
		if alone.Code != sub.Code || alone.Out != sub.Out || told != alone.Stderr {
			t.Errorf("%q: alone exit code %d, %.300q, %q; of caldera %d, %.300q, %q", args, alone.Code, alone.Out, alone.Stderr, sub.Code, sub.Out, sub.Stderr)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		out  string // a part
		err  string
	}{
		{"", 0, "Commands:", ""},
		{"help", 0, "Commands:", ""},
		{"--help", 0, "bench show", ""},
		{"help generate", 0, "--temp=T", ""},
		{"help bench ops", 0, "--shape", ""},
		{"help train", 0, "Without a command, run is meant", ""},
		{"generate --help", 0, "--temp=T", ""},
		{"hello", 2, "", `caldera: "hello" is not a command: expected one of generate, chat, train, convert, bench, inspect, watch, pull, list, rm; to continue a text: caldera generate "hello"`},
		{"my dear -n 5", 2, "", `to continue a text: caldera generate "my dear"; see caldera help`},
		{"help hello", 2, "", "caldera: \"hello\" is not a command: expected one of generate, chat, train, convert, bench, inspect, watch, pull, list, rm; see caldera help\n"},
		{"help completion", 0, "completion [<shell>]", ""},
		{"--nothing", 2, "", "caldera: --nothing: expected a command before its flags, one of generate, chat, train, convert, bench, inspect, watch, pull, list, rm; see caldera help\n"},
		{"--list-devices", 2, "", "expected a command before its flags"},
		{"generate --nothing", 2, "", "caldera generate: unknown flag --nothing; see caldera generate --help\n"},
		{"generate -q", 2, "", "caldera generate: unknown flag -q; see caldera generate --help\n"},
		{"generate --model=", 2, "", "caldera generate: --model is empty"},
		{"bench ops --nothing", 2, "", "caldera bench: unknown flag --nothing; see caldera bench ops --help\n"},
		{"bench oops", 2, "", `unexpected argument "oops": expected flags, or one of the commands run, ops,`},
		{"train config/train_gpt2.py", 2, "", `caldera train: unexpected argument "config/train_gpt2.py": name texts with --data,`},
		{"convert gpt2 -o gpt2.gguf", 2, "", `unexpected argument "gpt2": name the model with -m, what to write with -o`},
		{"generate -ngl 99 hi", 2, "", "-ngl: "},
		{"train", 2, "", "caldera train: there is no data: expected --data with texts or token ids to learn from, or a command, such as caldera train tokenizer"},
		{"watch hello", 1, "", "caldera watch: this program was built without its window: build it with make watch"},
		{"help watch", 0, "--layer=N", ""},
		{"completion tcsh", 2, "", `"bash"`},
	} {
		r := run(t, "caldera", strings.Fields(c.args)...)
		if r.Code != c.code || !strings.Contains(r.Out, c.out) || c.out == "" && r.Out != "" || !strings.Contains(r.Stderr, c.err) || c.err == "" && r.Stderr != "" {
			t.Errorf("caldera %s: exit code %d, %q, %q; expected %d, %q, %q", c.args, r.Code, r.Out, r.Stderr, c.code, c.out, c.err)
		}
	}
}

func TestVersion(t *testing.T) {
	for _, call := range []string{"caldera --version", "caldera version", "caldera -V", "generate --version", "bench --version", "train -V", "convert --version"} {
		words := strings.Fields(call)
		r := run(t, words[0], words[1:]...)
		if r.Code != 0 || r.Stderr != "" || !regexp.MustCompile(`^caldera, commit \S+.*\ngo1\.\S+ \w+/\w+\nbackends: cpu, vulkan\n$`).MatchString(r.Out) {
			t.Errorf("%s: exit code %d, %q, %q", call, r.Code, r.Out, r.Stderr)
		}
	}
	program := filepath.Join(programs, "without-cgo")
	if err := commandtest.Build(program, "caldera/cmd/caldera", "CGO_ENABLED=0"); err != nil {
		t.Fatal(err)
	}
	if r := commandtest.Run(t, exec.Command(program, "--version")); !strings.Contains(r.Out, "backends: cpu (without vulkan: built without cgo)\n") {
		t.Errorf("without cgo: %q", r.Out)
	}
}

// TestInstall installs one program, of one name.
func TestInstall(t *testing.T) {
	bin := t.TempDir()
	cmd := exec.Command("go", "install", "caldera/cmd/caldera")
	cmd.Env = append(os.Environ(), "GOBIN="+bin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	entries, err := os.ReadDir(bin)
	if err != nil || len(entries) != 1 || entries[0].Name() != "caldera" {
		t.Errorf("installed %v, %v", entries, err)
	}
}

// TestCompletion asks as a shell does, then has bash ask.
func TestCompletion(t *testing.T) {
	ask := func(line string) []string {
		cmd := exec.Command(filepath.Join(programs, "caldera"))
		cmd.Env = append(os.Environ(), "COMP_LINE="+line)
		r := commandtest.Run(t, cmd)
		if r.Code != 0 || r.Stderr != "" {
			t.Errorf("%q: exit code %d, %q", line, r.Code, r.Stderr)
		}
		return strings.Fields(r.Out)
	}
	for line, want := range map[string]string{
		"caldera ge":                    "generate",
		"caldera generate --top-":       "--top-k --top-p",
		"caldera generate --backend v":  "vulkan",
		"caldera train --learning":      "--learning-rate", // of run, which is meant
		"caldera train run --learning":  "--learning-rate",
		"caldera train tok":             "tokenizer",
		"caldera bench --n-":            "--n-depth --n-gen",
		"caldera bench sh":              "show",
		"caldera completion f":          "fish",
		"caldera help ":                 "generate chat train convert bench inspect watch pull list rm completion",
		"caldera help tr":               "train",
		"caldera help train tok":        "tokenizer",
		"caldera generate -m main_test": "main_test.go",
	} {
		got := ask(line)
		seen := map[string]bool{}
		var unique []string
		for _, w := range got {
			if !seen[w] {
				seen[w] = true
				unique = append(unique, w)
			}
		}
		if len(got) != len(unique) || !sameWords(unique, strings.Fields(want)) {
			t.Errorf("%q: got %q, expected %q", line, got, want)
		}
	}

	// The program is found where it is, not on PATH. bash runs what follows -C as a
	// command, behind which it puts the program's name, the word and the one before.
	folder := filepath.Join(t.TempDir(), "a user's programs")
	if err := errors.Join(os.Mkdir(folder, 0o777), os.Link(filepath.Join(programs, "caldera"), filepath.Join(folder, "caldera"))); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{filepath.Join(programs, "caldera"), filepath.Join(folder, "caldera")} {
		script := `eval "$("$1" completion bash)" && eval "set -- $(complete -p caldera)" && export COMP_LINE="caldera gen" COMP_POINT=11 && eval "$3 caldera gen caldera"`
		if r := commandtest.Run(t, exec.Command("bash", "-c", script, "bash", program)); r.Code != 0 || r.Out != "generate\n" || r.Stderr != "" {
			t.Errorf("bash, %s: exit code %d, %q, %q", program, r.Code, r.Out, r.Stderr)
		}
		for shell, part := range map[string]string{"zsh": "bashcompinit", "fish": "complete -f -c caldera"} {
			cmd := exec.Command(program, "completion")
			cmd.Env = append(os.Environ(), "SHELL=/bin/"+shell)
			if r := commandtest.Run(t, cmd); r.Code != 0 || !strings.Contains(r.Out, part) {
				t.Errorf("%s: exit code %d, %q lacks %q: %s", shell, r.Code, r.Out, part, r.Stderr)
			}
		}
	}
}

func sameWords(a, b []string) bool {
	count := map[string]int{}
	for _, w := range a {
		count[w]++
	}
	for _, w := range b {
		count[w]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// TestEmptyPaths gives an empty path to every flag and argument that takes one,
// as a variable of the shell does that is not set.
func TestEmptyPaths(t *testing.T) {
	before, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range []string{
		"generate -m _ hi", "generate --model=_ hi", "generate -f _", "generate --device _ hi",
		"convert -m _ -o x", "convert -o _", "convert --output=_",
		"bench -m _", "bench --model=_", "bench --output _", "bench --profile=_", "bench --device _", "bench -m a -m _",
		"bench show _", "bench compare _ _", "bench perplexity -f _", "bench perplexity -f x -m _", "bench train -m _", "bench peers -m _",
		"train --data=_", "train -d _", "train --data=x --data=_", "train --data=x --out_dir=_", "train -d x -o _", "train -d x --init _",
		"train tokenizer -o _ x", "train tokenizer -o x _",
	} {
		words := strings.Fields(call)
		for i := range words {
			words[i] = strings.ReplaceAll(words[i], "_dir", "-dir")
			words[i] = strings.ReplaceAll(words[i], "_", "")
		}
		r := run(t, "caldera", words...)
		if r.Code != 2 || r.Out != "" || !strings.Contains(r.Stderr, "is empty") || strings.Count(r.Stderr, "\n") != 1 {
			t.Errorf("caldera %q: exit code %d, %q, %q", words, r.Code, r.Out, r.Stderr)
		}
	}
	if after, err := os.ReadDir("."); err != nil || len(after) != len(before) {
		t.Errorf("it left %v, %v", after, err)
	}
}

// TestForeignFlags has flags of other programs work, or be told.
func TestForeignFlags(t *testing.T) {
	for call, part := range map[string]string{
		"bench -ngl 99":                         "leave it out",
		"bench train --n-gpu-layers 1":          "leave it out",
		"bench --n-prompt=x":                    "--prompt",
		"train --data=/nonexistent --lr=x":      "--learning-rate",
		"train --dataset=/nonexistent":          "/nonexistent",
		"train --data=/nonexistent --compile=0": "leave it out",
		"train --max_steps=x":                   "--max-iters",
		"convert --outfile=x --outtype=f99":     "--dtype",
		"generate --max_length 5 hi":            "--predict",
		"generate --model_name_or_path=/none":   "model /none",
		"generate --no_cuda --stop_token=":      "--stop is empty",
		"generate --fp16=true":                  "--fp16: say --dtype=f16",
		"generate --adapter x hi":               "adapter x: no such file",
		"generate -hf user/model hi":            "user/model is not in the cache",
		"generate -m=/none hi":                  "model /none",
		"generate -n=x hi":                      `"x"`,
		"train --epochs 3":                      "--max_iters",
		"train --train_file=/nonexistent":       "/nonexistent",
		"train --bias=False":                    "leave it out",
		"convert --input /none --out x.gguf":    "model /none",
		"bench -pg 512,128":                     "-p and -n",
	} {
		if r := run(t, "caldera", strings.Fields(call)...); r.Code == 0 || !strings.Contains(r.Stderr, part) {
			t.Errorf("caldera %s: exit code %d, %q lacks %q", call, r.Code, r.Stderr, part)
		}
	}
}
