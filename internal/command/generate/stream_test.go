package generate_test

import (
	"encoding/json"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/creack/pty"

	"caldera/internal/devicetest"
)

// continuation is what the embedded model says after prompt.
var continuation = strings.TrimPrefix(austen, prompt)

// TestStop ends the text before a stop text, which begins and ends within tokens.
func TestStop(t *testing.T) {
	for _, c := range []struct {
		stops []string
		want  string // of the continuation
	}{
		{[]string{". I"}, ""}, // the first two tokens, and a part of each
		{[]string{"ure you", "nothing"}, continuation[:strings.Index(continuation, "ure you")]},
		{[]string{"nothing", "y"}, continuation[:strings.Index(continuation, "y")]},
		{[]string{"nothing of the kind"}, continuation},
		{[]string{continuation[len(continuation)-3:] + "nothing"}, continuation}, // held back until the end
		{[]string{"a,b", "sure, "}, continuation},                                // commas part no texts
	} {
		args := []string{"--temp=0", "-n", "23"}
		for _, s := range c.stops {
			args = append(args, "--stop", s)
		}
		if got := generate(t, append(args, prompt)...).Out; got != prompt+c.want+"\n" {
			t.Errorf("%q: got %q, expected %q", c.stops, got, prompt+c.want)
		}
		a := jsonOf(t, append(args, prompt)...)
		stop := "limit"
		if c.want != continuation {
			stop = "stop"
		}
		if a.Text != c.want || a.Stop != stop {
			t.Errorf("%q: JSON has %q, stopped for %q, expected %q, %q", c.stops, a.Text, a.Stop, c.want, stop)
		}
		text, done := stream(t, append(args, prompt)...)
		if text != c.want || done.Text != c.want || done.Stop != stop {
			t.Errorf("%q: the stream has %q, and at its end %q, stopped for %q", c.stops, text, done.Text, done.Stop)
		}
	}
	wantFailure(t, run(t, command(t, "--backend=cpu", "--stop", "", prompt)), 2, "--stop is empty")
	wantFailure(t, run(t, command(t, "--backend=cpu", "-m", "../../../gpt/testdata/gpt2-tiny", "--tokens=1", "--stop=x")), 2, "no tokenizer")
}

// place is a token as --json-stream prints it.
type place struct {
	ID      *int     `json:"id"`
	Text    *string  `json:"text"`
	LogProb *float64 `json:"logprob"`
	Top     []place  `json:"top_logprobs"`
	Done    *answer  `json:"done"`
}

// stream runs the command with --json-stream, and returns the text of all
// objects and the last one.
func stream(t *testing.T, args ...string) (text string, done answer) {
	t.Helper()
	places := streamed(t, args...)
	var ids []int
	for _, p := range places[:len(places)-1] {
		if p.Text != nil {
			text += *p.Text
		}
		if p.ID != nil {
			ids = append(ids, *p.ID)
		}
	}
	done = *places[len(places)-1].Done
	if !slices.Equal(ids, done.IDs) {
		t.Errorf("the objects have ids %v, the last one %v", ids, done.IDs)
	}
	return text, done
}

func streamed(t *testing.T, args ...string) (places []place) {
	t.Helper()
	out := generate(t, append(args, "--json-stream")...).Out
	for line := range strings.Lines(out) {
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		var p place
		if err := d.Decode(&p); err != nil {
			t.Fatalf("%v in %.300q", err, line)
		}
		places = append(places, p)
	}
	if len(places) == 0 || places[len(places)-1].Done == nil {
		t.Fatalf("the last line is not what is done: %q", out)
	}
	return places
}

func TestJSONStream(t *testing.T) {
	text, done := stream(t, "--temp=0", "-n", "23", prompt)
	if text != continuation || done.Text != text || done.Stop != "limit" || done.Timings.PredictedN != 23 {
		t.Errorf("text %q, at the end %+v", text, done)
	}
	for _, p := range streamed(t, "-m", "../../../gpt/testdata/gpt2-tiny", "--tokens=1", "-n", "3", "--ignore-eos")[:3] {
		if p.ID == nil || p.LogProb == nil || p.Text != nil {
			t.Errorf("without a tokenizer: %+v", p)
		}
	}
	// Bytes that are no whole character come once they are one, or at the end.
	var pieces string
	for _, p := range streamed(t, "--tokens=227", "-n", "4", "--seed=5", "--temp=5", "--top-k=0", "--top-p=1", "--min-p=0") {
		if p.Text != nil {
			pieces += *p.Text
		}
	}
	if _, done := stream(t, "--tokens=227", "-n", "4", "--seed=5", "--temp=5", "--top-k=0", "--top-p=1", "--min-p=0"); pieces != done.Text {
		t.Errorf("pieces %q, text %q", pieces, done.Text)
	}
	wantFailure(t, run(t, command(t, "--backend=cpu", "--json", "--json-stream", prompt)), 2, "--json", "--json-stream")
}

