package conformance

import (
	"slices"
	"testing"

	"caldera/backend"
)

// Record makes a backend run what Test runs on it, and compares nothing: for a device that
// computes nothing, so that its driver is all that is tested. Errors of the backend fail
// the test. It leaves out the groups memory and lifetime, and the largest cases; short
// does as -short does for Test.
func Record(t *testing.T, b backend.Backend, short bool) { t.Log(record(t, b, short)) }

func record(t complainer, b backend.Backend, short bool) *tally {
	e := &env{reporter: deaf{t}, b: b, tally: &tally{}, open: func() backend.Backend {
		t.Errorf("conformance: a check of ops opens one more backend")
		panic(stop{})
	}}
	list := checks(true)
	if !short {
		list = slices.Concat(programChecks, modelChecks)
		for _, name := range names() {
			for _, c := range kinds[name].all() {
				if !c.Large {
					list = append(list, check{c.Name, c.run})
				}
			}
		}
	}
	for _, c := range list {
		if g := c.group(); g != "memory" && g != "lifetime" {
			c.record(e)
		}
	}
	return e.tally
}

// record runs a check as far as it goes without results.
func (c check) record(e *env) {
	defer func() {
		if p := recover(); p != nil {
			if _, ours := p.(stop); !ours {
				panic(p)
			}
		}
	}()
	c.do(e)
}

// deaf is a reporter that does not listen to what is said of results.
type deaf struct{ t complainer }

// complainer is what Record needs of a test.
type complainer interface {
	Errorf(format string, args ...any)
}

func (deaf) Errorf(string, ...any) {}
func (deaf) Fatalf(string, ...any) { panic(stop{}) }
