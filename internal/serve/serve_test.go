package serve

import (
	"bytes"
	"caldera/internal/view"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
)

func TestPage(t *testing.T) {
	s := start(t, &fake{})
	index := s.get("/")
	if index.status != 200 || index.header.Get("Content-Type") != "text/html; charset=utf-8" || index.header.Get("Content-Security-Policy") != "default-src 'none'; script-src 'self'" {
		t.Errorf("the page: %+v", index)
	}
	for header, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-cache",
	} {
		if found := index.header.Get(header); found != want {
			t.Errorf("%s is %q, expected %q", header, found, want)
		}
	}
	_, rest, _ := strings.Cut(index.body, `src="`)
	script, _, _ := strings.Cut(rest, `"`)
	js := s.get("/" + script)
	if !strings.HasPrefix(script, "app.js?v=") || js.body != "console.log(1)" || js.header.Get("Cache-Control") != "public, max-age=31536000, immutable" || js.header.Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("%s: %+v", script, js)
	}
	if plain := s.get("/app.js"); plain.header.Get("Cache-Control") != "no-cache" || plain.body != js.body {
		t.Errorf("without a hash: %+v", plain)
	}
	if again := s.get("/app.js", header("If-None-Match", js.header.Get("ETag"))); again.status != http.StatusNotModified || again.body != "" {
		t.Errorf("with its ETag: %+v", again)
	}
	if head := s.do("HEAD", "/app.js", ""); head.status != 200 || head.body != "" || head.header.Get("Content-Length") != "14" {
		t.Errorf("HEAD: %+v", head)
	}
	if deep := s.get("/deep/font.bin"); deep.status != 200 {
		t.Errorf("a file in a directory: %+v", deep)
	}
	for _, path := range []string{"/deep", "/deep/", "/index.htm", "/../serve.go", "/%2e%2e/go.mod", "/app.js/", "/none"} {
		s.get(path).wantError(t, 404, "begin at /")
	}
	if _, err := New(&fake{}, Options{Page: fstest.MapFS{}}); err == nil || !strings.Contains(err.Error(), "index.html") {
		t.Errorf("a page without index.html gave %v", err)
	}
}

func TestViews(t *testing.T) {
	s := start(t, &fake{})
	if g := s.get("/api/info"); g.status != 200 || g.body != "{\"model\":\"fake\"}\n" {
		t.Errorf("info: %+v", g)
	}
	text := "<script>alert('é 世界')</script>\x00"
	g := s.get("/api/echo?text=" + url.QueryEscape(text))
	var want bytes.Buffer
	view.WriteJSON(&want, &view.Answer{View: "echo", Result: result{text}})
	if g.status != 200 || g.body != want.String() || g.header.Get("Content-Type") != "application/json" || g.header.Get("Content-Disposition") != "" ||
		!strings.Contains(g.header.Get("Content-Security-Policy"), "sandbox") || g.header.Get("Cache-Control") != "no-store" {
		t.Errorf("found %+v, expected %q", g, want.String())
	}
	for ending, c := range map[string]struct{ kind, body string }{
		".json": {"application/json", ""}, ".csv": {"text/csv; charset=utf-8", "text,number\n'=1+1,-1\n"}, ".svg": {"image/svg+xml", "<svg>"}, ".png": {"image/png", "<png>"},
	} {
		g := s.get("/api/table" + ending + "?text=%3D1%2B1")
		if g.status != 200 || g.header.Get("Content-Type") != c.kind || g.header.Get("Content-Disposition") != `attachment; filename="table`+ending+`"` || c.body != "" && g.body != c.body {
			t.Errorf("%s: %+v", ending, g)
		}
	}
	if g := s.do("HEAD", "/api/wait", ""); g.status != 200 || g.body != "" {
		t.Errorf("HEAD, which computes nothing: %+v", g)
	}
	s.get("/api/echo.csv").wantError(t, 404, "no such form", "ask for echo")
	s.get("/api/none").wantError(t, 404, "/api/none", "/api/info")
	s.get("/api/echo.exe").wantError(t, 404)
	s.get("/api/.json").wantError(t, 404)
	s.get("/api/a/b").wantError(t, 404)
	s.get("/api/").wantError(t, 404)
	s.get("/api/echo?txt=1").wantError(t, 400, `"txt"`, "text")
	s.get("/api/info?x=1").wantError(t, 400, `"x"`)
	s.get("/api/user").wantError(t, 400, "layer 9: expected 0 to 5")
	s.get("/api/fail").wantError(t, 500, "is lost")
	s.get("/api/broken.svg").wantError(t, 500, "the pen broke")
	if log := s.log.String(); !strings.Contains(log, `GET /api/fail: the device; is lost \x1b[31m`+"\n") || strings.Contains(log, "user") {
		t.Errorf("the log is %q", log)
	}
}

// TestTwoHundredAtOnce expects each request to get its own answer, one after the other.
func TestTwoHundredAtOnce(t *testing.T) {
	f := &fake{}
	s := start(t, f)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			text := fmt.Sprintf("request %d", i)
			path := "/api/echo?text=" + url.QueryEscape(text)
			if i%3 == 0 { // some by tabs of their own
				path += fmt.Sprintf("&tab=t%d", i)
			}
			if i%10 == 9 {
				path = fmt.Sprintf("/api/generate?n=%d", i)
			}
			g := s.get(path)
			switch {
			case g.status != 200:
				t.Errorf("request %d: %d %s", i, g.status, g.body)
			case i%10 == 9:
				if list := readEvents(t, g.body); len(list) != i+2 || list[i].data != fmt.Sprint(i) {
					t.Errorf("stream %d has %d events", i, len(list))
				}
			case !strings.Contains(g.body, `"`+text+`"`):
				t.Errorf("request %d got %s", i, g.body)
			}
		})
	}
	wg.Wait()
	if f.overlap.Load() || f.open.Load() != 0 {
		t.Errorf("turns overlapped: %v; %d streams are open", f.overlap.Load(), f.open.Load())
	}
}