// TestLogProbs asks for all tokens of a vocabulary: their probabilities are one
// together.
func TestLogProbs(t *testing.T) {
	const tiny = "../../../gpt/testdata/gpt2-tiny"
	for _, p := range streamed(t, "-m", tiny, "--tokens=1,2,3", "-n", "5", "--ignore-eos", "--logprobs=1000")[:5] {
		sum, last, own := 0.0, 0.0, false
		for _, x := range p.Top {
			sum += math.Exp(*x.LogProb)
			own = own || *x.ID == *p.ID && math.Abs(*x.LogProb-*p.LogProb) < 1e-9
			if *x.LogProb > last {
				t.Errorf("log-probability %v stands after %v", *x.LogProb, last)
			}
			last = *x.LogProb
		}
		if math.Abs(sum-1) > 1e-9 || !own {
			t.Errorf("%d probabilities sum to %v; that of the token itself is among them: %v", len(p.Top), sum, own)
		}
	}

	var report struct {
		Tops [][]place `json:"top_logprobs"`
	}
	out := generate(t, "--temp=0", "-n", "4", "--logprobs=2", "--json", prompt).Out
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, top := range report.Tops {
		if len(top) != 2 {
			t.Fatalf("%d of the likeliest 2 in %s", len(top), out)
		}
		text += *top[0].Text
	}
	if len(report.Tops) != 4 || !strings.HasPrefix(continuation, text) {
		t.Errorf("the likeliest tokens are %q, expected the start of %q", text, continuation)
	}

	r := generate(t, "--temp=0", "-n", "2", "--logprobs=2", prompt)
	if lines := strings.Split(strings.TrimSpace(r.Stderr), "\n"); r.Out != prompt+". I\n" || len(lines) != 4 ||
		!strings.HasPrefix(lines[2], `"." -`) || !strings.HasPrefix(lines[3], `" I" -`) {
		t.Errorf("printed %q, on standard error %q", r.Out, r.Stderr)
	}
	// Many go on in lines of their own, which fit 100 characters but for --wide.
	for _, c := range []struct {
		flag string
		fit  bool
	}{{"--color=never", true}, {"--wide", false}} {
		r := generate(t, "--temp=0", "-n", "2", "--logprobs=30", c.flag, prompt)
		longest := 0
		for _, line := range strings.Split(r.Stderr, "\n")[2:] {
			longest = max(longest, utf8.RuneCountInString(line))
		}
		if n := strings.Count(r.Stderr, " -"); longest <= 100 != c.fit || n < 62 {
			t.Errorf("%s: the longest line has %d characters, and %d numbers are told:\n%s", c.flag, longest, n, r.Stderr)
		}
	}
	wantFailure(t, run(t, command(t, "--backend=cpu", "--logprobs=-1", prompt)), 2, "--logprobs=-1", "0 to 1000")
}

// TestColor runs it on a terminal, and in a pipe.
func TestColor(t *testing.T) {
	const faint, normal = "\x1b[2m", "\x1b[22m"
	told := faint + prompt + normal + ". I\n"
	plain := prompt + ". I\n"
	for _, c := range []struct {
		env, color string
		terminal   bool
		want       string
	}{
		{"", "auto", true, told},
		{"", "auto", false, plain},
		{"", "always", false, told},
		{"", "never", true, plain},
		{"NO_COLOR=1", "auto", true, plain},
		{"NO_COLOR=1", "always", true, told}, // the flag is the nearer wish
		{"TERM=dumb", "auto", true, plain},
	} {
		cmd := command(t, "--backend=cpu", "--temp=0", "-n", "2", "--color="+c.color, prompt)
		cmd.Env = append(cmd.Environ(), "TERM=xterm", "NO_COLOR=")
		if c.env != "" {
			cmd.Env = append(cmd.Env, c.env)
		}
		var got string
		if c.terminal {
			master, slave, err := pty.Open()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stdout = slave
			read := make(chan []byte)
			go func() {
				all, _ := io.ReadAll(master) // which ends with an error when the other end is closed
				read <- all
			}()
			r := run(t, cmd)
			slave.Close()
			got = strings.ReplaceAll(string(<-read), "\r\n", "\n")
			master.Close()
			if r.Code != 0 {
				t.Fatal(r.Stderr)
			}
		} else {
			got = run(t, cmd).Out
		}
		if got != c.want {
			t.Errorf("--color=%s, %q, terminal %v: got %q, expected %q", c.color, c.env, c.terminal, got, c.want)
		}
	}
}

