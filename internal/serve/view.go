package serve

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"caldera/internal/plot"
)

// Result is what a view has computed. It may also be a [Tabler] and a [Drawer].
type Result interface {
	WriteJSON(w io.Writer) error
}

// Tabler is a Result that is a table too.
type Tabler interface {
	Table() [][]string
}

// Drawer is a Result that is a picture too.
type Drawer interface {
	Draw(w io.Writer, f plot.Format) error
}

// forms are the endings that say in which form a view is wanted: the type of the
// answer, and how a result is written so. In a form with an ending it is saved by
// browsers as a file.
var forms = map[string]struct {
	kind  string
	write func(w io.Writer, r Result) error
}{
	"":      {"application/json", func(w io.Writer, r Result) error { return r.WriteJSON(w) }},
	".json": {"application/json", func(w io.Writer, r Result) error { return r.WriteJSON(w) }},
	".csv": {"text/csv; charset=utf-8", func(w io.Writer, r Result) error {
		t, ok := r.(Tabler)
		if !ok {
			return errNoForm
		}
		return writeCSV(w, t.Table())
	}},
	".svg": {"image/svg+xml", draw(plot.SVG)},
	".png": {"image/png", draw(plot.PNG)},
}

var errNoForm = errors.New("has no such form")

func draw(f plot.Format) func(io.Writer, Result) error {
	return func(w io.Writer, r Result) error {
		d, ok := r.(Drawer)
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
	var result Result
	if r.Method != http.MethodHead { // of which nothing but the header is wanted
		err := s.turns.Do(r.Context(), turn, func() (err error) {
			result, err = run(r.Context())
			return err
		})
		if err != nil {
			s.fail(w, r, err)
			return
		}
	}
	if ending != "" {
		w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", file))
	}
	s.answer(w, r, form.kind, func(w http.ResponseWriter) error {
		err := form.write(w, result)
		if errors.Is(err, errNoForm) {
			return refuse(http.StatusNotFound, "%s %w as %s: ask for %s", name, err, ending, name)
		}
		return err
	})
}

func unknown(r *http.Request) error {
	return refuse(http.StatusNotFound, "%.200q is not a view: /api/info lists them, and .json, .csv, .svg and .png behind a name ask for a file", r.URL.Path)
}

// answer writes an answer of the given type. An error before its first byte is
// answered instead; one behind it ends the connection.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, kind string, write func(w http.ResponseWriter) error) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	deadline(w)
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return
	}
	tracked := &tracker{ResponseWriter: w}
	err := write(tracked)
	if err == nil {
		return
	}
	if tracked.begun {
		s.logf(r, "the answer was cut off: %v", err)
		panic(http.ErrAbortHandler)
	}
	s.fail(w, r, err)
}

// writeCSV writes a table so that no spreadsheet computes with its cells: text that
// would be a formula gets an apostrophe before it, which spreadsheets take for "this
// is text". Numbers stay as they are.
// https://owasp.org/www-community/attacks/CSV_Injection
func writeCSV(w io.Writer, table [][]string) error {
	c := csv.NewWriter(w)
	for _, row := range table {
		row = slices.Clone(row)
		for i, cell := range row {
			if formula(cell) {
				row[i] = "'" + cell
			}
		}
		if err := c.Write(row); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

func formula(cell string) bool {
	if cell == "" || !strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return false
	}
	v, err := strconv.ParseFloat(cell, 64)
	return err != nil || math.IsInf(v, 0)
}
