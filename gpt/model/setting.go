package model

// The settings of a family: a row for each, with its names in config.json and in
// the metadata of a GGUF file, and where it is kept. What reads, writes and refuses
// settings reads these rows.

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/internal/strictjson"
)

// Setting is a row of a family's Keys.
type Setting struct {
	// Field is where it is kept: the name of a field of Config, or of the family's
	// Settings. It is an int, which is 1 or more, a float64, which is more than 0, a
	// bool, a []float32, or what Values have, or a []bool where Each says what stands for
	// its elements. Empty: it is only compared with Values.
	Field string

	// JSON are its names in config.json. The first that is there counts; all are
	// written. A dot leads into an object: "rope_scaling.factor".
	JSON []string

	// Others are further names in config.json, which count before those of JSON and
	// are not written.
	Others []string

	// GGUF are its names in the metadata, without the architecture before them. Where
	// several are there they must agree; all are written.
	GGUF []string

	// Tensor is the name of a tensor of a GGUF file that stands for the setting: that
	// it is there for a bool, its numbers for a []float32.
	Tensor string

	// Values are all that are supported, where it is one of a few.
	Values []Choice

	// Each are the values that an element may have, of a list with one for each layer,
	// which Field keeps as []bool. Where a number may stand in place of the list, Number is
	// the field that keeps it.
	Each   []Choice
	Number string

	// Silent is what a GGUF file stands for that does not have it, where that is not what
	// a silent config.json stands for: a value of the field.
	Silent any

	// None: 0 and null stand for none, which the field keeps as 0.
	None bool

	// Always: it is written where it is false or 0, too.
	Always bool

	// Follows: what a GGUF file has of it is other settings, which are compared in its place.
	Follows bool

	// Unread: llama.cpp does not heed the key in files of this family. It is the window of a
	// model: where that is shorter than texts may be, a GGUF file says it, and a warning that
	// llama.cpp computes something else. Of another setting it is one where the setting is not what is
	// usual.
	Unread bool

	Needed   Needed
	ReadOnly bool // it follows from others: files may have it, and none is written with it
}

// Needed says where a setting must be.
type Needed int

const (
	Everywhere Needed = iota
	InGGUF            // config.json may leave it out
	Nowhere
)

// Choice is a value that a setting may have.
type Choice struct {
	Text  Literal
	Value any // of the field
}

// Literal is a value as JSON has it.
type Literal string

func (l Literal) MarshalJSON() ([]byte, error) { return []byte(l), nil }

// Activations are Transformers' names of activation functions (ACT2FN).
var Activations = []Choice{
	// All of these are the approximation by tanh.
	{`"gelu_new"`, backend.GELUTanh}, {`"gelu_pytorch_tanh"`, backend.GELUTanh}, {`"gelu_python_tanh"`, backend.GELUTanh},
	{`"gelu_fast"`, backend.GELUTanh}, {`"gelu_accurate"`, backend.GELUTanh},
	{`"gelu"`, backend.GELUErf}, {`"gelu_python"`, backend.GELUErf}, {`"quick_gelu"`, backend.GELUSigmoid},
	{`"relu"`, backend.ReLU}, {`"silu"`, backend.SiLU}, {`"swish"`, backend.SiLU},
}

// Name is the setting's own name.
func (s *Setting) Name() string { return slices.Concat(s.JSON, s.GGUF, []string{s.Tensor})[0] }

func (s *Setting) field(c *Config) reflect.Value {
	if f := reflect.ValueOf(c).Elem().FieldByName(s.Field); f.IsValid() {
		return f
	}
	return reflect.ValueOf(c.Settings).Elem().FieldByName(s.Field)
}

