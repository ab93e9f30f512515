package checkpoint

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"caldera/gpt/checkpoint/gguf"
	"caldera/gpt/tokenizer"
)

// vocabularies is where scripts/peers.sh has put tokenizers of published models.
func vocabularies(t *testing.T) string {
	dir := os.Getenv("CALDERA_VOCABULARIES")
	if dir == "" {
		t.Skip("CALDERA_VOCABULARIES is not set: make test-peers gets tokenizers of published models and runs this")
	}
	return dir
}

// oddTexts are texts beside those that llama.cpp has for each vocabulary.
var oddTexts = []string{
	"DON'T You'LL HTTPServer parseJSONFile USA's 12345678 1,234.5 x\n\n\ty  z   ", "func main() {\n\tfmt.Println(\"hi\")\n}\n", "世界こんにちは안녕하세요 สวัสดี שלום مرحبا हिन्दी", "e\u0301 \u212b \ufb01 ＦＵＬＬ ½ ²³ Ⅻ", "👩‍👩‍👧‍👦 🇩🇪 ❤️ 1️⃣", "\x00\x01\x7f \u0085\u00a0\u3000\u200b", strings.Repeat("ab ", 300) + strings.Repeat("=", 90),
}

// TestPeersVocabularies holds the tokenizers of real models to what llama.cpp has of them:
// vocabularies in GGUF files, texts, and the ids that Hugging Face's tokenizers gave. What
// we write of each as tokenizer.json is read by Hugging Face's library, which must give
// the same ids.
func TestPeersVocabularies(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(vocabularies(t), "models", "ggml-vocab-*.gguf"))
	if err != nil || len(files) < 19 {
		t.Fatalf("%d vocabularies, %v", len(files), err)
	}
	cases, peers := 0, 0
	for _, path := range files {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "ggml-vocab-"), ".gguf"), func(t *testing.T) {
			f, err := gguf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			tok, err := metadata{f}.tokenizer(tokenizer.MaxTokens)
			if kind, _, _ := (metadata{f}).text(keyTokenizer); kind == "bert" {
				if err == nil || !strings.Contains(err.Error(), "WordPiece") {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			texts, want := llamaCases(t, path)
			for i, text := range texts {
				ids, err := tok.Encode(text)
				if got := strings.Trim(fmt.Sprint(ids), "[]"); err != nil || got != want[i] {
					t.Errorf("%q: %s, %v\n want %s", text, got, err, want[i])
				}
				cases++
				checkDecoded(t, tok, ids, text)
			}
			peers += checkWithHuggingFace(t, tok, append(texts, oddTexts...))
		})
	}
	if cases < 600 || os.Getenv("CALDERA_TOKENIZERS") != "" && peers < 700 {
		t.Errorf("%d cases, %d of Hugging Face's", cases, peers)
	}
}

// llamaCases are the texts beside a vocabulary and their ids, if it has any.
func llamaCases(t *testing.T, path string) (texts, want []string) {
	inp, err := os.ReadFile(path + ".inp")
	if err != nil {
		return nil, nil
	}
	out, err := os.ReadFile(path + ".out")
	if err != nil {
		t.Fatal(err)
	}
	const separator = "\n__ggml_vocab_test__\n"
	texts = strings.Split(strings.TrimSuffix(string(inp), separator), separator)
	for line := range strings.Lines(string(out)) {
		want = append(want, strings.TrimSpace(line))
	}
	if len(texts) != len(want) {
		t.Fatalf("%d texts and %d answers", len(texts), len(want))
	}
	return texts, want
}

// checkDecoded decodes ids at once and one by one.
func checkDecoded(t *testing.T, tok *tokenizer.Tokenizer, ids []int, text string) {
	t.Helper()
	if back, err := tok.DecodeBytes(ids); string(back) != text || err != nil {
		t.Errorf("%q is decoded to %q, %v", text, back, err)
	}
	d, streamed := tok.NewDecoder(), ""
	for _, id := range ids {
		s, err := d.Next(id)
		if err != nil {
			t.Fatal(err)
		}
		streamed += s
	}
	if streamed += d.Flush(); streamed != text {
		t.Errorf("%q streams as %q", text, streamed)
	}
}

// checkWithHuggingFace has Hugging Face's library read what is written of tok, and
// returns how many texts it encoded.
func checkWithHuggingFace(t *testing.T, tok *tokenizer.Tokenizer, texts []string) int {
	t.Helper()
	library := os.Getenv("CALDERA_TOKENIZERS")
	if library == "" {
		return 0
	}
	files, err := tok.Vocabulary().Files()
	if err != nil {
		t.Fatal(err)
	}
	if files["tokenizer.json"] == nil {
		return 0 // GPT-2's
	}
	dir := t.TempDir()
	if files["texts.json"], err = json.Marshal(texts); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("node", "../tokenizer/testdata/huggingface/ids.mjs", library, filepath.Join(dir, "tokenizer.json"), filepath.Join(dir, "texts.json")).Output()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); n++ {
		var theirs struct{ IDs []int }
		if err := json.Unmarshal(lines.Bytes(), &theirs); err != nil {
			t.Fatal(err)
		}
		for what, tok := range map[string]*tokenizer.Tokenizer{"GGUF": tok, "tokenizer.json": again} {
			ids, err := tok.Encode(texts[n], tokenizer.AllowSpecial)
			if err != nil || !slices.Equal(ids, theirs.IDs) {
				t.Errorf("%q by %s: %v, %v\ntheirs %v", texts[n], what, ids, err, theirs.IDs)
			}
		}
	}
	if n != len(texts) {
		t.Errorf("%d answers to %d texts", n, len(texts))
	}
	return n
}

