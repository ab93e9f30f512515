package serve

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"caldera/backend"
	"caldera/inspect"
	"caldera/internal/printable"
	"caldera/internal/view"
)

// Fault is an error with the status of HTTP that a client gets.
type Fault struct {
	Status int
	Err    error
	Header http.Header // of the answer, beside the usual ones
	logged bool        // already
}

func (f *Fault) Error() string { return f.Err.Error() }
func (f *Fault) Unwrap() error { return f.Err }

// refuse returns a Fault with a message.
func refuse(status int, format string, args ...any) *Fault {
	return &Fault{Status: status, Err: fmt.Errorf(format, args...)}
}

// retry is how many seconds a client should wait that is sent away.
const retry = 1

var errEnding = &Fault{
	Status: http.StatusServiceUnavailable, Err: errors.New("the server is ending: start it again"),
	Header: http.Header{"Retry-After": {"5"}},
}

// faultOf finds the status that an error stands for.
func (s *Server) faultOf(r *http.Request, err error) *Fault {
	var f *Fault
	var user inspect.UserError
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &user):
		return &Fault{Status: http.StatusBadRequest, Err: err}
	case s.ending.Err() != nil:
		return errEnding
	case r.Context().Err() != nil:
		return &Fault{Status: 499, Err: errors.New("the client has left")} // nginx's number; nobody gets it
	case errors.Is(err, ErrReplaced):
		// No error, so that browsers do not report one: the tab has asked for something else.
		return &Fault{Status: http.StatusNoContent, Err: err}
	case errors.Is(err, ErrBusy):
		return &Fault{Status: http.StatusServiceUnavailable, Err: err, Header: http.Header{"Retry-After": {strconv.Itoa(retry)}}}
	case errors.Is(err, backend.ErrOutOfMemory):
		return &Fault{Status: http.StatusServiceUnavailable, Err: fmt.Errorf("%w: ask for less, or end what other tabs compute", err)}
	}
	return &Fault{Status: http.StatusInternalServerError, Err: err}
}

// fail answers with an error, as JSON, and logs those that are the server's own.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := s.faultOf(r, err)
	s.report(r, f)
	if f.Status == 499 {
		return
	}
	for name, values := range f.Header {
		w.Header()[name] = values
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Del("Content-Disposition")
	deadline(w)
	if f.Status == http.StatusNoContent {
		w.Header().Del("Content-Type")
		w.WriteHeader(f.Status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.Status)
	if r.Method != http.MethodHead {
		view.WriteJSON(w, failure(f.Err)) // whoever does not take it has left
	}
}

// report logs an error that is the server's own.
func (s *Server) report(r *http.Request, f *Fault) {
	if f.Status == http.StatusInternalServerError && !f.logged {
		s.logf(r, "%v", f.Err)
	}
}

// failure is an error as clients get it.
func failure(err error) any {
	return struct {
		Error string `json:"error"`
	}{err.Error()}
}

// logf writes a line about a request.
func (s *Server) logf(r *http.Request, format string, args ...any) {
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; ")
	s.log.Print(printable.Text(fmt.Sprintf("%s %.200s: %s", r.Method, r.URL.Path, text)))
}
