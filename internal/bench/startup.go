package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"caldera/backend"
)

// StartupResult is how long a new process takes from its start to the first
// token that it makes of a short prompt. Times are those of all repetitions.
type StartupResult struct {
	Common
	ModelType    string  `json:"model_type"`
	ModelNParams int64   `json:"model_n_params"`
	DType        string  `json:"dtype"`
	NPrompt      int     `json:"n_prompt"`
	Caches       string  `json:"caches"` // "cold": there are no compiled pipelines on disk; "warm": a process before left its own
	AvgNS        int64   `json:"avg_ns"` // to the first token
	StddevNS     int64   `json:"stddev_ns"`
	SamplesNS    []int64 `json:"samples_ns"`

	// How much longer the first prompt takes than the same one again in a new
	// session of the same process: compiling, and memory touched first.
	AvgCompileNS     int64   `json:"avg_compile_ns"`
	StddevCompileNS  int64   `json:"stddev_compile_ns"`
	SamplesCompileNS []int64 `json:"samples_compile_ns"`

	OpenNS int64 `json:"open_ns"` // finding and opening the device, on average
	LoadNS int64 `json:"load_ns"` // weights, on average; making them where they are random
}

// StartupOptions are how to measure. Progress counts processes.
type StartupOptions struct {
	Options
	Threads int
}

// startupPrompt is the number of tokens of the prompt.
const startupPrompt = 16

// Startup measures cold and warm starts: each repetition runs one process with
// empty caches of compiled pipelines, then another with what the first left.
// Those before an error, or before ctx ended, come with it.
func Startup(ctx context.Context, d backend.Device, model Model, o StartupOptions) (results []*StartupResult, err error) {
	n := min(startupPrompt, model.Config.Context)
	job := startupJob{Device: d.Spec(), Dir: model.File, Shape: model.Shape, DType: o.DType, Prompt: n, Threads: o.Threads}
	cold := &StartupResult{Common: newCommon("startup", d), ModelType: model.Name, NPrompt: n, Caches: "cold"}
	warm := &StartupResult{Common: newCommon("startup", d), ModelType: model.Name, NPrompt: n, Caches: "warm"}
	p := progress{o.Progress, 0, 2 * o.Repetitions}
	defer func() {
		for _, r := range []*StartupResult{cold, warm} {
			if r.Incomplete = len(r.SamplesNS) < o.Repetitions; len(r.SamplesNS) > 0 {
				results = append(results, r)
			}
		}
	}()
	for i := range o.Repetitions {
		err := func() error {
			caches, err := os.MkdirTemp("", "caldera-bench-*")
			if err != nil {
				return err
			}
			defer os.RemoveAll(caches)
			for _, r := range []*StartupResult{cold, warm} {
				p.step(fmt.Sprintf("%s start %d/%d", r.Caches, i+1, o.Repetitions))
				took, report, err := job.start(ctx, caches)
				if err != nil {
					return fmt.Errorf("%s start of %s on %s: %w", r.Caches, model.Name, d.Spec(), err)
				}
				r.add(took, report)
			}
			return nil
		}()
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (r *StartupResult) add(took time.Duration, c startupReport) {
	r.SamplesNS = append(r.SamplesNS, took.Nanoseconds())
	r.SamplesCompileNS = append(r.SamplesCompileNS, c.FirstNS-c.SecondNS)
	r.ModelNParams, r.DType = c.Parameters, c.DType
	n := int64(len(r.SamplesNS))
	r.OpenNS += (c.OpenNS - r.OpenNS) / n
	r.LoadNS += (c.LoadNS - r.LoadNS) / n
	total, compile := spreadOfNS(r.SamplesNS), spreadOfNS(r.SamplesCompileNS)
	r.AvgNS, r.StddevNS = int64(total.Mean), int64(total.SD)
	r.AvgCompileNS, r.StddevCompileNS = int64(compile.Mean), int64(compile.SD)
}

// startupJob is what the process is to do. It comes on its standard input.
type startupJob struct {
	Device, Dir, Shape string
	DType              backend.DType
	Prompt, Threads    int
}

// startupReport is what it tells after its first token.
type startupReport struct {
	OpenNS, LoadNS    int64
	FirstNS, SecondNS int64 // of the prompt, programs included
	Parameters        int64
	DType             string
}

// startupEnv makes a process such a one: it holds the id of the process that
// started it, so that nobody gets there by a slip.
const startupEnv = "CALDERA_BENCH_STARTUP_OF"

// firstToken is the line that a process writes when it has one.
const firstToken = "first token\n"

// start runs one process and times it until its first token.
func (j startupJob) start(ctx context.Context, caches string) (took time.Duration, report startupReport, err error) {
	exe, err := os.Executable()
	if err != nil {
		return 0, report, err
	}
	text, err := json.Marshal(j)
	if err != nil {
		return 0, report, err
	}
	cmd := exec.CommandContext(ctx, exe)
	cmd.SysProcAttr = ownGroup() // so that Ctrl-C is ours to answer
	cmd.Env = append(cachesIn(os.Environ(), caches), startupEnv+"="+strconv.Itoa(os.Getpid()))
	cmd.Stdin = bytes.NewReader(text)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return 0, report, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, report, err
	}
	out := bufio.NewReader(pipe)
	line, readErr := out.ReadString('\n')
	took = time.Since(start)
	decodeErr := json.NewDecoder(out).Decode(&report)
	err = cmd.Wait()
	switch said := strings.TrimSpace(stderr.String()); {
	case ctx.Err() != nil:
		return 0, report, ctx.Err()
	case err != nil && said != "":
		return 0, report, errors.New(said)
	case err != nil:
		return 0, report, err
	case line != firstToken:
		return 0, report, fmt.Errorf("the process wrote %q, expected %q (%v)", line, firstToken, readErr)
	}
	return took, report, decodeErr
}

// cachesIn is an environment in which drivers, and backends, keep what they
// compile in dir and know nothing of other places.
func cachesIn(env []string, dir string) []string {
	places := map[string]string{
		"XDG_CACHE_HOME":              dir,                          // os.UserCacheDir on Linux, and Mesa
		"LocalAppData":                dir,                          // os.UserCacheDir on Windows
		"MESA_SHADER_CACHE_DIR":       filepath.Join(dir, "mesa"),   // where it is set, Mesa takes it first
		"__GL_SHADER_DISK_CACHE_PATH": filepath.Join(dir, "nvidia"), // NVIDIA
		"AMD_SHADER_DISK_CACHE_PATH":  filepath.Join(dir, "amd"),    // AMD's own driver
	}
	if runtime.GOOS == "darwin" {
		places["HOME"] = dir // os.UserCacheDir there
	}
	env = slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		_, ours := places[name]
		return ours || name == startupEnv
	})
	for name, place := range places {
		env = append(env, name+"="+place)
	}
	return env
}

