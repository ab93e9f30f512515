package serve

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"caldera/inspect"
	"caldera/internal/plot"
	"caldera/internal/view"
)

// fake is a device that computes nothing. Its views do what their names say.
type fake struct {
	busy    atomic.Int32 // turns at this moment
	overlap atomic.Bool  // there were two
	open    atomic.Int32 // works that are not closed
	pieces  atomic.Int32 // of works
	held    chan struct{}
	release chan struct{} // what "hold" waits for, after it has told held
}

func (f *fake) turn() func() {
	if f.busy.Add(1) > 1 {
		f.overlap.Store(true)
	}
	return func() { f.busy.Add(-1) }
}

func (f *fake) Info() any { return map[string]any{"model": "fake"} }

type result struct {
	Text_ string `json:"text"`
}

func (r result) Text(s *view.Screen) error { return s.Print("%s", r.Text_) }

type tableResult struct{ result }

func (r tableResult) Table() [][]string { return [][]string{{"text", "number"}, {r.Text_, "-1"}} }

func (r tableResult) Draw(w io.Writer, f plot.Format) error {
	_, err := fmt.Fprintf(w, "<%s>", f)
	return err
}

// broken fails in the middle of its JSON, and before its picture.
type broken struct{ result }

func (b broken) Draw(w io.Writer, f plot.Format) error { return errors.New("the pen broke") }

func (f *fake) View(name string, q url.Values) (func(context.Context) (*view.Answer, error), error) {
	var p struct{ Text string }
	if err := view.Read(&p, name, q, nil); err != nil {
		return nil, err
	}
	answer := func(r view.Result) (*view.Answer, error) { return &view.Answer{View: name, Result: r}, nil }
	views := map[string]func(context.Context) (*view.Answer, error){
		"echo":   func(context.Context) (*view.Answer, error) { return answer(result{p.Text}) },
		"table":  func(context.Context) (*view.Answer, error) { return answer(tableResult{result{p.Text}}) },
		"broken": func(context.Context) (*view.Answer, error) { return answer(broken{}) },
		"panic":  func(context.Context) (*view.Answer, error) { var m map[string]int; m["x"] = 1; return nil, nil },
		"fail":   func(context.Context) (*view.Answer, error) { return nil, errors.New("the device\nis lost \x1b[31m") },
		"user":   func(context.Context) (*view.Answer, error) { return nil, inspect.Userf("layer 9: expected 0 to 5") },
		"wait": func(ctx context.Context) (*view.Answer, error) {
			f.held <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"hold": func(ctx context.Context) (*view.Answer, error) {
			f.held <- struct{}{}
			<-f.release
			return answer(result{p.Text})
		},
	}
	run, ok := views[name]
	if !ok {
		return nil, ErrUnknown
	}
	return func(ctx context.Context) (*view.Answer, error) {
		defer f.turn()()
		return run(ctx)
	}, nil
}

// fakeWork counts to n; text "fail" and "panic" do so at the third piece.
type fakeWork struct {
	f    *fake
	n, i int
	text string
}

func (f *fake) Open(name string, q url.Values) (func(context.Context) (Work, error), error) {
	var p struct {
		N    int
		Text string
	}
	if err := view.Read(&p, name, q, nil); err != nil {
		return nil, err
	}
	return func(context.Context) (Work, error) {
		defer f.turn()()
		if p.Text == "none" {
			return nil, inspect.Userf("no place")
		}
		f.open.Add(1)
		return &fakeWork{f: f, n: p.N, text: p.Text}, nil
	}, nil
}

func (w *fakeWork) Start() any { return map[string]string{"text": w.text} }

func (w *fakeWork) Next(ctx context.Context) ([]Event, bool, error) {
	defer w.f.turn()()
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	w.f.pieces.Add(1)
	if w.i++; w.i == 3 {
		switch w.text {
		case "fail":
			return nil, false, errors.New("the device is lost")
		case "panic":
			panic("a bug")
		case "nan":
			return []Event{{"token", w.Next}}, true, nil // which is no JSON
		}
	}
	if w.i == w.n {
		return []Event{{"token", w.i}, {"done", "length"}}, false, nil
	}
	return []Event{{"token", w.i}}, true, nil
}

func (w *fakeWork) Close() error {
	defer w.f.turn()()
	w.f.open.Add(-1)
	return nil
}

// logged is a log that tests read.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// served is a server that runs.
type served struct {
	*Server
	t    *testing.T
	url  string
	addr string
	log  *logged
	stop func() error // ends it, and waits
	c    *http.Client
}

var testPage = fstest.MapFS{
	"index.html":    {Data: []byte(`<link href="app.css"><script src="app.js"></script>`)},
	"app.js":        {Data: []byte("console.log(1)")},
	"app.css":       {Data: []byte("body {}")},
	"deep/font.bin": {Data: []byte("x")},
}

func start(t *testing.T, d Device, change ...func(*Options)) *served {
	t.Helper()
	l := &logged{}
	o := Options{Page: testPage, Policy: "default-src 'none'; script-src 'self'", Log: log.New(l, "", 0), Queue: 1000, Streams: 4}
	for _, c := range change {
		c(&o)
	}
	s, err := New(d, o)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener) }()
	var once sync.Once
	var failed error
	stop := func() error {
		once.Do(func() {
			cancel()
			failed = <-ended
		})
		return failed
	}
	t.Cleanup(func() { stop() })
	transport := &http.Transport{MaxIdleConnsPerHost: 300}
	t.Cleanup(transport.CloseIdleConnections)
	return &served{s, t, "http://" + listener.Addr().String(), listener.Addr().String(), l, stop, &http.Client{Transport: transport}}
}

