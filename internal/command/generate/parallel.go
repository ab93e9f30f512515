package generate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/internal/cli"
)

// several answers one prompt several times at once. The answers share what the model
// keeps of the prompt.
type several struct {
	*flags
	text  string
	ids   []int            // of the prompt
	batch gpt.BatchOptions // how many blocks the answers take is known before the model is loaded
}

func (s *several) use(ctx context.Context, c model.Config, t *tokenizer.Tokenizer) (*gpt.Use, error) {
	n := *s.Parallel
	s.batch = gpt.BatchOptions{Sequences: n, Context: contextOf(s.flags, c), Cache: s.cache()}
	var err error
	if s.ids, err = s.Prompt.IDs(ctx, s.text, c, t, gpt.Room{Size: s.batch.Context, Model: c.Context}); err != nil {
		return nil, err
	}
	fewer := func(n int) (o gpt.BatchOptions, err error) {
		o = s.batch
		o.Sequences, o.Blocks = n, 0
		o.Blocks, err = o.Need(c, len(s.ids), s.Predict, n)
		return o, err
	}
	if s.batch, err = fewer(n); err != nil {
		return nil, err
	}
	return &gpt.Use{Batch: &s.batch, Feeds: []int{len(s.ids)}, Forks: n > 1, Compile: true, Fewer: fewer}, nil
}

// contextOf is how many positions a sequence has.
func contextOf(f *flags, c model.Config) int {
	if f.CtxSize > 0 {
		return f.CtxSize
	}
	return c.Context
}

// seedAfter is the i-th seed after the first one: one that the flag for it takes, so
// after the largest comes 0.
func seedAfter(first uint64, i int) uint64 { return (first + uint64(i)) & math.MaxInt64 }

func (s *several) run(ctx context.Context, l loaded) error {
	l.options.Keep = s.keep(s.ids, l)
	p, err := s.newAnswers(l)
	if err != nil {
		return err
	}
	b, err := gpt.NewBatch(l.model, s.batch)
	if err != nil {
		return err
	}
	defer b.Close()
	fmt.Fprintf(os.Stderr, "seeds: %d to %d\n", p.all[0].Seed, p.all[len(p.all)-1].Seed)
	if err := p.advance(); err != nil {
		return err
	}

	err = p.generate(ctx, b, s.ids, l.options)
	also := func(e error) {
		if err == nil {
			err = e
		}
	}
	// What was generated before an error or Ctrl-C is printed and reported all the same.
	for _, a := range p.all {
		also(a.end(err))
		a.Timings = a.timings(l.load, len(s.ids))
	}
	also(p.advance())
	p.report.Timings = p.timings(l.load)
	switch {
	case s.JSON:
		also(writeJSON(os.Stdout, p.report))
	case s.JSONStream:
		also(writeJSON(os.Stdout, map[string]*answersReport{"done": p.report}))
	}
	if s.Verbose {
		p.writeTimings(os.Stderr)
	}
	return err
}

// answers are all answers to the prompt. They are printed one after the other: one that
// is not the first is held until those before it have ended.
type answers struct {
	*several
	all     []*answer
	at      int // how many were printed whole
	keep    int // tokens of the prompt that stay in a full context
	columns int // of standard error
	start   time.Time
	report  *answersReport
}

// answer is one of them.
type answer struct {
	answerReport
	sequence *gpt.Sequence
	limit    int
	writer   *writer
	held     held
	begun    bool // being printed
	ended    bool
}

// held is text that is written at once to standard output, or kept until then.
type held struct {
	buffer bytes.Buffer
	live   bool
}

func (h *held) Write(p []byte) (int, error) {
	if h.live {
		return os.Stdout.Write(p)
	}
	return h.buffer.Write(p)
}

// release writes what was kept, and from then on everything at once.
func (h *held) release() error {
	h.live = true
	_, err := h.buffer.WriteTo(os.Stdout)
	return err
}