func (r *StartupResult) time() Spread    { return spreadOfNS(r.SamplesNS) }
func (r *StartupResult) compile() Spread { return spreadOfNS(r.SamplesCompileNS) }

func (r *StartupResult) key() string {
	return fmt.Sprintf("%s first token of %d, %s, %s", r.ModelType, r.NPrompt, r.Caches, r.DType)
}

func (r *StartupResult) figures() []figure {
	return []figure{{Spread: r.time().times(1e-6), unit: "ms", lower: true}}
}

func (r *StartupResult) size() string { return repetitions(len(r.SamplesNS)) }

func (r *StartupResult) work() []quantity {
	return []quantity{{"parameters", float64(r.ModelNParams)}}
}

func (r *StartupResult) check() error {
	err := cmp.Or(plausible(r, "avg_compile_ns", "samples_compile_ns"), positive("samples_ns", r.SamplesNS))
	if err != nil {
		return err
	}
	if len(r.SamplesCompileNS) != len(r.SamplesNS) {
		return fmt.Errorf("samples_compile_ns has %d samples, expected %d as samples_ns", len(r.SamplesCompileNS), len(r.SamplesNS))
	}
	total, compile := r.time(), r.compile()
	return cmp.Or(
		near("avg_ns", float64(r.AvgNS), float64(int64(total.Mean)), "stddev_ns", float64(r.StddevNS), float64(int64(total.SD))),
		near("avg_compile_ns", float64(r.AvgCompileNS), float64(int64(compile.Mean)), "stddev_compile_ns", float64(r.StddevCompileNS), float64(int64(compile.SD))),
	)
}

func (r *StartupResult) goBench() goBench {
	b := goBench{name: "FirstToken", special: []metric{{"compile-ns", r.compile().Mean}}}
	b.labels = append([][2]string{{"model", r.ModelType}}, r.deviceLabels([2]string{"dtype", r.DType}, [2]string{"caches", r.Caches})...)
	for _, ns := range r.SamplesNS {
		b.ns = append(b.ns, float64(ns))
	}
	return b
}

func startupTables(s *strings.Builder, records []Record) {
	t := table{{"model", "device", "dtype", "caches", "first token", "of it compiling", "opening", "loading"}}
	for _, x := range records {
		r := x.(*StartupResult)
		t = append(t, []string{
			r.ModelType, r.Device, r.DType, r.Caches, r.time().times(1e-6).format(1) + " ms", r.compile().times(1e-6).format(1) + " ms",
			milliseconds(r.OpenNS), milliseconds(r.LoadNS),
		})
	}
	t.write(s)
	fmt.Fprintf(s, `
First token: from the start of a new process until it has read a prompt of %d tokens and knows the next. Cold: no
compiled pipelines on disk, neither Caldera's nor the driver's; the program and the model may be in memory. Compiling:
how much longer the first prompt took than the same one again in a new session of that process.
`, records[0].(*StartupResult).NPrompt)
}