// expects says what a value must be.
func (s *Setting) expects(c *Config) string {
	var texts []string
	for _, v := range s.Values {
		texts = append(texts, string(v.Text))
	}
	for _, v := range s.Each {
		texts = append(texts, string(v.Text))
	}
	switch all := strings.Join(slices.Compact(texts), " or "); {
	case s.Each != nil:
		return fmt.Sprintf("%s for each of the layers", all)
	case s.Values != nil:
		return all
	}
	return map[reflect.Kind]string{reflect.Int: "a whole number", reflect.Bool: "true or false", reflect.Float64: "a number"}[s.field(c).Kind()]
}

// Parse reads all settings that a file of format from has: at returns the value of
// a name, or nil. Null stands for what is absent where it is no choice.
func (f *Family) Parse(c *Config, from Format, at func(name string) (json.RawMessage, error)) error {
	vocab := Setting{Field: "Vocab", JSON: []string{"vocab_size"}}
	if c.Vocab > 0 {
		vocab.Needed = Nowhere
	}
	plain := Setting{JSON: []string{"quantization_config"}, Values: []Choice{{"null", nil}}, Needed: Nowhere} // weights are numbers
	if f.Method != "" {
		plain.JSON, plain.Values[0].Text = []string{"quantization_config.quant_method"}, Literal(`"`+f.Method+`"`)
	}
	for _, s := range append(f.Keys[:len(f.Keys):len(f.Keys)], vocab, plain, causal, ahead) {
		names, own := slices.Concat(s.Others, s.JSON), len(s.Others)
		if from == GGUF {
			names, own = nil, 0
			for _, name := range s.GGUF {
				names = append(names, f.GGUF+"."+name)
			}
		}
		null := s.None || slices.ContainsFunc(s.Values, func(c Choice) bool { return c.Text == "null" })
		var first json.RawMessage
		for _, name := range names {
			value, err := at(name)
			switch {
			case err != nil:
				return err
			case value == nil || string(value) == "null" && !null, from == HuggingFace && first != nil:
				continue
			case first != nil && string(value) != string(first):
				return fmt.Errorf("%s: found %s, expected %s as %s has", name, strictjson.Text(value), strictjson.Text(first), names[0])
			}
			number := value
			if from == GGUF {
				number = s.alike(c, value)
			}
			if err := s.set(c, name, number); err != nil {
				return err
			}
			first = value
		}
		if first == nil && len(names) > 0 && (s.Needed == Everywhere || s.Needed == InGGUF && from == GGUF) {
			return fmt.Errorf("%s: missing, expected %s", names[own], s.expects(c))
		}
		if first == nil && from == GGUF && s.Silent != nil {
			s.field(c).Set(reflect.ValueOf(s.Silent))
		}
	}
	return nil
}

// causal refuses models whose tokens see those behind them, and ahead those whose last layers
// guess further tokens: programs that run them compute something else than a model without.
var (
	causal = only(Setting{JSON: []string{"is_causal"}, GGUF: []string{"attention.causal"}}, "true", "null")
	ahead  = only(Setting{GGUF: []string{"nextn_predict_layers"}}, "0")
)

// alike is the number of a list that has the same one for each layer, as llama.cpp reads a setting
// that layers may differ in, and else value.
func (s *Setting) alike(c *Config, value json.RawMessage) json.RawMessage {
	var list []json.RawMessage
	if value[0] != '[' || s.Field == "" || !s.field(c).CanInt() || json.Unmarshal(value, &list) != nil || len(list) == 0 || len(list) != c.Layers {
		return value
	}
	for _, x := range list {
		if string(x) != string(list[0]) {
			return value
		}
	}
	return list[0]
}

