// Package chat has conversations with models that learned to have them.
//
// template.go runs the model's own template, which writes a conversation as text; worker.go
// does so in a process of its own, with bounds, for nobody vouches for a template. encode.go
// makes tokens of the text, reasoning.go tells what a model writes for itself from what it
// answers. chat.go keeps a session from turn to turn: what it has read is not read again.
package chat

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
)

// Options say how a chat is kept.
type Options struct {
	Context  int           // positions, as in [gpt.SessionOptions]
	Cache    backend.DType // as there
	Thinking *bool         // as in [RenderOptions]

	// Forgot, if not nil, is called when messages no longer fit into the context, with how many
	// of the first ones, those of the system apart, the model does not see any more.
	Forgot func(messages int)
}

// Chat is a conversation. It is not for several goroutines at once.
type Chat struct {
	// Messages are what was said so far. They may be changed between answers.
	Messages []Message

	// Thinking is as in [RenderOptions].
	Thinking *bool

	// Stats are those of the last answer.
	Stats Stats

	model   *model.Model
	encoder *Encoder
	session *gpt.Session
	forgot  func(int)
	unseen  int   // messages that are not seen any more
	known   known // of the conversation, as far as it was answered
}

// Stats count tokens.
type Stats struct {
	Prompt    int // of the conversation as the model was given it
	Read      int // of these, those that were read for the answer: others were read before
	Generated int
}

// Piece is a part of an answer.
type Piece struct {
	Text      string // whole characters
	Reasoning bool   // what the model writes for itself
}

// ErrFull is the error of an answer that was cut off because the context is full and has no
// message that could be forgotten.
var ErrFull = errors.New("the context is full")

// New begins a conversation. The model's answers end at the tokens that its files name, and
// at special tokens that end a turn in other models' files.
func New(m *model.Model, t *tokenizer.Tokenizer, template Template, o Options) (*Chat, error) {
	s, err := gpt.NewSession(m, gpt.SessionOptions{Context: o.Context, Cache: o.Cache})
	if err != nil {
		return nil, err
	}
	c := &Chat{Thinking: o.Thinking, model: m, encoder: NewEncoder(t, template), session: s, forgot: o.Forgot}
	if c.forgot == nil {
		c.forgot = func(int) {}
	}
	AddEnds(m, t)
	return c, nil
}

// AddEnds makes special tokens that end a turn end what m generates.
func AddEnds(m *model.Model, t *tokenizer.Tokenizer) {
	for _, id := range (&Encoder{tokenizer: t}).ends() {
		if !m.Ends(id) {
			m.EOS = append(slices.Clone(m.EOS), id)
		}
	}
}

// Close frees memory.
func (c *Chat) Close() { c.session.Close() }

// Clear forgets the conversation, but not what the system says.
func (c *Chat) Clear() {
	c.Messages = slices.DeleteFunc(c.Messages, func(m Message) bool { return m.Role != System })
	c.unseen = 0
}

// Answer has the model answer the conversation so far, and adds what it says to Messages, also
// where ctx ends the answer, or the caller does. o.Predict above 0 is the most tokens of an
// answer; otherwise the model ends it.
func (c *Chat) Answer(ctx context.Context, o gpt.Options) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		said := Message{Role: Assistant}
		err := c.answer(ctx, o, func(p Piece) bool {
			if p.Reasoning {
				said.Reasoning += p.Text
			} else {
				said.Content += p.Text
			}
			return yield(p, nil)
		})
		if said.Content != "" || said.Reasoning != "" || err == nil {
			c.Messages = append(c.Messages, said)
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(Piece{}, err)
		}
	}
}

// errStopped says that the caller wants no more.
var errStopped = errors.New("stopped")

func (c *Chat) answer(ctx context.Context, o gpt.Options, yield func(Piece) bool) error {
	o.Vocab, o.Barred = c.encoder.tokenizer.VocabSize(), c.encoder.tokenizer.Holes()
	c.Stats = Stats{}
	prompt, text, err := c.fit(ctx, nil, o)
	if err != nil {
		return err
	}
	w := &writer{chat: c, splitter: NewSplitter(c.encoder.template, text), decoder: c.encoder.tokenizer.NewDecoder(), yield: yield}
	defer func() { c.known = known{text + c.encoder.guard.Replace(w.raw.String()), append(prompt, w.ids...)} }()
	for {
		full, err := c.generate(ctx, append(slices.Clone(prompt), w.ids...), o, w)
		if err != nil {
			return errors.Join(err, w.end())
		}
		if !full {
			return w.end()
		}
		// The answer goes on behind a shorter conversation.
		shorter, its, err := c.fit(ctx, w.ids, o)
		if err != nil {
			return errors.Join(w.end(), err)
		}
		prompt, text = shorter, its
		o.Seed += 1 << 40
	}
}

