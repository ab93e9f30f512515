// Package tokenizer makes token ids of text and text of ids, as the tokenizers of
// published models do, from the files that Hugging Face checkpoints carry. The models
// are byte-level byte-pair encoding, as GPT-2's, and those of SentencePiece: see Model.
//
// A text takes these steps, each in a file of its own:
//
//	special.go    added tokens such as <|endoftext|> are cut out, where asked
//	normalize.go  the rest is normalized, for tokenizers other than GPT-2's
//	              (charsmap.go: by SentencePiece's table)
//	split.go      it is cut into words: " Hello", ",", " world", "'s"
//	presplit.go   or in other ways than GPT-2's: by patterns, which patterns.go and
//	              split_gpt4.go follow by hand, or regex.go
//	merge.go      the bytes or characters of a word become tokens, and pairs of
//	              neighbours are merged, lowest rank first, until no pair has a merge
//	unigram.go    or the tokens with the best scores are found
//	cache.go      in a long text, the tokens of frequent words are remembered
//	decode.go     ids become text again, also one by one
//
// cut.go finds where a long text may be cut, to be encoded in parts. build.go makes the
// tables for all this. presplits.go has GGUF's names for ways to cut text, and scores.go
// turns merges into scores and back.
//
// To make a new vocabulary, corpus.go counts the words of texts, and train.go learns
// merges from them; characters.go makes every character a token instead.
//
// Files are read by load.go (which file, how large), vocab.go (vocab.json,
// merges.txt and added_tokens.json), tokenizerjson.go, jsonread.go and steps.go
// (tokenizer.json), sentencepiece.go (tokenizer.model) and settings.go (tokenizer_config.json and
// special_tokens_map.json); draft.go makes a tokenizer of their content, and files.go
// writes them. Nothing that they read is trusted. vocabulary.go is for formats that
// other packages read and write.
//
// Sources: Sennrich et al., "Neural Machine Translation of Rare Words with
// Subword Units" (2016), for the merges; Radford et al., "Language Models are
// Unsupervised Multitask Learners" (2019), for bytes and pre-tokenization.
package tokenizer

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
)

// A Tokenizer maps text to token ids and back. It does not change after it is
// loaded, so any number of goroutines may use it at once.
type Tokenizer struct {
	model   Model
	tokens  []string     // by id: the bytes that the token stands for
	names   []string     // by id: the name in files; nil for ByteBPE, whose names follow from tokens
	literal map[int]bool // of ByteBPE: ids of tokens whose name is their text itself
	bytes   [256]int32   // by byte: the id of its token, or noToken
	merges  mergeTable   // the merge of two neighbours
	joins   bytePairs    // of each merge of ByteBPE: the last byte of the left token and the first of the right
	added   addedTokens  // tokens found in text as a whole, before any splitting

	characters  *characters // ids of characters, of TextBPE and ScoredBPE
	unigram     *unigram    // of Unigram
	scores      []float64   // by id, of ScoredBPE and Unigram
	fallback    bool        // a character without token becomes the tokens of its bytes
	cutSpaces   bool        // a word may be cut before a spaceMark, unless beforeSpace has the byte before
	beforeSpace byteSet

	cutBeforeSpaces bool // a text may be cut before a space that follows a letter

	normalizer  *normalizer      // of text between added tokens; nil for GPT-2
	steps       []Step           // of the pre-tokenizer; nil for GPT-2's
	splitters   []splitter       // that do them
	decoder     decoder          // of the text of all tokens; nil for GPT-2
	prefixSpace bool             // text between added tokens begins with a space
	whole       map[string]int32 // words that become one token, whatever merges make of them; nil for GPT-2
	unknown     int32            // the token of a byte or character that has none; noToken for GPT-2
	fuseUnknown bool             // one unknown token stands for several such bytes of a word
	prefix      []int            // ids that come before a prompt or a document
	suffix      []int            // ids that come after a document
}

// noToken stands in Tokenizer.bytes for a byte that no token represents.
const noToken = -1

