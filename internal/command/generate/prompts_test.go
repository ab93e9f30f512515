package generate_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/creack/pty"

	"caldera/internal/devicetest"
)

// answered is what --prompts prints of a line.
type answered struct {
	Line      int             `json:"line"`
	ID        json.RawMessage `json:"id"`
	Prompt    *string         `json:"prompt"`
	PromptIDs []int           `json:"prompt_ids"`
	Seed      uint64          `json:"seed"`
	IDs       []int           `json:"generated_ids"`
	Text      string          `json:"text"`
	LogProbs  []float64       `json:"logprobs"`
	Top       [][]place       `json:"top_logprobs"`
	Stop      string          `json:"stop"`
	Error     string          `json:"error"`
}

// fileOf writes a file of prompts.
func fileOf(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// resultsOf are the lines of standard output, by the number of the prompt's line.
func resultsOf(t *testing.T, out string) map[int]answered {
	t.Helper()
	all := map[int]answered{}
	for line := range strings.Lines(out) {
		if !strings.HasSuffix(line, "\n") {
			t.Errorf("%q is not a whole line", line)
		}
		a := strictly[answered](t, line)
		if _, twice := all[a.Line]; twice {
			t.Errorf("line %d has two results", a.Line)
		}
		all[a.Line] = a
	}
	return all
}

// wantResult compares a result with what the same prompt gives alone.
func wantResult(t *testing.T, got answered, args ...string) {
	t.Helper()
	want := jsonOf(t, append(args, fmt.Sprintf("--seed=%d", got.Seed))...)
	if got.Text != want.Text || got.Stop != want.Stop || got.Error != "" || !slices.Equal(got.IDs, want.IDs) || !slices.Equal(got.PromptIDs, want.PromptIDs) ||
		len(got.LogProbs) != len(want.LogProbs) || len(got.Top) != len(want.Top) {
		t.Errorf("line %d gives %+v, alone %+v", got.Line, got, want)
	}
}

// TestPrompts answers lines as editors write them, and goes on after bad ones.
func TestPrompts(t *testing.T) {
	text := prompt + "\n\n \t\r\nEmma\r\ncaf\xe9\n" + strings.Repeat("word ", 300) + "\nMr. Darcy <|endoftext|>"
	prompts := map[int]string{1: prompt, 4: "Emma", 7: "Mr. Darcy <|endoftext|>"}
	args := []string{"-n", "20", "--stop=,", "--logprobs=2", "--special"}
	file := fileOf(t, "prompts.txt", text)
	pipe := command(t, append(args, "--backend=cpu", "--prompts=-", "--seed=3", "--parallel=2")...)
	pipe.Stdin = strings.NewReader("\uFEFF" + text)
	for how, r := range map[string]result{
		"a file": run(t, command(t, append(args, "--backend=cpu", "--prompts", file, "--seed=3", "--json")...)),
		"a pipe": run(t, pipe),
	} {
		if r.Code != 1 || !strings.HasSuffix(r.Stderr, "generate: 2 of 5 prompts failed: see \"error\" in their results\n") {
			t.Errorf("%s: exit code %d, %q", how, r.Code, r.Stderr)
		}
		all := resultsOf(t, r.Out)
		if len(all) != 5 {
			t.Errorf("%s: %d results, expected 5:\n%s", how, len(all), r.Out)
		}
		for line, text := range prompts {
			a := all[line]
			if a.Prompt == nil || *a.Prompt != text || a.Seed != uint64(3+line-1) {
				t.Fatalf("%s: line %d gives %+v", how, line, a)
			}
			if how == "a file" {
				wantResult(t, a, append(args, text)...)
			}
		}
		for line, part := range map[int]string{5: "not valid UTF-8: byte 3 is 0xe9", 6: "the context holds 256: shorten it"} {
			if a := all[line]; !strings.Contains(a.Error, part) || a.PromptIDs != nil {
				t.Errorf("%s: line %d gives %+v, expected an error with %q", how, line, a, part)
			}
		}
	}
}

// TestPromptsJSON reads texts, ids, and what is neither.
func TestPromptsJSON(t *testing.T) {
	lines := []struct{ line, id, fails string }{
		{`"It is a \u0074ruth"`, "", ""},
		{` {"prompt": "It is a truth", "id": {"a": [1, 2.50]}}`, `{"a":[1,2.50]}`, ""},
		{`{"id": "7", "prompt": [5, 17, 3]}`, `"7"`, ""},
		{`{"prompt": "", "id": null}`, "null", ""},
		{`"a\nb"`, "", ""},
		{`{"prompt": [5, 2048], "id": 6}`, "6", "id 1 of the prompt is 2048"},
		{`{"prompt": [5, -1]}`, "", "is -1, which is no token: expected numbers from 0 to 2047"},
		{`{"prompt": [5, 1.5]}`, "", "a text or an array of token ids"},
		{`{"prompt": [5, null]}`, "", "null"},
		{`{"prompt": []}`, "", "no tokens"},
		{`{"prompt": 5}`, "", "a text or an array of token ids"},
		{`{"prompt": null}`, "", "null: expected a text"},
		{`{"id": 1}`, "1", `no "prompt"`},
		{`{"prompt": "a", "prompt": "b"}`, "", "twice"},
		{`{"prompt": "a", "seed": 7}`, "", `key seed: expected "prompt"`},
		{`{"prompt": "a"`, "", "invalid JSON"},
		{`{"prompt": "a"} "b"`, "", "expected its end"},
		{`"a" "b"`, "", "expected a JSON string"},
		{`It is a truth`, "", "expected a JSON string"},
		{`null`, "", "expected a JSON string"},
		{`[5, 17]`, "", "expected a JSON string"},
		{strings.Repeat(`{"id":`, 100_000), "", "deeper than 64"},
		{"\"caf\xe9\"", "", "byte 4 is 0xe9"},
		{"{\"prompt\": \"\x1b[31m\"}", "", "invalid"},
	}
	text, bad := "\uFEFF", 0
	for _, l := range lines {
		text += l.line + "\n"
		if l.fails != "" {
			bad++
		}
	}
	r := run(t, command(t, "--backend=cpu", "--temp=0", "-n", "4", "--prompts", fileOf(t, "prompts.jsonl", text)))
	if want := fmt.Sprintf("%d of %d prompts failed", bad, len(lines)); r.Code != 1 || !strings.Contains(r.Stderr, want) {
		t.Errorf("exit code %d, expected 1; %q lacks %q", r.Code, r.Stderr, want)
	}
	all := resultsOf(t, r.Out)
	for i, l := range lines {
		a := all[i+1]
		if string(a.ID) != l.id && l.id != "null" { // which cannot be told from none here
			t.Errorf("line %.80s: id %s came back, expected %s", l.line, a.ID, l.id)
		}
		if l.fails != "" && (!strings.Contains(a.Error, l.fails) || a.PromptIDs != nil || len(a.Error) > 300) {
			t.Errorf("line %.80s gives %+v, expected an error with %q", l.line, a, l.fails)
		}
	}
	if !strings.Contains(r.Out, `"line":4,"id":null,"prompt":"",`) || !strings.Contains(r.Out, `"id":{"a":[1,2.50]}`) {
		t.Errorf("ids came back otherwise than they are:\n%.600s", r.Out)
	}
	wantResult(t, all[1], "--temp=0", "-n", "4", "It is a truth")
	wantResult(t, all[2], "--temp=0", "-n", "4", "It is a truth")
	wantResult(t, all[3], "--temp=0", "-n", "4", "--tokens=5,17,3")
	wantResult(t, all[4], "--temp=0", "-n", "4", "-p", "")
	wantResult(t, all[5], "--temp=0", "-n", "4", "a\nb")
	if all[3].Prompt != nil || *all[5].Prompt != "a\nb" {
		t.Errorf("prompts %v and %q", all[3].Prompt, *all[5].Prompt)
	}

	// Ids are enough where there is no tokenizer.
	r = run(t, command(t, "--backend=cpu", "-m", "../../../gpt/testdata/gpt2-tiny", "--ignore-eos", "-n", "2",
		"--prompts", fileOf(t, "ids.jsonl", `{"prompt": [1, 2]}`+"\n\"text\"\n")))
	all = resultsOf(t, r.Out)
	if len(all[1].IDs) != 2 || !strings.Contains(all[2].Error, "no tokenizer") {
		t.Errorf("without a tokenizer: %+v\n%s", all, r.Stderr)
	}
}

// TestLongLine goes on after a line that nobody can mean.
func TestLongLine(t *testing.T) {
	cmd := command(t, "--backend=cpu", "-n", "1", "--prompts=-")
	cmd.Stdin = strings.NewReader(strings.Repeat("a", 16<<20+3) + "\n" + prompt + "\n" + strings.Repeat("b", 17<<20))
	r := run(t, cmd)
	all := resultsOf(t, r.Out)
	for _, line := range []int{1, 3} {
		if !strings.Contains(all[line].Error, "more than 16777216 bytes") {
			t.Errorf("line %d gives %+v", line, all[line])
		}
	}
	if r.Code != 1 || len(all) != 3 || len(all[2].IDs) != 1 {
		t.Errorf("exit code %d, %.500s\n%s", r.Code, r.Out, r.Stderr)
	}
}

// TestPromptsEnd writes results in the order in which they end, and as soon as they do:
// the input is still open then. Ctrl-C keeps what there is.
func TestPromptsEnd(t *testing.T) {
	in, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	out, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// In what follows Emma nobody is obliged.
	cmd := command(t, endless("--prompts=-", "--stop= obliged")...)
	cmd.Stdin, cmd.Stdout = in, to
	io.WriteString(w, "\xff\nEmma\n"+prompt+"\n")
	var lines []answered
	done := make(chan struct{})
	go func() {
		defer close(done)
		for reader := bufio.NewReader(out); ; {
			line, err := reader.ReadString('\n')
			if err != nil {
				if line != "" {
					t.Errorf("%q is not a whole line", line)
				}
				return
			}
			var a answered
			if err := json.Unmarshal([]byte(line), &a); err != nil {
				t.Errorf("%v in %q", err, line)
			}
			if lines = append(lines, a); len(lines) == 2 {
				cmd.Process.Signal(os.Interrupt)
			}
		}
	}()
	r := run(t, cmd)
	to.Close()
	<-done
	if r.Code != 130 || !strings.HasSuffix(r.Stderr, "generate: interrupted\n") {
		t.Errorf("exit code %d, %q", r.Code, r.Stderr)
	}
	if len(lines) != 3 {
		t.Fatalf("%d results, expected 3: %+v", len(lines), lines)
	}
	if a, before := lines[1], austen[len(prompt):strings.Index(austen, " obliged")]; a.Line != 3 || a.Stop != "stop" || a.Text != before {
		t.Errorf("the second result is %+v, expected that of line 3, up to the stop text", a)
	}
	if a := lines[2]; a.Line != 2 || a.Stop != "interrupted" || len(a.IDs) == 0 || len(a.IDs) != len(a.LogProbs) || a.Text == "" || a.Error != "" {
		t.Errorf("the last result is %+v, expected what there is of line 2", a)
	}
}

// TestPromptsReaderLeaves is generate --prompts … | head -1.
func TestPromptsReaderLeaves(t *testing.T) {
	cmd := command(t, "--backend=cpu", "-n", "2", "--parallel=2", "--prompts", fileOf(t, "many.txt", strings.Repeat(prompt+"\n", 10_000)))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
	go func() {
		bufio.NewReaderSize(r, 16).ReadString('\n')
		r.Close()
	}()
	got := run(t, cmd)
	w.Close()
	if got.Code != 0 || strings.Contains(got.Stderr, "generate:") {
		t.Errorf("exit code %d, %q, expected it to end quietly", got.Code, got.Stderr)
	}
}

// TestPromptsProgress shows on a terminal how far it is, and writes results elsewhere.
func TestPromptsProgress(t *testing.T) {
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: 120})
	cmd := command(t, "--backend=cpu", "-c", "64", "-n", "200", "--ignore-eos", "--parallel=1", "--verbose", "--prompts", fileOf(t, "two.txt", "Emma\n\nHarriet\n"))
	cmd.Stderr = slave
	read := make(chan string)
	go func() {
		all, _ := io.ReadAll(master) // which ends with an error when the other end is closed
		read <- string(all)
	}()
	r := run(t, cmd)
	slave.Close()
	shown := <-read
	master.Close()
	if r.Code != 0 || len(resultsOf(t, r.Out)) != 2 {
		t.Errorf("exit code %d, %q\n%s", r.Code, r.Out, shown)
	}
	for _, part := range []string{`prompts, \d+\.\d tokens/s +50% \|`, `\(1/2\) \[\d+m?s:\d+m?s\]`, `generated +\d+\.\d ms +400 tokens`, `: the context of 64 tokens was full in 2 prompts`} {
		if !regexp.MustCompile(part).MatchString(shown) {
			t.Errorf("the terminal does not show %s:\n%q", part, shown)
		}
	}
}

