package generate_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"caldera/internal/devicetest"
)

// alone are the answers of n seeds from the first on, one call each, as text.
func alone(t *testing.T, first, n int, args ...string) (texts []string) {
	t.Helper()
	for seed := first; seed < first+n; seed++ {
		texts = append(texts, generate(t, append(args, fmt.Sprintf("--seed=%d", seed))...).Out)
	}
	return texts
}

// TestParallel expects each answer to be that of its seed alone.
func TestParallel(t *testing.T) {
	want := alone(t, 5, 3, "-n", "12", prompt)
	if want[0] == want[1] || want[1] == want[2] {
		t.Fatalf("seeds give equal answers: %q", want)
	}
	for _, flag := range []string{"--parallel=3", "-np 3", "--num_return_sequences=3", "--num-samples 3"} {
		r := generate(t, append(strings.Fields(flag), "-n", "12", "--seed=5", prompt)...)
		if r.Out != strings.Join(want, "\n") {
			t.Errorf("%s: got %q, expected %q", flag, r.Out, want)
		}
		_, told, _ := strings.Cut(r.Stderr, "\n") // after the device
		if want := "seeds: 5 to 7\nanswer 1 of 3, seed 5\nanswer 2 of 3, seed 6\nanswer 3 of 3, seed 7\n"; told != want {
			t.Errorf("%s: standard error has %q, expected %q", flag, told, want)
		}
	}

	// Contexts that become full, and blocks of the prompt that are not.
	long := strings.Repeat(prompt+". ", 12)
	for _, args := range [][]string{{"-c", "24", "-n", "40", prompt}, {"-n", "9", long}, {"-n", "-1", "--stop= is", "--no-display-prompt", long}} {
		want := alone(t, 1, 3, args...)
		r := generate(t, append(args, "--parallel=3", "--seed=1")...)
		if r.Out != strings.Join(want, "\n") {
			t.Errorf("%.40q: got %q, expected %q", args, r.Out, want)
		}
		if full := strings.Count(r.Stderr, ": the context of 24 tokens was full"); args[0] == "-c" && full != 3 {
			t.Errorf("%d of 3 answers say that their context was full:\n%s", full, r.Stderr)
		}
	}
	// After the last seed that the flag takes comes the first.
	r := generate(t, "--parallel=2", "-n", "2", fmt.Sprintf("--seed=%d", math.MaxInt64), prompt)
	if !strings.Contains(r.Stderr, "answer 2 of 2, seed 0\n") {
		t.Errorf("standard error has %q, expected an answer with seed 0", r.Stderr)
	}
}

// answers is what --json prints of several answers.
type answers struct {
	Model   string          `json:"model"`
	Device  json.RawMessage `json:"device"`
	Prompt  []int           `json:"prompt_ids"`
	Answers []answer        `json:"answers"`
	Timings json.RawMessage `json:"timings"`
}

// strictly parses all of a text as one value.
func strictly[T any](t *testing.T, text string) (v T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil || d.More() {
		t.Fatalf("%v in %.500q", err, text)
	}
	return v
}

