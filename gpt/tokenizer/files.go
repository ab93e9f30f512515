package tokenizer

// This file makes the files of a model directory of a tokenizer.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Files returns the files of the tokenizer in a model directory, by name: vocab.json
// and merges.txt or, if these cannot hold all of it, tokenizer.json and, if
// Transformers needs it, tokenizer_config.json. Load reads them.
func (v Vocabulary) Files() (map[string][]byte, error) {
	if v.plain() {
		return v.vocabAndMerges()
	}
	return v.tokenizerJSON()
}

// plain reports whether vocab.json and merges.txt can hold all of v.
func (v Vocabulary) plain() bool {
	for id := range v.Added {
		if v.Tokens[id] != endOfText || !v.Added[id] {
			return false
		}
	}
	if id := slices.Index(v.Tokens, endOfText); id >= 0 && len(v.Added) == 0 { // Load would make it special
		return false
	}
	for _, m := range v.Merges {
		if strings.ContainsAny(m[0]+m[1], " \r\n") {
			return false // a line of merges.txt cannot hold it
		}
	}
	return v.Model == ByteBPE && len(v.Matches) == 0 && !v.steps() && !v.IgnoreMerges && v.Unknown == ""
}

// steps reports whether text goes through other steps than GPT-2's.
func (v Vocabulary) steps() bool {
	return v.Model != ByteBPE || v.PreTokenizer != nil || len(v.Normalizer) > 0 || v.PrefixSpace || len(v.Prefix) > 0 || len(v.Suffix) > 0
}

// BothFiles returns the tokenizer of a trained vocabulary as tokenizer.json, and
// as vocab.json and merges.txt beside it for tools that read only these.
func (v Vocabulary) BothFiles() (map[string][]byte, error) {
	files, err := v.vocabAndMerges()
	if err != nil {
		return nil, err
	}
	whole, err := v.tokenizerJSON()
	maps.Copy(files, whole)
	return files, err
}

func (v Vocabulary) vocabAndMerges() (map[string][]byte, error) {
	vocab, err := v.vocabJSON()
	if err != nil {
		return nil, err
	}
	merges := bytes.NewBufferString("#version: 0.2\n")
	for _, m := range v.Merges {
		merges.WriteString(m[0] + " " + m[1] + "\n")
	}
	return map[string][]byte{vocabName: vocab, mergesName: merges.Bytes()}, nil
}

// vocabJSON is the object of names and ids, in the order of ids.
func (v Vocabulary) vocabJSON() ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	separator := "{"
	for id, name := range v.Tokens {
		if name == "" {
			continue
		}
		out.WriteString(separator)
		if err := e.Encode(name); err != nil {
			return nil, err
		}
		out.Truncate(out.Len() - 1) // the newline that Encode adds
		fmt.Fprintf(&out, ": %d", id)
		separator = ", "
	}
	out.WriteString("}\n")
	return out.Bytes(), nil
}

// object is a JSON object to be written.
type object map[string]any