// TestSpellings takes flags as other programs have them.
func TestSpellings(t *testing.T) {
	want := prompt + ". I am\n"
	for _, args := range []string{
		"--temp=0 -n 3", "--temperature 0 --n-predict 3", "--temp=0 --max-tokens=3", "--temp=0 --max_new_tokens 3",
		"-temp 0 -n 3", "-np 1 --temp=0 -n 3 -dev cpu:0", "--temp=0 -n 3 --n-ctx 200 -ctk f32 --n-threads 2 --repetition_penalty 1",
	} {
		if got := generate(t, append(strings.Fields(args), prompt)...).Out; got != want {
			t.Errorf("%s: got %q", args, got)
		}
	}
	for args, part := range map[string]string{
		"-ngl 99":            "--backend and --device",
		"--n-gpu-layers=99":  "-ngl", // any of its names
		"--mirostat 2":       "--top-p",
		"--flash-attn":       "leave it out",
		"-cnv":               "caldera chat",
		"--predictt 3":       "did you mean \"--predict\"",
		"-n 3 -- -ngl":       "", // text
		"-p -ngl":            "-ngl",
		"--presence_penalty": "--repeat-penalty",
	} {
		r := run(t, command(t, append([]string{"--backend=cpu", "-n", "1"}, strings.Fields(args)...)...))
		switch {
		case part == "" && r.Code != 0:
			t.Errorf("%s: exit code %d: %s", args, r.Code, r.Stderr)
		case part != "" && args != "--n-gpu-layers=99":
			wantFailure(t, r, 2, part)
		case part != "":
			wantFailure(t, r, 2, "--n-gpu-layers", "--backend and --device")
		}
	}
	wantFailure(t, run(t, command(t, "--backend=cpu", "-n", "1", "-hf", "openai/gpt2")), 1, "openai/gpt2 is not in the cache") // tests fetch nothing
}

// TestEmptyFlags gives each flag that takes text an empty one, as an unset
// variable of the shell does.
func TestEmptyFlags(t *testing.T) {
	for _, flag := range []string{"-m", "--model", "-f", "--tokens", "--prompts", "--parallel", "--device", "--dtype", "--backend", "--stop", "--color", "--cache-type"} {
		for _, args := range [][]string{{flag, ""}, {flag + "="}} {
			if flag[1] != '-' && args[0] != flag {
				continue // -m= is the path "="
			}
			r := run(t, command(t, append(args, "some text")...))
			if r.Code != 2 || r.Out != "" || !strings.HasPrefix(r.Stderr, "generate: --") {
				t.Errorf("%q: exit code %d, %q, %q", args, r.Code, r.Out, r.Stderr)
			}
		}
	}
}

// TestListedDevices gives --device each thing that --list-devices prints of a device.
func TestListedDevices(t *testing.T) {
	devicetest.UseTestDrivers(t)
	var list []struct {
		Device, Backend, Name, Kind, Driver, UUID string
		Index                                     int
		Memory                                    int64 `json:"memory_bytes"`
	}
	r := generate(t, "--list-devices", "--json")
	d := json.NewDecoder(strings.NewReader(r.Out))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil || len(list) != 3 {
		t.Fatalf("%d devices, %v in %s", len(list), err, r.Out)
	}
	table := generate(t, "--list-devices").Out
	for _, d := range list {
		if d.Kind == "" || d.Driver == "" || d.Memory <= 0 {
			t.Errorf("device %+v", d)
		}
		for _, which := range []string{d.Device, d.Name, d.UUID} {
			if which == "" {
				continue
			}
			if !strings.Contains(table, which) {
				t.Errorf("the table lacks %q:\n%s", which, table)
			}
			// It is found before the model is looked for.
			r := run(t, command(t, "--device", which, "-m", "/nonexistent", prompt))
			if r.Code != 1 || !strings.Contains(r.Stderr, d.Device+": ") || !strings.Contains(r.Stderr, "/nonexistent") {
				t.Errorf("--device=%q: exit code %d, %s", which, r.Code, r.Stderr)
			}
		}
	}
}
