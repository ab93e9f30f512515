package scripts_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"caldera/internal/commandtest"
)

// kit is a folder as make gpu-kit builds it, with other programs.
func kit(t *testing.T, caldera string) *machine {
	t.Helper()
	m := newMachine(t, map[string]string{"nvidia-smi": "echo played card", "python3": "exit 1", "node": "exit 127"})
	run, err := os.ReadFile("gpukit-run.sh")
	if err != nil {
		t.Fatal(err)
	}
	m.write("kit/run.sh", string(run), 0o755)
	m.write("kit/libvulkan.so.1", "", 0o644)
	m.write("tmp/here", "", 0o644)
	m.env = append(m.env, "TMPDIR="+m.path("tmp"))
	for name, script := range map[string]string{"caldera": caldera, "vulkan.test": `echo "conformance of $CALDERA_TEST_DEVICE: $*"`} {
		var zipped bytes.Buffer
		z := gzip.NewWriter(&zipped)
		z.Write([]byte("#!/bin/sh\n" + script))
		z.Close()
		m.write("kit/"+name+".gz", zipped.String(), 0o644)
	}
	return m
}

// start starts run.sh as the machine does, with sh, and what it prints goes into the file told.
func start(m *machine, args ...string) *exec.Cmd {
	m.t.Helper()
	cmd := exec.Command(m.path("kit/run.sh"), args...)
	told, err := os.Create(m.path("told"))
	if err != nil {
		m.t.Fatal(err)
	}
	defer told.Close()
	cmd.Stdout, cmd.Stderr, cmd.Env = told, told, m.env
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	return cmd
}

// measure runs it to its end, after which it leaves nothing in the folder for temporary files.
func measure(m *machine, args ...string) (code int, told string) {
	m.t.Helper()
	cmd := start(m, args...)
	_ = cmd.Wait() // the exit code tells
	if left, _ := filepath.Glob(m.path("tmp/*")); len(left) != 1 {
		m.t.Errorf("left behind: %v", left)
	}
	return cmd.ProcessState.ExitCode(), m.read("told")
}

// ran are the commands whose results are in a file.
func ran(m *machine, name string) (all []string) {
	m.t.Helper()
	var got []struct{ Ran string }
	if err := json.Unmarshal([]byte(m.read(name)), &got); err != nil {
		m.t.Errorf("%s: %v: %s", name, err, m.read(name))
	}
	for _, x := range got {
		all = append(all, x.Ran)
	}
	return all
}

// list answers as caldera does on a machine with a card.
const list = `case "$*" in
*--list-devices*--json*) echo '[ { "kind": "discrete GPU" } ]'; exit ;;
*--list-devices*) echo "vulkan:0  discrete GPU  played"; exit ;;
*--version*) echo "caldera, commit 0"; exit ;;
esac
`

// result writes one, which has the command.
const result = `printf '[\n  {\n    "ran": "%s"\n  }\n]\n' "$*"`

// TestKit: each step's results are there, also when others fail or crash.
func TestKit(t *testing.T) {
	m := kit(t, list+`case "$*" in
*--shape=gpt2\ --dtype=q8_0*) echo "out of memory" >&2; exit 1 ;;
*--shape=gpt2\ --dtype=q4_0*) printf '[\n  {'; kill -SEGV $$ ;;
*--profile=*) echo '{}' >"$(echo "$*" | sed 's/.*--profile=\([^ ]*\).*/\1/')" ;;
esac
`+result)
	code, out := measure(m, m.path("out"))
	if code != 0 || !strings.Contains(out, "device: vulkan:0  discrete GPU  played") || !strings.Contains(out, "speed of gpt2 q8_0: failed with exit code 1") ||
		!strings.Contains(out, "speed of gpt2 q4_0: failed with exit code 139") {
		t.Fatalf("exit %d: %s", code, out)
	}
	if log := m.read("out/log.txt"); !strings.Contains(log, "out of memory") || !strings.Contains(log, "conformance, full: done") {
		t.Errorf("log.txt: %s", log)
	}
	for name, want := range map[string][]string{
		"speeds.json": {"bench --backend=vulkan --shape=gpt2 --dtype=f16 -p 512 -n 128", "--shape=gpt2-xl --dtype=f16", "--shape=gpt2-xl --dtype=q8_0", "--shape=gpt2-xl --dtype=q4_0"},
		"peers.json":  {"peers --backend=vulkan --peer=pytorch --shape=gpt2 --dtype=f16 -p 512 -n 128", "peers --backend=vulkan --peer=pytorch --shape=gpt2-xl --dtype=f16"},
		"train.json":  {"train --backend=vulkan --shape=gpt2 --dtype=f16"},
	} {
		got := ran(m, "out/"+name)
		if !slices.EqualFunc(got, want, strings.Contains) {
			t.Errorf("%s: %q, expected %q", name, got, want)
		}
	}
	text := m.read("out/conformance.txt")
	if strings.Count(text, "conformance of best:") != 2 || strings.Count(text, "-test.short") != 1 || !strings.Contains(text, "-test.timeout=30s") {
		t.Errorf("conformance.txt: %s, expected the quick suite and the full one", text)
	}
	if text := m.read("out/device.txt"); !strings.Contains(text, "played card") || !strings.Contains(text, "commit 0") {
		t.Errorf("device.txt: %s", text)
	}
	files, err := os.ReadDir(m.path("out"))
	if err != nil || len(files) != 8 || m.read("out/profile-gpt2.json") == "" || m.read("out/profile-gpt2-xl.json") == "" {
		t.Errorf("%d files (%v): %v, expected 8", len(files), err, files)
	}
}