// got is an answer.
type got struct {
	status int
	header http.Header
	body   string
}

// do sends a request; change may set headers.
func (s *served) do(method, path, body string, change ...func(*http.Request)) got {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range change {
		c(r)
	}
	answer, err := s.c.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return got{answer.StatusCode, answer.Header, string(text)}
}

func (s *served) get(path string, change ...func(*http.Request)) got {
	s.t.Helper()
	return s.do("GET", path, "", change...)
}

func header(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[name] = values }
}

// wantError expects an error of this status, as JSON in one line, with these parts.
func (g got) wantError(t *testing.T, status int, parts ...string) {
	t.Helper()
	var e struct{ Error string }
	if err := json.Unmarshal([]byte(g.body), &e); err != nil || g.status != status || g.header.Get("Content-Type") != "application/json" || strings.Count(g.body, "\n") != 1 {
		t.Errorf("found status %d, %s, %q (%v), expected %d and an error in JSON", g.status, g.header.Get("Content-Type"), g.body, err, status)
	}
	for _, p := range parts {
		if !strings.Contains(e.Error, p) {
			t.Errorf("the error is %q, expected it to tell %q", e.Error, p)
		}
	}
}

// event is an event of a stream.
type event struct{ id, name, data string }

// events reads a stream to its end.
func readEvents(t *testing.T, body string) (list []event) {
	t.Helper()
	var e event
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "":
			list = append(list, e)
			e = event{}
		case name == "id":
			e.id = value
		case name == "event":
			e.name = value
		case name == "data" && e.data == "":
			e.data = value
		default:
			t.Errorf("line %q is no line of an event", line)
		}
	}
	if e != (event{}) {
		t.Errorf("the stream ends within an event: %+v", e)
	}
	return list
}

func names(list []event) string {
	var all []string
	for _, e := range list {
		all = append(all, e.name)
	}
	return strings.Join(all, " ")
}

// eventually waits for what must come about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("it did not come about: %s", what)
}

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

// TestHostile sends what no page sends.
func TestHostile(t *testing.T) {
	s := start(t, &fake{})
	s.get("/api/echo?text=%ff").wantError(t, 400, `"text"`, "byte 0 is 0xff", "UTF-8")
	s.get("/api/echo?%ff=1").wantError(t, 400, "UTF-8")
	s.get("/api/echo?text=%zz").wantError(t, 400, "percent-encoded")
	s.get("/api/echo?text=a;b").wantError(t, 400)
	s.get("/api/echo?text="+strings.Repeat("%C3%A9", 100_000)).wantError(t, 414, "600015 bytes", "at most 262144", "shorter")
	if g := s.get("/api/echo?text=" + strings.Repeat("x", 100_000)); g.status != 200 || !strings.Contains(g.body, `"`+strings.Repeat("x", 100_000)+`"`) {
		t.Errorf("100,000 letters: status %d", g.status)
	}
	r, _ := http.NewRequest("GET", s.url, nil)
	r.Header.Set("X-Long", strings.Repeat("x", maxHeader+8192))
	if answer, err := s.c.Do(r); err == nil && answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge { // or the connection is gone before the client has sent all
		t.Errorf("a header of more than 2 MiB: status %d", answer.StatusCode)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"} {
		g := s.do(method, "/api/echo", "")
		g.wantError(t, 405, method, "GET")
		if g.header.Get("Allow") != "GET, HEAD" || g.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", method, g.header)
		}
	}
	s.do("PUT", "/api/train", "").wantError(t, 405, "GET or POST")
	form := "text=" + strings.Repeat("x", 1<<20) + "&n=1"
	if g := s.do("POST", "/api/train", form); g.status != 200 || !strings.Contains(g.body, strings.Repeat("x", 1<<20)) {
		t.Errorf("a long text by POST: status %d", g.status)
	}
	s.do("POST", "/api/train", "text="+strings.Repeat("x", maxBody)).wantError(t, 413, "shorter")
	s.do("POST", "/api/train", "text=x", header("Content-Type", "text/plain")).wantError(t, 415, "text/plain", "form-urlencoded")
	s.do("POST", "/api/train", "text=%ff").wantError(t, 400, "UTF-8")
	for _, tab := range []string{"a b", "a.b.c", ".", strings.Repeat("x", 65), "é"} {
		s.get("/api/echo?tab="+url.QueryEscape(tab)).wantError(t, 400, "tab")
	}
	s.get("/api/echo?tab=a&tab=b").wantError(t, 400, "tab", "one name")
	s.get("/api/echo?tab=a", header("X-Tab", "b")).wantError(t, 400, "tab")
	if g := s.get("/api/echo?text=x", header("X-Tab", "a.b")); g.status != 200 {
		t.Errorf("a tab with a panel: %+v", g)
	}
}

