package scripts_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// kit is a folder as make gpu-kit builds it, with other programs.
func kit(t *testing.T, bench string) *machine {
	t.Helper()
	m := newMachine(t, map[string]string{"nvidia-smi": "echo played card", "python3": "exit 1", "node": "exit 127"})
	run, err := os.ReadFile("gpukit-run.sh")
	if err != nil {
		t.Fatal(err)
	}
	m.write("kit/run.sh", string(run), 0o755)
	m.write("kit/libvulkan.so.1", "", 0o644)
	for name, script := range map[string]string{"bench": bench, "vulkan.test": `echo "conformance of $CALDERA_TEST_DEVICE: $*"`} {
		var zipped bytes.Buffer
		z := gzip.NewWriter(&zipped)
		z.Write([]byte("#!/bin/sh\n" + script))
		z.Close()
		m.write("kit/"+name+".gz", zipped.String(), 0o644)
	}
	return m
}

// list answers as bench does on a machine with a card.
const list = `case "$*" in
*--list-devices*--json*) echo '[ { "kind": "discrete GPU" } ]'; exit ;;
*--list-devices*) echo "vulkan:0  discrete GPU  played"; exit ;;
*--version*) echo "caldera, commit 0"; exit ;;
esac
`

// TestKit: each step's results are there, also when others fail.
func TestKit(t *testing.T) {
	m := kit(t, list+`case "$*" in
*--dtype=q8_0*) echo "out of memory" >&2; exit 1 ;;
*--profile=*) echo '{}' >"$(echo "$*" | sed 's/.*--profile=\([^ ]*\).*/\1/')" ;;
esac
printf '[\n  {\n    "ran": "%s"\n  }\n]\n' "$*"`)
	code, out := m.run(m.path("kit/run.sh"), m.path("out"))
	if code != 0 || !strings.Contains(out, "device: vulkan:0  discrete GPU  played") || !strings.Contains(out, "speed of gpt2 q8_0: failed with exit code 1") {
		t.Fatalf("exit %d: %s", code, out)
	}
	if log := m.read("out/log.txt"); !strings.Contains(log, "out of memory") || !strings.Contains(log, "conformance, full: done") {
		t.Errorf("log.txt: %s", log)
	}
	for name, want := range map[string][]string{
		"speeds.json": {"--shape=gpt2 --dtype=f16 -p 512 -n 128", "--shape=gpt2 --dtype=q4_0", "--shape=gpt2-xl --dtype=f16", "--shape=gpt2-xl --dtype=q4_0"},
		"peers.json":  {"peers --backend=vulkan --shape=gpt2 ", "peers --backend=vulkan --shape=gpt2-xl "},
		"train.json":  {"train --backend=vulkan --shape=gpt2 --dtype=f16"},
	} {
		var got []struct{ Ran string }
		if err := json.Unmarshal([]byte(m.read("out/"+name)), &got); err != nil || len(got) != len(want) {
			t.Errorf("%s has %d results (%v), expected %d: %s", name, len(got), err, len(want), m.read("out/"+name))
			continue
		}
		for i := range want {
			if !strings.Contains(got[i].Ran, want[i]) {
				t.Errorf("%s, result %d: bench %s, expected %s", name, i, got[i].Ran, want[i])
			}
		}
	}
	if text := m.read("out/conformance.txt"); strings.Count(text, "conformance of best:") != 2 || strings.Count(text, "-test.short") != 1 {
		t.Errorf("conformance.txt: %s, expected the quick suite and the full one", text)
	}
	if text := m.read("out/device.txt"); !strings.Contains(text, "played card") || !strings.Contains(text, "commit 0") {
		t.Errorf("device.txt: %s", text)
	}
	files, err := os.ReadDir(m.path("out"))
	if err != nil || len(files) != 7 || m.read("out/profile.json") == "" {
		t.Errorf("%d files (%v): %v, expected 7", len(files), err, files)
	}
}

// TestKitInTime: a step that hangs is ended, what it has is kept, and the rest is left out when the time is over.
func TestKitInTime(t *testing.T) {
	m := kit(t, list+`trap 'printf "[\n  {\n    \"ran\": \"a part\"\n  }\n]\n"; kill $!; exit 1' INT
sleep 100 & wait`)
	m.env = append(m.env, "CALDERA_KIT_SECONDS=16")
	code, out := m.run(m.path("kit/run.sh"), m.path("out"))
	if code != 0 || !strings.Contains(out, "speed of gpt2 f16: not done after") || !strings.Contains(out, "conformance, full: left out, the time is over") {
		t.Errorf("exit %d: %s", code, out)
	}
	if text := m.read("out/speeds.json"); !strings.Contains(text, "a part") {
		t.Errorf("speeds.json: %q, expected what was measured until then", text)
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
