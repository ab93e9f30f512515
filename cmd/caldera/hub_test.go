package main_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/creack/pty"

	"caldera/internal/commandtest"
	"caldera/internal/hub/hubtest"
	"caldera/models"
)

// embedded are the files of the embedded model, as the hub would have them.
func embedded(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	fsys := models.Default()
	err := fs.WalkDir(fsys, ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files[name], err = fs.ReadFile(fsys, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestHub has every command that takes a model take one of a hub on this machine.
func TestHub(t *testing.T) {
	s := hubtest.New(t, "org/austen", embedded(t))
	home := t.TempDir()
	caldera := func(args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(programs, "caldera"), args...)
		cmd.Env = append(os.Environ(), s.Environment(home)...)
		cmd.Dir = home
		return cmd
	}
	must := func(args ...string) commandtest.Result {
		t.Helper()
		r := commandtest.Run(t, caldera(args...))
		if r.Code != 0 {
			t.Fatalf("%q: exit code %d: %s", args, r.Code, r.Stderr)
		}
		return r
	}

	// Two processes at once fetch each content once.
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if r := commandtest.Run(t, caldera("pull", "org/austen")); r.Code != 0 {
				t.Error(r.Stderr)
			}
		})
	}
	both.Wait()
	if asked := s.Asked("/store"); len(asked) != 1 {
		t.Errorf("two processes asked for %q, expected the weights once", asked)
	}
	snapshot := filepath.Join(home, "hub", "models--org--austen", "snapshots", hubtest.Commit)
	if r := must("pull", "https://huggingface.co/org/austen"); r.Out != snapshot+"\n" || r.Stderr != "" {
		t.Errorf("pull prints %q and %q, expected the path %s alone", r.Out, r.Stderr, snapshot)
	}

	const prompt = "It is a truth universally acknowledged"
	want := must("generate", "--backend=cpu", "--temp=0", "-n", "8", prompt).Out
	if r := must("generate", "--backend=cpu", "--temp=0", "-n", "8", "-m", "org/austen", "--draft", "org/austen@main", prompt); r.Out != want {
		t.Errorf("generate: %q, expected %q", r.Out, want)
	}
	if r := must("inspect", "tally", "-m", "org/austen"); !strings.Contains(r.Out, "org/austen") {
		t.Errorf("inspect tally: %s", r.Out)
	}
	if r := must("bench", "--backend=cpu", "-m", "org/austen", "-p", "4", "-n", "2", "-r", "1", "--no-ceilings"); !strings.Contains(r.Out, "org/austen") {
		t.Errorf("bench: %s", r.Out)
	}
	text := filepath.Join(home, "text.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat(prompt+". ", 40)), 0o666); err != nil {
		t.Fatal(err)
	}
	must("bench", "perplexity", "--backend=cpu", "-m", "org/austen", "-f", text, "-c", "32")
	must("train", "--backend=cpu", "--eval-only", "--init=org/austen", "--data", text, "--out_dir", filepath.Join(home, "run"), "--block_size=16", "--eval_iters=1")
	must("convert", "-m", "org/austen", "-o", filepath.Join(home, "a.gguf"))
	if r := must("inspect", "tally", "-m", "a.gguf"); strings.Contains(r.Stderr, hubtest.Commit) {
		t.Error(r.Stderr)
	}

	// A local path wins.
	if err := os.MkdirAll(filepath.Join(home, "org"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(home, "org", "other"), models.Default()); err != nil {
		t.Fatal(err)
	}
	s.Asked("")
	if r := must("inspect", "tally", "-m", "org/other"); len(s.Asked("")) != 0 {
		t.Errorf("the hub was asked for a local path: %s", r.Stderr)
	}

	// GGUF files, of which one must be chosen.
	data, err := os.ReadFile(filepath.Join(home, "a.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	s.Repos["org/austen-GGUF"] = &hubtest.Repo{Commit: hubtest.Commit, Files: map[string][]byte{"austen-F16.gguf": data, "austen-Q8_0.gguf": data}}
	if r := commandtest.Run(t, caldera("generate", "-m", "org/austen-GGUF", prompt)); r.Code != 1 || !strings.Contains(r.Stderr, "choose one of org/austen-GGUF:F16 (") {
		t.Errorf("exit code %d: %s", r.Code, r.Stderr)
	}
	if r := must("generate", "--backend=cpu", "--temp=0", "-n", "8", "-m", "org/austen-GGUF:f16", prompt); r.Out != want {
		t.Errorf("generate: %q, expected %q", r.Out, want)
	}

	for code, c := range map[int][]string{1: {"generate", "-m", "org/none", "x"}, 2: {"generate", "-m", "org/austen:", "x"}} {
		if r := commandtest.Run(t, caldera(c...)); r.Code != code || strings.Count(r.Stderr, "\n") > 3 || !strings.Contains(r.Stderr, "org/") {
			t.Errorf("%q: exit code %d, expected %d: %s", c, r.Code, code, r.Stderr)
		}
	}
	for _, c := range []struct {
		code  int
		name  string
		parts []string
	}{
		{2, "./gpt2", []string{"org/name"}}, {2, "gpt2.gguf", []string{"org/name"}}, {1, "gtp2", []string{"cannot fetch the list of files of gtp2", "no such model"}},
	} {
		r := commandtest.Run(t, caldera("pull", c.name))
		wantParts(t, "pull "+c.name, r, c.code, c.parts)
	}
	r := commandtest.Run(t, caldera("generate", "--backend=cpu", "-m", "gtp2", prompt))
	wantParts(t, "generate -m gtp2", r, 1, []string{"gtp2: no such file or directory here", "no such model"})
	r = commandtest.Run(t, caldera("generate", "--backend=cpu", "-m", "llama3:8b", prompt))
	wantParts(t, "generate -m llama3:8b", r, 1, []string{"ollama show --modelfile llama3:8b", "no such model"})

	// A name from before there were owners, which the hub redirects.
	s.Moved = map[string]string{"austen-small": "org/austen"}
	if r := must("generate", "--backend=cpu", "--temp=0", "-n", "8", "-m", "austen-small", prompt); r.Out != want {
		t.Errorf("generate: %q, expected %q", r.Out, want)
	}
	if r := must("list"); !strings.Contains(r.Out, "\nausten-small ") { // where Hugging Face's tools look for it
		t.Errorf("list: %s", r.Out)
	}
	must("rm", "--yes", "austen-small")

	if r := must("list"); !regexp.MustCompile(`(?m)^MODEL +REVISION +COMMIT +SIZE +FILES +FETCHED$\n^org/austen +main +01234567 +\S+ .B +\d+ +\d{4}-\d\d-\d\d$\n^org/austen-GGUF +main`).MatchString(r.Out) {
		t.Errorf("list: %s", r.Out)
	}
	if r := must("list", "--json"); strings.Count(r.Out, "\n") != 2 || !strings.Contains(r.Out, `"model":"org/austen","size":`) || !strings.Contains(r.Out, `"refs":["main"]`) {
		t.Errorf("list --json: %s", r.Out)
	}

	s.Stop()
	if r := must("generate", "--backend=cpu", "--temp=0", "-n", "8", "-m", "org/austen", prompt); r.Out != want || strings.Count(r.Stderr, "taking what was fetched before") != 1 {
		t.Errorf("without the hub: %q, expected %q: %s", r.Out, want, r.Stderr)
	}
	if r := commandtest.Run(t, caldera("rm", "org/austen")); r.Code != 2 || !strings.Contains(r.Stderr, "--yes") {
		t.Errorf("rm without a terminal: exit code %d: %s", r.Code, r.Stderr)
	}
	for _, answer := range []string{"n\n", "y\n"} { // on a terminal
		terminal, theirs, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer terminal.Close()
		cmd := caldera("rm", "org/austen")
		cmd.Stdin = theirs
		if _, err := terminal.WriteString(answer); err != nil {
			t.Fatal(err)
		}
		r := commandtest.Run(t, cmd)
		if _, err := os.Stat(snapshot); r.Code != 0 || !strings.Contains(r.Stderr, "remove org/austen (") || (err == nil) != (answer == "n\n") {
			t.Errorf("rm, answered %q: exit code %d, %v: %s", answer, r.Code, err, r.Stderr)
		}
		theirs.Close()
	}
	if r := must("rm", "--yes", "org/austen-GGUF"); !strings.Contains(r.Stderr, "removed org/austen-GGUF (") {
		t.Error(r.Stderr)
	}
	if r := must("list"); r.Out != "" || !strings.Contains(r.Stderr, "no models in") {
		t.Errorf("list: %q, %q", r.Out, r.Stderr)
	}
	if r := commandtest.Run(t, caldera("rm", "-y", "org/austen")); r.Code != 1 || !strings.Contains(r.Stderr, "not in the cache") {
		t.Errorf("rm of nothing: exit code %d: %s", r.Code, r.Stderr)
	}
}

// wantParts expects a command to have ended with an exit code, and with all parts in what it said.
func wantParts(t *testing.T, name string, r commandtest.Result, code int, parts []string) {
	t.Helper()
	for _, part := range parts {
		if r.Code != code || !strings.Contains(r.Stderr, part) {
			t.Errorf("%s: exit code %d, expected %d and %q: %s", name, r.Code, code, part, r.Stderr)
		}
	}
}
