package page_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"caldera/backend"
	"caldera/gpt/checkpoint"
	"caldera/inspect"
	command "caldera/internal/command/inspect"
	"caldera/internal/gpttest"
	"caldera/internal/serve"
	"caldera/internal/serve/page"
)

// browser is a program that a test can drive.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium-headless-shell", "chromium", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CALDERA_REQUIRE_DRIVERS") != "" {
		t.Fatal("no Chromium is there: scripts/setup.sh test installs it")
	}
	t.Skip("no Chromium is there: scripts/setup.sh test installs it")
	return ""
}

// startServer serves the page, with the embedded model on the CPU, until the test ends. change changes the model before,
// and own is what its files would say of sampling.
func startServer(t *testing.T, change func(*inspect.Inspector), own checkpoint.Sampling) (url string) {
	t.Helper()
	in := gpttest.Inspect(t, gpttest.OpenCPU(t))
	change(in)
	// The other device has the same weights in fewer bits, so that there are differences to show.
	other := inspect.New(gpttest.Load(t, gpttest.OpenCPU(t), "../../../models/austen", backend.Q8_0), in.Tokenizer, inspect.Options{})
	m := serve.NewModel(in, serve.ModelOptions{
		Vars: command.Vars(), Others: []string{"cpu:1"}, Runs: []string{"../../view/testdata/run"},
		Other: func(context.Context, string) (*inspect.Inspector, error) { return other, nil }, Sampling: own,
	})
	var logged bytes.Buffer
	s, err := serve.New(m, serve.Options{Page: page.Files(), Policy: page.Policy, Log: log.New(&logged, "", 0), Queue: 200, Streams: 2})
	if err != nil {
		t.Fatal(err)
	}
	l, host, err := serve.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		s.Serve(ctx, l)
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		m.Close()
		in.Close()
		other.Close()
		if logged.Len() > 0 {
			t.Errorf("the server logs faults of its own:\n%s", &logged)
		}
	})
	return serve.URL(l, host)
}

// TestBrowser runs the checks of test/checks.mjs in Chromium: that the page shows what the server answers, is used by
// keys, has nothing that axe-core finds wrong, and so on. CALDERA_SCREENSHOTS names a folder that keeps pictures of it,
// CALDERA_PAGE_CHECK the one check to run.
func TestBrowser(t *testing.T) {
	npm, chromium := modules(t), browser(t)
	temperature, topK := 0.25, 7
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join("test", "run.mjs"))
	cmd.Env = append(os.Environ(), "MODULES="+npm, "BROWSER="+chromium, "BASE="+startServer(t, func(*inspect.Inspector) {}, checkpoint.Sampling{}),
		"BASE_IDS="+startServer(t, func(in *inspect.Inspector) { in.Tokenizer = nil }, checkpoint.Sampling{Temperature: &temperature, TopK: &topK}),
		"SCREENSHOTS="+os.Getenv("CALDERA_SCREENSHOTS"), "ONLY="+os.Getenv("CALDERA_PAGE_CHECK"))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	checks := 0
	for lines := bufio.NewScanner(out); lines.Scan(); checks++ {
		var check struct {
			Name, Wrong string
			Seconds     float64
		}
		if err := json.Unmarshal(lines.Bytes(), &check); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		t.Run(check.Name, func(t *testing.T) {
			t.Logf("took %v", time.Duration(check.Seconds*float64(time.Second)).Round(time.Millisecond))
			if check.Wrong != "" {
				t.Error(check.Wrong)
			}
		})
	}
	if err := cmd.Wait(); err != nil || checks == 0 {
		t.Errorf("%d checks ran: %v\n%s", checks, err, &errs)
	}
	state := cmd.ProcessState
	t.Logf("node and what it waited for: %v of the processors", (state.UserTime() + state.SystemTime()).Round(time.Millisecond))
}