// An Option changes how Encode reads a text.
type Option int

const (
	// AllowSpecial makes Encode turn the text of a special token, such as
	// "<|endoftext|>", into that token's id. Without it that text is encoded like
	// any other, so that a prompt from a stranger cannot end a document.
	AllowSpecial Option = 1 + iota

	// Continued says that the text is the rest of a longer one after Cut: a
	// tokenizer that puts a space before a text puts none before this one.
	Continued
)

// Encode returns the token ids of text.
//
// Any bytes can be encoded: those that are not valid UTF-8 count as symbols (not
// letters, digits or space), one by one and unchanged, so DecodeBytes returns
// exactly the bytes of text. (tiktoken-go has U+FFFD in their place; tiktoken and
// Hugging Face's tokenizers take valid text only.) DecodeBytes returns another text
// if the tokenizer has a normalizer, puts a space before a text, or has added
// tokens that take white space with them.
// It is an error if the vocabulary has no token for a byte of text, and no unknown
// token; GPT-2's has all. So is a text of more than math.MaxInt32 bytes.
//
// The time is O(n log n) in the length of the longest word, and linear in the
// number of words.
func (t *Tokenizer) Encode(text string, opts ...Option) ([]int, error) {
	return t.EncodeContext(context.Background(), text, opts...)
}

// EncodeContext is Encode. It stops with the error of ctx when that ends.
func (t *Tokenizer) EncodeContext(ctx context.Context, text string, opts ...Option) ([]int, error) {
	if len(text) > math.MaxInt32 {
		return nil, fmt.Errorf("tokenizer: text has %d bytes, more than the %d that Encode takes at once: encode it in parts", len(text), math.MaxInt32)
	}
	e := encoder{t: t, ctx: ctx, ids: make([]int, 0, len(text)/3+1)}
	if len(text) >= cacheFrom {
		e.cache = new(wordCache)
	}
	if err := e.encode(text, slices.Contains(opts, AllowSpecial), slices.Contains(opts, Continued)); err != nil {
		return nil, err
	}
	return e.ids, nil
}

// Prefix returns the ids that the model expects before a prompt, and before each
// document that it learns from: none for GPT-2, in other models a token that
// begins a text. Encode does not add them.
func (t *Tokenizer) Prefix() []int { return slices.Clone(t.prefix) }

// Suffix returns the ids that the model expects after each document that it learns
// from, but not after a prompt: none for GPT-2.
func (t *Tokenizer) Suffix() []int { return slices.Clone(t.suffix) }

// EncodePrompt returns Prefix and the ids of text.
func (t *Tokenizer) EncodePrompt(text string, opts ...Option) ([]int, error) {
	ids, err := t.Encode(text, opts...)
	if err != nil || len(t.prefix) == 0 {
		return ids, err
	}
	return append(t.Prefix(), ids...), nil
}

// An encoder is the state of one call of Encode.
type encoder struct {
	t     *Tokenizer
	ctx   context.Context
	ids   []int // what Encode returns
	heap  merger
	cache *wordCache // nil for a short text
	words int        // so far; ctx is checked once in 4096

	symbols []int32 // of one word
	lattice lattice // of Unigram
}

