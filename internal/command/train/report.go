package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"caldera/gpt"
	"caldera/internal/cli"
	"caldera/internal/train"
	"caldera/internal/train/folder"
)

// report tells on standard error what a run does, and prints samples of text on
// standard output.
type report struct {
	job      *job
	gpt      *train.GPT
	progress *progress
	session  *gpt.Session // nil where there are no samples
	prompt   []int
	hidden   int // tokens at the start of prompt that the tokenizer puts there
	steps    int // told so far
}

func newReport(j *job, g *train.GPT) *report { return &report{job: j, gpt: g, progress: j.progress} }

// sampling is that of samples: what is likely, with some variety.
var sampling = gpt.Sampling{Temperature: 0.8, TopK: 40, TopP: 1, RepeatPenalty: 1}

// prepare makes ready for samples.
func (r *report) prepare() (err error) {
	t, o := r.gpt.Tokenizer, r.job.options
	if o.SampleEvery() == 0 || r.job.EvalOnly {
		return nil
	}
	if t == nil {
		if o.Prompt != nil || o.SampleInterval != nil {
			return cli.Usagef("samples of text need a tokenizer: name one with --tokenizer")
		}
		return nil
	}
	if r.prompt, err = t.EncodePrompt(deref(o.Prompt, "\n")); err != nil {
		if o.Prompt != nil {
			return cli.Usagef("--prompt: %w", err)
		}
		r.prompt = make([]int, 1) // the texts have no line break
		r.job.data.Val.Read(r.prompt, 0)
	}
	if err == nil {
		r.hidden = len(t.Prefix())
	}
	if r.session, err = gpt.NewSession(r.gpt.Model, gpt.SessionOptions{}); err != nil {
		return err
	}
	if err := r.session.Room().Fits(r.prompt); err != nil {
		return cli.Usagef("--prompt: %w", err)
	}
	return nil
}

func (r *report) close() {
	if r.session != nil {
		r.session.Close()
		r.session = nil
	}
}

// begin tells what is going to be done.
func (r *report) begin(evaluation string) {
	j, m, o := r.job, r.gpt.Model, r.job.options
	ids := "token ids without a tokenizer"
	if t := j.tokenizer; t != nil {
		ids = fmt.Sprintf("a vocabulary of %s", count(t.VocabSize()))
	}
	fmt.Fprintf(os.Stderr, "data: %s tokens to learn from, %s to validate with, %s\n", count(j.data.Train.Len()), count(j.data.Val.Len()), ids)
	fmt.Fprintf(os.Stderr, "model: %d layers, %d heads, width %d, context %d, vocabulary %s: %s weights\n",
		m.Layers, m.Heads, m.Width, m.Context, count(m.Vocab), count(m.Parameters()))
	learn := int64(0)
	for _, w := range m.Trained() {
		learn += w.Elements()
	}
	if m.Tune {
		fmt.Fprintf(os.Stderr, "adapter: rank %d, alpha %v: %s weights learn, beside those of the model, %v\n", j.lora.Rank, j.lora.Alpha, count(int(learn)), m.DType())
	}
	fmt.Fprintf(os.Stderr, "validation: %s\n", evaluation)
	if j.EvalOnly {
		return
	}
	fmt.Fprintf(os.Stderr, "training: %s steps of %s tokens", count(o.MaxIters), count(o.StepTokens()))
	if n := j.state.Step; n > 0 {
		fmt.Fprintf(os.Stderr, ", from step %s on", count(n))
	}
	if o.Mixed() {
		fmt.Fprint(os.Stderr, ", in mixed precision (f16)")
	}
	passes := float64(o.MaxIters) * float64(o.StepTokens()) / float64(j.data.Train.Len())
	fmt.Fprintf(os.Stderr, ": %.1f times the data\n", passes)
	if steps := o.SnapshotSteps(); len(steps) > 0 {
		fmt.Fprintf(os.Stderr, "snapshots: of steps %s, each of %s, in %s\n", stepList(steps), humanize.Bytes(4*uint64(learn)), j.dir.Path(folder.Snapshots))
	}
}

// stepList lists a few steps, and the last.
func stepList(steps []int) string {
	const most = 8
	var list []string
	for i, step := range steps {
		switch {
		case i < most || i == len(steps)-1:
			list = append(list, count(step))
		case i == most:
			list = append(list, "…")
		}
	}
	return strings.Join(list, " ")
}

