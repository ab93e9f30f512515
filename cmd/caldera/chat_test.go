package main_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"caldera/internal/commandtest"
	"caldera/internal/gpttest"
)

// chatCommand is caldera chat with a model, on the CPU, without any choice.
func chatCommand(t *testing.T, model string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(filepath.Join(programs, "caldera"), append([]string{"chat", "--backend=cpu", "--temp=0", "-m", model}, args...)...)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
	return cmd
}

// talk runs a chat over pipes.
func talk(t *testing.T, model, lines string, args ...string) commandtest.Result {
	t.Helper()
	cmd := chatCommand(t, model, args...)
	cmd.Stdin = strings.NewReader(lines)
	return commandtest.Run(t, cmd)
}

// TestChat talks over pipes.
func TestChat(t *testing.T) {
	model := gpttest.ChatModel(t, gpttest.ChatML)
	dir := t.TempDir()
	file := filepath.Join(dir, "talk.json")

	r := talk(t, model, "hello\nand \\\nso on\n", "-n", "6", "-v", "--system=Be brief.")
	answers := strings.SplitAfter(r.Out, "\n")
	if r.Code != 0 || r.Out == "" || !strings.HasSuffix(r.Out, "\n") {
		t.Fatalf("exit code %d, %q: %s", r.Code, r.Out, r.Stderr)
	}
	if m := regexp.MustCompile(`(\d+) tokens, of which (\d+) were read now`).FindAllStringSubmatch(r.Stderr, -1); len(m) != 2 || m[0][1] != m[0][2] || m[1][1] == m[1][2] {
		t.Errorf("the second message must not read the first again: %s", r.Stderr)
	}

	// A backslash before the end of the input is no reason to lose a message.
	if cut := talk(t, model, "hello\\", "-n", "6", "--system=Be brief."); cut.Code != 0 || cut.Out != answers[0] {
		t.Errorf("exit code %d, %q, expected %q: %s", cut.Code, cut.Out, answers[0], cut.Stderr)
	}

	// What is saved goes on, and has what was said.
	r = talk(t, model, "/system Be brief.\nhello\n/save "+file+"\n", "-n", "6")
	if r.Code != 0 || !strings.HasPrefix(r.Out, strings.TrimSuffix(answers[0], "\n")) || !strings.Contains(r.Stderr, "saved 3 messages") {
		t.Errorf("exit code %d, %q, expected %q: %s", r.Code, r.Out, answers[0], r.Stderr)
	}
	var saved struct {
		Model    string
		Messages []struct{ Role, Content string }
	}
	if data, err := os.ReadFile(file); err != nil || json.Unmarshal(data, &saved) != nil || len(saved.Messages) != 3 || saved.Model != model ||
		saved.Messages[0].Content != "Be brief." || saved.Messages[1].Content != "hello" || saved.Messages[2].Role != "assistant" {
		t.Errorf("%v, saved is %+v", err, saved)
	}
	whole := talk(t, model, "hello\nand so on\n", "-n", "6", "--system=Be brief.")
	half := talk(t, model, "and so on\n", "-n", "6", "--load", file)
	if half.Code != 0 || half.Out == "" || !strings.HasSuffix(whole.Out, half.Out) {
		t.Errorf("loaded: %q, expected the end of %q: %s", half.Out, whole.Out, half.Stderr)
	}
	retried := talk(t, model, "/load "+file+"\n/retry\n/thinking off\n/temperature 0\n/clear\n//x\n", "-n", "6")
	if retried.Code != 0 || !strings.HasPrefix(retried.Out, strings.TrimSuffix(answers[0], "\n")) {
		t.Errorf("retried: %q, expected %q: %s", retried.Out, answers[0], retried.Stderr)
	}

	// One message with generate.
	cmd := exec.Command(filepath.Join(programs, "caldera"), "generate", "--backend=cpu", "--temp=0", "-n", "6", "-m", model, "--chat", "--system", "Be brief.", "hello")
	if one := commandtest.Run(t, cmd); one.Code != 0 || !strings.HasPrefix(answers[0], strings.TrimSuffix(one.Out, "\n")) && !strings.HasPrefix(one.Out, strings.TrimSuffix(answers[0], "\n")) {
		t.Errorf("generate: %q, expected %q: %s", one.Out, answers[0], one.Stderr)
	}

	// A model that is fine-tuned keeps its template, and so does one that is converted.
	texts := filepath.Join(dir, "texts.txt")
	if err := os.WriteFile(texts, []byte(strings.Repeat("hello, he said, and hello again\n", 60)), 0o666); err != nil {
		t.Fatal(err)
	}
	tuned, converted := filepath.Join(dir, "tuned"), filepath.Join(dir, "converted.gguf")
	for _, args := range [][]string{
		{"train", "--backend=cpu", "--init=" + model, "--data", texts, "--out_dir", tuned, "--block_size=16", "--max_iters=1", "--eval_iters=1", "--batch_size=1"},
		{"convert", "-m", tuned, "-o", converted},
	} {
		if r := commandtest.Run(t, exec.Command(filepath.Join(programs, "caldera"), args...)); r.Code != 0 {
			t.Fatalf("%q: exit code %d: %s", args, r.Code, r.Stderr)
		}
	}
	for _, path := range []string{tuned, converted} {
		if r := talk(t, path, "hello\n", "-n", "2"); r.Code != 0 || r.Out == "" {
			t.Errorf("%s: exit code %d: %s", path, r.Code, r.Stderr)
		}
	}

	base := gpttest.ChatModel(t, "")
	other := filepath.Join(dir, "notes.json")
	refusing := filepath.Join(dir, "refusing.jinja")
	two, empty, foreign := filepath.Join(dir, "two.json"), filepath.Join(dir, "empty.json"), filepath.Join(dir, "foreign.json")
	const hello = `{"model": "another", "messages": [{"role": "user", "content": "hello"}]}`
	for path, text := range map[string]string{other: `{"a": 1}`, two: hello + hello, empty: "{}", foreign: hello, refusing: "{{ raise_exception('no, thanks') }}"} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		code      int
		model, in string
		args      []string
		part      string
	}{
		{2, base, "x\n", nil, "has no chat template, so it is a base model, which continues texts: give the text to caldera generate"},
		{2, model, "", []string{"-n", "0"}, "--predict=0"},
		{2, model, "", []string{"-c", "99999"}, "at most 65536"},
		{2, model, "", []string{"-p", "x"}, "give the first message as an argument"},
		{1, model, "/nothing\n", nil, "/nothing is no command"},
		{1, model, "/retry\n", nil, "no message to answer"},
		{1, model, "/temperature -1\n", nil, "found -1"},
		{1, model, "/thinking maybe\n", nil, "auto, on or off"},
		{1, model, "/save " + other + "\n", nil, "no conversation"},
		{1, model, "/load " + dir + "\n", nil, "not a regular file"},
		{1, model, "/load /nonexistent\n", nil, "no such file"},
		{1, model, "/load " + two + "\n", nil, "found more behind the conversation"},
		{1, model, "/load " + empty + "\n", nil, "messages is missing"},
		{1, model, "/save " + empty + "\n", nil, "no conversation"},
		{0, model, "/load " + foreign + "\n", nil, "loaded 1 messages, of a conversation with another"},
		{1, model, "x\n", []string{"--chat-template", refusing}, "the chat template refuses: no, thanks"},
		{1, model, "\xff\n", nil, "not valid UTF-8"},
		{1, model, strings.Repeat("long ", 200) + "\n", []string{"-c", "512"}, "the context holds 512"},
		{0, model, "/quit\nx\n", nil, ""},
		{0, base, "x\n", []string{"-n", "2", "--chat-template", "../../gpt/chat/testdata/templates/chatml.jinja"}, ""},
		{0, model, strings.Repeat("/clear\n", 3), nil, ""},
	} {
		r := talk(t, c.model, c.in, c.args...)
		if r.Code != c.code || !strings.Contains(r.Stderr, c.part) || c.code != 0 && strings.Count(r.Stderr, "\n") > 4 {
			t.Errorf("%.40q %q: exit code %d, expected %d and %q: %s", c.in, c.args, r.Code, c.code, c.part, r.Stderr)
		}
	}
	for _, args := range [][]string{{"-m", base, "--chat", "x"}, {"-m", model, "--system=x", "y"}, {"-m", model, "--chat", "--tokens=1"}, {"-m", model, "--chat", "-p", ""}} {
		cmd := exec.Command(filepath.Join(programs, "caldera"), append([]string{"generate", "--backend=cpu"}, args...)...)
		if r := commandtest.Run(t, cmd); r.Code != 2 || !strings.Contains(r.Stderr, "--chat") && !strings.Contains(r.Stderr, "no prompt") {
			t.Errorf("generate %q: exit code %d: %s", args, r.Code, r.Stderr)
		}
	}
}

