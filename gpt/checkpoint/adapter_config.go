package checkpoint

// adapter_config.json, as PEFT writes it: what the numbers of an adapter mean. A setting that
// changes what is computed must be one that we compute.
//
// https://github.com/huggingface/peft/blob/main/src/peft/tuners/lora/config.py

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"caldera/internal/regular"
	"caldera/internal/strictjson"
)

const (
	adapterConfigName  = "adapter_config.json"
	adapterWeightsName = "adapter_model.safetensors"

	// AllLinear stands for all matrices of the blocks, as PEFT has it.
	AllLinear = "all-linear"

	maxRank     = 1 << 16
	maxPatterns = 1 << 12 // members of rank_pattern, and of alpha_pattern

	maxPatternLen  = 1000    // bytes of one
	maxPatternSize = 1 << 17 // of all of rank_pattern, or of alpha_pattern, together: see sizeOf
)

// LoRA are the settings of an adapter.
type LoRA struct {
	Rank    int      // r
	Alpha   float64  // lora_alpha: what the adapter adds is multiplied by Alpha/Rank
	Dropout float64  // lora_dropout: the share of inputs that a step of training drops
	Targets []string // target_modules: names of modules, or how they end; AllLinear stands for all
	Base    string   // base_model_name_or_path: of which model it is an adapter

	rooted        bool      // use_rslora: Alpha/√Rank in place of Alpha/Rank
	ranks, alphas []pattern // rank_pattern and alpha_pattern: of modules that have others
}

// pattern is what modules have whose names match.
type pattern struct {
	text    string
	modules *regexp.Regexp
	value   float64
}

// of is what the first pattern that matches a module says, or else usual.
func of(patterns []pattern, module string, usual float64) float64 {
	for _, p := range patterns {
		if p.modules.MatchString(module) {
			return p.value
		}
	}
	return usual
}

// rank is that of the adapter of a module, and scale what that is multiplied by.
func (l LoRA) rank(module string) int { return int(of(l.ranks, module, float64(l.Rank))) }

func (l LoRA) scale(module string) float64 {
	alpha, rank := of(l.alphas, module, l.Alpha), float64(l.rank(module))
	if l.rooted {
		return alpha / math.Sqrt(rank)
	}
	return alpha / rank
}

// refused are settings of PEFT that we do not compute, unless they have a value that says so:
// absent, null, false, empty, or one of these.
var refused = map[string][]string{
	"bias":                    {`"none"`},
	"modules_to_save":         nil,
	"lora_bias":               nil,
	"layer_replication":       nil,
	"trainable_token_indices": nil,
	"target_parameters":       nil,
	"alora_invocation_tokens": nil,
	"arrow_config":            nil,
	"fan_in_fan_out":          {"true"}, // which tells how the base is stored, and that we know
}

// changedBase are the values of init_lora_weights with which PEFT changes the weights beside
// the adapter, too.
var changedBase = []string{"pissa", "olora", "corda", "loftq"}

// readAdapterConfig reads adapter_config.json in fsys. The error names the file and the setting.
func readAdapterConfig(fsys fs.FS) (LoRA, error) {
	text, err := regular.Read(fsys, adapterConfigName, maxConfigSize)
	var l LoRA
	if err == nil {
		l, err = parseAdapterConfig(text)
	}
	if err != nil {
		return LoRA{}, fmt.Errorf("%s: %w", adapterConfigName, regular.Cause(err))
	}
	return l, nil
}

func parseAdapterConfig(text []byte) (l LoRA, err error) {
	o, err := parseSettings(text)
	if err != nil {
		return l, err
	}
	kind := ""
	switch found, err := o.decode("peft_type", &kind, "a string"); {
	case err != nil:
		return l, err
	case !found:
		return l, errors.New("peft_type is missing: expected \"LORA\"")
	}
	if kind != "LORA" {
		return l, fmt.Errorf("peft_type: found %s, expected \"LORA\"", strictjson.Text(o["peft_type"]))
	}
	for key, value := range o {
		if !neutral(value) && (strings.HasPrefix(key, "use_") && key != "use_rslora" || isRefused(key, value)) {
			return l, fmt.Errorf("%s: found %s, which is not supported: expected an adapter without", key, strictjson.Text(value))
		}
	}
	var initial any
	if _, err := o.decode("init_lora_weights", &initial, "true, false or a string"); err != nil {
		return l, err
	}
	if name, ok := initial.(string); ok && slices.ContainsFunc(changedBase, func(begin string) bool { return strings.HasPrefix(strings.ToLower(name), begin) }) {
		return l, fmt.Errorf("init_lora_weights: found %s, with which the weights beside the adapter are changed as well: save it as a plain adapter, with PEFT's path_initial_model_for_weight_conversion",
			strictjson.Text(o["init_lora_weights"]))
	}
	l.Rank, l.Alpha = 8, 8 // PEFT's
	for _, s := range []struct {
		key      string
		to       any
		expected string
	}{
		{"r", &l.Rank, "a whole number"}, {"lora_alpha", &l.Alpha, "a number"}, {"lora_dropout", &l.Dropout, "a number"},
		{"use_rslora", &l.rooted, "true or false"}, {"base_model_name_or_path", &l.Base, "a string"},
	} {
		if _, err := o.decode(s.key, s.to, s.expected); err != nil {
			return l, err
		}
	}
	if err := l.targets(o["target_modules"]); err != nil {
		return l, err
	}
	if l.ranks, err = parsePatterns("rank_pattern", o["rank_pattern"]); err != nil {
		return l, err
	}
	if l.alphas, err = parsePatterns("alpha_pattern", o["alpha_pattern"]); err != nil {
		return l, err
	}
	for _, p := range l.ranks {
		if p.value != math.Trunc(p.value) || p.value < 1 || p.value > maxRank {
			return l, fmt.Errorf("rank_pattern: found %v for %q, expected a whole number from 1 to %d", p.value, strictjson.Shorten(p.text), maxRank)
		}
	}
	return l, l.Validate()
}

