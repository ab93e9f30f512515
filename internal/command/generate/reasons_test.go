package generate_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/internal/gpttest"
)

// chainModel saves a small gpt-oss for chats, of which each word makes the next one likeliest: the first,
// with which the template ends, as the last.
func chainModel(t *testing.T, words ...string) (dir string) {
	t.Helper()
	v := tokenizer.Vocabulary{Tokens: gpttest.ChatTokens(t).Vocabulary().Tokens[:256], Added: map[int]bool{}}
	var ids []int
	for _, word := range words {
		id := slices.Index(v.Tokens, word)
		if id < 0 {
			id = len(v.Tokens)
			v.Tokens = append(v.Tokens, word)
			v.Added[id] = strings.HasPrefix(word, "<|")
		}
		ids = append(ids, id)
	}
	tok, err := tokenizer.New(v)
	if err != nil {
		t.Fatal(err)
	}
	s := &model.DecoderSettings{Activation: backend.SiLU, Rope: model.Rope{Theta: 10000, Scaling: "none"}, QKVBias: true, OutBias: true, Window: 8, Period: 2, Experts: 4, Chosen: 2}
	c, err := checkpoint.Random(model.Config{Family: "gpt_oss", Layers: 2, Heads: 4, KVHeads: 2, HeadSize: 16, Width: 64, Inner: 32, Context: 512, Vocab: len(v.Tokens), Settings: s}.Complete(), 7)
	if err != nil {
		t.Fatal(err)
	}
	c.SetTokenizer(tok)
	c.SetChatTemplate(checkpoint.ChatTemplate{Source: `{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endfor %}<|start|>assistant{# <|channel|>analysis<|message|> #}`})
	dir = gpttest.SaveDir(t, c, backend.F32)
	d := gpttest.ReadDirectory(t, dir)
	head, tokens := d.Tensor("lm_head.weight").Data, d.Tensor("model.embed_tokens.weight").Data
	for _, x := range d.Tensors {
		if strings.Contains(x.Name, "o_proj") || strings.Contains(x.Name, "down_proj") { // what blocks add
			clear(x.Data)
		}
	}
	clear(head)
	const row = 4 * 64
	for i, id := range ids[1:] {
		copy(head[id*row:][:row], tokens[ids[i]*row:])
	}
	if err := gpttest.WriteTensors(filepath.Join(dir, safetensors.SingleName), d.Tensors, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestReasoningApart: with --chat what a model writes for itself is printed on standard error, and JSON has all.
// The answer ends at the token that ends it, and not at that which ends a part of it.
func TestReasoningApart(t *testing.T) {
	dir := chainModel(t, "t", "<|channel|>", "analysis", "<|message|>", "Hm", "<|end|>", "Yo", "<|return|>", "<|start|>")
	args := []string{"-m", dir, "--backend=cpu", "--chat", "--temp=0", "-n", "40", "hello"}
	r := generate(t, args...)
	if r.Out != "Yo\n" || !strings.HasSuffix(r.Stderr, "Hm\n") {
		t.Errorf("%q, and on standard error %q", r.Out, r.Stderr)
	}
	if r := generate(t, append(args, "--parallel=2")...); r.Out != "Yo\n\nYo\n" || strings.Contains(r.Stderr, "Hm") {
		t.Errorf("of two answers: %q, and on standard error %q", r.Out, r.Stderr)
	}
	var all struct {
		Text string
		IDs  []int `json:"generated_ids"`
	}
	r = generate(t, append(args, "--json")...)
	if err := json.Unmarshal([]byte(r.Out), &all); err != nil || all.Text != "<|channel|>analysis<|message|>Hm<|end|>Yo" || len(all.IDs) != 6 || strings.Contains(r.Stderr, "Hm") {
		t.Errorf("%v: %+v, %s", err, all, r.Stderr)
	}

	// What begins like a header, and is cut off, is not shown.
	dir = chainModel(t, "t", "<|channel|>", "final", "<|message|>", "Yo", "<|start|>", "assistan", "<|return|>", "<|end|>")
	if r := generate(t, "-m", dir, "--backend=cpu", "--chat", "--temp=0", "-n", "40", "hello"); r.Out != "Yo\n" {
		t.Errorf("%q: %s", r.Out, r.Stderr)
	}
}
