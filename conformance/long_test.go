package conformance_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/conformance"
)

// asLong makes a child of this test binary run Long on a backend that is wrong.
const asLong = "CALDERA_TEST_LONG"

func TestLongChild(t *testing.T) {
	if os.Getenv(asLong) == "" {
		t.Skip("this is the child of TestLong")
	}
	conformance.Long(t, func(testing.TB) backend.Backend {
		return &device{conformance.Reference(), func(dst, x []float32, epsilon float32) {
			rightKernel(dst, x, epsilon)
			if len(x)%3 == 0 {
				dst[0]++
			}
		}}
	})
}

// TestLong expects random cases to find a kernel that is wrong for some lengths,
// and to tell a command that runs one such case again, and no other.
func TestLong(t *testing.T) {
	child := func(run string, env ...string) (string, bool) {
		cmd := exec.Command(os.Args[0], "-test.v", "-test.run", run)
		cmd.Env = append(os.Environ(), append(env, asLong+"=1")...)
		out, err := cmd.CombinedOutput()
		return string(out), err == nil
	}
	out, passed := child("^TestLongChild$", "CALDERA_LONG=5s")
	again := regexp.MustCompile(`to run it again: (\S+) (\S+) go test -run '(.*)'`).FindStringSubmatch(out)
	if passed || again == nil {
		t.Fatalf("no case failed, or none tells how to run it again:\n%s", out)
	}
	if !strings.Contains(again[3], "/normalize$/") {
		t.Errorf("an op failed that is right: %s", again[0])
	}
	for _, op := range []string{"attention", "linear", "sum_squares"} {
		if !strings.Contains(out, "--- PASS: TestLongChild/"+op+"/") {
			t.Errorf("no random case of %s ran", op)
		}
	}
	out, passed = child(again[3], again[1], again[2])
	if passed || !strings.Contains(out, "conformance: 1 cases run") || !strings.Contains(out, again[0]) {
		t.Errorf("%s: expected the same case, which fails, and no other:\n%s", again[0], out)
	}
	for _, env := range [][]string{{"CALDERA_LONG=5"}, {"CALDERA_LONG=-5s"}, {"CALDERA_LONG=1s", "CALDERA_LONG_SEED=x"}} {
		if out, passed := child("^TestLongChild$", env...); passed || !strings.Contains(out, "expected") {
			t.Errorf("%v:\n%s", env, out)
		}
	}
	if out, _ := child("^TestLongChild$", "CALDERA_LONG="); !strings.Contains(out, "--- SKIP: TestLongChild") {
		t.Errorf("without CALDERA_LONG:\n%s", out)
	}
}