// TestPromptsMemory takes fewer prompts at once where memory is short, and is refused
// where their number was asked for.
func TestPromptsMemory(t *testing.T) {
	dir := sparse(t, 1<<20, 4, 1<<12, 1)
	args := func(context string, more ...string) []string {
		return append(more, "--backend=cpu", "-m", dir, "-n", "1", "--ignore-eos", "-c", context, "--prompts=/dev/stdin")
	}
	r := run(t, command(t, args("8192", "--parallel=512")...))
	wantFailure(t, r, 1, dir, "keys and values 128.0 GiB", "are free", "(--parallel=")
	var fit int
	if _, err := fmt.Sscanf(r.Stderr[strings.Index(r.Stderr, "--parallel="):], "--parallel=%d", &fit); err != nil {
		t.Fatal(err)
	}
	// A context of which about four fit.
	r = run(t, command(t, args(fmt.Sprint(min(1<<20, 8192*fit/4)))...))
	if r.Code != 0 || !regexp.MustCompile(`(?m)^generate: warning: memory has room for \d+ prompts of up to \d+ tokens at once, in place of 16$`).MatchString(r.Stderr) {
		t.Errorf("exit code %d, %s", r.Code, r.Stderr)
	}
}

// TestPromptsVulkan answers more prompts than there are at once on a GPU's driver.
func TestPromptsVulkan(t *testing.T) {
	devicetest.UseTestDrivers(t)
	file := fileOf(t, "prompts.txt", prompt+"\nEmma\nMr. Darcy\n")
	want := resultsOf(t, generate(t, "--temp=0", "-n", "5", "--parallel=2", "--prompts", file).Out)
	r := run(t, command(t, "--backend=vulkan", "--device=llvmpipe", "--temp=0", "-n", "5", "--parallel=2", "--prompts", file))
	got := resultsOf(t, r.Out)
	for line, w := range want {
		if !slices.Equal(got[line].IDs, w.IDs) || got[line].Text != w.Text {
			t.Errorf("line %d gives %+v, on the CPU %+v", line, got[line], w)
		}
	}
	if r.Code != 0 || len(got) != 3 {
		t.Errorf("exit code %d, %d results\n%s", r.Code, len(got), r.Stderr)
	}
}
