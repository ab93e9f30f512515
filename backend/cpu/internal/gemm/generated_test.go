package gemm

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
	// Their names are part of what is written, so they are relative.
	asm := filepath.Join(dir, "asm")
	if err := os.CopyFS(asm, os.DirFS("../asm")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "gemm"), 0o777); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "run", "./gemm", "-out", "../gemm/kernels_amd64.s", "-stubs", "../gemm/kernels_amd64.go", "-pkg", "gemm")
	cmd.Dir = asm
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the generator fails: %v\n%s", err, out)
	}
	for _, name := range []string{"kernels_amd64.s", "kernels_amd64.go"} {
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(dir, "gemm", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what its generator writes: run go generate ./backend/cpu/internal/gemm", name)
		}
	}
}
