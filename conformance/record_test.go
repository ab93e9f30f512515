package conformance

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/backend/calltrace"
	"caldera/backend/null"
)

// complaints remembers what it is told.
type complaints []string

func (c *complaints) Errorf(format string, args ...any) {
	*c = append(*c, fmt.Sprintf(format, args...))
}

// TestRecord: a backend that computes nothing passes, one that fails at what it is told does not.
func TestRecord(t *testing.T) {
	var said complaints
	counted := record(&said, &null.Backend{}, true)
	if len(said) > 0 || counted.run < 1000 {
		t.Errorf("%d cases run on a backend that computes nothing: %q", counted.run, said)
	}
	for name, hooks := range map[string]calltrace.Hooks{
		"Run": {Before: func(c calltrace.Call) error {
			if c.Method == calltrace.Run {
				return errors.New("no more")
			}
			return nil
		}},
		"Record": {Before: func(c calltrace.Call) error {
			if c.Method == calltrace.Record {
				return errors.New("no more")
			}
			return nil
		}},
		"a panic": {Before: func(c calltrace.Call) error {
			if c.Method == calltrace.Run {
				panic("no more")
			}
			return nil
		}},
	} {
		said = nil
		var b backend.Backend = &null.Backend{}
		record(&said, calltrace.Wrap(b, hooks), true)
		if len(said) < 1000 || !strings.Contains(said[0], "no more") {
			t.Errorf("%s fails each time, and %d complaints are made of it", name, len(said))
		}
	}
}
