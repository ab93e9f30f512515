package serve

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// line is a scheduler of one turn, which the test holds while others queue up.
type line struct {
	t *testing.T
	*Scheduler
	mu    sync.Mutex
	order []string
	wg    sync.WaitGroup
}

func newLine(t *testing.T, most int) *line {
	l := &line{t: t, Scheduler: NewScheduler(1, most)}
	if err := l.begin(t.Context(), Turn{}); err != nil {
		t.Fatal(err)
	}
	return l
}

// queue adds a turn that writes name when it comes, and waits until it is in the queue.
func (l *line) queue(ctx context.Context, turn Turn, name string) <-chan error {
	failed := make(chan error, 1)
	before, joined := l.Waiting(), make(chan struct{})
	l.wg.Add(1)
	go func() {
		defer l.wg.Done()
		close(joined)
		failed <- l.Do(ctx, turn, func() error {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.order = append(l.order, name)
			return nil
		})
	}()
	<-joined
	for l.Waiting() == before && len(failed) == 0 {
		if replaced := turn.Tab != "" && turn.Kind != ""; replaced {
			break // the number need not change; the caller waits for the older one's error
		}
	}
	return failed
}

func (l *line) run() string {
	l.end()
	l.wg.Wait()
	return strings.Join(l.order, " ")
}

func TestTabsTakeTurns(t *testing.T) {
	l := newLine(t, 100)
	for _, name := range []string{"a1", "a2", "a3", "a4", "b1", "b2", "c1"} {
		l.queue(t.Context(), Turn{Tab: name[:1]}, name)
	}
	if got, want := l.run(), "a1 b1 c1 a2 b2 a3 a4"; got != want {
		t.Errorf("the order is %s, expected %s", got, want)
	}
	if l.free != 1 || l.waiting != 0 || len(l.rings[Quick]) != 0 {
		t.Errorf("after all: %d free, %d waiting, %d tabs", l.free, l.waiting, len(l.rings[Quick]))
	}
}

// TestStepsWait has more steps of long work wait than quick turns.
func TestStepsWait(t *testing.T) {
	l := newLine(t, 100)
	for i := range 3 {
		l.queue(t.Context(), Turn{Tab: "t" + fmt.Sprint(i), Class: Step}, fmt.Sprint("s", i))
	}
	for i := range 6 {
		l.queue(t.Context(), Turn{Tab: "q"}, fmt.Sprint("q", i))
	}
	if got, want := l.run(), "q0 q1 q2 q3 s0 q4 q5 s1 s2"; got != want {
		t.Errorf("the order is %s, expected %s", got, want)
	}
}

func TestNewerReplaces(t *testing.T) {
	l := newLine(t, 100)
	first := l.queue(t.Context(), Turn{Tab: "a", Kind: "next"}, "a-next-1")
	for l.Waiting() < 1 {
	}
	other := l.queue(t.Context(), Turn{Tab: "b", Kind: "next"}, "b-next")
	for l.Waiting() < 2 {
	}
	second := l.queue(t.Context(), Turn{Tab: "a", Kind: "next"}, "a-next-2")
	if err := <-first; !errors.Is(err, ErrReplaced) {
		t.Errorf("the older request ended with %v, expected %v", err, ErrReplaced)
	}
	l.queue(t.Context(), Turn{}, "x1")
	l.queue(t.Context(), Turn{}, "x2") // who has no name replaces nobody
	if got, want := l.run(), "a-next-2 b-next x1 x2"; got != want {
		t.Errorf("the order is %s, expected %s", got, want)
	}
	if err := errors.Join(<-second, <-other); err != nil {
		t.Error(err)
	}
}

func TestQueueIsBounded(t *testing.T) {
	l := newLine(t, 6)
	for range 3 {
		l.queue(t.Context(), Turn{Tab: "a"}, "a")
	}
	if err := l.Do(t.Context(), Turn{Tab: "a"}, nil); !errors.Is(err, ErrBusy) {
		t.Errorf("more than half the queue for one tab gave %v, expected %v", err, ErrBusy)
	}
	for _, tab := range []string{"b", "c", "d"} {
		l.queue(t.Context(), Turn{Tab: tab}, tab)
	}
	if err := l.Do(t.Context(), Turn{Tab: "e"}, nil); !errors.Is(err, ErrBusy) {
		t.Errorf("a turn beyond the limit gave %v, expected %v", err, ErrBusy)
	}
	if got, want := l.run(), "a b c d a a"; got != want {
		t.Errorf("the order is %s, expected %s", got, want)
	}
}