// TestParallelJSON ends some answers at a stop text, while the others go on.
func TestParallelJSON(t *testing.T) {
	args := []string{"-n", "24", "--stop= mind", "--stop= situat", "--logprobs=2", prompt}
	var want []answer
	stops := map[string]int{}
	for seed := range 4 {
		want = append(want, jsonOf(t, append(args, fmt.Sprintf("--seed=%d", 5+seed))...))
		stops[want[seed].Stop]++
	}
	if stops["stop"] == 0 || stops["limit"] == 0 {
		t.Fatalf("answers end for %v, expected some at the stop text and some at the limit", stops)
	}
	same := func(how string, got answers) {
		t.Helper()
		if got.Model != want[0].Model || !slices.Equal(got.Prompt, want[0].PromptIDs) || len(got.Answers) != len(want) {
			t.Fatalf("%s: %d answers of %s to %v", how, len(got.Answers), got.Model, got.Prompt)
		}
		for i, a := range got.Answers {
			w := want[i]
			if a.Seed != w.Seed || a.Text != w.Text || a.Stop != w.Stop || !slices.Equal(a.IDs, w.IDs) || len(a.Top) != len(w.Top) || a.Timings.PredictedN != len(a.IDs) {
				t.Errorf("%s: answer %d is %+v, alone %+v", how, i, a, w)
			}
			for j, p := range a.LogProbs {
				if math.Abs(p-w.LogProbs[j]) > 1e-3 {
					t.Errorf("%s: log-probability %d of answer %d is %v, alone %v", how, j, i, p, w.LogProbs[j])
				}
			}
		}
	}
	args = append(args, "--parallel=4", "--seed=5")
	same("--json", strictly[answers](t, generate(t, append(args, "--json")...).Out))

	texts := make([]string, 4)
	for line := range strings.Lines(generate(t, append(args, "--json-stream")...).Out) {
		p := strictly[struct {
			Answer *int
			place
			Done *answers `json:"done"`
		}](t, line)
		if p.Done != nil {
			same("--json-stream", *p.Done)
			continue
		}
		texts[*p.Answer] += *p.Text
	}
	for i, text := range texts {
		if text != want[i].Text {
			t.Errorf("answer %d of the stream is %q, expected %q", i, text, want[i].Text)
		}
	}
	// Tables and timings on standard error.
	r := generate(t, append(args, "--verbose")...)
	tables := strings.Split(regexp.MustCompile(`(?s)load .*`).ReplaceAllString(r.Stderr, ""), "answer ")
	for i, a := range want {
		if lines := strings.Count(tables[i+1], "\n") - 1; lines != len(a.IDs) {
			t.Errorf("the table of answer %d has %d lines, expected %d", i+1, lines, len(a.IDs))
		}
	}
	if n := len(regexp.MustCompile(`(?m)^(prompt|decode|\d of 4) .* tokens/s$`).FindAllString(r.Stderr, -1)); n != 6 {
		t.Errorf("%d of 6 lines tell how fast it was:\n%s", n, r.Stderr)
	}
}

// TestParallelInterrupted sends Ctrl-C while the first answer comes: all that there is
// of each is printed.
func TestParallelInterrupted(t *testing.T) {
	cmd := command(t, endless(prompt, "--parallel=2")...)
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
	text := make(chan string)
	go func() {
		reader := bufio.NewReader(out)
		head := make([]byte, len(austen))
		io.ReadFull(reader, head)
		cmd.Process.Signal(os.Interrupt)
		rest, _ := io.ReadAll(reader)
		text <- string(head) + string(rest)
	}()
	r := run(t, cmd)
	w.Close()
	got := <-text
	if r.Code != 130 || !strings.HasSuffix(r.Stderr, "generate: interrupted\n") || !strings.Contains(r.Stderr, "answer 2 of 2, ") {
		t.Errorf("exit code %d, standard error %q", r.Code, r.Stderr)
	}
	if n := strings.Count(got, austen); n != 2 || !strings.HasPrefix(got, austen) || !strings.HasSuffix(got, "\n") {
		t.Errorf("%d answers in %q, expected two that begin with %q", n, got, austen)
	}
}

// TestParallelVulkan expects the CPU's answers of a GPU's driver.
func TestParallelVulkan(t *testing.T) {
	devicetest.UseTestDrivers(t)
	want := alone(t, 5, 3, "-n", "6", prompt)
	r := run(t, command(t, "--backend=vulkan", "--device=llvmpipe", "--parallel=3", "--seed=5", "-n", "6", prompt))
	if r.Code != 0 || r.Out != strings.Join(want, "\n") {
		t.Errorf("exit code %d, %q, expected %q\n%s", r.Code, r.Out, want, r.Stderr)
	}
}

// TestParallelTooLarge asks for the memory of 512 contexts that slide, and is told before
// anything is loaded.
func TestParallelTooLarge(t *testing.T) {
	dir := sparse(t, 1<<20, 4, 1<<12, 1)
	r := run(t, command(t, "--backend=cpu", "-m", dir, "--tokens=1", "-c", "20000", "-n", "-1", "--parallel=512"))
	wantFailure(t, r, 1, dir, "out of memory", "keys and values 313.0 GiB", "are free", "it would fit with ", " sequences at once", "(--parallel=")
}