// TestKitInTime: a step that hangs is ended, what it has is kept, and the rest is left out when the time is over.
func TestKitInTime(t *testing.T) {
	m := kit(t, list+`trap 'printf "[\n  {\n    \"ran\": \"a part\"\n  }\n]\n"; kill $!; exit 1' TERM
sleep 100 & wait`)
	m.env = append(m.env, "CALDERA_KIT_SECONDS=19")
	code, out := measure(m, m.path("out"))
	if code != 0 || !strings.Contains(out, "speed of gpt2 f16: not done after") || !strings.Contains(out, "conformance, full: left out, the time is over") {
		t.Errorf("exit %d: %s", code, out)
	}
	if got := ran(m, "out/speeds.json"); !slices.Equal(got, []string{"a part"}) {
		t.Errorf("speeds.json: %q, expected what was measured until then", got)
	}
}

// TestKitStopped: whoever stops it in the middle has the results so far, and nothing runs on.
func TestKitStopped(t *testing.T) {
	m := kit(t, list+`case "$*" in *--shape=gpt2\ --dtype=q8_0*) echo $$ >"$PLAYED/running"; exec sleep 1000 ;; esac
`+result)
	cmd := start(m, m.path("out"))
	for begin := time.Now(); m.read("running") == ""; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > commandtest.Patience {
			t.Fatalf("it does not come to its third step: %s", m.read("told"))
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the exit code tells
	if code := cmd.ProcessState.ExitCode(); code != 143 || !strings.Contains(m.read("out/log.txt"), "stopped by a signal") {
		t.Errorf("exit %d: %s", code, m.read("told"))
	}
	if got := ran(m, "out/speeds.json"); len(got) != 1 || !strings.Contains(got[0], "--dtype=f16") {
		t.Errorf("speeds.json: %q, expected the one result until then", got)
	}
	running := "/proc/" + strings.TrimSpace(m.read("running"))
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(running); err != nil {
			break
		}
		if time.Since(begin) > commandtest.Patience {
			t.Fatal("the step runs on")
		}
	}
}

// TestKitWithoutGPU: it tells what the machine says, and measures no software driver.
func TestKitWithoutGPU(t *testing.T) {
	m := kit(t, strings.Replace(list, "discrete", "software", 1)+"echo measured\n")
	code, out := measure(m, m.path("out"))
	if code != 1 || !strings.Contains(out, "no GPU: device.txt has what the machine tells") || strings.Contains(out, "speed") || m.read("out/device.txt") == "" {
		t.Errorf("exit %d: %s", code, out)
	}
}

// TestKitLlama: a call of its own measures llama.cpp, from a folder beside, whether or not the machine has xz.
func TestKitLlama(t *testing.T) {
	m := kit(t, list+`echo "$CALDERA_LLAMA with $(node)" >&2
`+result)
	if code, out := measure(m, m.path("out"), "llama"); code != 1 || !strings.Contains(out, "make gpu-kit-llama builds that folder") {
		t.Errorf("without the folder: exit %d: %s", code, out)
	}
	m.write("node/bin/node", "#!/bin/sh\necho its own node", 0o755)
	m.write("kit-llama/xz", "#!/bin/sh\ncat \"$2\"", 0o755)
	if out, err := exec.Command("tar", "-C", m.path("node"), "-cf", m.path("kit-llama/llama.tar.xz"), "bin").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	code, out := measure(m, m.path("out"), "llama")
	if code != 0 || !strings.Contains(m.read("out/log.txt"), "/llama/node_modules/node-llama-cpp with its own node") {
		t.Errorf("exit %d: %s", code, out)
	}
	want := []string{"--shape=gpt2 --dtype=f16", "--shape=gpt2-xl --dtype=f16", "--shape=gpt2 --dtype=q8_0", "--shape=gpt2 --dtype=q4_0", "--shape=gpt2-xl --dtype=q8_0", "--shape=gpt2-xl --dtype=q4_0"}
	if got := ran(m, "out/peers.json"); !slices.EqualFunc(got, want, strings.Contains) || !strings.Contains(got[0], "--peer=node-llama-cpp") {
		t.Errorf("peers.json: %q", got)
	}
	if m.read("out/speeds.json") != "" || m.read("out/conformance.txt") != "" {
		t.Error("it has measured more than it was asked for")
	}
	if code, out := measure(m, m.path("out"), "lama"); code != 2 || out != "usage: run.sh OUT [llama]\n" {
		t.Errorf("another word: exit %d: %s", code, out)
	}
}

// TestGPULabRefuses: what cannot be played here is told.
func TestGPULabRefuses(t *testing.T) {
	m := newMachine(t, map[string]string{"uname": "echo aarch64"})
	if code, out := m.run("gpulab.sh"); code != 2 || !strings.Contains(out, "usage: gpulab.sh trixie|sid") {
		t.Errorf("without a release: exit %d: %s", code, out)
	}
	if code, out := m.run("gpulab.sh", "sid"); code != 1 || out != "gpulab.sh: the drivers are fetched for x86-64 alone, this is aarch64\n" {
		t.Errorf("on another processor: exit %d: %s", code, out)
	}
}
