package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"caldera/internal/commandtest"
)

// library is a line of ldconfig -p.
var library = regexp.MustCompile(`(?m)^\s*(?:libopenblas|libmkl_rt|libblis|libblas)\.so\S* .*=> (\S+)$`)

// TestNoOpenBLAS plays a machine without a BLAS library: where the real ones are,
// the process finds an empty file. A user whose processor has no kernels in assembly, which is
// played too, is told what to install, once, and only where the CPU computes and nobody asked
// for products in Go.
func TestNoOpenBLAS(t *testing.T) {
	if runtime.GOOS != "linux" || exec.Command("unshare", "-rm", "true").Run() != nil {
		t.Skip("libraries can be hidden from a process only on a Linux that allows user namespaces")
	}
	program := filepath.Join(t.TempDir(), "generate")
	if err := commandtest.Build(program, "../../cmd/generate"); err != nil {
		t.Fatal(err)
	}
	ldconfig := exec.Command("ldconfig", "-p")
	ldconfig.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/sbin:/usr/sbin")
	out, err := ldconfig.Output()
	if err != nil {
		t.Skip("what libraries there are is not known:", err)
	}
	args := []string{"-rm", "sh", "-c", `program=$1; shift
		while [ "$1" != -- ]; do mount --bind /dev/null "$1" || exit 77; shift; done; shift
		exec "$program" "$@"`, "sh", program}
	seen := map[string]bool{}
	for _, m := range library.FindAllStringSubmatch(string(out), -1) {
		if real, err := filepath.EvalSymlinks(m[1]); err == nil && !seen[real] {
			seen[real] = true
			args = append(args, real)
		}
	}
	const advice = "no BLAS library was found"
	run := func(blas, isa string, flags ...string) string {
		cmd := exec.Command("unshare", append(append(args, "--"), flags...)...)
		cmd.Env = append(os.Environ(), "CALDERA_BLAS="+blas, "CALDERA_CPU="+isa)
		r := commandtest.Run(t, cmd)
		if r.Code == 77 {
			t.Skip("mounting is not allowed here:", r.Stderr)
		}
		if r.Code != 0 || r.Out == "" {
			t.Fatalf("exit %d: %s", r.Code, r.Stderr)
		}
		if strings.Contains(r.Out, advice) {
			t.Errorf("standard output has the advice:\n%s", r.Out)
		}
		return r.Stderr
	}
	generate := []string{"--backend=cpu", "-n", "2", "--temp=0", "Emma"}
	stderr := run("", "go", generate...)
	lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], ", Go") || !strings.HasPrefix(lines[1], "cpu:0: "+advice) || !strings.Contains(lines[1], "apt install libopenblas0-pthread") {
		t.Errorf("told %q, expected the device, a line that says what to install, and the seed", lines)
	}
	for _, asked := range []string{"gonum", "caldera"} {
		if stderr := run(asked, "go", generate...); strings.Contains(stderr, advice) {
			t.Errorf("%s was asked for, and the advice came all the same:\n%s", asked, stderr)
		}
	}
	if runtime.GOARCH != "amd64" {
		return
	}
	if stderr := run("", "", generate...); strings.Contains(stderr, advice) {
		t.Errorf("a processor with kernels in assembly needs no library, and the advice came all the same:\n%s", stderr)
	}
}