// TestPeersPublishedAsGGUF writes tokenizers of published models, which are
// tokenizer.json, as GGUF has them, and reads them again.
func TestPeersPublishedAsGGUF(t *testing.T) {
	dir := vocabularies(t)
	for name, want := range map[string]string{"llama3_1": "gpt2 llama-bpe", "qwen3": "gpt2 qwen2", "gptoss": "gpt2 gpt-4o", "gemma3": "gemma4 "} {
		t.Run(name, func(t *testing.T) {
			tok, err := tokenizer.Load(filepath.Join(dir, "tokenizer-"+name, "models"))
			if err != nil {
				t.Fatal(err)
			}
			v := tok.Vocabulary()
			all, err := tokenizerMetadata(v, len(v.Tokens)+3)
			if err != nil {
				t.Fatal(err)
			}
			for _, kv := range []gguf.KeyValue{{Key: keyBOS, Value: gguf.OfUint32(0)}, {Key: keyEOS, Value: gguf.OfUint32(1)}} {
				if len(v.Prefix) > 0 && kv.Key == keyBOS {
					kv.Value = gguf.OfUint32(uint32(v.Prefix[0]))
				}
				all = append(all, kv)
			}
			path := filepath.Join(t.TempDir(), "tokenizer.gguf")
			if err := gguf.Write(path, all, nil, nil); err != nil {
				t.Fatal(err)
			}
			f, err := gguf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			m := metadata{f}
			kind, _, _ := m.text(keyTokenizer)
			split, _, _ := m.text(keySplit)
			if got := kind + " " + split; got != want {
				t.Errorf("it is %s in GGUF, want %s", got, want)
			}
			again, err := m.tokenizer(tokenizer.MaxTokens)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range oddTexts {
				if strings.Contains(text, "\u0301") && name == "qwen3" {
					continue // GGUF cannot say NFC
				}
				one, err1 := tok.EncodePrompt(text)
				two, err2 := again.EncodePrompt(text)
				if err1 != nil || err2 != nil || !slices.Equal(one, two) {
					t.Errorf("%q: %v, %v\nfrom GGUF %v, %v", text, one, err1, two, err2)
				}
			}
			if a, b := tok.Vocabulary().Tokens, again.Vocabulary().Tokens; !reflect.DeepEqual(a, b) {
				t.Errorf("%d tokens, from GGUF %d", len(a), len(b))
			}
		})
	}
}

// TestPeersSentencePiece writes SentencePiece's own file of the vocabularies that llama.cpp has, and reads that.
func TestPeersSentencePiece(t *testing.T) {
	cases := 0
	for _, name := range []string{"llama-spm", "phi-3", "baichuan", "nomic-bert-moe"} {
		path := filepath.Join(vocabularies(t), "models", "ggml-vocab-"+name+".gguf")
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		m := metadata{f}
		kind, _, _ := m.text(keyTokenizer)
		tokens, err := m.texts(keyTokens, tokenizer.MaxTokens)
		if err != nil {
			t.Fatal(err)
		}
		scores, err := m.scores(len(tokens))
		if err != nil {
			t.Fatal(err)
		}
		value, _ := m.Value(keyTypes)
		types, _ := value.Ints()
		var file []byte
		add := func(to []byte, number protowire.Number, data []byte) []byte {
			return protowire.AppendBytes(protowire.AppendTag(to, number, protowire.BytesType), data)
		}
		number := func(to []byte, number protowire.Number, n int) []byte {
			return protowire.AppendVarint(protowire.AppendTag(to, number, protowire.VarintType), uint64(n))
		}
		for id, text := range tokens {
			piece := add(nil, 1, []byte(text))
			piece = protowire.AppendFixed32(protowire.AppendTag(piece, 2, protowire.Fixed32Type), math.Float32bits(float32(scores[id])))
			file = add(file, 1, number(piece, 3, int(types[id])))
		}
		trainer, normalizer := number(nil, 3, 2), number(nil, 4, 0) // of BPE, which leaves spaces as they are
		if kind == unigramTokens {
			charsmap, err := m.bytes(keyCharsmap)
			if err != nil {
				t.Fatal(err)
			}
			trainer, normalizer = number(nil, 3, 1), add(nil, 2, []byte(charsmap))
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "tokenizer.model"), add(add(file, 2, trainer), 3, normalizer), 0o666); err != nil {
			t.Fatal(err)
		}
		want, err := m.tokenizer(tokenizer.MaxTokens)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tokenizer.Load(dir)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		texts, ids := llamaCases(t, path)
		for i, text := range texts {
			encoded, err := got.Encode(text)
			if err != nil || strings.Trim(fmt.Sprint(encoded), "[]") != ids[i] {
				t.Errorf("%s: %q: %v, %v\n want %s", name, text, encoded, err, ids[i])
			}
			cases++
		}
		for _, text := range oddTexts {
			a, err1 := want.Encode(text)
			b, err2 := got.Encode(text)
			if err1 != nil || err2 != nil || !slices.Equal(a, b) {
				t.Errorf("%s: %q: %v, %v\nfrom GGUF %v, %v", name, text, b, err2, a, err1)
			}
		}
	}
	if cases < 80 {
		t.Errorf("%d cases", cases)
	}
}
