// Package scripts_test runs scripts on machines that are played: programs that
// stand first on PATH answer as that machine's would.
package scripts_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// machine is a folder with programs, and what they read and write.
type machine struct {
	t   *testing.T
	dir string
	env []string
}

// newMachine skips the test where scripts cannot run.
func newMachine(t *testing.T, programs map[string]string) *machine {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil || runtime.GOOS != "linux" {
		t.Skipf("the scripts are for Linux with bash: %v", err)
	}
	m := &machine{t: t, dir: t.TempDir()}
	for name, script := range programs {
		m.write("bin/"+name, "#!/bin/sh\n"+script, 0o755)
	}
	m.env = []string{"PATH=" + m.path("bin") + ":" + os.Getenv("PATH"), "PLAYED=" + m.dir, "HOME=" + m.dir}
	return m
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

func (m *machine) write(name, text string, mode os.FileMode) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.path(name)), 0o777); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(m.path(name), []byte(text), mode); err != nil {
		m.t.Fatal(err)
	}
}

// read is empty for a file that is not there.
func (m *machine) read(name string) string {
	m.t.Helper()
	b, err := os.ReadFile(m.path(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		m.t.Fatal(err)
	}
	return string(b)
}

// run runs a script of this folder and returns its exit code and all it printed.
func (m *machine) run(script string, args ...string) (int, string) {
	m.t.Helper()
	cmd := exec.Command("bash", append([]string{script}, args...)...)
	if _, err := os.ReadFile(script); err != nil { // here too, so that Go's cache knows
		m.t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &out, m.env
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		m.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

// played apt-get: of the two mirrors that the machine's sources name, files/mirror
// is the one that has the release.
const aptGet = `
case "$*" in
*--print-uris*) cat "$PLAYED/sources" ;;
*update*)
  list=$(sed -n 's/.*sourcelist "\([^"]*\)".*/\1/p' "$APT_CONFIG")
  cat "$list" >>"$PLAYED/tried"
  cp "$APT_CONFIG" "$PLAYED/conf"
  grep -q " $(cat "$PLAYED/good") " "$list" || { echo "E: no Release file" >&2; exit 100; } ;;
*install*)
  echo "$*" >"$PLAYED/installed"
  cp "$PLAYED/package.deb" "$(sed -n 's/.*Dir::Cache "\([^"]*\)".*/\1/p' "$APT_CONFIG")/archives/" ;;
esac
`

func debian(t *testing.T, good string) *machine {
	t.Helper()
	m := newMachine(t, map[string]string{
		"apt-get":   aptGet,
		"apt-cache": `echo "Package: glslc"`,
		"apt-config": `echo 'Acquire::http::Proxy "http://proxy.example:3142";'; echo 'Acquire::Languages:: "de";'
			echo 'APT::Update::Post-Invoke:: "touch /hook";'`,
		"dpkg": "echo amd64",
	})
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("packages cannot be made here:", err)
	}
	m.write("package/DEBIAN/control", "Package: glslc\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: none\n", 0o644)
	m.write("package/usr/bin/glslc", "program", 0o755)
	m.write("package/usr/share/doc/glslc/copyright", "long", 0o644)
	if out, err := exec.Command("dpkg-deb", "--build", m.path("package"), m.path("package.deb")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m.write("keys.gpg", "keys", 0o644)
	m.env = append(m.env, "CALDERA_DEBIAN_KEYS="+m.path("keys.gpg"))
	m.write("good", good, 0o644)
	m.write("sources", `'cdrom://Debian 12/dists/bookworm/InRelease' x 0
'http://security.example/debian-security/dists/bookworm-security/InRelease' x 0
'mirror+file:/etc/apt/mirrors/debian.list/dists/bookworm/InRelease' x 0
'mirror+file:/etc/apt/mirrors/debian.list/dists/bookworm-updates/InRelease' x 0
'http://flat.example/repo/./InRelease' x 0
'http://security.example/debian-security/dists/bookworm-security/main/binary-amd64/Packages.xz' x 0
`, 0o644)
	return m
}

// TestDebian takes packages from the machine's own mirrors, of which only one
// has the release.
func TestDebian(t *testing.T) {
	const own = "mirror+file:/etc/apt/mirrors/debian.list"
	m := debian(t, own)
	if code, out := m.run("debian.sh", "trixie", m.path("out/debian"), "glslc", "spirv-tools"); code != 0 || out != "" {
		t.Fatalf("exit %d: %s", code, out)
	}
	source := "deb [arch=amd64 signed-by=" + m.path("keys.gpg") + "] "
	if got, want := m.read("tried"), source+"http://security.example/debian-security trixie main\n"+source+own+" trixie main\n"; got != want {
		t.Errorf("tried\n%sexpected\n%s", got, want)
	}
	if got := m.read("installed"); !strings.HasSuffix(got, " --download-only glslc spirv-tools\n") {
		t.Errorf("apt-get %s, expected both packages to be downloaded and none to be installed", got)
	}
	if m.read("out/debian/usr/bin/glslc") != "program" || m.read("out/debian/bin/glslc") != "program" || m.read("out/debian/usr/share/doc/glslc/copyright") != "" {
		t.Error("the package was not unpacked as it should be: the program in usr/bin and bin, no documentation")
	}
	conf := m.read("conf")
	if !strings.Contains(conf, "proxy.example") || strings.Contains(conf, "Post-Invoke") || strings.Contains(conf, `"de"`) {
		t.Errorf("apt's configuration should have the machine's proxy, but neither its hooks nor its languages:\n%s", conf)
	}
	for _, need := range []string{`AllowInsecureRepositories "0"`, `AllowUnauthenticated "0"`, `Dir::Etc::parts "/dev/null"`, `Dir::Etc::sourceparts "/dev/null"`} {
		if !strings.Contains(conf, need) {
			t.Errorf("apt's configuration has no %s:\n%s", need, conf)
		}
	}
	m.tidy("out", "debian")
}

// tidy expects a folder to hold what is named and nothing else.
func (m *machine) tidy(folder string, want ...string) {
	m.t.Helper()
	entries, err := os.ReadDir(m.path(folder))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		m.t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		m.t.Errorf("%s holds %q, expected %q", folder, got, want)
	}
}

// TestDebianMirrorIsSet asks the mirror that the variable names and no other.
func TestDebianMirrorIsSet(t *testing.T) {
	m := debian(t, "http://chosen.example/debian")
	m.env = append(m.env, "CALDERA_DEBIAN_MIRROR=http://chosen.example/debian/")
	if code, out := m.run("debian.sh", "sid", m.path("out/debian"), "glslc"); code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	if got := m.read("tried"); strings.Count(got, "\n") != 1 || !strings.Contains(got, "] http://chosen.example/debian sid main\n") {
		t.Errorf("tried\n%s", got)
	}
}

// TestDebianIsNotThere has an Ubuntu, whose mirrors have no release of Debian;
// one without Debian's keys; and a machine whose sources name no mirror.
func TestDebianIsNotThere(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*machine)
		want   []string
	}{
		"other mirrors": {func(*machine) {}, []string{"E: no Release file", "http://security.example/debian-security mirror+file:/etc/apt/mirrors/debian.list has no trixie of Debian with glslc", "set CALDERA_DEBIAN_MIRROR"}},
		"no keys":       {func(m *machine) { os.Remove(m.path("keys.gpg")) }, []string{"apt-get install debian-archive-keyring"}},
		"no mirror":     {func(m *machine) { m.write("sources", "", 0o644) }, []string{"name no mirror", "set CALDERA_DEBIAN_MIRROR"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := debian(t, "nowhere")
			c.change(m)
			code, out := m.run("debian.sh", "trixie", m.path("out/debian"), "glslc")
			if code != 1 {
				t.Errorf("exit %d, expected 1", code)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("told %q, expected %q in it", out, want)
				}
			}
			if m.read("installed") != "" {
				t.Error("something was downloaded all the same")
			}
			if name == "other mirrors" {
				m.tidy("out", "debian")
			}
		})
	}
}
