package serve

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"

	"caldera/internal/view"
)

// stream answers /api/generate and /api/train with events, as browsers' EventSource
// reads them: first "start", then those of the work, at last "done", or "failed"
// with an error. https://html.spec.whatwg.org/multipage/server-sent-events.html
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	q, turn, err := s.parameters(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	begin, err := s.device.Open(strings.TrimPrefix(r.URL.Path, "/api/"), q)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if r.Header.Get("Last-Event-ID") != "" {
		// An EventSource whose stream has ended asks again. This tells it to stop.
		w.WriteHeader(http.StatusNoContent)
		return
	}
	err = s.streams.Do(r.Context(), turn, func() error { return s.work(w, r, Turn{Tab: turn.Tab, Class: Step}, begin) })
	if err != nil {
		s.fail(w, r, err)
	}
}

// work does long work, a turn for each piece. An error is one before the first event.
func (s *Server) work(w http.ResponseWriter, r *http.Request, turn Turn, begin func(context.Context) (Work, error)) error {
	ctx := r.Context()
	var work Work
	err := s.turns.Do(ctx, turn, func() (err error) {
		if err := s.ending.Err(); err != nil {
			return err
		}
		work, err = begin(ctx)
		return err
	})
	if err != nil {
		return err
	}
	defer func() {
		// Freeing memory of the device is a turn, too, and due also if the client has left.
		err := s.turns.Do(context.WithoutCancel(ctx), turn, work.Close)
		if err != nil {
			s.logf(r, "closing: %v", err)
		}
	}()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // for proxies, of nginx's kind
	e := events{w: w}
	more := s.send(r, &e, Event{"start", work.Start()})
	for more {
		var list []Event
		err := s.turns.Do(ctx, turn, func() (err error) {
			list, more, err = work.Next(ctx)
			return err
		})
		if err != nil {
			f := s.faultOf(r, err)
			s.report(r, f)
			list, more = append(list, Event{"failed", failure(f.Err)}), false
		}
		more = s.send(r, &e, list...) && more
	}
	return nil
}

// send reports whether the client has got the events.
func (s *Server) send(r *http.Request, e *events, list ...Event) bool {
	err := e.send(list...)
	if err != nil && r.Context().Err() == nil {
		s.logf(r, "the stream was cut off: %v", err)
	}
	return err == nil
}

// events writes a stream.
type events struct {
	w    http.ResponseWriter
	sent int
}

func (e *events) send(list ...Event) error {
	if len(list) == 0 {
		return nil
	}
	var text bytes.Buffer
	for _, event := range list {
		e.sent++
		fmt.Fprintf(&text, "id: %d\nevent: %s\ndata: ", e.sent, event.Name)
		if err := view.WriteJSON(&text, event.Data); err != nil { // in one line, with its end
			return fmt.Errorf("event %s: %w", event.Name, err)
		}
		text.WriteByte('\n')
	}
	deadline(e.w)
	if _, err := e.w.Write(text.Bytes()); err != nil {
		return err
	}
	return http.NewResponseController(e.w).Flush()
}
