//go:build cgo

package vulkan

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"caldera/internal/gpulab"
)

// TestGPUs opens the drivers of GPUs that are played by a kernel interface which does nothing
// (scripts/gpulab.sh): they are refused, and compile and record all that Caldera does, as
// TestPlayed tells. The variables CALDERA_GPULAB_TRIXIE and CALDERA_GPULAB_SID name the
// programs that run another on them. CALDERA_GPUS is the cards to take, all of them, or empty
// for those of make test; CALDERA_GPUS_REPORT a file for what was
// seen on cards that passed.
func TestGPUs(t *testing.T) {
	t.Parallel()
	asked := os.Getenv("CALDERA_GPUS")
	reports := map[string]gpulab.Report{}
	for _, c := range gpulab.Cards {
		if asked == "" && !c.Test || asked != "" && asked != "all" && !strings.Contains(","+asked+",", ","+c.Name+",") {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			variable := "CALDERA_GPULAB_" + strings.ToUpper(c.Release)
			run := os.Getenv(variable)
			if run == "" {
				t.Skipf("the drivers are not here (%s): eval \"$(scripts/testenv.sh)\" fetches them on Debian", variable)
			}
			out, code := runPlayed(t, run, c.Name, nil, childVariable+"=1")
			for _, want := range []string{"vulkan: ", c.Device, "Mesa", "is refused because it does nothing that it is told", "expected", "choose another device", "backend=cpu"} {
				if code != 3 || !strings.Contains(out, want) {
					t.Errorf("opening it for use: exit code %d, expected 3 and %q in\n%s", code, want, out)
				}
			}
			file := filepath.Join(t.TempDir(), "report.json")
			args := []string{"-test.run=^TestPlayed", "-test.v"}
			if c.Test && asked == "" {
				args = append(args, "-test.short")
			}
			out, code = runPlayed(t, run, c.Name, args, playedCard+"="+c.Name, playedReport+"="+file)
			if code != 0 || !strings.Contains(out, "PASS: TestPlayed") {
				t.Fatalf("exit code %d\n%s", code, out)
			}
			t.Log(out)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var r gpulab.Report
			if err := json.Unmarshal(text, &r); err != nil {
				t.Fatal(err)
			}
			reports[c.Name] = r
		})
	}
	if path := os.Getenv("CALDERA_GPUS_REPORT"); path != "" {
		if err := gpulab.UpdateReports(path, reports); err != nil {
			t.Fatal(err)
		}
	}
}

// runPlayed runs this program on a played card.
func runPlayed(t *testing.T, run, card string, args []string, env ...string) (out string, code int) {
	t.Helper()
	cmd := exec.Command(run, append([]string{card, os.Args[0]}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}
