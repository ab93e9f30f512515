package gpttest

import (
	"testing"

	"caldera/backend"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
)

// ChatML is a chat template of the kind that most models have.
const ChatML = `{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\n' }}
    {%- if message.reasoning_content %}{{ '<think>\n' + message.reasoning_content + '\n</think>\n\n' }}{% endif %}
    {{- message.content + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}`

// ChatTokens are those of a model for chats: one a byte, and some special ones.
func ChatTokens(t testing.TB) *tokenizer.Tokenizer {
	t.Helper()
	v := tokenizer.Vocabulary{Added: map[int]bool{}, Merges: [][2]string{{"h", "e"}, {"he", "l"}}}
	for b := range 256 {
		v.Tokens = append(v.Tokens, byteName(byte(b)))
	}
	v.Tokens = append(v.Tokens, "he", "hel")
	for _, special := range []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"} {
		v.Added[len(v.Tokens)] = true
		v.Tokens = append(v.Tokens, special)
	}
	tok, err := tokenizer.New(v)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// byteName is the character that stands for a byte in the names of tokens, as GPT-2 has it:
// printable ones are themselves, and the others follow behind all bytes.
func byteName(b byte) string {
	printable := func(b byte) bool { return b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae }
	if printable(b) {
		return string(rune(b))
	}
	n := rune(256)
	for c := range b {
		if !printable(c) {
			n++
		}
	}
	return string(n)
}

// ChatModel saves a small model for chats, with random weights and a context of 65536, and returns its
// directory. template is that of its chats; empty for none.
func ChatModel(t *testing.T, template string) (dir string) {
	t.Helper()
	tok := ChatTokens(t)
	c, err := checkpoint.Random(model.Config{Family: "llama", Layers: 2, Heads: 4, KVHeads: 2, Width: 64, Inner: 96, Context: 1 << 16, Vocab: tok.VocabSize(), BOS: []int{258}, EOS: []int{258}}.Complete(), 7)
	if err != nil {
		t.Fatal(err)
	}
	c.SetTokenizer(tok)
	c.SetChatTemplate(checkpoint.ChatTemplate{Source: template})
	return SaveDir(t, c, backend.F32)
}
