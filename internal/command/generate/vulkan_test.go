//go:build cgo && linux

package generate_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"caldera/internal/devicetest"
)

// TestDeviceLost loses the device in the middle of a text: what there was is
// printed or reported, and the error in one line.
func TestDeviceLost(t *testing.T) {
	devicetest.UseTestDrivers(t)
	lib := filepath.Join(t.TempDir(), "lost.so")
	if out, err := exec.Command("cc", "-shared", "-fPIC", "-o", lib, "testdata/lost.c", "-ldl").CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	t.Setenv("CALDERA_VULKAN_LOADER", lib)
	lose := func(at string, args ...string) result {
		t.Setenv("LOST_AT", at)
		r := run(t, command(t, append([]string{"--backend=vulkan", "--device=llvmpipe", "--temp=0", "-n", "23", prompt}, args...)...))
		told := r
		told.Out = "" // which may have something
		wantFailure(t, told, 1, "vulkan: device lost", "VK_ERROR_DEVICE_LOST", "opening the device again")
		return r
	}
	if r := lose("1"); r.Out != "" && r.Out != prompt+"\n" {
		t.Errorf("lost at once, it printed %q", r.Out)
	}
	r := lose("9")
	if text := strings.TrimSuffix(r.Out, "\n"); text == r.Out || len(text) <= len(prompt) || len(text) >= len(austen) || !strings.HasPrefix(austen, text) {
		t.Errorf("it printed %q, expected a line, the beginning of %q", r.Out, austen)
	}
	a := parse(t, lose("9", "--json").Out)
	if a.Stop != "error" || len(a.IDs) == 0 || len(a.IDs) >= 23 || !strings.HasPrefix(austen, prompt+a.Text) || len(a.LogProbs) != len(a.IDs) {
		t.Errorf("stopped for %q after %d tokens, text %q", a.Stop, len(a.IDs), a.Text)
	}
	for i, a := range strictly[answers](t, lose("9", "--json", "--parallel=2").Out).Answers {
		if a.Stop != "error" || len(a.IDs) == 0 || len(a.IDs) >= 23 || !strings.HasPrefix(austen, prompt+a.Text) {
			t.Errorf("answer %d of 2 stopped for %q after %d tokens, text %q", i+1, a.Stop, len(a.IDs), a.Text)
		}
	}
}

// TestDeviceFull loads a terabyte of weights, more than the device has.
func TestDeviceFull(t *testing.T) {
	devicetest.UseTestDrivers(t)
	dir := sparse(t, 8, 1<<22, 1<<15, 1)
	for _, device := range []string{"llvmpipe", "SwiftShader"} {
		r := run(t, command(t, "--backend=vulkan", "--device="+device, "-m", dir, "--tokens=1"))
		wantFailure(t, r, 1, dir, "out of memory", "it needs 1040.0 GiB (weights 1040.0 GiB, ", ") on vulkan:", "are free", "choose another device")
	}
}
