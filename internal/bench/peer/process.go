package peer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"caldera/internal/bench/result"
	"caldera/internal/setting"
	"caldera/internal/strictjson"
)

// Request is a line of JSON to a peer. The commands, in order:
//
//	start   Library, GPU                     says what it is, or that it is absent
//	load    Model, DType, GPU, Threads,      loads a model, for as many tokens
//	        Context, Sequences               as Context, of so many sequences
//	                                         together; several numbers for one after
//	                                         the other, none for one by itself
//	run     IDs, Chunk                       feeds ids, so many at a time, to an empty
//	                                         context, and times that
//	batch   Prompts, Predict, Told, Try      generates so many tokens after each prompt,
//	                                         the likeliest ones, in as many sequences
//	                                         together, and times that; with Try in one
//	                                         of the ways that it has, by turns, of which
//	                                         it takes the fastest later
//
// A peer that trains knows these, in place of load and run:
//
//	train   Model, DType, GPU, Threads,      loads a model to be trained
//	        Training
//	steps   IDs, Targets, Steps              learns so many times that each of ids,
//	                                         [accumulate, batch, time], is followed by
//	                                         its target, and times that
type Request struct {
	Command string `json:"command"`
	Library string `json:"library"` // where it is
	GPU     string `json:"gpu"`     // name of the device; empty for the CPU
	Model   string `json:"model"`
	DType   string `json:"dtype"`
	Threads int    `json:"threads"`
	Context int    `json:"context"`
	IDs     []int  `json:"ids"`
	Chunk   int    `json:"chunk"`

	Sequences []int   `json:"sequences"`
	Prompts   [][]int `json:"prompts"`
	Predict   int     `json:"predict"`
	Told      int     `json:"told"` // how many tokens after each prompt it tells, from the first on
	Try       bool    `json:"try"`

	Targets []int `json:"targets"`
	Steps   int   `json:"steps"`
	result.Training
}

// Reply is what it answers: one line.
type Reply struct {
	Name    string `json:"name"` // start
	Version string `json:"version"`
	Device  string `json:"device"`
	Info    string `json:"info"`
	Absent  string `json:"absent"`  // start: what is missing
	Threads int    `json:"threads"` // load, train: how many it has; and Info, how it computes
	NS      int64  `json:"ns"`      // run, batch, steps: from the first id until the token, all tokens, or all losses, are known
	Token   int    `json:"token"`   // run: the likeliest after the last id
	Error   string `json:"error"`   // of anything that fails

	Unsupported string `json:"unsupported"` // load, train: what of the model it does not compute

	Tokens  [][]int `json:"tokens"`  // batch: the first ones after each prompt
	Batches int     `json:"batches"` // batch: how often the model was evaluated; 0 if it cannot tell

	Losses     []float64 `json:"losses"`      // steps: before each, in nats
	PeakRSS    int64     `json:"peak_rss"`    // steps: the most memory of the process so far, in bytes; 0 if unknown
	PeakDevice int64     `json:"peak_device"` // steps: and of a GPU
}

// Bounds on what a peer writes.
const (
	maxReply  = 64 << 10
	maxLoss   = 1e24
	maxStderr = 4 << 10 // the end of it, which is kept for messages
)

// Grace is how long the system may take to end a process, and to hand over
// what it had written.
var Grace = 3 * time.Second // longer in tests on busy machines

// process is a peer's process, the leader of a group that is ended with it.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  chan line
	stderr tail
	said   chan struct{} // closed when stderr has ended
	done   chan struct{} // closed when the process has
	closed chan struct{}
	once   sync.Once
}

type line struct {
	text []byte
	err  error
}

// startProcess starts a program, whose files are in dir.
func startProcess(program Program, dir string) (*process, error) {
	p := &process{lines: make(chan line), said: make(chan struct{}), done: make(chan struct{}), closed: make(chan struct{})}
	p.cmd = exec.Command(program.Path)
	for _, a := range program.Args {
		if _, err := scripts.Open(a); err == nil {
			a = filepath.Join(dir, a)
		}
		p.cmd.Args = append(p.cmd.Args, a)
	}
	// OpenMP's threads and those of other pools wait by spinning, and take the
	// processors from one another, unless they are told not to.
	p.cmd.Env = append(append(os.Environ(), "OMP_WAIT_POLICY=PASSIVE"), program.Env...)
	p.cmd.SysProcAttr = OwnGroup()
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	// Pipes of our own: those of exec would keep Wait from returning while a
	// process that the peer started holds them open.
	stdout, stdoutEnd, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	stderr, stderrEnd, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, stdout.Close(), stdoutEnd.Close())
	}
	p.cmd.Stdout, p.cmd.Stderr = stdoutEnd, stderrEnd
	started := make(chan error)
	go func() {
		// Linux ends the process when the thread that started it ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // ProcessState tells
			endGroup(p.cmd.Process)
			close(p.done)
		}
	}()
	err = <-started
	stdoutEnd.Close()
	stderrEnd.Close()
	if err != nil {
		return nil, errors.Join(err, stdout.Close(), stderr.Close())
	}
	go p.read(stdout)
	go func() {
		defer close(p.said)
		defer stderr.Close()
		_, _ = io.Copy(&p.stderr, stderr)
	}()
	return p, nil
}

