// Package view has the ways to look into a model, each in a file of its name: what may
// be asked, which is one struct for the flags of a command and the parameters of an
// address on the web; and the answer as text for a terminal, JSON, a table or a picture.
// What is computed is in package inspect, in files of the same names.
//
// To add a view, add a file with its parameters and its result, and a line to All.
package view

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/alecthomas/kong"

	"caldera/backend"
	"caldera/inspect"
	"caldera/internal/plot"
)

// View is a way to look into a model.
type View struct {
	Name string
	Help string        // one sentence
	New  func() Params // without the defaults, which Parse sets
}

// All are the views, in the order in which the story of a GPT needs them.
func All() []View {
	return []View{
		{"tally", "Count the weights of a model by kind of matrix.", func() Params { return new(Tally) }},
		{"tokens", "Cut a text into tokens, or join token ids to a text.", func() Params { return new(Tokens) }},
		{"embed", "Show the vectors of words: what is near to them, sums, directions, a map.", func() Params { return new(Embed) }},
		{"next", "Tell what the model expects after every token of a text, and how it takes what comes.", func() Params { return new(Next) }},
		{"attention", "Show for each layer and head which token looks at which.", func() Params { return new(Attention) }},
		{"context", "Compare a word in two texts: how far its vectors move apart, which words moved them, what would come next.", func() Params { return new(Context) }},
		{"lens", "Show what the model would say after each block, what each part added to a score, and what changes without it.", func() Params { return new(Lens) }},
		{"mlp", "Show which of the MLP's questions a vector answers most strongly, and which tokens each answer writes.", func() Params { return new(MLP) }},
		{"forget", "Show what leaves the model's window when its context is full, and what that changes.", func() Params { return new(Forget) }},
		{"learn", "Look at a text with the weights that a training run has kept on its way from random ones.", func() Params { return new(Learn) }},
	}
}

// Of is the view that has these parameters.
func Of(p Params) View {
	for _, v := range All() {
		if reflect.TypeOf(v.New()) == reflect.TypeOf(p) {
			return v
		}
	}
	panic(fmt.Sprintf("view: %T are the parameters of no view in All", p))
}

// Find is the view of that name.
func Find(name string) (View, bool) {
	all := All()
	if i := slices.IndexFunc(all, func(v View) bool { return v.Name == name }); i >= 0 {
		return all[i], true
	}
	return View{}, false
}

// Params are the parameters of a view: a pointer to a struct with kong's tags.
type Params interface {
	// Run looks. Errors that the user can mend are [inspect.UserError]s.
	Run(ctx context.Context, in *inspect.Inspector) (Result, error)
}

// Result is what a view shows. As JSON it has all values.
type Result interface {
	// Text writes it for people.
	Text(s *Screen) error
}

// Tabler is a result that is a table too, with heads in its first row.
type Tabler interface{ Table() [][]string }

// Drawer is a result that is a picture too.
type Drawer interface {
	Draw(w io.Writer, f plot.Format) error
}

// Answer is a result, with what it is of.
type Answer struct {
	View   string `json:"view"`
	Model  string `json:"model"`
	Device string `json:"device"` // such as vulkan:0
	About  string `json:"about"`  // the device
	Result Result `json:"result"`

	Made     []inspect.Made `json:"made,omitempty"`
	Compared *Comparison    `json:"compared,omitempty"`
}

// Options say what an answer tells beside its result.
type Options struct {
	Made  bool                               // what made the values
	Other func() (*inspect.Inspector, error) // the model on another device, for a comparison; nil: none
}

// Ask runs a view.
func Ask(ctx context.Context, in *inspect.Inspector, v View, p Params, o Options) (*Answer, error) {
	a := &Answer{View: v.Name, Model: in.Name, Device: in.Model.Backend.Name(), About: backend.Describe(in.Model.Backend)}
	run := func() (err error) {
		a.Result, err = p.Run(ctx, in)
		return err
	}
	var err error
	if o.Made {
		a.Made, err = in.Profile(run)
	} else {
		err = run()
	}
	if err != nil {
		return nil, err
	}
	if o.Other != nil {
		other, err := o.Other()
		if err != nil {
			return nil, err
		}
		result, err := p.Run(inspect.WithPause(ctx, nil), other) // which another request may have closed after a pause
		if err != nil {
			return nil, fmt.Errorf("on %s: %w", other.Model.Backend.Name(), err)
		}
		if a.Compared, err = compare(a.Result, result); err != nil {
			return nil, err
		}
		a.Compared.Device, a.Compared.Result = other.Model.Backend.Name(), result
	}
	return a, nil
}

// Text writes the result, what made it, and how it compares.
func (a *Answer) Text(s *Screen) error {
	if err := a.Result.Text(s); err != nil {
		return err
	}
	if len(a.Made) > 0 {
		rows := [][]string{{"value", "op", "operands", "calls", "MB", "MFLOP", "µs", "variants"}}
		for _, m := range a.Made {
			var operands []string
			for _, o := range m.Operands {
				operands = append(operands, fmt.Sprintf("%s %s%v", o.Name, o.DType, o.Shape))
			}
			rows = append(rows, []string{m.Value, m.Op, strings.Join(operands, ", "), fmt.Sprint(m.Calls), fmt.Sprintf("%.3f", float64(m.Bytes)/1e6),
				fmt.Sprintf("%.3f", float64(m.FLOPs)/1e6), fmt.Sprintf("%.1f", float64(m.Microseconds)), strings.Join(m.Variants, ", ")})
		}
		if err := s.Print("\nmade on %s by", a.Device); err != nil {
			return err
		}
		if err := s.Table(rows); err != nil {
			return err
		}
	}
	if c := a.Compared; c != nil {
		if c.Largest == 0 && len(c.Others) == 0 {
			return s.Print("\non %s all %s numbers are the same", c.Device, count(c.Numbers))
		}
		if err := s.Print("\non %s the largest difference of %s numbers is %.3g, at %s: %.7g here, %.7g there", c.Device, count(c.Numbers),
			float64(c.Largest), strings.TrimPrefix(c.Where, "."), float64(c.Here), float64(c.There)); err != nil {
			return err
		}
		if len(c.Others) > 0 {
			return s.Print("what differs and is no number: %s", strings.Join(c.Others, ", "))
		}
	}
	return nil
}