// tokenizerJSON returns tokenizer.json, and tokenizer_config.json where it is needed.
// All tokens are in the model's vocabulary, also the added ones: Hugging Face's
// tokenizers would give those that are only in added_tokens other ids after a hole.
func (v Vocabulary) tokenizerJSON() (map[string][]byte, error) {
	vocab, err := v.vocabJSON()
	if err != nil {
		return nil, err
	}
	added := []addedJSON{}
	for id, name := range v.Tokens {
		if special, ok := v.Added[id]; ok {
			added = append(added, addedJSON{ID: &id, Content: name, Special: special, Match: v.Matches[id]})
		}
	}
	model, err := v.modelJSON(vocab)
	if err != nil {
		return nil, err
	}
	steps := v.PreTokenizer
	decoders := v.Decoder
	if v.Model == ByteBPE {
		if steps == nil {
			steps = []Step{{Type: byteLevel, Split: true}}
		}
		decoders = []Step{{Type: byteLevel}}
	}
	preTokenizer := sequence(steps, "pretokenizers", func(s Step) object { return s.preTokenizerJSON(v.PrefixSpace) })
	text, err := json.Marshal(struct {
		Version       string      `json:"version"`
		AddedTokens   []addedJSON `json:"added_tokens"`
		Normalizer    any         `json:"normalizer"`
		PreTokenizer  any         `json:"pre_tokenizer"`
		PostProcessor any         `json:"post_processor"`
		Decoder       any         `json:"decoder"`
		Model         any         `json:"model"`
	}{"1.0", added, sequence(v.Normalizer, "normalizers", Step.normalizerJSON), preTokenizer, v.templateJSON(), sequence(decoders, "decoders", Step.decoderJSON), model})
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{jsonName: text}
	if v.steps() {
		// GPT-2's own class of Transformers would put GPT-2's steps in their place.
		settings := object{"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": v.PrefixSpace}
		v.nameEnds(settings)
		config, err := json.MarshalIndent(settings, "", "  ")
		if err != nil {
			return nil, err
		}
		files[configName] = append(config, '\n')
	}
	return files, nil
}

// nameEnds adds to a tokenizer_config.json the tokens before and after a text, for
// programs that read no template. It adds nothing if there are several, or one that
// is not special, because the file cannot say that.
func (v Vocabulary) nameEnds(settings object) {
	for _, ids := range [][]int{v.Prefix, v.Suffix} {
		if len(ids) > 1 || len(ids) == 1 && !v.Added[ids[0]] {
			return
		}
	}
	for _, f := range []struct {
		add, name string
		ids       []int
	}{{"add_bos_token", "bos_token", v.Prefix}, {"add_eos_token", "eos_token", v.Suffix}} {
		settings[f.add] = len(f.ids) > 0
		if len(f.ids) > 0 {
			settings[f.name] = v.Tokens[f.ids[0]]
		}
	}
}

// modelJSON is the model, whose vocabulary is that object.
func (v Vocabulary) modelJSON(vocab []byte) (object, error) {
	if v.Model == Unigram {
		pairs := make([][2]any, len(v.Tokens))
		unknown := any(nil)
		for id, name := range v.Tokens {
			pairs[id] = [2]any{name, v.Scores[id]}
			if name == v.Unknown && name != "" {
				unknown = id
			}
		}
		return object{"type": "Unigram", "unk_id": unknown, "vocab": pairs, "byte_fallback": v.ByteFallback}, nil
	}
	merges := v.Merges
	if v.Model == ScoredBPE {
		var err error
		if merges, err = v.mergesOfScores(); err != nil {
			return nil, err
		}
	}
	model := object{"type": "BPE", "vocab": json.RawMessage(vocab), "merges": merges}
	if v.IgnoreMerges {
		model["ignore_merges"] = true
	}
	if v.ByteFallback || v.Model == ScoredBPE {
		model["byte_fallback"] = true
	}
	if v.Unknown != "" {
		model["unk_token"], model["fuse_unk"] = v.Unknown, v.FuseUnknown
	}
	return model, nil
}

// templateJSON is the post-processor that puts tokens around a text.
func (v Vocabulary) templateJSON() any {
	if len(v.Prefix) == 0 && len(v.Suffix) == 0 {
		return nil
	}
	tokens := object{}
	pieces := func(ids []int, number int) []object {
		var all []object
		for _, id := range ids {
			name := v.Tokens[id]
			tokens[name] = object{"id": name, "ids": []int{id}, "tokens": []string{name}}
			all = append(all, object{"SpecialToken": object{"id": name, "type_id": number}})
		}
		return all
	}
	around := func(text string, number int) []object {
		return slices.Concat(pieces(v.Prefix, number), []object{{"Sequence": object{"id": text, "type_id": number}}}, pieces(v.Suffix, number))
	}
	single := around("A", 0)
	return object{"type": "TemplateProcessing", "single": single, "pair": slices.Concat(single, around("B", 1)), "special_tokens": tokens}
}