func (s *several) newAnswers(l loaded) (*answers, error) {
	p := &answers{several: s, keep: l.options.Keep, columns: cli.Columns(os.Stderr), report: &answersReport{
		Model: s.ModelFlags.Name(), Device: newDevice(l.device), PromptIDs: s.ids,
	}}
	for i := range *s.Parallel {
		a := &answer{limit: l.options.Predict}
		a.Seed, a.generated = seedAfter(l.options.Seed, i), newGenerated(l.tokenizer)
		out := io.Writer(&a.held)
		if s.JSONStream {
			out = os.Stdout
		}
		var err error
		if a.writer, err = s.newWriter(out, l.tokenizer, &a.generated); err != nil {
			return nil, err
		}
		a.writer.answer = &i
		if err := a.writer.prompt(s.ids, l.model.Config, s.Hide); err != nil {
			return nil, err
		}
		p.all = append(p.all, a)
		p.report.Answers = append(p.report.Answers, &a.answerReport)
	}
	return p, nil
}

// generate generates all answers. The error of one that fails by itself is returned when
// the others have ended.
func (p *answers) generate(ctx context.Context, b *gpt.Batch, ids []int, o gpt.Options) (failed error) {
	p.start = time.Now()
	of := map[*gpt.Sequence]*answer{}
	for _, a := range p.all {
		o.Seed = a.Seed
		var err error
		if len(of) == 0 {
			a.sequence, err = b.Admit(ids, o)
		} else {
			a.sequence, err = p.all[0].sequence.Fork(o)
		}
		if err != nil {
			return err
		}
		of[a.sequence] = a
	}
	for e, err := range b.Run(ctx) {
		if err != nil {
			return err
		}
		a := of[e.Sequence]
		if e.Token != nil {
			if err := a.token(*e.Token, time.Since(p.start)); err != nil {
				return err
			}
		}
		if e.End == gpt.Running && !a.writer.stopped {
			continue
		}
		a.generated.ended(time.Since(p.start))
		a.sequence.End()
		if e.Err != nil {
			failed = errors.Join(failed, fmt.Errorf("answer %d: %w", *a.writer.answer+1, e.Err))
		}
		if err := a.end(e.Err); err != nil {
			return err
		}
		if err := p.advance(); err != nil {
			return err
		}
	}
	return failed
}

func (a *answer) token(t gpt.Token, at time.Duration) error {
	a.add(t, at)
	return a.writer.token(t)
}

// end completes the answer, which ended with err or without. It does nothing the second
// time.
func (a *answer) end(err error) error {
	if a.ended {
		return nil
	}
	a.ended = true
	failed := a.writer.end()
	a.finish(a.writer, a.limit, err)
	return failed
}

// advance prints what may be printed: the next answer once the one before it has ended.
func (p *answers) advance() error {
	for ; p.at < len(p.all); p.at++ {
		a := p.all[p.at]
		if !a.begun {
			if err := p.begin(a); err != nil {
				return err
			}
		}
		if !a.ended {
			return nil
		}
		if a.slides > 0 {
			fmt.Fprintf(os.Stderr, "%s: answer %d: %s\n", cli.Self(), p.at+1, forgotten(p.batch.Context, p.keep, a.slides))
		}
		if p.LogProbs > 0 && !p.quiet() {
			a.writeLogProbs(os.Stderr, p.columns)
		}
	}
	return nil
}

// begin prints what comes before an answer, and what there is of it.
func (p *answers) begin(a *answer) error {
	a.begun = true
	if p.quiet() {
		return nil
	}
	if p.at > 0 {
		if _, err := os.Stdout.WriteString("\n"); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "answer %d of %d, seed %d\n", p.at+1, len(p.all), a.Seed)
	return a.held.release()
}

// timings are those of all answers together.
func (p *answers) timings(load time.Duration) timings {
	var first, last time.Duration
	tokens, later := 0, 0 // later than the first of their answer
	for i, a := range p.all {
		if first = min(first, a.first); i == 0 {
			first = a.first
		}
		last = max(last, a.total)
		tokens += len(a.IDs)
		later += max(0, len(a.IDs)-1)
	}
	return newTimings(load, len(p.ids), first, tokens, later, last-first)
}

// writeTimings writes the timings of all answers together, and how fast each was.
func (p *answers) writeTimings(w io.Writer) {
	p.report.Timings.write(w)
	for i, a := range p.all {
		t := a.Timings
		fmt.Fprintf(w, "%-8s%9.1f ms  %5d tokens  %9.1f tokens/s\n", fmt.Sprintf("%d of %d", i+1, len(p.all)), t.PredictedMS, t.later, t.PredictedPerSecond)
	}
}
