package generate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/internal/cli"
)

// usualParallel is how many prompts are answered at once where nothing else is asked for.
const usualParallel = 16

// each answers each prompt of a file.
type each struct {
	*flags
	prompts  *prompts
	measured bool // longest and total are known, as far as they can be
	longest  int  // tokens that a prompt may have
	total    int  // prompts in the file; 0 if that is not known
	batch    gpt.BatchOptions
}

func (f *flags) each(ctx context.Context) (*each, error) {
	switch {
	case len(f.Prompt.Words) > 0:
		return nil, cli.Usagef("two prompts: %q and another by a flag", strings.Join(f.Prompt.Words, " "))
	case f.JSONStream:
		return nil, cli.Usagef("--json-stream is for one prompt: --prompts prints a JSON object for each prompt when its text has ended")
	}
	p, err := cli.Until(ctx, func() (*prompts, error) { return openPrompts(*f.Prompts) })
	if err != nil {
		return nil, err
	}
	f.ModelFlags.NoText = p.isJSON
	e := &each{flags: f, prompts: p, batch: gpt.BatchOptions{Sequences: usualParallel, Cache: f.cache()}}
	if f.Parallel != nil {
		e.batch.Sequences = *f.Parallel
	}
	return e, nil
}

// use reads the file once, if it can be read again: contexts are then as long as its
// longest prompt needs them.
func (e *each) use(ctx context.Context, c model.Config, t *tokenizer.Tokenizer) (*gpt.Use, error) {
	if !e.measured {
		if err := e.measure(ctx, c, t); err != nil {
			return nil, err
		}
		e.measured = true
	}
	return &gpt.Use{Batch: &e.batch, Feeds: []int{1, e.longest}, Compile: true}, nil // some other prompt may be the first
}

func (e *each) measure(ctx context.Context, c model.Config, t *tokenizer.Tokenizer) error {
	e.batch.Context = contextOf(e.flags, c)
	e.longest = e.batch.Context
	e.prompts.prepare(ctx, e.Prompt, c, t, e.batch.Context)
	reading := newProgress(0)
	defer reading.end()
	s, known, err := e.prompts.size(ctx, reading)
	if err != nil || !known {
		return err
	}
	e.total, e.longest = s.prompts, max(1, s.longest)
	e.batch.Sequences = max(1, min(e.batch.Sequences, s.prompts))
	if e.Predict >= 0 {
		e.batch.Context = min(e.batch.Context, e.longest+e.Predict-1)
	}
	return nil
}

// fewer reports whether to load the model for fewer prompts at once, because err is that
// memory is short and the user has not said how many there are to be.
func (e *each) fewer(err error) bool {
	short := (*gpt.MemoryError)(nil)
	if e.Parallel != nil || !errors.As(err, &short) || short.Sequences < 1 {
		return false
	}
	fits := min(short.Sequences, e.batch.Sequences-1)
	if fits < 1 {
		return false
	}
	fmt.Fprintf(os.Stderr, "%s: warning: memory has room for %d prompts of up to %d tokens at once, in place of %d\n", cli.Self(), fits, e.batch.Context, e.batch.Sequences)
	e.batch.Sequences = fits
	return true
}

// run answers the prompts.
func (e *each) run(ctx context.Context, l loaded) error {
	if _, err := e.newWriter(io.Discard, l.tokenizer, nil); err != nil { // about flags, before any prompt
		return err
	}
	b, err := gpt.NewBatch(l.model, e.batch)
	if err != nil {
		return err
	}
	defer b.Close()
	fmt.Fprintf(os.Stderr, "seed: %d\n", l.options.Seed)
	q := &queue{
		each: e, loaded: l, live: b, waiting: make(chan prompt, e.batch.Sequences), running: map[*gpt.Sequence]*result{},
		progress: newProgress(e.total), start: time.Now(),
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	read := make(chan error, 1)
	go func() { read <- e.prompts.send(reading, q.waiting) }()
	if err = q.answer(ctx); err == nil {
		err = <-read // all prompts before an error of reading were answered
	}
	if !q.broken { // what is not complete, when something fails or at Ctrl-C, is printed all the same
		err = errors.Join(err, q.abandon(err))
	}
	q.progress.end()
	if q.slid > 0 {
		fmt.Fprintf(os.Stderr, "%s: the context of %d tokens was full in %d prompts: its older half was forgotten, but for what --keep says\n", cli.Self(), e.batch.Context, q.slid)
	}
	if e.Verbose {
		q.writeTimings(os.Stderr)
	}
	if err == nil && q.failed > 0 {
		err = fmt.Errorf("%d of %d prompts failed: see \"error\" in their results", q.failed, q.done)
	}
	return err
}

// queue is prompts on their way through a batch.
type queue struct {
	*each
	loaded  loaded
	live    *gpt.Batch
	waiting chan prompt
	next    *prompt // for which the batch has no room yet; or nil
	running map[*gpt.Sequence]*result

	progress *progress
	start    time.Time
	done     int // prompts, those that failed too
	failed   int
	slid     int  // whose context was full
	read     int  // tokens of prompts that were answered
	drawn    int  // tokens that were generated
	broken   bool // results cannot be written
}

// result is what is printed of a prompt.
type result struct {
	Line      int             `json:"line"`
	ID        json.RawMessage `json:"id,omitempty"`
	Prompt    *string         `json:"prompt,omitempty"` // none where ids were given
	PromptIDs []int           `json:"prompt_ids"`
	Seed      uint64          `json:"seed"`
	generated
	Error string `json:"error,omitempty"`

	writer *writer
}

// answer answers prompts until there are no more, or something fails.
func (q *queue) answer(ctx context.Context) error {
	for {
		if err := q.admit(ctx); err != nil {
			return err
		}
		if len(q.running) == 0 {
			return nil
		}
		events, err := q.live.Step(ctx)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := q.event(e); err != nil {
				return err
			}
		}
		q.progress.answering(q.done, rate(q.drawn, time.Since(q.start)))
	}
}

