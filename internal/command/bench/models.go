package bench

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/internal/bench"
	"caldera/internal/cli"
)

// modelFlags choose what to measure.
type modelFlags struct {
	Model []string `short:"m" placeholder:"PATH" help:"Checkpoints: directories in Hugging Face's layout, GGUF files, or models of Hugging Face's hub, org/name[:file or quantisation][@revision] (default: the embedded model, ${embedded})."`
	Shape []string `placeholder:"NAME" help:"Models of these shapes with random weights: ${shapes}."`
	DType []string `name:"dtype" default:"auto" placeholder:"TYPE" help:"Keep matrices as one of ${measured}; several for one after the other (auto: as the checkpoint stores them, shapes as f32)."`
}

// cacheFlag is for commands that read and generate text.
type cacheFlag struct {
	cli.ActivationFlag
	CacheType string `enum:"auto,${caches}" default:"auto" placeholder:"TYPE" help:"Keep keys and values as one of ${caches} (auto: f16, or f32 where matrices are)."`
}

func (f cacheFlag) cache() backend.DType {
	d, _ := backend.ParseDType(f.CacheType, backend.Caches) // checked by the parser of flags; auto is None
	return d
}

func (f *modelFlags) models(ctx context.Context) (list []bench.Model, err error) {
	defer func() {
		for i, m := range list {
			if err == nil && slices.ContainsFunc(list[:i], func(o bench.Model) bool { return o.Name == m.Name }) {
				err = cli.Usagef("two models are called %s: results would not tell them apart; measure one at a time", m.Name)
			}
		}
	}()
	if len(f.Model)+len(f.Shape) == 0 {
		m, err := bench.Embedded()
		return []bench.Model{m}, err
	}
	for _, dir := range f.Model {
		path, err := cli.Local(ctx, dir, os.Stderr)
		if err != nil {
			return nil, err
		}
		m, err := bench.Checkpoint(path)
		if err != nil {
			return nil, err
		}
		if path != dir { // it ends in a commit
			m.Name = dir
		}
		cli.Tell(os.Stderr, m.Notes)
		list = append(list, m)
	}
	for _, name := range f.Shape {
		m, err := bench.Shape(name)
		if err != nil {
			return nil, cli.Usagef("--shape=%s: %w", name, err)
		}
		list = append(list, m)
	}
	return list, nil
}

// adapt puts the chosen adapters beside each model, whose name tells of them. done closes them.
func adapt(f cli.AdapterFlag, list []bench.Model) (done func() error, err error) {
	adapters, done, err := f.OpenAdapters(os.Stderr)
	for i := range list {
		list[i].Adapters = adapters
		for _, a := range adapters {
			list[i].Name += "+" + filepath.Base(a.Path)
		}
	}
	return done, err
}

// dtypes has None for auto. Types that files may have are measured too, such as mxfp4, in which nobody asks for a whole model.
func (f *modelFlags) dtypes() (list []backend.DType, err error) {
	if slices.Equal(f.DType, []string{"auto"}) {
		return []backend.DType{backend.None}, nil
	}
	if slices.Contains(f.DType, "auto") {
		return nil, cli.Usagef("--dtype=%s: auto, which is one of the others, goes alone", strings.Join(f.DType, ","))
	}
	return parseDTypes(f.DType, backend.Targets|backend.Weights, ", or auto")
}

// parseDTypes reads types of a role, each of which may be there once: two
// results of one type could not be told apart. more is what else there might be.
func parseDTypes(names []string, role backend.Role, more string) (list []backend.DType, err error) {
	for _, name := range names {
		d, err := backend.ParseDType(name, role)
		if err != nil {
			return nil, cli.Usagef("--dtype=%s: %w%s", name, err, more)
		}
		if slices.Contains(list, d) {
			return nil, cli.Usagef("--dtype=%s: %s is there twice", strings.Join(names, ","), name)
		}
		list = append(list, d)
	}
	return list, nil
}
