package main_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"caldera/internal/commandtest"
	"caldera/internal/gpttest"
)

// TestLoRA trains an adapter, and has the other commands use it.
func TestLoRA(t *testing.T) {
	model, dir := gpttest.ChatModel(t, gpttest.ChatML), t.TempDir()
	texts, out, merged := filepath.Join(dir, "texts.txt"), filepath.Join(dir, "thin"), filepath.Join(dir, "merged")
	if err := os.WriteFile(texts, []byte(strings.Repeat("hello, he said, and hello again\n", 60)), 0o666); err != nil {
		t.Fatal(err)
	}
	works := func(args ...string) commandtest.Result {
		t.Helper()
		r := run(t, "caldera", args...)
		if r.Code != 0 {
			t.Fatalf("%q: exit code %d: %s", args, r.Code, r.Stderr)
		}
		return r
	}
	works("train", "--backend=cpu", "--init="+model, "--data="+texts, "--out_dir="+out, "--lora_rank=4", "--lora_alpha=32", "--learning_rate=5e-2",
		"--block_size=16", "--max_iters=4", "--snapshots=3", "--eval_iters=1", "--batch_size=1", "--sample_interval=0")
	adapter := filepath.Join(out, "newest")
	works("convert", "-m", model, "--lora", adapter, "-o", merged)

	t.Run("chat", func(t *testing.T) {
		say := func(model string, args ...string) string {
			r := talk(t, model, "hello\n", append(args, "-n", "8")...)
			if r.Code != 0 || r.Out == "" {
				t.Fatalf("exit code %d, %q: %s", r.Code, r.Out, r.Stderr)
			}
			return r.Out
		}
		with, without := say(model, "--lora", adapter), say(model)
		if with == without || with != say(merged) || without != say(model, "--lora="+adapter+"=0") {
			t.Errorf("with the adapter it says %q, merged %q, without %q, with 0 times the adapter %q", with, say(merged), without, say(model, "--lora="+adapter+"=0"))
		}
		if r := talk(t, model, "hello\n", "--lora", model); r.Code != 1 || !strings.Contains(r.Stderr, "a whole model, not an adapter") {
			t.Errorf("exit code %d: %s", r.Code, r.Stderr)
		}
	})
	t.Run("bench", func(t *testing.T) {
		type record struct {
			Model      string `json:"model_type"`
			Perplexity float64
		}
		measure := func(args ...string) (all []record) {
			t.Helper()
			r := works(append([]string{"bench"}, append(args, "--backend=cpu", "-o", "json")...)...)
			if err := json.Unmarshal([]byte(r.Out), &all); err != nil {
				t.Fatal(err)
			}
			return all
		}
		name := filepath.Base(model) + "+newest"
		speeds := measure("-m", model, "--lora", adapter, "-p", "8", "-n", "4", "-r", "1", "--no-ceilings")
		if len(speeds) != 2 || speeds[0].Model != name {
			t.Errorf("%+v, expected two tests of %s", speeds, name)
		}
		perplexity := func(args ...string) record {
			t.Helper()
			all := measure(append([]string{"perplexity", "-f", texts, "-c", "32", "--windows=2"}, args...)...)
			if len(all) != 1 || !(all[0].Perplexity > 1) {
				t.Fatalf("%+v", all)
			}
			return all[0]
		}
		with, without, added := perplexity("-m", model, "--lora", adapter), perplexity("-m", model), perplexity("-m", merged)
		if with.Model != name || !(with.Perplexity < 0.9*without.Perplexity) || with.Perplexity < added.Perplexity*(1-1e-5) || with.Perplexity > added.Perplexity*(1+1e-5) {
			t.Errorf("with the adapter %+v, without %+v, merged %+v", with, without, added)
		}
	})
	result := func(args ...string) string {
		t.Helper()
		var a struct{ Result json.RawMessage }
		if err := json.Unmarshal([]byte(works(append([]string{"inspect"}, append(args, "--backend=cpu", "--json")...)...).Out), &a); err != nil {
			t.Fatal(err)
		}
		return string(a.Result)
	}
	t.Run("inspect", func(t *testing.T) {
		for _, view := range [][]string{{"next", "hello"}, {"mlp", "hello", "--layer=1"}, {"attention", "hello"}} {
			with, without, added := result(append(view, "-m", model, "--lora", adapter)...), result(append(view, "-m", model)...), result(append(view, "-m", merged)...)
			if with == without || with != added {
				t.Errorf("%s: with the adapter\n%.300s\nwithout\n%.300s\nmerged\n%.300s", view[0], with, without, added)
			}
		}
	})
	t.Run("inspect learn", func(t *testing.T) {
		type candidate struct {
			ID   int
			Prob float64
		}
		var learned struct {
			Stages []struct {
				Step  int
				Kinds []string
				Next  []candidate
			}
		}
		var next struct {
			Positions []struct{ Top []candidate }
		}
		if err := json.Unmarshal([]byte(result("learn", out, "hello", "--top=3")), &learned); err != nil {
			t.Fatal(err)
		}
		if s := learned.Stages; len(s) != 3 || s[0].Step != 0 || s[1].Step != 1 || s[2].Step != 4 {
			t.Fatalf("%+v", learned)
		}
		for i, args := range [][]string{{"-m", model}, {"-m", model, "--lora", filepath.Join(out, "snapshots", "step-000001")}, {"-m", model, "--lora", adapter}} {
			if err := json.Unmarshal([]byte(result(append([]string{"next", "hello", "--top=3"}, args...)...)), &next); err != nil {
				t.Fatal(err)
			}
			want := next.Positions[len(next.Positions)-1].Top
			for k, c := range learned.Stages[i].Next {
				if len(want) != 3 || c.ID != want[k].ID || c.Prob != want[k].Prob {
					t.Errorf("step %d: %+v, expected %+v", learned.Stages[i].Step, learned.Stages[i].Next, want)
					break
				}
			}
		}
	})
	t.Run("inspect serve", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(model, "generation_config.json"), []byte(`{"temperature": 0.125, "top_k": 7, "repetition_penalty": 1.5, "eos_token_id": 258}`), 0o666); err != nil {
			t.Fatal(err)
		}
		get := served(t, "-m", model, "--lora", adapter, "--run="+out)
		var info struct {
			Sampling struct {
				Temperature, MinP *float64
				TopK              *int `json:"top_k"`
			}
			Streams []struct {
				Name       string
				Parameters []struct{ Name, Default string }
			}
		}
		if err := json.Unmarshal([]byte(get("api/info")), &info); err != nil {
			t.Fatal(err)
		}
		if s := info.Sampling; s.Temperature == nil || *s.Temperature != 0.125 || s.TopK == nil || *s.TopK != 7 || s.MinP != nil {
			t.Errorf("sampling is %+v", info.Sampling)
		}
		defaults := map[string]string{}
		for _, s := range info.Streams {
			for _, p := range s.Parameters {
				if s.Name == "generate" {
					defaults[p.Name] = p.Default
				}
			}
		}
		for name, want := range map[string]string{"temperature": "0.125", "top-k": "7", "top-p": "0.95", "min-p": "0.05", "repeat-penalty": "1.5", "repeat-last-n": "-1"} {
			if defaults[name] != want {
				t.Errorf("%s is %q unless it is given, expected %q", name, defaults[name], want)
			}
		}
		// It writes what generate writes.
		text := ""
		for line := range strings.Lines(get("api/generate?text=hello&n=8&seed=3")) {
			var token struct{ Delta string }
			if data, found := strings.CutPrefix(line, "data: "); found && json.Unmarshal([]byte(data), &token) == nil {
				text += token.Delta
			}
		}
		want := works("generate", "--backend=cpu", "-m", model, "--lora", adapter, "-n", "8", "--seed=3", "hello").Out
		if "hello"+text != strings.TrimSuffix(want, "\n") && "hello"+text != want {
			t.Errorf("the server writes %q, generate %q", text, want)
		}
		if learned := get("api/learn?run=" + out + "&text=hello&most=2"); !strings.HasPrefix(learned, `{"view":"learn"`) {
			t.Errorf("found %s", learned)
		}
	})
	// The base must be the same.
	if err := os.Rename(model, model+"-moved"); err != nil {
		t.Fatal(err)
	}
	if r := run(t, "caldera", "inspect", "learn", "--backend=cpu", out, "hello"); r.Code != 1 || !strings.Contains(r.Stderr, "is an adapter of") || !strings.Contains(r.Stderr, model) {
		t.Errorf("without its base: exit code %d: %s", r.Code, r.Stderr)
	}
}

// served starts caldera inspect serve, which ends with the test. get asks it.
func served(t *testing.T, args ...string) (get func(path string) string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(programs, "caldera"), append([]string{"inspect", "serve", "--backend=cpu", "--listen=127.0.0.1:0"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return func(path string) string {
		t.Helper()
		answer, err := http.Get(strings.TrimSpace(address) + path)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v: %s", path, answer.Status, err, body)
		}
		return string(body)
	}
}
