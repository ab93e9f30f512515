package conformance

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"caldera/backend"
)

// Test checks that the backends which open returns keep everything that package
// backend promises. Nearly all checks share one open backend; a few open more. Test
// closes all of them. Where open cannot open one, it ends the test itself.
//
// With -short the largest cases and three of four others are left out. Where the time of the
// test (-timeout) is nearly over, what is left is not run: Test fails, and tells how much that is.
func Test(t *testing.T, open func(testing.TB) backend.Backend) {
	run(t, open, checks(testing.Short()))
}

// TestPart is Test of one in so many cases of each op, without the largest: for variants of a device, of which each
// takes another part, from 0 on, so that together they go through all. If groups are given it runs these alone, as
// TestGroups does.
func TestPart(t *testing.T, open func(testing.TB) backend.Backend, part, parts int, groups ...string) {
	run(t, open, ofGroups(t, checksOf(func(i int, c Case) bool { return !c.Large && oneIn(parts, i) == part }), groups))
}

// oneIn is the part that case i is in. Cases come in twos and fours, of which it is not always the same one.
func oneIn(parts, i int) int { return (i + i/parts) % parts }

// TestSmall is Test as it is with -short, and without the cases of ops that move and compute more than most: bytes and floating-point
// operations together, as backend.Cost counts them. It is for a backend that takes its time, such as an interpreter. If
// groups are given it runs these alone, as TestGroups does.
func TestSmall(t *testing.T, open func(testing.TB) backend.Backend, most int, groups ...string) {
	s := newSession(t, open)
	s.most = most
	s.all(t, ofGroups(t, checks(true), groups))
}

// TestGroups runs only some groups of the checks of Test: an op's name, memory,
// program, model or lifetime; or those whose names begin so, such as "attention/kv=f32,q=". It is for a backend that differs from another one, which
// goes through all of Test, only in what these groups check, and for a new op.
func TestGroups(t *testing.T, open func(testing.TB) backend.Backend, groups ...string) {
	run(t, open, ofGroups(t, checks(testing.Short()), groups))
}

// ofGroups are the checks of some groups, or all if none are given.
func ofGroups(t *testing.T, all []check, groups []string) []check {
	if len(groups) == 0 {
		return all
	}
	for _, g := range groups {
		if !slices.ContainsFunc(all, func(c check) bool { return c.in(g) }) {
			t.Errorf("conformance: there is no group %q", g)
		}
	}
	return slices.DeleteFunc(all, func(c check) bool { return !slices.ContainsFunc(groups, c.in) })
}

// in reports whether the check is of a group, or its name begins so.
func (c check) in(group string) bool {
	return c.group() == group || strings.Contains(group, "/") && strings.HasPrefix(c.name, group)
}

// check is one thing to try. Its name begins with the group it belongs to: an
// op, or memory, program, lifetime, model.
type check struct {
	name string
	run  func(e *env)
}

func (c check) group() string {
	group, _, _ := strings.Cut(c.name, "/")
	return group
}

