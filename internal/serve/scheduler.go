package serve

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// Why a turn was not given.
var (
	ErrBusy     = errors.New("too many requests wait for the device: send this one again in a moment")
	ErrReplaced = errors.New("a newer request of the same tab for the same thing took the place of this one while it waited: use the answer to the newer one")
)

// Class is how urgent a turn is.
type Class int

const (
	Quick Class = iota // an answer that somebody waits for
	Step               // a piece of long work, such as a step of training
)

// Turn says for whom and for what a turn is.
type Turn struct {
	Tab   string // who asks; tabs are served in rotation. "": all who have no name, as one tab
	Kind  string // what is asked for; "": nothing that a newer turn replaces
	Class Class
}

// quickInARow is how many quick turns go before a waiting step of long work. So
// long work delays a quick turn by one step at most, however many steps wait, and
// quick turns without end do not stop long work.
const quickInARow = 4

// Scheduler shares a thing, such as a device, among tabs. It gives turns. Tabs get
// them in rotation, so a tab with many requests does not delay a tab with one. A
// newer turn of a tab takes the place of an older one of the same kind that still
// waits: somebody who types gets the answer for the latest text.
type Scheduler struct {
	most, each int // quick turns that may wait: of all tabs, and of one

	mu      sync.Mutex
	free    int // turns that may be taken now; 0 while some wait
	waiting int
	rings   [2]ring // by Class
	row     int     // quick turns since the last step
}

// ring is the tabs that wait, the next one first.
type ring []*lane

// lane is the turns of a tab that wait, in order. It is never empty.
type lane struct {
	tab   string
	turns []*waiter
}

type waiter struct {
	kind  string
	ready chan struct{} // closed when the turn has come, or was replaced
	err   error         // nil, or ErrReplaced; set before ready is closed
}

// NewScheduler returns a Scheduler that gives so many turns at the same time, and
// lets up to most quick ones wait. One tab may have half of these. Steps may always
// wait: work that has begun must be able to end, and how much begins is bounded by
// whoever begins it.
func NewScheduler(turns, most int) *Scheduler {
	return &Scheduler{free: turns, most: most, each: max(1, most/2)}
}

// Do waits for a turn, calls f, and ends the turn, also where f panics. Its error
// is that of f, that of ctx if it ends before f begins, [ErrBusy] or [ErrReplaced].
func (s *Scheduler) Do(ctx context.Context, t Turn, f func() error) error {
	if err := s.begin(ctx, t); err != nil {
		return err
	}
	defer s.end()
	return f()
}

// Yield is called within f of Do. It lets others go first whose turns are due, as
// before a step of long work, and waits for another turn. The error is that of ctx.
func (s *Scheduler) Yield(ctx context.Context, tab string) error {
	s.end()
	// Do ends a turn in any case, so there is one also if ctx has ended.
	if err := s.begin(context.WithoutCancel(ctx), Turn{Tab: tab, Class: Step}); err != nil {
		return err
	}
	return ctx.Err()
}

// Waiting is the number of turns that wait.
func (s *Scheduler) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting
}

// begin waits for a turn. If it returns nil, end must be called.
func (s *Scheduler) begin(ctx context.Context, t Turn) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w, err := s.join(t)
	if w == nil {
		return err
	}
	select {
	case <-w.ready:
		if w.err != nil || ctx.Err() == nil {
			return w.err
		}
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-w.ready: // at the same time
		if w.err == nil {
			s.pass()
		}
	default:
		s.leave(t, w)
	}
	return ctx.Err()
}

// join takes a free turn, or waits for one: then it returns the waiter.
func (s *Scheduler) join(t Turn) (*waiter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free > 0 {
		s.free--
		return nil, nil
	}
	w := &waiter{kind: t.Kind, ready: make(chan struct{})}
	l := s.rings[t.Class].find(t.Tab)
	if l != nil && t.Tab != "" && t.Kind != "" {
		if i := slices.IndexFunc(l.turns, func(w *waiter) bool { return w.kind == t.Kind }); i >= 0 {
			l.turns[i].err = ErrReplaced
			close(l.turns[i].ready)
			l.turns[i] = w
			return w, nil
		}
	}
	if full := s.waiting >= s.most || l != nil && len(l.turns) >= s.each; full && t.Class == Quick {
		return nil, ErrBusy
	}
	if l == nil {
		l = &lane{tab: t.Tab}
		s.rings[t.Class] = append(s.rings[t.Class], l)
	}
	l.turns = append(l.turns, w)
	s.waiting++
	return w, nil
}

// leave removes w, which has not got its turn.
func (s *Scheduler) leave(t Turn, w *waiter) {
	r := &s.rings[t.Class]
	l := r.find(t.Tab)
	i := slices.Index(l.turns, w)
	l.turns = slices.Delete(l.turns, i, i+1)
	if len(l.turns) == 0 {
		*r = slices.DeleteFunc(*r, func(x *lane) bool { return x == l })
	}
	s.waiting--
}

// end ends a turn.
func (s *Scheduler) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pass()
}

// pass gives a turn that has ended to the next one who waits.
func (s *Scheduler) pass() {
	if s.waiting == 0 {
		s.free++
		return
	}
	class := Quick
	if len(s.rings[Step]) > 0 && (len(s.rings[Quick]) == 0 || s.row >= quickInARow) {
		class = Step
	}
	if s.row++; class == Step {
		s.row = 0
	}
	close(s.rings[class].next().ready)
	s.waiting--
}

func (r ring) find(tab string) *lane {
	for _, l := range r {
		if l.tab == tab {
			return l
		}
	}
	return nil
}

// next removes the first turn of the tab that is next, and puts that tab at the end.
func (r *ring) next() *waiter {
	l := (*r)[0]
	*r = slices.Delete(*r, 0, 1)
	w := l.turns[0]
	if l.turns = l.turns[1:]; len(l.turns) > 0 {
		*r = append(*r, l)
	}
	return w
}