// TestTyping has a tab type while the device is held: what it typed last is answered.
func TestTyping(t *testing.T) {
	f := &fake{held: make(chan struct{}), release: make(chan struct{})}
	s := start(t, f)
	answers := make(chan got, 10)
	ask := func(path string) { go func() { answers <- s.get(path) }() }
	ask("/api/hold?text=first&tab=a")
	<-f.held
	ask("/api/echo?text=It&tab=a.main")
	eventually(t, "one waits", func() bool { return s.turns.Waiting() == 1 })
	ask("/api/echo?text=other&tab=a.side")
	eventually(t, "two wait", func() bool { return s.turns.Waiting() == 2 })
	ask("/api/echo?text=It+is&tab=a.main")
	if g := <-answers; g.status != 204 || g.body != "" {
		t.Errorf("the replaced request got %+v, expected 204 and nothing", g)
	}
	close(f.release)
	all := ""
	for range 3 {
		g := <-answers
		all += g.body
		if g.status != 200 {
			t.Errorf("found %+v", g)
		}
	}
	for _, text := range []string{"first", "other", "It is"} {
		if !strings.Contains(all, `"`+text+`"`) {
			t.Errorf("no answer has %q: %s", text, all)
		}
	}
}

func TestFullQueue(t *testing.T) {
	f := &fake{held: make(chan struct{}), release: make(chan struct{})}
	s := start(t, f, func(o *Options) { o.Queue = 4 })
	answers := make(chan got, 10)
	ask := func(path string) { go func() { answers <- s.get(path) }() }
	ask("/api/hold")
	<-f.held
	for i := range 4 {
		ask(fmt.Sprintf("/api/echo?text=x&tab=t%d", i))
	}
	eventually(t, "four wait", func() bool { return s.turns.Waiting() == 4 })
	g := s.get("/api/echo")
	g.wantError(t, 503, "too many requests")
	if g.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", g.header.Get("Retry-After"))
	}
	close(f.release)
	for range 5 {
		if g := <-answers; g.status != 200 {
			t.Errorf("found %+v", g)
		}
	}
}

// TestFewResults has results wait to become JSON: the device waits then, too.
func TestFewResults(t *testing.T) {
	f := &fake{held: make(chan struct{}), release: make(chan struct{})}
	s := start(t, f)
	answers := make(chan got, 10)
	for range 6 {
		go func() { answers <- s.get("/api/large") }()
	}
	<-f.held
	<-f.held
	eventually(t, "the others wait", func() bool { return s.turns.Waiting() == 3 })
	if n := f.large.Load(); n != 3 {
		t.Errorf("%d results are in memory, expected two that become JSON and one that waits", n)
	}
	for range 4 {
		f.release <- struct{}{}
		<-f.held
	}
	close(f.release)
	for range 6 {
		if g := <-answers; g.status != 200 {
			t.Errorf("found %+v", g)
		}
	}
}

// TestClientLeaves expects the device to be free when a client has gone.
func TestClientLeaves(t *testing.T) {
	f := &fake{held: make(chan struct{}, 1)}
	s := start(t, f)
	for _, path := range []string{"/api/wait", "/api/generate?n=1000000000", "/api/train?n=1000000000"} {
		ctx, cancel := context.WithCancel(t.Context())
		r, _ := http.NewRequestWithContext(ctx, "GET", s.url+path, nil)
		failed := make(chan error, 1)
		go func() {
			answer, err := s.c.Do(r)
			if err == nil {
				_, err = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
			failed <- err
		}()
		if path == "/api/wait" {
			<-f.held
		} else {
			n := f.pieces.Load()
			eventually(t, "the work goes on", func() bool { return f.pieces.Load() > n+3 })
		}
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: the client got %v", path, err)
		}
		if g := s.get("/api/echo?text=x"); g.status != 200 {
			t.Errorf("%s: afterwards %+v", path, g)
		}
		eventually(t, "the work is closed", func() bool { return f.open.Load() == 0 && f.busy.Load() == 0 })
	}
	if log := s.log.String(); log != "" {
		t.Errorf("the log is %q", log)
	}
}

// TestEnd ends a server with all kinds of requests under way.
func TestEnd(t *testing.T) {
	f := &fake{held: make(chan struct{}, 1)}
	s := start(t, f)
	answers := make(chan got, 10)
	for _, path := range []string{"/api/wait", "/api/echo?text=x", "/api/train?n=1000000000"} {
		go func() { answers <- s.get(path) }()
		if path == "/api/wait" {
			<-f.held
		}
	}
	eventually(t, "two wait", func() bool { return s.turns.Waiting() == 2 })
	if err := s.stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("the server ended with %v", err)
	}
	for range 3 {
		g := <-answers
		g.wantError(t, 503, "ending")
	}
	if f.busy.Load() != 0 || f.open.Load() != 0 {
		t.Errorf("%d turns and %d streams are left", f.busy.Load(), f.open.Load())
	}
	if _, err := s.c.Get(s.url); err == nil {
		t.Error("it still answers")
	}
}
