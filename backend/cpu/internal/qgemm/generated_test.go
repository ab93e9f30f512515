package qgemm

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestGenerated wants the assembly to be what its generator writes.
func TestGenerated(t *testing.T) {
	dir := t.TempDir()
	// The names of files are part of what is written, so they are as go generate has them.
	asm, out := filepath.Join(dir, "asm"), filepath.Join(dir, "qgemm")
	if err := os.CopyFS(asm, os.DirFS("../asm")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(out, 0o777); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "run", "./qgemm", "-out", "../qgemm/kernels_amd64.s", "-stubs", "../qgemm/kernels_amd64.go", "-pkg", "qgemm")
	cmd.Dir = asm
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the generator fails: %v\n%s", err, text)
	}
	for _, name := range []string{"kernels_amd64.s", "kernels_amd64.go"} {
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what its generator writes: run go generate ./backend/cpu/internal/qgemm", name)
		}
	}
}
