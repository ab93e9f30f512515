package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
	"caldera/internal/cli"
	"caldera/internal/command/bench"
	"caldera/internal/command/chat"
	"caldera/internal/command/generate"
	"caldera/internal/commandtest"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// The test binary is caldera where this is set, on devices that say that so many bytes are free.
const freeBytes = "CALDERA_TEST_FREE_BYTES"

// short is a device with little memory.
type short struct {
	backend.Backend
	free int64
}

func (s short) Unwrap() backend.Backend { return s.Backend }

func (s short) Memory() (used, free, total int64) { return 0, s.free, 1 << 40 }

// shortOfMemory runs commands with devices that have so many bytes left: short-cpu, short-vulkan.
func shortOfMemory(bytes string) int {
	free, err := strconv.ParseInt(bytes, 10, 64)
	if err != nil {
		panic(err)
	}
	for _, name := range []string{"cpu", "vulkan"} {
		backend.Register("short-"+name, func() (list []backend.Device, err error) {
			all, err := backend.Devices(name)
			for _, d := range all {
				if name != "cpu" && !strings.Contains(d.Name, "llvmpipe") {
					continue
				}
				open := d.Open
				d.Backend, d.Index, d.Open = "short-"+name, len(list), func() (backend.Backend, error) {
					b, err := open()
					return short{b, free}, err
				}
				list = append(list, d)
			}
			return list, err
		})
	}
	return cli.Program("", generate.Command(), chat.Command(), bench.Command())
}

// withFree runs a command on such a device.
func withFree(t *testing.T, bytes int, name, stdin string, args ...string) commandtest.Result {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{args[0], "--backend=short-" + name}, args[1:]...)...)
	cmd.Args[0] = "caldera"
	cmd.Env = append(os.Environ(), freeBytes+"="+strconv.Itoa(bytes), "XDG_STATE_HOME="+t.TempDir())
	cmd.Stdin = strings.NewReader(stdin)
	return commandtest.Run(t, cmd)
}