// read passes lines on until the output ends or the process is closed.
func (p *process) read(stdout *os.File) {
	defer close(p.lines)
	defer stdout.Close()
	r := bufio.NewReaderSize(stdout, maxReply)
	for {
		text, err := r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
		if err != nil {
			err = fmt.Errorf("it wrote a line of more than %d bytes", maxReply)
		}
		select {
		case p.lines <- line{bytes.Clone(text), err}:
		case <-p.closed:
			return
		}
		if err != nil {
			return
		}
	}
}

// ask sends a request and waits for the reply. After an error the process must
// not be used any more.
func (p *process) ask(ctx context.Context, timeout time.Duration, q Request) (Reply, error) {
	var a Reply
	text, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	start := time.Now()
	// In the background, because the pipe is full where the process does not read.
	// Whether it has read shows in the reply.
	go func() { _, _ = p.stdin.Write(append(text, '\n')) }()
	line, ok, err := p.line(ctx, timeout)
	elapsed := time.Since(start)
	switch {
	case err != nil:
		return a, err
	case !ok:
		return a, p.ended()
	case line.err != nil:
		return a, line.err
	}
	if err := json.Unmarshal(line.text, &a); err != nil {
		return a, fmt.Errorf("it wrote %q, expected a line of JSON (%w)", strictjson.Shorten(string(bytes.TrimSpace(line.text))), err)
	}
	if a.Unsupported != "" {
		return a, fmt.Errorf("%w: %s", result.ErrUnsupported, result.OneLine(a.Unsupported))
	}
	if a.Error != "" {
		return a, errors.New(result.OneLine(a.Error))
	}
	if timed := q.Command == "run" || q.Command == "batch" || q.Command == "steps"; timed && (a.NS <= 0 || a.NS > elapsed.Nanoseconds()) {
		return a, fmt.Errorf("it says that it took %d ns, expected more than 0 and at most %d, after which it said so", a.NS, elapsed.Nanoseconds())
	}
	switch q.Command {
	case "steps":
		return a, a.checkSteps(q.Steps)
	case "batch":
		return a, a.checkBatch(q)
	}
	return a, nil
}

func (a Reply) checkBatch(q Request) error {
	if len(a.Tokens) != len(q.Prompts) {
		return fmt.Errorf("it tells tokens of %d sequences, expected %d", len(a.Tokens), len(q.Prompts))
	}
	want := min(q.Told, q.Predict)
	for i, ids := range a.Tokens {
		if len(ids) != want {
			return fmt.Errorf("it tells %d tokens of sequence %d, expected %d", len(ids), i, want)
		}
	}
	if a.Batches < 0 {
		return fmt.Errorf("it tells that it evaluated %d batches", a.Batches)
	}
	return nil
}

func (a Reply) checkSteps(n int) error {
	if len(a.Losses) != n {
		return fmt.Errorf("it tells %d losses, expected %d, of as many steps", len(a.Losses), n)
	}
	for _, x := range a.Losses {
		if !(x >= 0 && x < maxLoss) {
			return fmt.Errorf("it tells a loss of %v, expected 0 or more", x)
		}
	}
	if a.PeakRSS < 0 || a.PeakDevice < 0 {
		return fmt.Errorf("it tells that it has used %d and %d bytes of memory", a.PeakRSS, a.PeakDevice)
	}
	return nil
}

// line waits for the next line; ok is false where there is none to come.
func (p *process) line(ctx context.Context, timeout time.Duration) (line line, ok bool, err error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case line, ok = <-p.lines:
		return line, ok, nil
	case <-p.done:
	case <-ctx.Done():
		return line, false, ctx.Err()
	case <-timer.C:
		return line, false, setting.Errorf("it did not answer within %v and was ended: raise the {timeout}, or run it on an idle machine", timeout)
	}
	// It may have answered before it ended, and a process that left its group
	// may hold the pipe open.
	timer.Reset(Grace)
	select {
	case line, ok = <-p.lines:
	case <-timer.C:
	}
	return line, ok, nil
}

// ended describes how the process ended, with the last line that it wrote.
func (p *process) ended() error {
	select {
	case <-p.done:
	case <-time.After(Grace): // only its output has ended
	}
	p.close()
	for _, c := range []chan struct{}{p.done, p.said} {
		select {
		case <-c:
		case <-time.After(Grace):
			return errors.New("it wrote nothing more and could not be ended")
		}
	}
	last := ""
	for line := range strings.Lines(p.stderr.String()) {
		// The last line that is no part of a stack and not what node writes at its end.
		if len(line) > 3 && line[0] != ' ' && line[0] != '\t' && !strings.HasPrefix(line, "Node.js v") {
			last = ": " + result.OneLine(line)
		}
	}
	return fmt.Errorf("it ended (%v)%s", p.cmd.ProcessState, last)
}

// close ends the process and those that it started.
func (p *process) close() {
	p.once.Do(func() {
		close(p.closed)
		select {
		case <-p.done: // and its group with it
		default:
			endGroup(p.cmd.Process)
		}
		select {
		case <-p.done:
		case <-time.After(Grace): // the system cannot end it yet, perhaps because of a driver
		}
	})
}

// tail keeps the end of what is written.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if n := len(t.text) - maxStderr; n > 0 {
		t.text = append(t.text[:0], t.text[n:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