func (e *encoder) encode(text string, special, continued bool) error {
	t := e.t
	for outer := range t.added.split(text, 0, special) {
		if outer.id != none {
			e.ids = append(e.ids, outer.id)
			continue
		}
		part, err := t.normalizer.text(text[outer.start:outer.end], continued && outer.start == 0)
		if err != nil {
			return fmt.Errorf("tokenizer: %w", err)
		}
		for inner := range t.added.split(part, 1, special) {
			if inner.id != none {
				e.ids = append(e.ids, inner.id)
				continue
			}
			words, offset := part[inner.start:inner.end], outer.start+inner.start
			if t.steps == nil && t.model == ByteBPE {
				if t.prefixSpace && words[0] != ' ' && !(continued && offset == 0) {
					words, offset = " "+words, offset-1
				}
				err = e.encodeWords(words, offset)
			} else {
				at := within
				switch {
				case offset == 0 && continued:
					at = rest
				case offset == 0:
					at = start
				}
				err = e.encodePieces(piece{words, at})
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// encodeWords appends the tokens of s, which has no added tokens and begins at
// offset of the text. Its words are GPT-2's.
func (e *encoder) encodeWords(s string, offset int) error {
	for at := 0; at < len(s); {
		if err := e.wordEnded(); err != nil {
			return err
		}
		n := wordLen(s[at:])
		if err := e.word(s[at:at+n], offset+at); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// wordEnded is the error of the context, which is checked every 4,096 words.
func (e *encoder) wordEnded() error {
	if e.words++; e.words%4096 == 0 {
		return e.ctx.Err()
	}
	return nil
}

// encodePieces appends the tokens of p as the splitters cut it.
func (e *encoder) encodePieces(p piece) error {
	offset := 0 // of a word, as good as steps that change text let us know
	word := func(p piece) error {
		if err := e.wordEnded(); err != nil {
			return err
		}
		err := e.cutWord(p.text, offset)
		offset += len(p.text)
		return err
	}
	for _, s := range slices.Backward(e.t.splitters) {
		next := word
		word = func(p piece) error { return s.split(p, next) }
	}
	return word(p)
}

// cutWord is word, but cuts w before spaces where no token can be cut by that.
func (e *encoder) cutWord(w string, offset int) error {
	if e.t.cutSpaces {
		for at := 1; ; {
			n := strings.Index(w[min(at, len(w)):], spaceMark)
			if n < 0 {
				break
			}
			if at += n; e.t.beforeSpace.has(w[at-1]) {
				at++
				continue
			}
			if err := e.word(w[:at], offset); err != nil {
				return err
			}
			w, offset, at = w[at:], offset+at, 1
		}
	}
	return e.word(w, offset)
}

// VocabSize returns the number of tokens, special ones and holes included. Ids run
// from 0 to VocabSize()-1.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// Longest returns the length in bytes of the longest token. No text has fewer
// tokens than its length divided by this. It is math.MaxInt32 where a token may
// stand for text of any length, such as white space around it.
func (t *Tokenizer) Longest() int {
	if t.normalizer != nil && !t.normalizer.grows() || t.fuseUnknown || t.model == Unigram || !t.added.plain || dropsText(t.steps) {
		return math.MaxInt32
	}
	n := 0
	for _, s := range t.tokens {
		n = max(n, len(s))
	}
	for _, s := range t.names {
		n = max(n, len(s))
	}
	return n
}

// Token returns the bytes that id stands for, which need not be valid UTF-8, and
// false if there is no such token.
func (t *Tokenizer) Token(id int) (string, bool) {
	s, ok := t.text(id)
	return s, ok && t.has(id)
}

// has reports whether there is a token of an id below VocabSize.
func (t *Tokenizer) has(id int) bool {
	if t.names != nil {
		return t.names[id] != ""
	}
	return t.tokens[id] != ""
}

// Holes lists the ids below VocabSize that have no token, and are decoded to no
// text: rows of the model that nothing was learned for.
func (t *Tokenizer) Holes() []int {
	var ids []int
	for id := range t.tokens {
		if !t.has(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// FirstDifference returns the lowest id that stands for other bytes in u, of those that both
// have, and false if there is none.
func (t *Tokenizer) FirstDifference(u *Tokenizer) (id int, differ bool) {
	for id := range min(len(t.tokens), len(u.tokens)) {
		if a, b := t.tokens[id], u.tokens[id]; a != "" && b != "" && a != b {
			return id, true
		}
	}
	return 0, false
}

// SpecialID returns the id of a special token, such as "<|endoftext|>", and
// false when text is not a special token.
func (t *Tokenizer) SpecialID(text string) (int, bool) {
	a, ok := t.added.byText[text]
	return a.id, ok && a.special
}