func TestWhoLeavesIsForgotten(t *testing.T) {
	l := newLine(t, 100)
	ctx, cancel := context.WithCancel(t.Context())
	gone := l.queue(ctx, Turn{Tab: "a"}, "gone")
	l.queue(t.Context(), Turn{Tab: "b"}, "b")
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("found %v, expected %v", err, context.Canceled)
	}
	if n := l.Waiting(); n != 1 {
		t.Errorf("%d wait, expected 1", n)
	}
	if err := l.Do(ctx, Turn{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a turn for who has left gave %v", err)
	}
	if got := l.run(); got != "b" {
		t.Errorf("the order is %s, expected b", got)
	}
}

// TestPanicEndsTurn expects the next turn to come.
func TestPanicEndsTurn(t *testing.T) {
	s := NewScheduler(1, 10)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		s.Do(t.Context(), Turn{}, func() error { panic("view") })
	}()
	if err := s.Do(t.Context(), Turn{}, func() error { return nil }); err != nil {
		t.Error(err)
	}
}

// TestOneAtATime has many goroutines come and leave; run it with -race.
func TestOneAtATime(t *testing.T) {
	const turns = 3
	s := NewScheduler(turns, 1000)
	var mu sync.Mutex
	now, most, done := 0, 0, 0
	var wg sync.WaitGroup
	for i := range 400 {
		ctx, cancel := context.WithCancel(t.Context())
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer cancel()
			err := s.Do(ctx, Turn{Tab: fmt.Sprint(i % 17), Class: Class(i % 2)}, func() error {
				mu.Lock()
				now++
				most = max(most, now)
				mu.Unlock()
				mu.Lock()
				now--
				done++
				mu.Unlock()
				return nil
			})
			if err != nil && i%5 != 0 {
				t.Error(err)
			}
		}()
		if i%5 == 0 {
			go cancel()
		}
	}
	wg.Wait()
	if most > turns || done < 320 {
		t.Errorf("%d at once, %d done; expected at most %d, and at least 320", most, done, turns)
	}
	if s.free != turns || s.waiting != 0 || !slices.Equal([]int{len(s.rings[0]), len(s.rings[1])}, []int{0, 0}) {
		t.Errorf("afterwards %d of %d turns are free and %d wait", s.free, turns, s.waiting)
	}
}

// left is the number of turns that are free.
func (s *Scheduler) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.free
}

// TestYield lets a quick turn go first that waits while long work goes on.
func TestYield(t *testing.T) {
	s := NewScheduler(1, 10)
	ctx, cancel := context.WithCancel(t.Context())
	var quick <-chan struct{}
	err := s.Do(ctx, Turn{Tab: "long"}, func() error {
		if err := s.Yield(ctx, "long"); err != nil { // nobody waits
			return err
		}
		done := make(chan struct{})
		quick = done
		go s.Do(t.Context(), Turn{Tab: "quick"}, func() error { close(done); return nil })
		for s.Waiting() == 0 {
			runtime.Gosched()
		}
		if err := s.Yield(ctx, "long"); err != nil {
			return err
		}
		select {
		case <-quick:
		default:
			return errors.New("the quick turn has not gone first")
		}
		cancel()
		return s.Yield(ctx, "long")
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("found %v, expected that the context has ended", err)
	}
	if err := s.Do(t.Context(), Turn{}, func() error { return nil }); err != nil || s.free != 1 {
		t.Errorf("%d turns are free after all (%v), expected 1", s.free, err)
	}
}

// TestTurnTooLate: a turn that comes after its context has ended is passed on, and what it was for does not begin.
func TestTurnTooLate(t *testing.T) {
	for range 200 {
		l := newLine(t, 2)
		ctx, cancel := context.WithCancel(t.Context())
		failed := l.queue(ctx, Turn{}, "late")
		cancel()
		if got := l.run(); got != "" {
			t.Fatalf("%s has begun", got)
		}
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Fatalf("the error is %v", err)
		}
		if err := l.Do(t.Context(), Turn{}, func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
}