// names are those of the ops of all kinds, sorted.
func names() []string {
	var all []string
	for name := range kinds {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// checks are those of Test, or of Test with -short.
func checks(short bool) []check {
	return checksOf(func(i int, c Case) bool { return !short || !c.Large && (c.Edge || oneIn(4, i) == 0) })
}

// checksOf are all checks, and of the cases of ops those that keep has.
func checksOf(keep func(i int, c Case) bool) []check {
	all := slices.Concat(memoryChecks, programChecks)
	for _, name := range names() {
		for i, c := range kinds[name].all() {
			if keep(i, c) {
				all = append(all, check{c.Name, c.run})
			}
		}
	}
	return slices.Concat(all, modelChecks, lifetimeChecks)
}

// reporter is what a check needs of a test. *testing.T is one; the tests of the
// suite itself have another, which only remembers what it is told.
type reporter interface {
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any) // does not return
}

// env is what a check works with.
type env struct {
	reporter
	name  string
	b     backend.Backend        // shared by checks that leave it usable
	open  func() backend.Backend // one more, for the check to close
	tally *tally
	once  bool // no other device runs the same check: the oracle's answer is not kept for it
	most  int  // what an op may cost; 0: any
}

// tally counts what was run.
type tally struct {
	run     int
	skipped map[string]int // by what the backend lacks
	lost    error          // no use going on
}

func (e *env) skip(lacks string) {
	e.tally.run--
	if e.tally.skipped == nil {
		e.tally.skipped = map[string]int{}
	}
	e.tally.skipped[lacks]++
}

// must ends the check if err is not nil.
func (e *env) must(err error, doing string) {
	if errors.Is(err, backend.ErrDeviceLost) {
		e.tally.lost = err
	}
	if err != nil {
		e.fatal("%s/%s: %v", e.name, doing, err)
	}
}

// report is Errorf for what is wrong whatever the backend computes.
func (e *env) report(format string, args ...any) {
	if d, ok := e.reporter.(deaf); ok {
		d.t.Errorf(format, args...)
		return
	}
	e.Errorf(format, args...)
}

// fatal is Fatalf for what is wrong whatever the backend computes.
func (e *env) fatal(format string, args ...any) {
	if d, ok := e.reporter.(deaf); ok {
		d.t.Errorf(format, args...)
	}
	e.Fatalf(format, args...)
}

func (e *env) alloc(size int) backend.Buffer {
	buf, err := e.b.Alloc(size)
	if err != nil {
		e.must(err, fmt.Sprintf("Alloc(%d)", size))
	}
	return buf
}

// do runs one check and turns a panic into a failure: a backend must not panic on
// what Prepare has accepted.
func (c check) do(e *env) {
	e.name = c.name
	e.tally.run++
	if e.tally.lost != nil {
		e.Fatalf("%s: not tried: an earlier check ended with: %v", c.name, e.tally.lost)
	}
	defer func() {
		if p := recover(); p != nil {
			if _, ours := p.(stop); ours {
				panic(p)
			}
			stack := debug.Stack()
			e.report("%s: panic: %v; a backend must return an error instead\n%s", c.name, p, stack[:min(len(stack), 3000)])
		}
	}()
	c.run(e)
}

// stop is what a reporter other than testing's panics with to end a check.
type stop struct{}

// session is an open backend and what was tried on it so far.
type session struct {
	b     backend.Backend
	open  func(testing.TB) backend.Backend
	tally tally
	once  bool      // as in env
	most  int       // as in env
	until time.Time // when no more checks begin; zero: never
}

// spare is the time that a check, and closing a device, may take, of that which -timeout allows.
const spare = 4 * time.Second

func newSession(t *testing.T, open func(testing.TB) backend.Backend) *session {
	s := &session{b: open(t), open: open}
	if deadline, ok := t.Deadline(); ok {
		s.until = deadline.Add(-spare)
	}
	return s
}

// over reports whether there is no time for another check.
func (s *session) over() bool { return !s.until.IsZero() && time.Now().After(s.until) }

// run runs a check as a test below that of its group. It reports whether all was well.
func (s *session) run(t *testing.T, c check) bool {
	return t.Run(c.name[len(c.group())+1:], func(t *testing.T) {
		c.do(&env{reporter: t, b: s.b, open: func() backend.Backend { return s.open(t) }, tally: &s.tally, once: s.once, most: s.most})
	})
}

// end closes the backend and tells what was tried.
func (s *session) end(t *testing.T) {
	if err := s.b.Close(); err != nil && !errors.Is(err, backend.ErrClosed) {
		t.Errorf("Close: %v", err)
	}
	if s.tally.run <= 0 {
		t.Errorf("conformance: no case ran: the backend supports none of them, or -run names none")
	}
	t.Log(&s.tally)
}

func run(t *testing.T, open func(testing.TB) backend.Backend, list []check) {
	newSession(t, open).all(t, list)
}

// all runs checks, and closes the backend.
func (s *session) all(t *testing.T, list []check) {
	left, total := 0, len(list) // checks for which there was no time, of all
	defer func() {
		if left > 0 {
			t.Errorf("conformance: %d of %d cases were not run: the time of the test (-timeout) is nearly over", left, total)
		}
	}()
	for len(list) > 0 {
		group := list[0].group()
		n := slices.IndexFunc(list, func(c check) bool { return c.group() != group })
		if n < 0 {
			n = len(list)
		}
		t.Run(group, func(t *testing.T) {
			for i, c := range list[:n] {
				if s.over() {
					left += n - i
					return
				}
				s.run(t, c)
			}
		})
		list = list[n:]
	}
	s.end(t)
}

func (c *tally) String() string {
	skipped, why := 0, []string{}
	for lacks, n := range c.skipped {
		skipped += n
		why = append(why, fmt.Sprintf("%s: %d", lacks, n))
	}
	slices.Sort(why)
	if skipped > 0 {
		return fmt.Sprintf("conformance: %d cases run, %d skipped (%s)", c.run, skipped, strings.Join(why, ", "))
	}
	return fmt.Sprintf("conformance: %d cases run, none skipped", c.run)
}
