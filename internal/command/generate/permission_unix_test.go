//go:build unix

package generate_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestUnreadable gives it what it has no permission to read. Root may read
// everything, so root has another user run it.
func TestUnreadable(t *testing.T) {
	for _, locked := range []string{".", "config.json", "model.safetensors", "vocab.json"} {
		t.Run(locked, func(t *testing.T) {
			dir := changed(t, nil)
			cmd := command(t, "--backend=cpu", "-m", dir, prompt)
			if os.Getuid() == 0 {
				const nobody = 65534
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
				cmd.Dir = "/" // which any user may be in
				for _, path := range []string{filepath.Dir(program), program, filepath.Dir(dir), dir} {
					if err := os.Chmod(path, 0o755); err != nil {
						t.Fatal(err)
					}
				}
			}
			path := filepath.Join(dir, locked)
			if err := os.Chmod(path, 0); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Chmod(path, 0o755) }) // or it could not be removed
			parts := []string{dir, "permission denied"}
			if locked != "." {
				parts = append(parts, locked)
			}
			wantFailure(t, run(t, cmd), 1, parts...)
		})
	}
}