// admit adds prompts to the batch while there is room. It waits for a prompt only if
// there is nothing else to do.
func (q *queue) admit(ctx context.Context) error {
	for {
		if q.next == nil {
			x, ok, err := q.receive(ctx)
			if err != nil || !ok {
				return err
			}
			q.next = &x
		}
		x := *q.next
		if x.err == nil {
			x.err = q.begin(x)
		}
		if full := (*gpt.FullError)(nil); errors.As(x.err, &full) && len(q.running) > 0 {
			return nil
		}
		q.next = nil
		if x.err != nil {
			if err := q.refuse(x); err != nil {
				return err
			}
		}
	}
}

func (q *queue) receive(ctx context.Context) (x prompt, ok bool, err error) {
	if len(q.running) > 0 {
		select {
		case x, ok = <-q.waiting:
		default:
		}
		return x, ok, nil
	}
	select {
	case x, ok = <-q.waiting:
	case <-ctx.Done():
		err = ctx.Err()
	}
	return x, ok, err
}

// begin adds a prompt to the batch.
func (q *queue) begin(x prompt) error {
	o := q.loaded.options
	o.Seed, o.Keep = seedAfter(o.Seed, x.line-1), q.keep(x.ids, q.loaded)
	s, err := q.live.Admit(x.ids, o)
	if err != nil {
		return err
	}
	r := &result{Line: x.line, ID: x.id, Prompt: x.text, PromptIDs: x.ids, Seed: o.Seed, generated: newGenerated(q.loaded.tokenizer)}
	if r.writer, err = q.newWriter(io.Discard, q.loaded.tokenizer, &r.generated); err != nil {
		s.End()
		return err
	}
	if err := r.writer.prompt(x.ids, q.loaded.model.Config, true); err != nil {
		s.End()
		return err
	}
	q.running[s] = r
	return nil
}

// refuse prints why a prompt cannot be answered.
func (q *queue) refuse(x prompt) error {
	q.failed++
	return q.write(struct {
		Line  int             `json:"line"`
		ID    json.RawMessage `json:"id,omitempty"`
		Error string          `json:"error"`
	}{x.line, x.id, cli.Message(x.err)})
}

// event takes what a step gave to a sequence.
func (q *queue) event(e gpt.Event) error {
	r, failed := q.running[e.Sequence], e.Err
	if e.Token != nil {
		q.drawn++
		r.add(*e.Token, time.Since(q.start))
		failed = r.writer.token(*e.Token)
	}
	if e.End == gpt.Running && !r.writer.stopped && failed == nil {
		return nil
	}
	e.Sequence.End()
	return q.end(e.Sequence, failed)
}

// end prints the result of a sequence that has ended, with err or without.
func (q *queue) end(s *gpt.Sequence, err error) error {
	r := q.running[s]
	delete(q.running, s)
	if e := r.writer.end(); err == nil {
		err = e
	}
	r.finish(r.writer, q.loaded.options.Predict, err)
	if r.Stop == "error" {
		r.Error = cli.Message(err)
		q.failed++
	}
	if r.slides > 0 {
		q.slid++
	}
	q.read += len(r.PromptIDs)
	return q.write(r)
}

// abandon prints what there is of the prompts that are not answered, because of err.
func (q *queue) abandon(err error) error {
	for _, s := range q.live.Live() {
		if err := q.end(s, err); err != nil {
			return err
		}
	}
	return nil
}

// write prints a result, in one call, so that no other program sees a part of it.
func (q *queue) write(v any) error {
	q.done++
	q.progress.hide()
	err := writeJSON(os.Stdout, v)
	q.broken = err != nil
	return err
}

// writeTimings writes the timings of all prompts together.
func (q *queue) writeTimings(w io.Writer) {
	took := time.Since(q.start)
	fmt.Fprintf(w, "load      %9.1f ms\n", milliseconds(q.loaded.load))
	fmt.Fprintf(w, "prompts   %9.1f ms  %5d tokens  %9.1f tokens/s  of %d prompts\n", milliseconds(took), q.read, rate(q.read, took), q.done)
	fmt.Fprintf(w, "generated %9.1f ms  %5d tokens  %9.1f tokens/s\n", milliseconds(took), q.drawn, rate(q.drawn, took))
}
