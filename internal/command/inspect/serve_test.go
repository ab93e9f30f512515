package inspect

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"caldera/internal/commandtest"
)

// TestServe serves the page until it is interrupted.
func TestServe(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a program cannot be interrupted alone on Windows")
	}
	cmd := exec.Command(program, "serve", "--backend=cpu", "--listen=127.0.0.1:0", "--run=../../view/testdata/run")
	out, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = to, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(commandtest.Patience, func() { cmd.Process.Kill() })
	defer timer.Stop()
	to.Close()
	line, err := bufio.NewReader(out).ReadString('\n')
	address := strings.TrimSuffix(line, "\n")
	if u, bad := url.Parse(address); err != nil || bad != nil || u.Hostname() != "127.0.0.1" {
		t.Errorf("it printed %q (%v)", line, err)
	}
	get := func(path string) string {
		answer, err := http.Get(address + path)
		if err != nil {
			t.Error(err)
			return ""
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != 200 {
			t.Errorf("%s: %v, %v\n%s", path, answer.Status, err, body)
		}
		return string(body)
	}
	if page := get(""); !strings.Contains(page, "app.js?v=") {
		t.Errorf("the page is %s", page)
	}
	if want := run(t, "tokens", "--backend=cpu", "--json", "It is a truth").Out; get("api/tokens?text=It+is+a+truth") != want {
		t.Errorf("the command gives %s, and the address something else", want)
	}
	if learned := get("api/learn?run=../../view/testdata/run&text=the&most=1"); !strings.HasPrefix(learned, `{"view":"learn"`) {
		t.Errorf("found %s", learned)
	}
	if events := get("api/generate?text=Emma&n=3&temperature=0"); strings.Count(events, "event: token\n") != 3 || !strings.HasSuffix(events, "\n\n") {
		t.Errorf("found %s", events)
	}
	wantFailure(t, run(t, "serve", "--listen="+strings.TrimSuffix(strings.TrimPrefix(address, "http://"), "/")), 1, "--listen=127.0.0.1:", "in use", "another port")
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 130 || !strings.HasSuffix(stderr.String(), "inspect: interrupted\n") {
		t.Errorf("interrupted, it ended with %v and %q", err, stderr.String())
	}
}

func TestServeUsage(t *testing.T) {
	for _, c := range []struct {
		args  []string
		code  int
		parts []string
	}{
		{[]string{"--listen=nowhere"}, 2, []string{"--listen=nowhere", "host and a port"}},
		{[]string{"--listen=127.0.0.1:99999"}, 2, []string{"0 to 65535"}},
		{[]string{"--queue=1"}, 2, []string{"--queue=1", "2 to"}},
		{[]string{"--streams=0"}, 2, []string{"--streams=0"}},
		{[]string{"--listen=127.0.0.1:0", "-m", "/nonexistent", "--backend=cpu"}, 1, []string{"/nonexistent"}},
		{[]string{"--run=/nonexistent"}, 1, []string{"--run", "/nonexistent"}},
		{[]string{"--run=serve_test.go"}, 1, []string{"--run=serve_test.go", "folder"}},
		{[]string{"text"}, 2, []string{"unexpected argument"}},
	} {
		wantFailure(t, run(t, append([]string{"serve"}, c.args...)...), c.code, c.parts...)
	}
}
