package conformance

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/backend/null"
)

// TestParts expects parts that together are all cases but the largest, each of them with
// cases of each kind: those that vary one thing stand in twos and fours.
func TestParts(t *testing.T) {
	const parts = 4
	left := map[string]bool{}
	for _, c := range checksOf(func(_ int, c Case) bool { return !c.Large }) {
		left[c.name] = true
	}
	for part := range parts {
		lacks := map[string]bool{"linear w=f32": true, "linear w=f16": true, "linear w=q8_0": true, "linear T": true, "linear residual": true,
			"attention kv=f32": true, "attention kv=f16": true, "attention probs": true, "attention interleaved": true}
		for _, c := range checksOf(func(i int, c Case) bool { return !c.Large && oneIn(parts, i) == part }) {
			delete(left, c.name)
			for what := range lacks {
				if op, word, _ := strings.Cut(what, " "); c.group() == op && strings.Contains(c.name, word) {
					delete(lacks, what)
				}
			}
		}
		if len(lacks) > 0 {
			t.Errorf("part %d has no case of %v", part, lacks)
		}
	}
	if len(left) > 0 {
		t.Errorf("no part has %v", left)
	}
}

// TestNearlyOver: a suite for which there is no time fails, and says how much it left out; it is
// not killed.
func TestNearlyOver(t *testing.T) {
	const child = "CALDERA_TEST_NEARLY_OVER"
	if os.Getenv(child) != "" {
		Test(t, func(testing.TB) backend.Backend { return &null.Backend{} })
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestNearlyOver$", "-test.timeout="+spare.String())
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), " cases were not run: the time of the test (-timeout) is nearly over") || strings.Contains(string(out), "panic") {
		t.Errorf("%v: %s", err, out)
	}
}