// set puts a value into c that a file has under name.
func (s *Setting) set(c *Config, name string, value json.RawMessage) error {
	for _, v := range s.Values {
		if string(v.Text) == string(value) {
			if s.Field != "" {
				s.field(c).Set(reflect.ValueOf(v.Value))
			}
			return nil
		}
	}
	if s.Values != nil {
		return fmt.Errorf("%s: found %s, which is not supported, expected %s", name, strictjson.Text(value), s.expects(c))
	}
	field := s.field(c)
	switch {
	case s.Each != nil && (s.Number == "" || value[0] == '['):
		return s.setEach(c, name, value)
	case s.Each != nil:
		number := Setting{Field: s.Number}
		return number.set(c, name, value)
	case s.None && (string(value) == "null" || string(value) == "0"):
		field.SetZero()
		return nil
	}
	if err := json.Unmarshal(value, field.Addr().Interface()); err != nil {
		return fmt.Errorf("%s: found %s, expected %s", name, strictjson.Text(value), s.expects(c))
	}
	switch {
	case field.CanInt() && field.Int() < 1:
		return fmt.Errorf("%s: found %d, expected 1 or more", name, field.Int())
	case field.CanFloat() && field.Float() <= 0:
		return fmt.Errorf("%s: found %v, expected more than 0", name, field.Float())
	}
	return nil
}

// setEach puts a list into c that has a value for each layer.
func (s *Setting) setEach(c *Config, name string, value json.RawMessage) error {
	var list []json.RawMessage
	if err := json.Unmarshal(value, &list); err != nil {
		return fmt.Errorf("%s: found %s, expected %s", name, strictjson.Text(value), s.expects(c))
	}
	if len(list) < c.Layers || len(list) > maxLayers {
		return fmt.Errorf("%s: found a list of %d, expected one for each of the %d layers", name, len(list), c.Layers)
	}
	each := make([]bool, c.Layers)
	for i := range each {
		at := slices.IndexFunc(s.Each, func(v Choice) bool { return string(v.Text) == string(list[i]) })
		if at < 0 {
			return fmt.Errorf("%s: found %s for layer %d, which is not supported, expected %s", name, strictjson.Text(list[i]), i, s.expects(c))
		}
		each[i] = s.Each[at].Value.(bool)
	}
	s.field(c).Set(reflect.ValueOf(each))
	return nil
}

// SetTensor sets what a tensor stands for, whose numbers are read where they count.
func (s *Setting) SetTensor(c *Config, numbers func() ([]float32, error)) (err error) {
	switch to := s.field(c).Addr().Interface().(type) {
	case *bool:
		*to = true
	case *[]float32:
		*to, err = numbers()
	}
	return err
}

// Value is what c has, as a file is to have it, or nil where nothing needs to be
// written.
func (s *Setting) Value(c *Config) any {
	if s.Field == "" || s.ReadOnly || s.field(c).IsZero() && !s.Always {
		return nil
	}
	value := s.field(c).Interface()
	if list, ok := value.([]bool); ok && s.Each != nil {
		texts := make([]Literal, len(list))
		for i, x := range list {
			texts[i] = s.Each[slices.IndexFunc(s.Each, func(v Choice) bool { return v.Value == x })].Text
		}
		return texts
	}
	for _, v := range s.Values {
		if v.Value == value {
			return v.Text
		}
	}
	if s.Values != nil {
		return nil
	}
	return value
}

// Same reports the first setting that is another in back, which is what a file of
// format in says of c.
func (f *Family) Same(c, back Config, in Format) error {
	for _, s := range f.Keys {
		var texts [2]string
		var numbers [2]any
		for i, c := range []*Config{&c, &back} {
			value := s.Value(c)
			if value == nil {
				value = "not set"
			}
			texts[i], numbers[i] = strictjson.Text(fmt.Append(nil, value)), value
		}
		if a, ok := numbers[0].(float64); ok {
			// GGUF has float32, and some numbers are worked out of others.
			if b, ok := numbers[1].(float64); ok && math.Abs(a-b) <= 1e-6*math.Abs(a) {
				continue
			}
		}
		if follows := in == GGUF && s.Follows; !follows && texts[0] != texts[1] {
			return fmt.Errorf("%v cannot say that %s is %s: programs that read it would take %s, and compute something else", in, s.Name(), texts[0], texts[1])
		}
	}
	return nil
}
