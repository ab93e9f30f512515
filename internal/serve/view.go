package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"

	"caldera/inspect"
	"caldera/internal/plot"
	"caldera/internal/view"
)

// forms are the endings that say in which form a view is wanted: the type of the
// answer, and how it is written so. In a form with an ending it is saved by browsers
// as a file.
var forms = map[string]struct {
	kind  string
	write func(w io.Writer, a *view.Answer) error
}{
	"":      {"application/json", writeAnswer},
	".json": {"application/json", writeAnswer},
	".csv": {"text/csv; charset=utf-8", func(w io.Writer, a *view.Answer) error {
		t, ok := a.Result.(view.Tabler)
		if !ok {
			return errNoForm
		}
		return view.WriteCSV(w, t)
	}},
	".svg": {"image/svg+xml", draw(plot.SVG)},
	".png": {"image/png", draw(plot.PNG)},
}

var errNoForm = errors.New("there is no such form of it")

func writeAnswer(w io.Writer, a *view.Answer) error { return view.WriteJSON(w, a) }

func draw(f plot.Format) func(io.Writer, *view.Answer) error {
	return func(w io.Writer, a *view.Answer) error {
		d, ok := a.Result.(view.Drawer)
		if !ok {
			return errNoForm
		}
		return d.Draw(w, f)
	}
}

// view answers /api/VIEW, and /api/VIEW.svg and so on.
func (s *Server) view(w http.ResponseWriter, r *http.Request) {
	file := r.PathValue("view")
	ending := path.Ext(file)
	name := strings.TrimSuffix(file, ending)
	form, known := forms[ending]
	if !known || name == "" {
		s.fail(w, r, unknown(r))
		return
	}
	q, turn, err := s.parameters(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	run, err := s.device.View(name, q)
	if errors.Is(err, ErrUnknown) {
		err = unknown(r)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	var body bytes.Buffer
	if r.Method != http.MethodHead { // of which nothing but the header is wanted
		err := s.compute(r.Context(), turn, run, func(a *view.Answer) error { return form.write(&body, a) })
		if errors.Is(err, errNoForm) {
			err = refuse(http.StatusNotFound, "%s%s: %w: ask for %s", name, ending, err, name)
		}
		if err != nil {
			s.fail(w, r, err)
			return
		}
	}
	if ending != "" {
		w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", file))
	}
	s.answer(w, r, form.kind, &body)
}

// compute runs a view in a turn, and writes what it gives. Results are larger than
// what is sent of them, so there are few at a time: the turn ends when one of those
// before is written.
func (s *Server) compute(ctx context.Context, turn Turn, run func(context.Context) (*view.Answer, error), write func(*view.Answer) error) error {
	var answer *view.Answer
	err := s.turns.Do(ctx, turn, func() (err error) {
		if err := s.ending.Err(); err != nil { // before that of ctx, which follows it
			return err
		}
		paused := inspect.WithPause(ctx, func() error { return s.turns.Yield(ctx, turn.Tab) })
		if answer, err = run(paused); err != nil {
			return err
		}
		select {
		case s.writing <- struct{}{}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err != nil {
		return err
	}
	defer func() { <-s.writing }()
	return write(answer)
}

func unknown(r *http.Request) error {
	return refuse(http.StatusNotFound, "%.200q is not a view: /api/info lists them, and .json, .csv, .svg and .png behind a name ask for a file", r.URL.Path)
}

// answer sends an answer of the given type.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, kind string, body *bytes.Buffer) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	deadline(w)
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.Write(body.Bytes()) // whoever does not take it has left
}
