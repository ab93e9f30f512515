package gpt

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
	// it is there for a *bool, its numbers for a *[]float32, and for others what
	// follows from them.
	Tensor string

	// Field is where it is kept: a *int, which is 1 or more, a *float64, which is more
	// than 0, a *bool, a *[]float32, or a pointer to what Values have. Nil: it is only compared with Values.
	Field func(*Config) any

	// Values are all that are supported, where it is one of a few.
	Values []Choice

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
	Text  string // as JSON
	Value any    // of the field
}

// Activations are Transformers' names of activation functions (ACT2FN).
var Activations = []Choice{
	// All of these are the approximation by tanh.
	{`"gelu_new"`, backend.GELUTanh}, {`"gelu_pytorch_tanh"`, backend.GELUTanh}, {`"gelu_python_tanh"`, backend.GELUTanh},
	{`"gelu_fast"`, backend.GELUTanh}, {`"gelu_accurate"`, backend.GELUTanh},
	{`"gelu"`, backend.GELUErf}, {`"gelu_python"`, backend.GELUErf}, {`"quick_gelu"`, backend.GELUSigmoid},
	{`"relu"`, backend.ReLU}, {`"silu"`, backend.SiLU}, {`"swish"`, backend.SiLU},
}

// Name is the setting's own name.
func (s *Setting) Name() string {
	for _, names := range [][]string{s.JSON, s.GGUF, {s.Tensor}} {
		if len(names) > 0 {
			return names[0]
		}
	}
	return ""
}

// expects says what a value must be.
func (s *Setting) expects(c *Config) string {
	if s.Values != nil {
		texts := make([]string, len(s.Values))
		for i, v := range s.Values {
			texts[i] = v.Text
		}
		return strings.Join(texts, " or ")
	}
	switch s.Field(c).(type) {
	case *int:
		return "a whole number"
	case *bool:
		return "true or false"
	}
	return "a number"
}

// Null reports whether null is a value, and does not stand for what is absent.
func (s *Setting) Null() bool {
	return slices.ContainsFunc(s.Values, func(c Choice) bool { return c.Text == "null" })
}

// Missing is the error of a file that does not have the setting under its name.
func (s *Setting) Missing(c *Config, name string) error {
	return fmt.Errorf("%s: missing, expected %s", name, s.expects(c))
}

// Set puts a value into c that a file has under name.
func (s *Setting) Set(c *Config, name string, value json.RawMessage) error {
	for _, v := range s.Values {
		if v.Text == string(value) {
			if s.Field != nil {
				reflect.ValueOf(s.Field(c)).Elem().Set(reflect.ValueOf(v.Value))
			}
			return nil
		}
	}
	if s.Values != nil {
		return fmt.Errorf("%s: found %s, which is not supported, expected %s", name, strictjson.Text(value), s.expects(c))
	}
	field := s.Field(c)
	if err := json.Unmarshal(value, field); err != nil {
		return fmt.Errorf("%s: found %s, expected %s", name, strictjson.Text(value), s.expects(c))
	}
	switch x := field.(type) {
	case *int:
		if *x < 1 {
			return fmt.Errorf("%s: found %d, expected 1 or more", name, *x)
		}
	case *float64:
		if *x <= 0 {
			return fmt.Errorf("%s: found %v, expected more than 0", name, *x)
		}
	}
	return nil
}

// Value is what c has, as a file is to have it, or nil where nothing needs to be
// written.
func (s *Setting) Value(c *Config) any {
	if s.Field == nil || s.ReadOnly {
		return nil
	}
	field := reflect.ValueOf(s.Field(c)).Elem()
	if field.IsZero() {
		return nil
	}
	for _, v := range s.Values {
		if v.Value == field.Interface() {
			return json.RawMessage(v.Text)
		}
	}
	if s.Values != nil {
		return nil
	}
	return field.Interface()
}

// same reports the first setting that is another in back, which is what a file of
// format in says of c.
func (f *Family) same(c, back Config, in Format) error {
	for _, s := range f.Keys {
		is, read := s.Value(&c), s.Value(&back)
		x, _ := is.([]float32)
		y, _ := read.([]float32)
		switch is.(type) {
		case json.RawMessage, float64, int:
			if in == GGUF && s.Tensor != "" {
				continue // what follows from it is compared
			}
		}
		if a, ok := is.(float64); ok && read != nil && nearly(float32(a), float32(read.(float64))) {
			continue
		}
		if x != nil && slices.EqualFunc(x, y, nearly) || x == nil && reflect.DeepEqual(is, read) {
			continue
		}
		text := func(v any) string { return strictjson.Text(fmt.Appendf(nil, "%v", v)) }
		if raw, ok := is.(json.RawMessage); ok {
			is = string(raw)
		}
		if raw, ok := read.(json.RawMessage); ok {
			read = string(raw)
		}
		return fmt.Errorf("%v cannot say that %s is %s: programs that read it would take %s, and compute something else", in, s.Name(), text(is), text(read))
	}
	return nil
}

// nearly reports whether numbers are the same but for rounding.
func nearly(a, b float32) bool { return math.Abs(float64(a)-float64(b)) <= 1e-6*math.Abs(float64(a)) }