// generate has the model go on behind ids. full says that it would, but for the context.
func (c *Chat) generate(ctx context.Context, ids []int, o gpt.Options, w *writer) (full bool, err error) {
	rest := c.session.Resume(ids)
	c.Stats.Read += len(rest)
	room := c.session.Size() - len(ids) + 1
	limit := o.Predict - len(w.ids)
	if o.Predict <= 0 || room < limit {
		limit, full = room, true
	}
	o.Predict = limit
	n := 0
	for token, err := range c.session.Generate(ctx, rest, o) {
		if err != nil {
			return false, err
		}
		n++
		if err := w.token(token.ID); err != nil {
			return false, err
		}
	}
	return full && n == limit, nil
}

// fit returns the tokens of the conversation, and its text. Where they leave no room for an
// answer, of which there are ids already, the first messages are forgotten, until half of the
// context is free.
func (c *Chat) fit(ctx context.Context, ids []int, o gpt.Options) (prompt []int, text string, err error) {
	if len(c.Messages) == 0 {
		return nil, "", errors.New("nothing was said yet")
	}
	size := c.session.Size()
	reserve := max(1, size/8)
	if o.Predict > 0 {
		reserve = min(reserve, o.Predict)
	}
	c.unseen = min(c.unseen, c.last())
	for most := size - reserve; ; most = size / 2 {
		if text, err = c.encoder.template.Render(ctx, c.encoder.guarded(c.seen()), RenderOptions{Answer: true, Thinking: c.Thinking}); err != nil {
			return nil, "", err
		}
		if prompt, err = c.encoder.encodeAfter(c.known, text); err != nil {
			return nil, "", err
		}
		c.Stats.Prompt = len(prompt)
		used := len(prompt) + len(ids)
		if used <= most {
			return prompt, text, nil
		}
		next := c.turn()
		if next == c.unseen {
			switch {
			case used < size:
				return prompt, text, nil
			case len(ids) > 0:
				return nil, "", ErrFull
			}
			return nil, "", gpt.Room{Size: size, Model: c.model.Context}.Fits(prompt)
		}
		c.unseen = next
		c.forgot(next)
	}
}

// rest are the messages without those of the system.
func (c *Chat) rest() []Message {
	return slices.DeleteFunc(slices.Clone(c.Messages), func(m Message) bool { return m.Role == System })
}

// last is the place of the last message of the user in rest.
func (c *Chat) last() int {
	rest := c.rest()
	for i := len(rest) - 1; i > 0; i-- {
		if rest[i].Role == User {
			return i
		}
	}
	return 0
}

// turn is how many messages are not seen once a turn more is forgotten; as many as now where
// only the last is left.
func (c *Chat) turn() int {
	rest := c.rest()
	for i := c.unseen + 1; i <= c.last(); i++ {
		if rest[i].Role == User {
			return i
		}
	}
	return c.unseen
}

// seen are the messages that fit.
func (c *Chat) seen() (seen []Message) {
	i := 0
	for _, m := range c.Messages {
		if m.Role == System {
			seen = append(seen, m)
			continue
		}
		if i++; i > c.unseen {
			seen = append(seen, m)
		}
	}
	return seen
}

// writer makes text of the tokens of an answer.
type writer struct {
	chat     *Chat
	ids      []int
	raw      strings.Builder // the text of ids
	decoder  *tokenizer.Decoder
	splitter *Splitter
	yield    func(Piece) bool
}

func (w *writer) token(id int) error {
	w.ids = append(w.ids, id)
	w.chat.Stats.Generated++
	text, err := w.decoder.Next(id)
	if err != nil {
		return err
	}
	w.raw.WriteString(text)
	if w.chat.encoder.special[id] && !w.splitter.knows(text) {
		return nil
	}
	if !w.splitter.Next(text, w.say) {
		return errStopped
	}
	return nil
}

func (w *writer) say(text string, reasoning bool) bool { return w.yield(Piece{text, reasoning}) }

// end says what was held back.
func (w *writer) end() error {
	rest := w.decoder.Flush()
	w.raw.WriteString(rest)
	if !w.splitter.Next(rest, w.say) || !w.splitter.End(w.say) {
		return errStopped
	}
	return nil
}

// Valid reports what is wrong with messages that a file holds.
func Valid(messages []Message) error {
	for i, m := range messages {
		switch {
		case !slices.Contains([]string{System, User, Assistant}, m.Role):
			return fmt.Errorf("message %d: found the role %q, expected %s", i, m.Role, strings.Join([]string{System, User, Assistant}, ", "))
		case m.Role == System && i > 0:
			return fmt.Errorf("message %d: found a message of the system, expected it first", i)
		}
	}
	return nil
}
