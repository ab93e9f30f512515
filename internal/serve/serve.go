// Package serve is the server of the page on which a reader looks into a GPT: views
// as JSON, tables and pictures, text that is written token by token, and a small
// model that learns.
//
//	serve.go      the server: what it is made of, listening, ending
//	guard.go      what every request must pass: who may ask, how much, in which form
//	fault.go      errors as a client gets them
//	page.go       the files of the page
//	view.go       /api/VIEW: one answer, computed in one turn
//	stream.go     /api/generate, /api/train: long work, a turn for each piece
//	scheduler.go  how tabs share the device
//	device.go     a model on its device, as a Device
//	write.go      text, written token by token
//	train.go      a small model that learns
//
// The server holds no secrets and changes nothing on disk. It still trusts no
// request: any page that the reader has open can send it some.
package serve

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"caldera/internal/view"
)

// Device is a model on a device. The server calls what View and Open return for one
// request at a time, in the pauses of a view also for another one
// ([inspect.WithPause]), and Info, View and Open themselves at any time.
type Device interface {
	// Info is what /api/info answers, as JSON.
	Info() any

	// View reads the parameters of a view. run computes it; it stops when ctx ends. The
	// error is [ErrUnknown] if there is no such view.
	View(name string, q url.Values) (run func(ctx context.Context) (*view.Answer, error), err error)

	// Open reads the parameters of long work. begin makes it ready.
	Open(name string, q url.Values) (begin func(ctx context.Context) (Work, error), err error)
}

// Work is long work in pieces, each of which is computed in a turn of its own, so
// that other requests are answered in between.
type Work interface {
	// Start is what the client is told first.
	Start() any

	// Next does the next piece and returns what it has to tell, if anything. more is
	// false after the last piece.
	Next(ctx context.Context) (events []Event, more bool, err error)

	Close() error
}

// Event is an event of a stream: its name, and data that is sent as JSON.
type Event struct {
	Name string
	Data any
}

// ErrUnknown is the error of a view or a stream that there is not.
var ErrUnknown = errors.New("unknown")

// Options say how a server works. All but Host must be set.
type Options struct {
	Host   string // by which clients call it, beside the address that it listens on
	Page   fs.FS  // its files, index.html among them
	Policy string // the page's Content-Security-Policy
	Log    *log.Logger

	Queue   int // requests that may wait for the device
	Streams int // that are computed at the same time, each with memory of its own
}

// Server answers requests about one model on one device.
type Server struct {
	device  Device
	host    string
	log     *log.Logger
	policy  string
	assets  map[string]asset
	mux     *http.ServeMux
	hosts   hosts
	turns   *Scheduler    // of the device
	streams *Scheduler    // places for streams, which wait for turns of the device then
	writing chan struct{} // places for results that are being written as JSON and so on

	ending  context.Context // ends when the server does
	end     context.CancelFunc
	running sync.RWMutex // read-locked by every request
}

// What the server accepts.
const (
	maxHeader      = 2 << 20 // bytes of a request's line and header; what has more gets no JSON
	maxAddress     = 256 << 10
	maxBody        = 4 << 20 // of parameters, percent-encoded
	maxConnections = 2048
	maxTab         = 64
	maxWriting     = 2 // results at a time that become JSON: some are a hundred megabytes

	headerTime = 10 * time.Second
	bodyTime   = 30 * time.Second
	writeTime  = 30 * time.Second // for an answer, or an event of a stream, to be taken
	idleTime   = 2 * time.Minute
	endTime    = 3 * time.Second // for answers to be taken when the server ends
)

// New returns a server for the model on d.
func New(d Device, o Options) (*Server, error) {
	assets, err := readPage(o.Page)
	if err != nil {
		return nil, err
	}
	s := &Server{
		device: d, host: o.Host, log: o.Log, policy: o.Policy, assets: assets, mux: http.NewServeMux(),
		turns: NewScheduler(1, o.Queue), streams: NewScheduler(o.Streams, o.Queue), writing: make(chan struct{}, maxWriting),
	}
	s.ending, s.end = context.WithCancel(context.Background())
	s.mux.HandleFunc("/api/info", s.info)
	s.mux.HandleFunc("/api/generate", s.stream)
	s.mux.HandleFunc("/api/train", s.stream)
	s.mux.HandleFunc("/api/{view}", s.view)
	s.mux.HandleFunc("/", s.file)
	return s, nil
}

// Serve answers requests that come through l until ctx ends. Then it cancels those
// that are being computed, waits until the device is not used any more, and returns
// the error of ctx. It closes l. A server serves once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	s.hosts = hostsOf(l.Addr(), s.host)
	server := &http.Server{
		Handler: s, ErrorLog: s.log, MaxHeaderBytes: maxHeader, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime,
		BaseContext: func(net.Listener) context.Context { return s.ending },
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(netutil.LimitListener(l, maxConnections)) }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.end()
	wait, stop := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer stop()
	if server.Shutdown(wait) != nil {
		server.Close() // clients that do not take their answers
	}
	s.running.Lock() // waits for requests, which end at their next look at the context
	return err
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.running.TryRLock() {
		s.fail(w, r, errEnding)
		return
	}
	defer s.running.RUnlock()
	s.guard(w, r)
}

func (s *Server) info(w http.ResponseWriter, r *http.Request) {
	q, _, err := s.parameters(w, r)
	if err == nil {
		err = only(q)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	var body bytes.Buffer
	if err := view.WriteJSON(&body, s.device.Info()); err != nil {
		s.fail(w, r, err)
		return
	}
	s.answer(w, r, "application/json", &body)
}
