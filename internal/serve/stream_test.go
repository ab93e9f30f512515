package serve

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

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
