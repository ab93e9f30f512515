package serve

import (
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
	"caldera/internal/commandtest"
	"caldera/internal/plot"
	"caldera/internal/view"
)

// fake is a device that computes nothing. Its views do what their names say.
type fake struct {
	busy    atomic.Int32 // turns at this moment
	overlap atomic.Bool  // there were two
	open    atomic.Int32 // works that are not closed
	large   atomic.Int32 // results that are not JSON yet
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

// large is a result that counts itself, and takes its time to become JSON.
type large struct {
	result
	f *fake
}

func (l large) MarshalJSON() ([]byte, error) {
	l.f.held <- struct{}{}
	<-l.f.release
	l.f.large.Add(-1)
	return []byte("1"), nil
}

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
		"large":  func(context.Context) (*view.Answer, error) { f.large.Add(1); return answer(large{f: f}) },
		"table":  func(context.Context) (*view.Answer, error) { return answer(tableResult{result{p.Text}}) },
		"broken": func(context.Context) (*view.Answer, error) { return answer(broken{}) },
		"panic": func(context.Context) (*view.Answer, error) {
			var none []int
			return nil, fmt.Errorf("%d", none[len(name)])
		},
		"fail": func(context.Context) (*view.Answer, error) { return nil, errors.New("the device\nis lost \x1b[31m") },
		"user": func(context.Context) (*view.Answer, error) { return nil, inspect.Userf("layer 9: expected 0 to 5") },
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
	for end := time.Now().Add(commandtest.Patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not come about: %s", what)
		}
	}
}
