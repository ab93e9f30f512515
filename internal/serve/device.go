package serve

import (
	"context"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
	"caldera/inspect"
	"caldera/internal/version"
	"caldera/internal/view"
)

// ModelOptions say what a Model can do.
type ModelOptions struct {
	Vars kong.Vars // values of ${…} in the tags of views

	// Others are the devices that values can be compared with, and Other loads the
	// model on one of them. The Model closes none of these.
	Others []string
	Other  func(ctx context.Context, which string) (*inspect.Inspector, error)

	Runs []string // folders of training runs that may be looked at

	Sampling checkpoint.Sampling // what the files of the model say of it
}

// Model is a [Device]: a model that is looked into, writes text, and has its device
// train small ones.
type Model struct {
	in *inspect.Inspector
	o  ModelOptions

	idle *gpt.Session // that the next text may be written with; nil: none
}

// NewModel returns a Device for the model of in, which stays the caller's.
func NewModel(in *inspect.Inspector, o ModelOptions) *Model {
	vars := samplingVars(o.Sampling)
	maps.Copy(vars, o.Vars)
	o.Vars = vars
	return &Model{in: in, o: o}
}

// Close frees what the Model itself has on the device.
func (m *Model) Close() {
	if m.idle != nil {
		m.idle.Close()
		m.idle = nil
	}
}

// Info is what /api/info answers.
type Info struct {
	Version string      `json:"version"` // commit that the program was built from; empty if unknown
	Model   AboutModel  `json:"model"`
	Device  AboutDevice `json:"device"`
	Compare []string    `json:"compare"` // devices whose values can be compared with these
	Shapes  []string    `json:"shapes"`  // of models whose weights can be counted
	Views   []About     `json:"views"`
	Streams []About     `json:"streams"`
	Passage string      `json:"passage"` // that is learned if no text is given
	Runs    []string    `json:"runs"`    // folders of training runs that may be looked at

	Sampling AboutSampling `json:"sampling"`
}

// AboutSampling is what the files of the model say of drawing tokens; null where they say nothing.
type AboutSampling struct {
	Temperature *float64 `json:"temperature"`
	TopK        *int     `json:"top_k"`
	TopP        *float64 `json:"top_p"`
	MinP        *float64 `json:"min_p"`
}

// AboutModel tells what model it is.
type AboutModel struct {
	Name       string        `json:"name"`
	Shape      inspect.Shape `json:"shape"`
	Parameters int64         `json:"parameters"`
	DType      string        `json:"dtype"`     // of matrices
	Tokenizer  bool          `json:"tokenizer"` // it has one; else texts are token ids
}

// AboutDevice tells what computes.
type AboutDevice struct {
	Name  string `json:"name"` // such as vulkan:0
	About string `json:"about"`
}

// About is a view or a stream, and what it may be asked.
type About struct {
	Name       string           `json:"name"`
	Help       string           `json:"help"`
	Table      bool             `json:"table"`   // it is also a table: .csv
	Picture    bool             `json:"picture"` // it is also a picture: .svg, .png
	Parameters []view.Parameter `json:"parameters"`
}

// Info tells of the model, the device, and what can be asked.
func (m *Model) Info() any {
	b := m.in.Model.Backend
	tally := inspect.NewTally(m.in.Model.Config, m.in.Model.Context)
	info := Info{
		Version: version.Commit(),
		Model:   AboutModel{m.in.Name, tally.Shape, tally.Parameters, m.in.Model.DType().String(), m.in.Tokenizer != nil},
		Device:  AboutDevice{b.Name(), backend.Describe(b)},
		Compare: append([]string{}, m.o.Others...), Shapes: model.ShapeNames(), Passage: inspect.Passage, Runs: append([]string{}, m.o.Runs...),
		Sampling: AboutSampling{m.o.Sampling.Temperature, m.o.Sampling.TopK, m.o.Sampling.TopP, m.o.Sampling.MinP},
	}
	for _, v := range view.All() {
		result := view.Results[v.Name]
		info.Views = append(info.Views, About{v.Name, v.Help, result.Implements(reflect.TypeFor[view.Tabler]()), result.Implements(reflect.TypeFor[view.Drawer]()), view.Parameters(v.New(), m.o.Vars)})
	}
	for _, s := range streams {
		info.Streams = append(info.Streams, About{Name: s.name, Help: s.help, Parameters: view.Parameters(s.parameters(), m.o.Vars)})
	}
	return info
}

// View reads the parameters of a view, and two that all have: made asks for what made
// the values, compare for a comparison with another device. In the names of parameters
// - and _ are the same.
func (m *Model) View(name string, q url.Values) (func(context.Context) (*view.Answer, error), error) {
	v, ok := view.Find(name)
	if !ok {
		return nil, ErrUnknown
	}
	q = dashed(q)
	var extra struct {
		Made    bool
		Compare string
	}
	if err := view.Read(&extra, name, take(q, "made", "compare"), m.o.Vars); err != nil {
		return nil, err
	}
	if extra.Compare != "" && !strings.Contains(extra.Compare, ":") {
		extra.Compare += ":0" // the first device of a backend
	}
	if extra.Compare != "" && !slices.Contains(m.o.Others, extra.Compare) {
		return nil, inspect.Userf("compare: found %.40q, expected one of %s", extra.Compare, strings.Join(m.o.Others, ", "))
	}
	p, err := view.Parse(v, q, m.o.Vars)
	if err == nil {
		err = m.offered(p)
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (*view.Answer, error) {
		o := view.Options{Made: extra.Made}
		if extra.Compare != "" {
			o.Other = func() (*inspect.Inspector, error) { return m.o.Other(ctx, extra.Compare) }
		}
		return view.Ask(ctx, m.in, v, p, o)
	}, nil
}

// take removes parameters from q and returns them.
func take(q url.Values, names ...string) url.Values {
	taken := url.Values{}
	for _, name := range names {
		if values, there := q[name]; there {
			taken[name] = values
			delete(q, name)
		}
	}
	return taken
}

// streams are the kinds of long work.
var streams = []struct {
	name, help string
	parameters func() any
	begin      func(m *Model, parameters any) (func(context.Context) (Work, error), error)
}{
	{"generate", "Continue a text token by token: sample, append, repeat.", func() any { return new(WriteParams) },
		func(m *Model, p any) (func(context.Context) (Work, error), error) { return m.write(*p.(*WriteParams)) }},
	{"train", "Train a small model on a text, from random weights.", func() any { return new(TrainParams) },
		func(m *Model, p any) (func(context.Context) (Work, error), error) { return m.train(*p.(*TrainParams)) }},
}

// Open reads the parameters of long work.
func (m *Model) Open(name string, q url.Values) (func(context.Context) (Work, error), error) {
	for _, s := range streams {
		if s.name != name {
			continue
		}
		p := s.parameters()
		if err := view.Read(p, name, dashed(q), m.o.Vars); err != nil {
			return nil, err
		}
		return s.begin(m, p)
	}
	return nil, ErrUnknown
}
