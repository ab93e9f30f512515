package bench

import (
	"bytes"
	"os"
	"testing"
	"time"

	"caldera/backend"
	"caldera/backend/null"
	"caldera/internal/bench/peer"
	"caldera/internal/bench/result"
	"caldera/internal/commandtest"
)

func TestMain(m *testing.M) {
	if code, child := Child(); child {
		os.Exit(code)
	}
	if mode := os.Getenv(asPeer); mode != "" {
		fakePeer(mode)
	}
	peer.Grace = commandtest.Patience
	os.Exit(m.Run())
}

// played is a null device whose speed is known to the nanosecond: it computes
// nothing, and time passes only as it says. It works while the host goes on.
type played struct {
	null.Backend

	now, busy time.Duration // by the clock, and when the device will be idle

	hostRun, hostOp, hostRecord time.Duration // a run of a program, an op of Run and of Record
	submit, dispatch, barrier   time.Duration // of the device
	read                        time.Duration
	flops, bandwidth            float64 // of Linear and Copy; 0: no time

	noise func() float64 // a factor for the work of a submit; nil: 1
	fails error          // of programs of Argmax; nil: they run
	most  int64          // bytes that were used at once

	free, total int64 // bytes, as it tells them

	draws   bool // tokens, beside the host
	fetched int  // results that were waited for without later work
}

func (p *played) Beside() bool { return p.draws }

// Fetch takes as long as Read.
func (p *played) Fetch(backend.Buffer, int, int) (func([]byte) error, error) {
	busy := p.busy
	return func([]byte) error {
		p.now = max(p.now, busy) + p.read
		p.fetched++
		return nil
	}, nil
}

func playedDevice(p *played) *Device {
	d := newDevice(backend.Device{Backend: "played", Name: "Played", Kind: backend.Discrete, Driver: "none"}, p,
		func() time.Time { return time.Unix(0, int64(p.now)) })
	d.sizes = sizes{read: [2]int{1024, 1024}, copy: 1 << 20, leastCopy: 1 << 16, squares: []int{64, 128, 256}}
	return d
}

func (p *played) Name() string { return "played" }

func (p *played) Alloc(size int) (backend.Buffer, error) {
	buf, err := p.Backend.Alloc(size)
	p.most = max(p.most, p.used())
	return buf, err
}

// used is the number of bytes of all buffers.
func (p *played) used() int64 {
	used, _, _ := p.Backend.Memory()
	return used
}

func (p *played) Memory() (used, free, total int64) { return p.used(), p.free, p.total }

func (p *played) Read([]byte, backend.Buffer, int) error {
	p.now = max(p.now, p.busy) + p.read
	return nil
}

func (p *played) Run(ops ...backend.Op) error {
	p.now += p.hostOp * time.Duration(len(ops))
	p.begin(p.cost(ops))
	return nil
}

// begin lets the device work for a while as soon as it is idle.
func (p *played) begin(took time.Duration) {
	if p.noise != nil {
		took = time.Duration(float64(took) * p.noise())
	}
	p.busy = max(p.now, p.busy) + took
}

// cost is how long a submit of ops takes.
func (p *played) cost(ops []backend.Op) time.Duration {
	took := p.submit
	written := map[backend.Tensor]bool{}
	for _, op := range ops {
		took += p.dispatch
		waits := false
		op.Operands(func(_ string, t *backend.Tensor, _ backend.Access) { waits = waits || written[*t] })
		if waits {
			took += p.barrier
			clear(written)
		}
		op.Operands(func(_ string, t *backend.Tensor, a backend.Access) { written[*t] = written[*t] || a.Writes() })
		switch o := op.(type) {
		case *backend.Linear:
			took += rateTime(2*float64(o.X.Rows()*o.W.Len()), p.flops)
		case *backend.Copy:
			took += rateTime(2*float64(o.X.Size()), p.bandwidth)
		}
	}
	return took
}

func rateTime(work, rate float64) time.Duration {
	if rate == 0 {
		return 0
	}
	return time.Duration(work / rate * 1e9)
}

func (p *played) Record(ops ...backend.Op) (backend.Program, error) {
	p.now += p.hostRecord * time.Duration(len(ops))
	x := &playedProgram{p, p.cost(ops), nil}
	if _, ok := ops[0].(*backend.Argmax); ok {
		x.err = p.fails
	}
	return x, nil
}

type playedProgram struct {
	p    *played
	cost time.Duration
	err  error
}

func (x *playedProgram) Run() error {
	x.p.now += x.p.hostRun
	x.p.begin(x.cost)
	return x.err
}

func (x *playedProgram) Close() error { return nil }

func quiet(repetitions int) Options {
	return Options{Repetitions: repetitions, Progress: func(string, int, int) {}}
}

// reread writes a record and reads it again, which checks it.
func reread(r result.Record) error {
	var out bytes.Buffer
	if err := result.WriteJSON(&out, []result.Record{r}); err != nil {
		return err
	}
	_, err := result.Read(out.Bytes())
	return err
}