// Step shows a step: as a bar on a terminal, else as a line where it is logged.
func (r *report) Step(e train.Entry, left time.Duration) {
	r.steps++
	if r.steps == 3 && left > 0 { // the first that can tell
		r.line("about %s for the steps that are left", rough(left))
	}
	if r.progress.terminal {
		r.progress.step(fmt.Sprintf("step %d: loss %.3f, %s tokens/s%s", e.Step, *e.Loss, count(int(e.Speed)), remaining(left)), int64(e.Step), int64(r.job.options.MaxIters))
		return
	}
	if e.Step%r.job.options.LogInterval == 0 || e.Step == r.job.options.MaxIters {
		r.line("step %d: loss %.4f, learning rate %.3g, norm %.3g, %s tokens/s%s", e.Step, *e.Loss, *e.LR, *e.Norm, count(int(e.Speed)), remaining(left))
	}
}

func remaining(left time.Duration) string {
	if left == 0 {
		return ""
	}
	return ", " + rough(left) + " left"
}

// Evaluating shows how far a validation is.
func (r *report) Evaluating(done, total int) {
	r.progress.step("validating", int64(done), int64(total))
}

// Evaluated tells a validation loss.
func (r *report) Evaluated(m train.Measured, best bool) {
	note := ""
	if best && m.Step > 0 {
		note = ", the least so far"
	}
	r.line("step %d: validation loss %.4f%s", m.Step, m.ValLoss, note)
}

// Saved tells where a checkpoint is.
func (r *report) Saved(step int, best bool) {
	link := train.Newest
	if best {
		link = train.Best
	}
	r.line("step %d: saved as %s", step, r.job.dir.Path(link))
}

// Snapshot tells that the weights of a step are kept, and their loss.
func (r *report) Snapshot(m train.Measured) {
	r.line("step %d: snapshot saved, validation loss %.4f", m.Step, m.ValLoss)
}

// Sample prints a text that the model makes up, on standard output. Where that
// fails, training goes on without samples.
func (r *report) Sample(ctx context.Context, step int) error {
	if r.session == nil {
		return nil
	}
	r.progress.end()
	err := r.sample(ctx, step)
	if _, failed := os.Stdout.WriteString("\n"); err == nil {
		err = failed
	}
	if err != nil && ctx.Err() == nil {
		r.line("warning: no more samples: %v", err)
		r.close()
		return nil
	}
	return err
}

func (r *report) sample(ctx context.Context, step int) error {
	t, o := r.gpt.Tokenizer, r.job.options
	d := t.NewDecoder()
	show := func(id int) error {
		text, err := d.Next(id)
		if err == nil {
			_, err = os.Stdout.WriteString(text)
		}
		return err
	}
	for _, id := range r.prompt[r.hidden:] {
		if err := show(id); err != nil {
			return err
		}
	}
	s := sampling
	s.Seed = o.Seed + uint64(step)
	r.session.Reset()
	for token, err := range r.session.Generate(ctx, r.prompt, gpt.Options{Sampling: s, Predict: o.SampleTokens, Vocab: t.VocabSize(), Barred: t.Holes()}) {
		if err == nil {
			err = show(token.ID)
		}
		if err != nil {
			return err
		}
	}
	_, err := os.Stdout.WriteString(d.Flush())
	return err
}

// end tells where the run leaves off.
func (r *report) end(run *train.Run, err error) {
	r.progress.end()
	saved, dir := run.SavedStep(), r.job.OutDir
	switch {
	case err == nil:
		generate := "generate"
		if program, ok := strings.CutSuffix(cli.Self(), " train"); ok {
			generate = program + " generate"
		}
		finished := shellWord(r.job.dir.Path(r.job.dir.Finished()))
		if base := run.State.Base; base != nil {
			finished = shellWord(base.Name) + " --lora=" + finished
		}
		r.line("%s: done in %s; write text with: %s -m %s", dir, rough(time.Duration(run.State.Seconds*float64(time.Second))), generate, finished)
	case errors.Is(err, context.Canceled) && run.Replaces:
		r.line("nothing was saved, and what was in %s is kept", dir)
	case errors.Is(err, context.Canceled) && saved > 0:
		r.line("step %d: saved as %s; continue with: %s --init=resume --out_dir=%s", saved, r.job.dir.Path(train.Newest), cli.Self(), shellWord(dir))
	}
}

// line prints a line, where the bar was on a terminal.
func (r *report) line(format string, args ...any) {
	r.progress.end()
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

// plain are words that mean themselves to every shell.
var plain = regexp.MustCompile(`^[\w./:@%+=-]+$`)

// shellWord is a path as a shell takes it.
func shellWord(path string) string {
	if plain.MatchString(path) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// count is a number with its thousands parted.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// rough is a duration as people say it.
func rough(d time.Duration) string {
	switch {
	case d < 100*time.Second:
		return fmt.Sprintf("%.0f s", math.Ceil(d.Seconds()))
	case d < 100*time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}