// savedModel is a model with random weights in a directory. Of its three layers two have a window, unless that is 0.
func savedModel(t *testing.T, window int) string {
	t.Helper()
	s := &model.DecoderSettings{Activation: backend.SiLU, Rope: model.Rope{Theta: 1e6, Local: 10000}, Window: window, Period: 3}
	c := model.Config{Family: "gemma3_text", Layers: 3, Heads: 4, KVHeads: 4, HeadSize: 64, Width: 256, Inner: 1024, Context: 4096, Vocab: 200, TieEmbeddings: true, Settings: s}
	if window == 0 {
		c.Family, s.Rope.Local, s.Period = "llama", 0, 0
	}
	source, err := checkpoint.Random(c.Complete(), 1)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), fmt.Sprintf("window-%d", window))
	if err := source.SaveDir(t.Context(), dir, checkpoint.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestTooLittleMemory: what does not fit is refused before it is loaded. The error says what is needed and what there
// is, and each way out that it names is one. A position of a layer takes 2 KiB as f32, the weights 12 MiB.
func TestTooLittleMemory(t *testing.T) {
	devicetest.UseTestDrivers(t)
	const mib = 1 << 20
	whole, windowed := savedModel(t, 0), savedModel(t, 100)
	for _, name := range []string{"cpu", "vulkan"} {
		weights := 0 // used from the file, if the device can
		if name == "vulkan" {
			weights = 12*mib + mib/2
		}
		// ways runs a command that is refused, and returns the flags that it names.
		ways := func(free int, stdin string, args ...string) map[string]string {
			t.Helper()
			r := withFree(t, free, name, stdin, args...)
			lines := strings.Split(strings.TrimSuffix(r.Stderr, "\n"), "\n")
			last := lines[len(lines)-1]
			needs := regexp.MustCompile(`: out of memory: it needs [\d.]+ MiB \((weights [\d.]+ MiB, )?keys and values [\d.]+ MiB, workspace [\d.]+ MiB\) on \S+, where ` + fmt.Sprintf(`%.1f MiB of 1024\.0 GiB are free: `, float64(free)/mib))
			if r.Code != 1 || r.Out != "" || len(lines) > 3 || !needs.MatchString(last) {
				t.Errorf("%s, %d bytes free, %q: exit code %d, %q: %s", name, free, args, r.Code, r.Out, r.Stderr)
			}
			flags := map[string]string{}
			for _, m := range regexp.MustCompile(`(-c|--cache-type|--dtype|--parallel)[ =](\w+)`).FindAllStringSubmatch(last[max(0, strings.LastIndex(last, "(")):], -1) {
				flags[m[1]] = m[2]
			}
			return flags
		}
		fits := func(free int, stdin string, args ...string) {
			t.Helper()
			if r := withFree(t, free, name, stdin, args...); r.Code != 0 {
				t.Errorf("%s, %d bytes free, %q: exit code %d: %s", name, free, args, r.Code, r.Stderr)
			}
		}
		text := func(dir string, more ...string) []string {
			return append([]string{"generate", "-m", dir, "--tokens=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20", "-n", "2", "--ignore-eos", "--dtype=f32"}, more...)
		}
		// All positions of three layers take 24 MiB, with windows 8 and two times 2.2.
		for dir, least := range map[string]int{whole: 24 * mib, windowed: 13 * mib} {
			if name == "vulkan" && dir == whole { // takes longer, and shows nothing more
				continue
			}
			fits(weights+least+4*mib, "", text(dir)...)
			free := weights + least*4/5
			flags := ways(free, "", text(dir)...)
			size, _ := strconv.Atoi(flags["-c"])
			if size < 1000 || size >= 4096 || flags["--cache-type"] != "f16" {
				t.Errorf("%s, %s: it names %v", name, dir, flags)
				continue
			}
			fits(free, "", text(dir, "-c", flags["-c"])...)
			fits(free, "", text(dir, "--cache-type=f16")...)
			if more := ways(free, "", text(dir, "-c", strconv.Itoa(size+1))...); more["-c"] != flags["-c"] {
				t.Errorf("%s, %s: a context of %d: it names %v, before %v", name, dir, size+1, more, flags)
			}
		}
		// Weights of f16 take 6.1 MiB, of q8_0 3.3, and angles 1.
		small := text(whole, "-c", "32", "--dtype=f16")
		flags := ways(5*mib+mib/2, "", small...)
		if d := flags["--dtype"]; d != "q8_0" {
			t.Errorf("%s: it names %v", name, flags)
		} else {
			fits(5*mib+mib/2, "", append(small, "--dtype="+d)...)
		}
		many := text(windowed, "--parallel=9", "-n", "3000")
		if n, _ := strconv.Atoi(ways(weights+40*mib, "", many...)["--parallel"]); n < 2 || n > 8 {
			t.Errorf("%s: of nine answers it names %d", name, n)
		} else if m, _ := strconv.Atoi(ways(weights+40*mib, "", append(many, fmt.Sprintf("--parallel=%d", n+1))...)["--parallel"]); m != n {
			t.Errorf("%s: of %d answers it names %d, and %d of nine", name, n+1, m, n)
		}
		talk := gpttest.ChatModel(t, gpttest.ChatML)
		said := []string{"chat", "-m", talk, "-n", "2", "--temp=0"}
		if size := ways(8*mib, "hello\n", said...)["-c"]; size == "" {
			t.Errorf("%s: chat names no context", name)
		} else {
			fits(8*mib, "hello\n", append(said, "-c", size)...)
		}
		r := withFree(t, mib, name, "", "bench", "-m", whole, "-p", "0", "-n", "1", "-r", "1", "--no-ceilings") // with what it compares with
		if r.Code != 1 || !strings.Contains(r.Stderr, "out of memory: it needs ") || !strings.Contains(r.Stderr, "the rest 512.0 MiB) on ") || !strings.Contains(r.Stderr, ", where 1.0 MiB of 1024.0 GiB are free: ") {
			t.Errorf("%s: bench: exit code %d: %s", name, r.Code, r.Stderr)
		}
	}
}
