package conformance

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"caldera/backend"
)

// The environment variables that Long reads.
const (
	longTime = "CALDERA_LONG"      // for how long, "5m": without it Long is skipped
	longSeed = "CALDERA_LONG_SEED" // the first seed
)

// Long runs cases of random shapes and layouts, of each op that has a Random, for
// about as long as the environment variable CALDERA_LONG says, such as 5m: each op
// gets an equal part of that time. Without the variable the test is skipped.
//
// Each case has a seed, which its name ends with. The first one is another each
// time, or what CALDERA_LONG_SEED says; the case after it has the next one. The
// failure of a case tells the command that runs this case again.
func Long(t *testing.T, open func(testing.TB) backend.Backend) {
	text := os.Getenv(longTime)
	if text == "" {
		t.Skipf("%s is not set: it says how long to try random cases, for example %s=5m", longTime, longTime)
	}
	limit, err := time.ParseDuration(text)
	if err != nil || limit <= 0 {
		t.Fatalf("%s=%s: expected a duration above 0, such as 30s or 5m", longTime, text)
	}
	first := rand.Uint32()
	if text := os.Getenv(longSeed); text != "" {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			t.Fatalf("%s=%s: expected an integer from 0 to 4294967295", longSeed, text)
		}
		first = uint32(n)
	}
	t.Logf("conformance: random cases for %v, the first seed is %d", limit, first)
	long(t, open, limit, first)
}

func long(t *testing.T, open func(testing.TB) backend.Backend, limit time.Duration, first uint32) {
	ops := slices.DeleteFunc(names(), func(name string) bool { return kinds[name].Random == nil })
	s := newSession(t, open)
	s.once = true
	for _, name := range ops {
		t.Run(name, func(t *testing.T) {
			end := time.Now().Add(limit / time.Duration(len(ops)))
			// Past mostRandom only a -run that names one case could come.
			for i := 0; i < mostRandom && (i == 0 || time.Now().Before(end)); i++ {
				c := random(name, first+uint32(i))
				if !s.run(t, c) {
					t.Errorf("to run it again: %s=1s %s=%d go test -run '^%s$/seed=%[3]d$'", longTime, longSeed, first+uint32(i), t.Name())
				}
			}
		})
	}
	s.end(t)
}

const mostRandom = 100_000

// random is the case of an op that a seed gives.
func random(name string, n uint32) check {
	c := kinds[name].Random(seed(name, int(n)))
	return check{fmt.Sprintf("%s,seed=%d", c.Name, n), c.run}
}
