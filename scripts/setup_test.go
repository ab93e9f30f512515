package scripts_test

import (
	"strings"
	"testing"
)

// plainMachine has what make run needs but a BLAS library, and a processor without AVX2. What
// apt-get installs is there afterwards.
func plainMachine(t *testing.T, programs map[string]string) *machine {
	t.Helper()
	all := map[string]string{
		"uname": `case $1 in -m) echo x86_64 ;; *) echo Linux ;; esac`,
		"lscpu": `echo "Flags: fpu sse2 avx"`,
		"id":    "echo 0",
		"gcc":   "cat >/dev/null",
		"ldconfig": `echo "	libvulkan.so.1 (libc6,x86-64) => /usr/lib/libvulkan.so.1"
			if [ -e "$PLAYED/apt" ] && grep -q libopenblas0 "$PLAYED/apt"; then echo "	libopenblas.so.0 (libc6,x86-64) => /x"; fi`,
		"apt-cache": "echo Package: $3",
		"apt-get":   `case "$*" in *install*) echo "$*" >>"$PLAYED/apt" ;; esac`,
	}
	for name, script := range programs {
		all[name] = script
	}
	m := newMachine(t, all)
	m.env = append(m.env, "XDG_DATA_HOME="+m.path("data"), "GOFLAGS=-mod=mod", "GOCACHE="+m.path("cache"))
	m.write("data/vulkan/icd.d/gpu_icd.json", "{}", 0o644)
	m.write("bin/go", "#!/bin/sh\necho go1.99\n", 0o755)
	return m
}

func TestSetupRunInstallsOpenBLAS(t *testing.T) {
	m := plainMachine(t, nil)
	code, out := m.run("setup.sh", "run")
	if code != 0 || strings.Count(out, "libopenblas0-pthread is missing") != 1 || !strings.Contains(out, "all there") {
		t.Errorf("exit %d: %s", code, out)
	}
	if got := m.read("apt"); strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, " libopenblas0-pthread\n") {
		t.Errorf("apt-get was called as %q, expected one install of libopenblas0-pthread", got)
	}
	if code, out := m.run("setup.sh", "run"); code != 0 || out != "" {
		t.Errorf("again: exit %d: %s; expected that all is there", code, out)
	}
}

// TestSetupRunKnowsOtherBLAS has a machine with another library that the CPU
// backend can use, one whose processor needs none, and one of a kind on which it uses none.
func TestSetupRunKnowsOtherBLAS(t *testing.T) {
	for name, programs := range map[string]map[string]string{
		"MKL":    {"ldconfig": `printf '\tlibvulkan.so.1 (x) => /a\n\tlibmkl_rt.so.2 (libc6,x86-64) => /b\n'`},
		"AVX2":   {"lscpu": `echo "Flags: fpu sse2 avx avx2"`},
		"RISC-V": {"uname": `case $1 in -m) echo riscv64 ;; *) echo Linux ;; esac`},
	} {
		m := plainMachine(t, programs)
		if code, out := m.run("setup.sh", "run"); code != 0 || out != "" || m.read("apt") != "" {
			t.Errorf("%s: exit %d: %s; expected that nothing is installed", name, code, out)
		}
	}
}

// TestSetupRunGoesOnWithoutOpenBLAS: what makes it faster alone may be missing.
func TestSetupRunGoesOnWithoutOpenBLAS(t *testing.T) {
	for name, programs := range map[string]map[string]string{
		"not root, no sudo": {"id": "echo 1000", "sudo": "exit 1"},
		"no network":        {"apt-get": "exit 100"},
		"no such package":   {"apt-cache": "exit 0"},
	} {
		m := plainMachine(t, programs)
		code, out := m.run("setup.sh", "run")
		if code != 0 || !strings.HasSuffix(out, "setup: going on without libopenblas0-pthread\n") {
			t.Errorf("%s: exit %d: %s", name, code, out)
		}
	}
	// What is needed must be there.
	m := plainMachine(t, map[string]string{"apt-get": "exit 100", "ldconfig": "exit 0"})
	if code, out := m.run("setup.sh", "run"); code != 1 || !strings.Contains(out, "apt-get update failed") {
		t.Errorf("no loader and no network: exit %d: %s", code, out)
	}
}

// TestSetupWatchInstallsHeaders has a compiler that finds the window system's headers
// once they are installed.
func TestSetupWatchInstallsHeaders(t *testing.T) {
	m := plainMachine(t, map[string]string{
		"gcc":      `if grep -qE 'X11/|GL/'; then test -e "$PLAYED/apt"; fi`,
		"ldconfig": `printf '\tlibvulkan.so.1 (x) => /a\n\tlibopenblas.so.0 (libc6,x86-64) => /b\n'`,
	})
	const packages = " libx11-dev libxcursor-dev libxrandr-dev libxinerama-dev libxi-dev libxxf86vm-dev libgl-dev\n"
	if code, out := m.run("setup.sh", "run"); code != 0 || out != "" {
		t.Errorf("for the other commands: exit %d: %s; expected that nothing is installed", code, out)
	}
	if code, out := m.run("setup.sh", "watch"); code != 0 || !strings.Contains(out, "all there") || !strings.HasSuffix(m.read("apt"), packages) {
		t.Errorf("exit %d: %s; apt-get was called as %q, expected%s", code, out, m.read("apt"), packages)
	}
	if code, out := m.run("setup.sh", "watch"); code != 0 || out != "" {
		t.Errorf("again: exit %d: %s; expected that all is there", code, out)
	}
}