// screen is what a program prints on a terminal.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// wait waits until text is there n times.
func (s *screen) wait(t *testing.T, text string, n int) string {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		all := s.text.String()
		s.mu.Unlock()
		if strings.Count(all, text) >= n {
			return all
		}
		if time.Now().After(end) {
			t.Fatalf("%q is not there %d times: %q", text, n, all)
		}
	}
}

// TestChatTerminal talks on a terminal: Ctrl-C stops an answer, and the program goes on.
func TestChatTerminal(t *testing.T) {
	model := gpttest.ChatModel(t, gpttest.ChatML)
	start := func() (*exec.Cmd, *os.File, *screen) {
		cmd := chatCommand(t, model)
		cmd.Env = append(cmd.Env, "TERM=xterm")
		terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 200})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { terminal.Close() })
		s := &screen{}
		go func() {
			buffer := make([]byte, 4096)
			for {
				n, err := terminal.Read(buffer)
				s.Write(buffer[:n])
				if err != nil {
					return
				}
			}
		}()
		return cmd, terminal, s
	}
	end := func(cmd *exec.Cmd, code int, s *screen) {
		t.Helper()
		timer := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
		defer timer.Stop()
		cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Errorf("exit code %d, expected %d: %q", got, code, s.wait(t, "", 0))
		}
	}
	say := func(terminal *os.File, text string) {
		t.Helper()
		if _, err := terminal.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}

	cmd, terminal, s := start()
	s.wait(t, ">>> ", 1)
	say(terminal, "hello\r")
	said := len(s.wait(t, "hello", 1))
	for end := time.Now().Add(2 * time.Minute); len(s.wait(t, "", 0)) < said+60 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil { // what the terminal sends for Ctrl-C
		t.Fatal(err)
	}
	s.wait(t, "the answer was stopped", 1)
	say(terminal, "/temp\t\r") // which is completed
	s.wait(t, "the temperature is 0", 1)
	say(terminal, "/nothing\r")
	s.wait(t, "is no command", 1)
	say(terminal, "\x1b[A\x1b[A\x1b[A") // up, to the first line
	time.Sleep(50 * time.Millisecond)
	say(terminal, "\x15/retry\r")
	for end := time.Now().Add(2 * time.Minute); strings.Count(s.wait(t, "", 0), "hello") < 2 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	time.Sleep(100 * time.Millisecond)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	s.wait(t, "the answer was stopped", 2)
	say(terminal, "\x04") // Ctrl-D
	end(cmd, 0, s)

	cmd, terminal, s = start()
	s.wait(t, ">>> ", 1)
	say(terminal, "\x03") // Ctrl-C at the prompt
	end(cmd, 0, s)
}