// WriteJSON writes v on a line of its own. Characters that a terminal may obey are
// escaped, which JSON leaves open for all but the first 32.
func WriteJSON(w io.Writer, v any) error {
	e := json.NewEncoder(escaped{w})
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// escaped writes whole JSON values, with characters escaped that are not printable.
type escaped struct{ io.Writer }

func (w escaped) Write(p []byte) (int, error) {
	unprintable := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
	if bytes.IndexFunc(p, unprintable) < 0 {
		return w.Writer.Write(p)
	}
	var out bytes.Buffer
	for _, r := range string(p) {
		switch {
		case !unprintable(r):
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	if _, err := w.Writer.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Parse reads the parameters of an address as a command would read its flags and
// arguments. Errors are [inspect.UserError]s.
func Parse(v View, q url.Values, vars kong.Vars) (Params, error) {
	p := v.New()
	return p, Read(p, v.Name, q, vars)
}

// Read is Parse for parameters that are those of no view: a pointer to a struct with
// kong's tags. name is for messages.
func Read(p any, name string, q url.Values, vars kong.Vars) error {
	parser, err := kong.New(p, kong.Name(name), kong.NoDefaultHelp(), kong.Exit(func(int) {}), kong.Writers(io.Discard, io.Discard), vars)
	if err != nil {
		return err
	}
	var flags, arguments []string
	known := map[string]bool{}
	for _, f := range parser.Model.Flags {
		known[f.Name] = true
		for _, value := range q[f.Name] {
			flags = append(flags, "--"+f.Name+"="+value)
		}
	}
	for _, a := range parser.Model.Positional {
		known[a.Name] = true
		arguments = append(arguments, q[a.Name]...)
	}
	for given := range q {
		if !known[given] {
			return inspect.Userf("unknown parameter %.40q: %s has %s", given, name, strings.Join(names(known), ", "))
		}
	}
	if _, err := parser.Parse(append(append(flags, "--"), arguments...)); err != nil {
		return inspect.UserError{Err: errors.New(strings.ReplaceAll(err.Error(), "--", ""))}
	}
	return nil
}

func names(known map[string]bool) (list []string) {
	for name := range known {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// Comparison is how far a result is from that of another device.
type Comparison struct {
	Device  string        `json:"device"`
	Numbers int           `json:"numbers"` // that both have
	Largest inspect.Float `json:"largest"` // difference of two of them
	Where   string        `json:"where"`   // the path of that number
	Here    inspect.Float `json:"here"`    // the number
	There   inspect.Float `json:"there"`   // on the other device
	Others  []string      `json:"others"`  // paths of what differs and is no number, such as the order of two tokens; the first ten
	Result  Result        `json:"result"`  // of the other device
}

// compare compares two results by their JSON, number by number.
func compare(a, b Result) (*Comparison, error) {
	c := &Comparison{Others: []string{}}
	var values [2]any
	for i, r := range []Result{a, b} {
		var text bytes.Buffer
		if err := WriteJSON(&text, r); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text.Bytes(), &values[i]); err != nil {
			return nil, err
		}
	}
	c.walk("", values[0], values[1])
	return c, nil
}

func (c *Comparison) walk(path string, a, b any) {
	differs := func() {
		if len(c.Others) < 10 {
			c.Others = append(c.Others, path)
		}
	}
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		if !ok {
			differs()
			return
		}
		c.Numbers++
		if d := inspect.Float(max(a-b, b-a)); d > c.Largest || c.Where == "" {
			c.Largest, c.Where, c.Here, c.There = d, path, inspect.Float(a), inspect.Float(b)
		}
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok {
			differs()
			return
		}
		for _, key := range sortedKeys(a) {
			c.walk(path+"."+key, a[key], b[key])
		}
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			differs()
			return
		}
		for i := range a {
			c.walk(fmt.Sprintf("%s[%d]", path, i), a[i], b[i])
		}
	default:
		if a != b {
			differs()
		}
	}
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Parameter is one that may be given to a view.
type Parameter struct {
	Name    string `json:"name"`
	Help    string `json:"help"`
	Default string `json:"default"` // empty: none
	Flag    bool   `json:"flag"`    // it is true or false
	Several bool   `json:"several"` // it may be given several times

	Argument bool `json:"argument"` // a command takes it without its name
}

// Parameters lists those of p, a pointer to a struct with kong's tags.
func Parameters(p any, vars kong.Vars) []Parameter {
	parser, err := kong.New(p, kong.NoDefaultHelp(), vars)
	if err != nil {
		panic(err) // a tag is wrong, or a value for it is missing
	}
	list := []Parameter{}
	for _, a := range parser.Model.Positional {
		list = append(list, Parameter{a.Name, a.Help, a.Default, a.IsBool(), a.IsCumulative(), true})
	}
	for _, f := range parser.Model.Flags {
		list = append(list, Parameter{f.Name, f.Help, f.Default, f.IsBool(), f.IsCumulative(), false})
	}
	return list
}
