package generate_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/x448/float16"

	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/tokenizer"
	"caldera/internal/gpttest"
	"caldera/models"
)

// writeJSON writes a file of dir.
func writeJSON(t *testing.T, dir, name string, v any) {
	t.Helper()
	text, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name), text, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// changed is the embedded model in a directory of its own, with other settings.
func changed(t *testing.T, settings map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, models.Default()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	config := map[string]any{}
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	for key, value := range settings {
		config[key] = value
	}
	writeJSON(t, dir, "config.json", config)
	return dir
}

// padded is the embedded model with n more rows of its token matrix than it has
// tokens, each of which is likelier than the token that likeliest follows prompt.
func padded(t *testing.T, n int) string {
	t.Helper()
	likeliest := jsonOf(t, "--temp=0", "-n", "1", prompt).IDs[0]
	dir := changed(t, map[string]any{"vocab_size": 2048 + n})
	f, err := safetensors.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var tensors []safetensors.Tensor
	for _, name := range f.Tensors() {
		x, _ := f.Tensor(name)
		if strings.HasSuffix(name, "wte.weight") {
			size := 2 * x.Shape[1] // of a row, in f16
			row := slices.Clone(x.Data[likeliest*size:][:size])
			for i := 0; i < size; i += 2 {
				v := float16.Frombits(binary.LittleEndian.Uint16(row[i:])).Float32()
				binary.LittleEndian.PutUint16(row[i:], float16.Fromfloat32(4*v).Bits())
			}
			x.Data = append(slices.Clone(x.Data), slices.Repeat(row, n)...)
			x.Shape = []int{x.Shape[0] + n, x.Shape[1]}
		}
		tensors = append(tensors, x)
	}
	if err := gpttest.WriteTensors(filepath.Join(dir, safetensors.SingleName), tensors, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestPaddedVocabulary never draws a row that is no token of the tokenizer.
func TestPaddedVocabulary(t *testing.T) {
	dir := padded(t, 4)
	if got := generate(t, "-m", dir, "--temp=0", "-n", "23", prompt).Out; got != austen+"\n" {
		t.Errorf("with padding %q, expected %q", got, austen)
	}
	a := jsonOf(t, "-m", dir, "--temp=1e300", "--top-k=0", "--top-p=1", "--min-p=0", "-n", "200", "--ignore-eos", prompt)
	if id := slices.Max(a.IDs); len(a.IDs) != 200 || id > 2046 {
		t.Errorf("%d tokens up to %d, expected 200 of at most 2046, which is before the end of text", len(a.IDs), id)
	}
	wantFailure(t, run(t, command(t, "--backend=cpu", "-m", dir, "--tokens=5,2048")), 2, `"2048"`, "0 to 2047")

	// The same rows are tokens where added_tokens.json lists them.
	writeJSON(t, dir, "added_tokens.json", map[string]int{"<|a|>": 2048, "<|b|>": 2049, "<|c|>": 2050, "<|d|>": 2051})
	if got := generate(t, "-m", dir, "--temp=0", "-n", "1", prompt).Out; got != prompt+"<|a|>\n" {
		t.Errorf("with tokens added %q, expected the first of them", got)
	}
	if got := jsonOf(t, "-m", dir, "-n", "1", "--special", "<|b|><|d|>").PromptIDs; !slices.Equal(got, []int{2049, 2051}) {
		t.Errorf("tokens that were added are read as %v", got)
	}
}

// TestEndsAtOnce reports the time of a prompt after which the text ends.
func TestEndsAtOnce(t *testing.T) {
	end := jsonOf(t, "--temp=0", "-n", "1", prompt).IDs[0]
	a := jsonOf(t, "-m", changed(t, map[string]any{"eos_token_id": end}), "--temp=0", prompt)
	if x := a.Timings; a.Stop != "eos" || len(a.IDs) != 0 || a.Text != "" || x.PromptMS <= 0 || x.PromptPerSecond <= 0 || x.PredictedMS != 0 {
		t.Errorf("stopped for %q after %v, %q: %+v", a.Stop, a.IDs, a.Text, x)
	}
}

// TestHeldBack continues a prompt that ends within a character.
func TestHeldBack(t *testing.T) {
	tok, err := tokenizer.LoadFS(models.Default(), ".")
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tok.Encode("世")
	if err != nil || len(ids) != 3 {
		t.Fatalf("%v, %v: expected a token a byte", ids, err)
	}
	args := []string{"--temp=0", "-n", "8", "--tokens=" + idList(ids[:2])}
	a := jsonOf(t, args...)
	text, err := tok.Decode(a.IDs)
	if err != nil || a.Text != text {
		t.Errorf("the text is %q, expected that of the generated ids alone, %q; %v", a.Text, text, err)
	}
	all, err := tok.Decode(append(ids[:2:2], a.IDs...))
	if got := generate(t, args...).Out; err != nil || got != all+"\n" {
		t.Errorf("printed %q, expected %q; %v", got, all, err)
	}
	if got := generate(t, append(args, "--no-display-prompt")...).Out; got != text+"\n" {
		t.Errorf("printed %q without the prompt, expected %q", got, text)
	}
}

// sparse is a checkpoint of zeros, in f32, that takes no room on the disk. It has
// one layer, and an unembedding that no f16 can hold.
func sparse(t *testing.T, context, vocab, width, inner int) string {
	t.Helper()
	dir := t.TempDir()
	writeJSON(t, dir, "config.json", map[string]any{
		"model_type": "gpt2", "n_layer": 1, "n_head": 1, "n_embd": width, "n_inner": inner, "n_positions": context,
		"vocab_size": vocab, "tie_word_embeddings": false,
	})
	header, end := map[string]any{}, 0
	add := func(name string, shape ...int) (start int) {
		start = end
		size := 4
		for _, n := range shape {
			size *= n
		}
		end += size
		header[name] = map[string]any{"dtype": "F32", "shape": shape, "data_offsets": []int{start, end}}
		return start
	}
	add("wte.weight", vocab, width)
	add("wpe.weight", context, width)
	for _, norm := range []string{"h.0.ln_1", "h.0.ln_2", "ln_f"} {
		add(norm+".weight", width)
		add(norm+".bias", width)
	}
	for _, m := range []struct {
		name    string
		in, out int
	}{{"attn.c_attn", width, 3 * width}, {"attn.c_proj", width, width}, {"mlp.c_fc", width, inner}, {"mlp.c_proj", inner, width}} {
		add("h.0."+m.name+".weight", m.in, m.out)
		add("h.0."+m.name+".bias", m.out)
	}
	head := add("lm_head.weight", vocab, width)
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, strings.Repeat(" ", -len(text)&7)...) // so that the weights are aligned
	f, err := os.Create(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at := int64(8 + len(text))
	_, err = f.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...))
	if err == nil {
		err = f.Truncate(at + int64(end))
	}
	if err == nil {
		_, err = f.WriteAt(binary.LittleEndian.AppendUint32(nil, math.Float32bits(70000)), at+int64(head))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// idList is ids as --tokens takes them.
func idList(ids []int) string {
	var list []string
	for _, id := range ids {
		list = append(list, strconv.Itoa(id))
	}
	return strings.Join(list, ",")
}

// TestContextTooLarge asks for a cache of 256 GiB, and is told before anything is computed.
func TestContextTooLarge(t *testing.T) {
	dir := sparse(t, 1<<20, 4, 1<<15, 1)
	r := run(t, command(t, "--backend=cpu", "-m", dir, "--tokens=1"))
	wantFailure(t, r, 1, dir, "out of memory", "keys and values 256.0 GiB", "are free", "it would fit with a context of", "(-c ")
}
