//go:build cgo && unix

package vulkan

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"caldera/internal/commandtest"
)

// TestManifestIsPipe: a loader would wait for the writer, and no signal ends that.
func TestManifestIsPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe.json")
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=1", "VK_DRIVER_FILES="+path)
	r := commandtest.Run(t, cmd)
	if want := "which is no regular file, expected a driver's manifest; name the manifest"; r.Code != 3 || !strings.Contains(r.Out, want) {
		t.Errorf("exit code %d, expected 3 and %q in\n%s", r.Code, want, r.Out)
	}
}