// TestOtherSites has pages of other sites ask, as browsers would tell.
func TestOtherSites(t *testing.T) {
	s := start(t, &fake{})
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	_, port, _ := net.SplitHostPort(s.addr)
	for _, h := range []string{"evil.example", "evil.example:" + port, "127.0.0.1.evil.example", "localhost.", "0.0.0.0:" + port, "[::]", "10.0.0.1", "a@localhost"} {
		for _, path := range []string{"/", "/api/info", "/api/echo"} {
			s.get(path, host(h)).wantError(t, 403, "host")
		}
	}
	for _, h := range []string{"localhost", "LOCALHOST:" + port, "127.0.0.1:9999", "[::1]:" + port, "[::1]"} {
		if g := s.get("/api/info", host(h)); g.status != 200 {
			t.Errorf("host %s: %+v", h, g)
		}
	}
	for _, c := range []struct {
		path    string
		headers []func(*http.Request)
		status  int
	}{
		{"/api/echo", []func(*http.Request){header("Origin", s.url)}, 200},
		{"/api/echo", []func(*http.Request){header("Origin", "http://evil.example")}, 403},
		{"/api/echo", []func(*http.Request){header("Origin", "null")}, 403},
		{"/api/echo", []func(*http.Request){header("Origin", s.url, s.url)}, 403},
		{"/api/echo", []func(*http.Request){header("Sec-Fetch-Site", "same-origin")}, 200},
		{"/api/echo", []func(*http.Request){header("Sec-Fetch-Site", "none")}, 200},
		{"/api/echo", []func(*http.Request){header("Sec-Fetch-Site", "cross-site")}, 403},
		{"/api/echo", []func(*http.Request){header("Sec-Fetch-Site", "same-site")}, 403},
		{"/api/echo", []func(*http.Request){header("Sec-Fetch-Site", "cross-site"), header("Sec-Fetch-Mode", "navigate")}, 200},
		{"/api/generate?n=1", []func(*http.Request){header("Sec-Fetch-Site", "cross-site"), header("Sec-Fetch-Mode", "navigate")}, 403},
		{"/api/train?n=1", []func(*http.Request){header("Origin", "http://localhost:1")}, 403},
		{"/api/train?n=1", []func(*http.Request){header("Sec-Fetch-Site", "same-origin")}, 200},
		{"/", []func(*http.Request){header("Sec-Fetch-Site", "cross-site"), header("Sec-Fetch-Mode", "navigate")}, 200},
	} {
		if g := s.get(c.path, c.headers...); g.status != c.status {
			t.Errorf("%s with other headers: status %d (%s), expected %d", c.path, g.status, g.body, c.status)
		}
	}
	all := hostsOf(&net.TCPAddr{IP: net.IPv4zero, Port: 80}, "box.example")
	for h, want := range map[string]bool{"192.168.1.7": true, "[fe80::1]:80": true, "Box.example": true, "evil.example": false, "": false} {
		if all.has(h) != want {
			t.Errorf("a server of all addresses is called %q: %v, expected %v", h, !want, want)
		}
	}
	if one := hostsOf(&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 80}, ""); one.has("localhost") || !one.has("10.0.0.1:80") {
		t.Error("a server of one address has other names than it")
	}
}

