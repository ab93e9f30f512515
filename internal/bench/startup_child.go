package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"time"

	"caldera/backend"
	"caldera/backend/cpu"
	"caldera/gpt"
	"caldera/gpt/model"
)

// isStartupChild reports whether [Startup] started this process.
func isStartupChild() bool {
	return os.Getenv(startupEnv) == strconv.Itoa(os.Getppid())
}

// Child does what [Startup] wants of a process that it started, and returns its
// exit code. In any other process it does nothing.
func Child() (code int, child bool) {
	if !isStartupChild() {
		return 0, false
	}
	if err := startupChild(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	return 0, true
}

func startupChild(in io.Reader, out io.Writer) (err error) {
	var job startupJob
	if err := json.NewDecoder(in).Decode(&job); err != nil {
		return fmt.Errorf("reading what to do: %w", err)
	}
	if job.Threads > 0 {
		runtime.GOMAXPROCS(job.Threads)
		cpu.SetThreads(job.Threads)
	}
	var report startupReport
	start := time.Now()
	lap := func() int64 {
		now := time.Now()
		defer func() { start = now }()
		return now.Sub(start).Nanoseconds()
	}
	b, err := backend.Open(job.Device)
	if err != nil {
		return err
	}
	defer func() {
		if e := b.Close(); err == nil { // which writes compiled pipelines to disk
			err = e
		}
	}()
	report.OpenNS = lap()
	model, err := job.model()
	if err != nil {
		return err
	}
	m, err := model.Load(context.Background(), b, gpt.LoadOptions{DType: job.DType, For: &gpt.Use{Feeds: []int{job.Prompt}, Compile: true}})
	if err != nil {
		return advice(err, false, false)
	}
	defer m.Close()
	report.LoadNS = lap()
	report.Parameters, report.DType = int64(m.Parameters()), dtypes(m, job.DType)
	if err := feed(m, job.Prompt); err != nil {
		return err
	}
	report.FirstNS = lap()
	if _, err := io.WriteString(out, firstToken); err != nil {
		return err
	}
	lap()
	if err := feed(m, job.Prompt); err != nil {
		return err
	}
	report.SecondNS = lap()
	return json.NewEncoder(out).Encode(report)
}

func (j startupJob) model() (Model, error) {
	switch {
	case j.Dir != "":
		return Checkpoint(j.Dir)
	case j.Shape != "":
		return Shape(j.Shape)
	}
	return Embedded()
}

// feed reads a prompt in a session of its own and picks the token after it.
func feed(m *model.Model, n int) error {
	s, err := gpt.NewSession(m, gpt.SessionOptions{})
	if err != nil {
		return err
	}
	defer s.Close()
	scores, err := s.Feed(context.Background(), randomIDs(Test{Prompt: n}, m.Vocab)...)
	if err != nil {
		return err
	}
	_, _, err = gpt.NewSampler(gpt.Sampling{TopP: 1, RepeatPenalty: 1}).Next(scores, nil) // greedily
	return err
}