// isRefused reports whether value is one of a setting that is not supported.
func isRefused(key string, value json.RawMessage) bool {
	allowed, known := refused[key]
	return known && !slices.Contains(allowed, string(value))
}

// neutral reports whether a value says that a setting is not used.
func neutral(value json.RawMessage) bool {
	compact := bytes.Buffer{}
	if json.Compact(&compact, value) != nil {
		return false
	}
	return slices.Contains([]string{"null", "false", "[]", "{}", `""`, "0"}, compact.String())
}

// targets reads target_modules: a list of names, or a regular expression. Which
// modules have an adapter is told by the tensors that are there.
func (l *LoRA) targets(value json.RawMessage) error {
	var list []string
	var one string
	switch {
	case value == nil || string(value) == "null":
	case json.Unmarshal(value, &list) == nil:
	case json.Unmarshal(value, &one) == nil:
		list = []string{one}
	default:
		return fmt.Errorf("target_modules: found %s, expected a string or an array of strings", strictjson.Text(value))
	}
	l.Targets = list
	return nil
}

// parsePatterns reads an object with a number for each pattern, in the order of the file: the
// first that matches counts. A pattern is a regular expression that matches a name, or what of
// it follows a dot.
func parsePatterns(key string, value json.RawMessage) (list []pattern, err error) {
	if value == nil || string(value) == "null" {
		return nil, nil
	}
	size := 0
	err = strictjson.Object(value, 1, func(text string, value json.RawMessage) error {
		p := pattern{text: text}
		if json.Unmarshal(value, &p.value) != nil || !(p.value > -math.MaxFloat32 && p.value < math.MaxFloat32) {
			return fmt.Errorf("found %s for %q, expected a number", strictjson.Text(value), strictjson.Shorten(text))
		}
		if len(list) == maxPatterns {
			return fmt.Errorf("found more than %d patterns", maxPatterns)
		}
		if len(text) > maxPatternLen {
			return fmt.Errorf("found a pattern of %d bytes, %q, expected at most %d", len(text), strictjson.Shorten(text), maxPatternLen)
		}
		n, err := sizeOf(text)
		if err == nil {
			if size += n; size > maxPatternSize {
				return fmt.Errorf("with %q the patterns are a program of more than %d instructions and characters, expected fewer: shorter patterns, or without counts such as {1000}", strictjson.Shorten(text), maxPatternSize)
			}
			// Go's expressions take time that is linear in the text and in the size, whatever they are.
			p.modules, err = regexp.Compile(patternOf(text))
		}
		if err != nil {
			reason := err.Error()
			if bad := (*syntax.Error)(nil); errors.As(err, &bad) {
				reason = string(bad.Code) // the rest quotes the pattern
			}
			return fmt.Errorf("%q is no regular expression that is supported: %s", strictjson.Shorten(text), reason)
		}
		list = append(list, p)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return list, nil
}

// sizeOf is what a pattern's program takes: its instructions, and the characters that they name. Counted repetition makes
// it far larger than the text.
func sizeOf(text string) (size int, err error) {
	tree, err := syntax.Parse(patternOf(text), syntax.Perl)
	if err != nil {
		return 0, err
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return 0, err
	}
	for _, i := range program.Inst {
		size += 1 + len(i.Rune)
	}
	return size, nil
}

// patternOf is the expression of a pattern.
func patternOf(text string) string { return `^(?s:(.*\.)?(` + text + `))$` }

// Validate reports what no adapter can have.
func (l LoRA) Validate() error {
	switch {
	case l.Rank < 1 || l.Rank > maxRank:
		return fmt.Errorf("r: found %d, expected 1 to %d", l.Rank, maxRank)
	case !(math.Abs(l.Alpha) < math.MaxFloat32):
		return fmt.Errorf("lora_alpha: found %v, expected a finite number", l.Alpha)
	case !(l.Dropout >= 0 && l.Dropout < 1):
		return fmt.Errorf("lora_dropout: found %v, expected 0 to below 1", l.Dropout)
	}
	return nil
}

// json is the text of adapter_config.json for a model whose modules are targets. turned tells that
// the model's layout has transposes of matrices.
func (l LoRA) json(targets []string, turned bool) ([]byte, error) {
	values := func(patterns []pattern) json.RawMessage { // in their order, for the first that matches counts
		var all []string
		for _, p := range patterns {
			text, _ := json.Marshal(p.text) // of strings and finite numbers there is no error
			value, _ := json.Marshal(p.value)
			all = append(all, string(text)+":"+string(value))
		}
		return json.RawMessage("{" + strings.Join(all, ",") + "}")
	}
	text, err := json.MarshalIndent(map[string]any{
		"alpha_pattern": values(l.alphas), "auto_mapping": nil, "base_model_name_or_path": l.Base, "bias": "none", "fan_in_fan_out": turned,
		"inference_mode": true, "init_lora_weights": true, "layer_replication": nil, "layers_pattern": nil, "layers_to_transform": nil,
		"loftq_config": map[string]any{}, "lora_alpha": l.Alpha, "lora_dropout": l.Dropout, "megatron_config": nil, "megatron_core": "megatron.core",
		"modules_to_save": nil, "peft_type": "LORA", "r": l.Rank, "rank_pattern": values(l.ranks), "revision": nil, "target_modules": targets,
		"task_type": "CAUSAL_LM", "use_dora": false, "use_rslora": l.rooted,
	}, "", "  ")
	return append(text, '\n'), err
}
