package inspect

import (
	"fmt"
	"strconv"
	"strings"
)

// Bounds of what Embed is asked for.
const (
	maxWords      = 64
	maxWordBytes  = 1000
	maxWordTokens = 64
	maxNearest    = 100
)

// EmbedWord is a word as the model has it: a token, or several.
type EmbedWord struct {
	Given  string  `json:"given"`  // as it was asked for
	Text   string  `json:"text"`   // what was looked up: where that is one token, with a space before it
	Tokens []Token `json:"tokens"` // of Text
	Taken  string  `json:"taken"`  // what stands for the word: its "token", or of several the "last" or their "mean"
	Norm   Float   `json:"norm"`   // length of the vector
	Vector []Float `json:"vector"` // [width]

	Nearest []Neighbour `json:"nearest"` // without the tokens that stand for the word; null if that was not asked for

	vector []float64
}

// taken are the tokens that stand for the word.
func (w *EmbedWord) taken() []Token {
	if w.Taken == "last" {
		return w.Tokens[len(w.Tokens)-1:]
	}
	return w.Tokens
}

// EmbedTerm is a word in a sum of vectors.
type EmbedTerm struct {
	Sign int    `json:"sign"` // 1 or -1
	Word string `json:"word"` // as it was asked for
}

// ParseSum reads a sum such as king - man + woman: words with + or - between them, all
// in one argument or in several. It returns no terms if there is neither sign: then the
// arguments are words, each by itself. A word that begins with a space, or holds one, is
// taken as it is, if no sign stands alone beside it.
func ParseSum(arguments []string) ([]EmbedTerm, error) {
	var parts []string
	signs := false
	for _, a := range arguments {
		fields := strings.Fields(a)
		n := 0
		for _, f := range fields {
			if isSign(f) {
				n++
			}
		}
		if n > 0 && (len(fields) > 1 || isSign(a)) {
			signs = true
			parts = append(parts, fields...)
		} else {
			parts = append(parts, a)
		}
	}
	if !signs {
		return nil, nil
	}
	all := strings.Join(arguments, " ")
	var terms []EmbedTerm
	sign := 1
	expectWord := true
	for i, p := range parts {
		switch {
		case isSign(p) && i > 0 && expectWord:
			return nil, Userf("%q: two signs follow each other; expected words with + or - between them", all)
		case isSign(p):
			if sign = 1; p != "+" {
				sign = -1
			}
			expectWord = true
		case !expectWord:
			return nil, Userf("%q: no + or - stands before %q; expected words with + or - between them", all, p)
		default:
			terms = append(terms, EmbedTerm{sign, p})
			expectWord = false
		}
	}
	if expectWord {
		return nil, Userf("%q: no word follows the last sign; expected words with + or - between them", all)
	}
	return terms, nil
}

// String is the sum as it could have been given.
func (s *EmbedSum) String() string {
	var out strings.Builder
	for i, t := range s.Terms {
		sign := " + "
		if t.Sign < 0 {
			sign = " - "
		}
		if i == 0 {
			sign = strings.TrimPrefix(strings.TrimPrefix(sign, " + "), " ")
		}
		out.WriteString(sign + t.Word)
	}
	return out.String()
}

// isSign reports whether s is a sign; the minus of typography is one too.
func isSign(s string) bool { return s == "+" || s == "-" || s == "−" }

// word finds the tokens of a word. Many tokenizers have two for it, of which one begins
// with a space, as a word in a text does: that one is taken if it is a token. Where
// neither is a token, it is the word with a space before it that is cut up. A word that
// begins with white space is taken as it is; #17 is token 17.
func (in *Inspector) word(given string, mean bool) (*EmbedWord, error) {
	w := &EmbedWord{Given: given, Text: given, Taken: "token"}
	ids, err := in.wordIDs(w)
	if err != nil {
		return nil, err
	}
	if err := in.known(ids); err != nil {
		return nil, err
	}
	for _, id := range ids {
		w.Tokens = append(w.Tokens, in.Token(id))
	}
	switch {
	case len(ids) > 1 && mean:
		w.Taken = "mean"
	case len(ids) > 1:
		w.Taken = "last"
	}
	return w, nil
}

// wordIDs are the tokens of w, whose Text it sets to what they are the tokens of.
func (in *Inspector) wordIDs(w *EmbedWord) ([]int, error) {
	if len(w.Given) > maxWordBytes {
		return nil, Userf("a word of %d bytes: expected at most %d", len(w.Given), maxWordBytes)
	}
	number, isID := strings.CutPrefix(w.Given, "#")
	if id, err := strconv.Atoi(number); err == nil && (isID || in.Tokenizer == nil) {
		if err := in.known([]int{id}); err != nil {
			return nil, Userf("word %q: the model knows the ids 0 to %d", w.Given, in.Model.Vocab-1)
		}
		w.Text = in.Token(id).Text
		return []int{id}, nil
	}
	switch {
	case in.Tokenizer == nil:
		return nil, Userf("word %q: the model has no tokenizer, so expected the id of a token, 0 to %d", w.Given, in.Model.Vocab-1)
	case w.Given == "":
		return nil, Userf("a word is empty: expected some text, or # and the id of a token")
	}
	if id, ok := in.Tokenizer.SpecialID(w.Given); ok {
		return []int{id}, nil
	}
	plain, err := in.Tokenizer.Encode(w.Given)
	if err != nil {
		return nil, UserError{fmt.Errorf("word %q: %w", w.Given, err)}
	}
	ids := plain
	if strings.TrimSpace(w.Given[:1]) != "" {
		spaced, err := in.Tokenizer.Encode(" " + w.Given)
		if err == nil && (len(spaced) == 1 || len(plain) != 1) {
			ids, w.Text = spaced, " "+w.Given
		}
	}
	if len(ids) == 0 || len(ids) > maxWordTokens {
		return nil, Userf("word %q has %d tokens: expected 1 to %d", w.Given, len(ids), maxWordTokens)
	}
	return ids, nil
}