func TestPanicIsAnswered(t *testing.T) {
	s := start(t, &fake{})
	for range 3 {
		s.get("/api/panic").wantError(t, 500, "fault of the program", "/api/panic")
	}
	if log := s.log.String(); strings.Count(log, "\n") != 3 || !strings.Contains(log, "nil map") || !strings.Contains(log, "serve_test.go:") {
		t.Errorf("the log is %q", log)
	}
	if g := s.get("/api/echo?text=x"); g.status != 200 {
		t.Errorf("afterwards: %+v", g)
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
	(<-answers).wantError(t, 409, "newer request")
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

func TestStreams(t *testing.T) {
	f := &fake{}
	s := start(t, f)
	g := s.get("/api/generate?n=3&text=hi")
	list := readEvents(t, g.body)
	if names(list) != "start token token token done" || list[0] != (event{"1", "start", `{"text":"hi"}`}) || list[4] != (event{"5", "done", `"length"`}) {
		t.Errorf("the events are %v", list)
	}
	if g.header.Get("Content-Type") != "text/event-stream" || g.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the headers are %v", g.header)
	}
	if g := s.get("/api/generate?n=3", header("Last-Event-ID", "5")); g.status != 204 || g.body != "" {
		t.Errorf("an EventSource that asks again got %+v", g)
	}
	list = readEvents(t, s.get("/api/train?n=9&text=fail").body)
	if names(list) != "start token token failed" || list[3].data != `{"error":"the device is lost"}` {
		t.Errorf("the events are %v", list)
	}
	s.get("/api/train?n=9&text=none").wantError(t, 400, "no place")
	s.get("/api/train?n=x").wantError(t, 400, "n: expected")
	for _, text := range []string{"panic", "nan"} {
		r, err := s.c.Get(s.url + "/api/generate?n=9&text=" + text)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if list := readEvents(t, string(body)); names(list) != "start token token" || text == "panic" && err == nil {
			t.Errorf("%s: the events are %v, then %v", text, list, err)
		}
	}
	if log := s.log.String(); strings.Count(log, "\n") != 3 || !strings.Contains(log, "the device is lost") || !strings.Contains(log, "a bug") || !strings.Contains(log, "cut off") {
		t.Errorf("the log is %q", log)
	}
	if f.open.Load() != 0 || f.overlap.Load() {
		t.Errorf("%d streams are open; turns overlapped: %v", f.open.Load(), f.overlap.Load())
	}
}

// TestKeystrokesBetweenSteps asks for views while streams of other tabs take the device
// all the time, one piece after the other.
func TestKeystrokesBetweenSteps(t *testing.T) {
	f := &fake{}
	s := start(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var streams sync.WaitGroup
	for i := range 4 {
		streams.Go(func() {
			r, _ := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("%s/api/train?n=1000000000&tab=train%d", s.url, i), nil)
			if answer, err := s.c.Do(r); err == nil {
				io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
		})
	}
	eventually(t, "four streams", func() bool { return f.open.Load() == 4 })
	for range 20 {
		before := f.pieces.Load()
		if g := s.get("/api/echo?text=x&tab=typing"); g.status != 200 {
			t.Fatalf("found %+v", g)
		}
		eventually(t, "the streams go on", func() bool { return f.pieces.Load() > before+8 })
	}
	if f.overlap.Load() {
		t.Error("turns overlapped")
	}
	fifth, err := http.NewRequestWithContext(ctx, "GET", s.url+"/api/train?n=1&tab=fifth", nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan string, 1)
	go func() {
		if answer, err := s.c.Do(fifth); err == nil {
			line, _ := bufio.NewReader(answer.Body).ReadString('\n')
			answer.Body.Close()
			done <- line
		}
	}()
	eventually(t, "the fifth stream waits", func() bool { return s.streams.Waiting() == 1 })
	cancel()
	streams.Wait()
	eventually(t, "all are closed", func() bool { return f.open.Load() == 0 })
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

// TestEndOfStream ends a server in the middle of a stream: the client is told.
func TestEndOfStream(t *testing.T) {
	f := &fake{}
	s := start(t, f)
	answer := make(chan got, 1)
	go func() { answer <- s.get("/api/train?n=1000000000") }()
	eventually(t, "it streams", func() bool { return f.pieces.Load() > 3 })
	s.stop()
	list := readEvents(t, (<-answer).body)
	if last := list[len(list)-1]; last.name != "failed" || !strings.Contains(last.data, "ending") || f.open.Load() != 0 {
		t.Errorf("the last event is %+v, and %d streams are open", last, f.open.Load())
	}
}
