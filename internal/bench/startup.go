package bench

import (
	"bufio"
	"bytes"
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
	"caldera/internal/bench/peer"
	"caldera/internal/bench/result"
)

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
func Startup(ctx context.Context, d backend.Device, model Model, o StartupOptions) (results []*result.StartupResult, err error) {
	n := min(startupPrompt, model.Config.Context)
	job := startupJob{Device: d.Spec(), Dir: model.File, Shape: model.Shape, DType: o.DType, Prompt: n, Threads: o.Threads}
	cold := &result.StartupResult{Common: result.NewCommon("startup", d, ""), ModelType: model.Name, NPrompt: n, Caches: "cold"}
	warm := &result.StartupResult{Common: result.NewCommon("startup", d, ""), ModelType: model.Name, NPrompt: n, Caches: "warm"}
	p := progress{o.Progress, 0, 2 * o.Repetitions}
	defer func() {
		for _, r := range []*result.StartupResult{cold, warm} {
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
			for _, r := range []*result.StartupResult{cold, warm} {
				p.step(fmt.Sprintf("%s start %d/%d", r.Caches, i+1, o.Repetitions))
				took, report, err := job.start(ctx, caches)
				if err != nil {
					return fmt.Errorf("%s start of %s on %s: %w", r.Caches, model.Name, d.Spec(), err)
				}
				add(r, took, report)
			}
			return nil
		}()
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// add adds a repetition.
func add(r *result.StartupResult, took time.Duration, c startupReport) {
	r.SamplesNS = append(r.SamplesNS, took.Nanoseconds())
	r.SamplesCompileNS = append(r.SamplesCompileNS, c.FirstNS-c.SecondNS)
	r.ModelNParams, r.DType = c.Parameters, c.DType
	n := int64(len(r.SamplesNS))
	r.OpenNS += (c.OpenNS - r.OpenNS) / n
	r.LoadNS += (c.LoadNS - r.LoadNS) / n
	r.Summarise()
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

// startupEnv is set for such a process. It holds the id of the process that started
// it, so that nobody starts one by accident.
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
	cmd.SysProcAttr = peer.OwnGroup() // so that Ctrl-C does not end it before us
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

// cachesIn is an environment in which drivers and backends keep what they compile
// in dir, and find nothing that they compiled before.
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
