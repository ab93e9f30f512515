//go:build unix

package checkpoint_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"caldera/gpt"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/internal/commandtest"
	"caldera/internal/gpttest"
)

// TestLoadNamedPipe shows that loading does not wait for a pipe's writer.
func TestLoadNamedPipe(t *testing.T) {
	b := gpttest.OpenCPU(t)
	for _, name := range []string{"config.json", "generation_config.json", safetensors.SingleName, safetensors.IndexName} {
		t.Run(name, func(t *testing.T) {
			dir := gpttest.Base(t).Write(t)
			if name == safetensors.IndexName {
				os.Remove(filepath.Join(dir, safetensors.SingleName)) // which would come first
			}
			path := filepath.Join(dir, name)
			os.Remove(path)
			if err := syscall.Mkfifo(path, 0o666); err != nil {
				t.Fatal(err)
			}
			loaded := make(chan error, 1)
			go func() {
				_, err := gpt.Load(t.Context(), b, dir, gpt.LoadOptions{})
				loaded <- err
			}()
			select {
			case err := <-loaded:
				gpttest.WantError(t, err, name, "found a named pipe, expected a regular file")
			case <-time.After(commandtest.Patience):
				t.Error("it waits for the pipe's writer")
			}
		})
	}
}
