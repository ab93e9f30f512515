package gpt

// How much memory a model takes on a device, known before anything of it is
// there: weights from their shapes, keys and values from the context, and the
// workspace by making the programs that are going to run on a backend that
// counts what is allocated and does no more (package null).

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"

	"caldera/backend"
	"caldera/backend/null"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
)

// Use is what a model is loaded for: what has to fit beside its weights.
type Use struct {
	Context  int               // positions of the cache; 0: as many as the model has
	Cache    backend.DType     // of keys and values, as in SessionOptions
	Feeds    []int             // numbers of tokens that the session is going to be given at once, as far as they are known
	Guesses  int               // the most that the session is going to read in a step; 0: none
	Evaluate *EvaluatorOptions // an Evaluator of these, in place of a Session: Context, Cache and Feeds are not used
	Batch    *BatchOptions     // a Batch of these, in place of a Session: Context and Cache are not used, Feeds are of prompts, the first of the one that is read first
	Forks    bool              // of a Batch: sequences are going to be forked
	More     []Use             // that there is going to be at the same time
	Beside   int64             // bytes that the caller is going to take for other things

	// Fewer, of a Batch, returns what it would be of fewer sequences, so that it can be told how many
	// would fit. Nil: the same but for their number.
	Fewer func(sequences int) (BatchOptions, error)

	// Compile: all of this is going to run, and soon. A device that compiles then begins
	// with it while the weights are copied. Else it compiles what is needed when it is.
	Compile bool
}

// Demand is the memory that a model takes on a backend, in bytes. Ranges that a
// backend leaves between buffers are not counted: it takes no less.
type Demand struct {
	Weights   int64 // those that are not used where they lie
	Mapped    int64 // those that are, but for tables of rows: pages of files, which the system reads again where it has dropped them
	Cache     int64 // keys and values
	Workspace int64 // inputs and intermediate results of programs
	Beside    int64 // for other things, as in Use
}

// Total is what is allocated: all but the pages of files.
func (d Demand) Total() int64 { return d.Weights + d.Cache + d.Workspace + d.Beside }

// fits reports whether there is memory for it. Pages of files may take the place of those of other programs; but
// if they are more than there is memory, each token reads the files anew, which takes minutes.
func (d Demand) fits(free, total int64) bool { return d.Total() <= free && d.Total()+d.Mapped <= total }

func (d Demand) String() string {
	var parts []string
	for _, p := range []struct {
		name  string
		bytes int64
	}{{"weights", d.Weights}, {"weights in files", d.Mapped}, {"keys and values", d.Cache}, {"workspace", d.Workspace}, {"the rest", d.Beside}} {
		if p.bytes > 0 {
			parts = append(parts, p.name+" "+byteCount(p.bytes))
		}
	}
	return strings.Join(parts, ", ")
}

// MemoryError reports, before anything is loaded, a model that does not fit. It
// wraps [backend.ErrOutOfMemory]. Of the changes that might help, each by
// itself, those are set that would.
type MemoryError struct {
	Model       string // what it was to be loaded from
	Backend     string
	Need        Demand
	Free, Total int64 // bytes, as the backend tells them
	Train       bool  // it was to be trained

	Context   int           // the most positions that would fit
	Sequences int           // the most of a batch that would fit
	Cache     backend.DType // F16 for keys and values
	DType     backend.DType // the largest type of matrices that is smaller than that asked for
}

func (e *MemoryError) Unwrap() error { return backend.ErrOutOfMemory }

func (e *MemoryError) Error() string {
	all := e.Need
	if all.Total() > e.Free {
		all.Mapped = 0 // there would be too little memory without these
	}
	bytes := all.Total() + all.Mapped
	need := fmt.Sprintf("it needs %s (%v)", byteCount(bytes), all)
	if all.Weights+all.Mapped == bytes {
		need = "the weights need " + byteCount(bytes)
	}
	var remedies []string
	if e.Context > 0 {
		remedies = append(remedies, fmt.Sprintf("a context of %d", e.Context))
	}
	if e.Sequences > 0 {
		remedies = append(remedies, fmt.Sprintf("%d sequences at once", e.Sequences))
	}
	if e.Cache != backend.None {
		remedies = append(remedies, fmt.Sprintf("keys and values as %v", e.Cache))
	}
	if e.DType != backend.None {
		remedies = append(remedies, fmt.Sprintf("weights as %v", e.DType))
	}
	smaller := slices.DeleteFunc(backend.DTypes(backend.Targets), func(d backend.DType) bool { return d == backend.F32 })
	advice := fmt.Sprintf("take a smaller model or a smaller type of weights (%s), or choose another device", backend.JoinDTypes(smaller))
	if e.Train {
		advice = "training keeps them, their gradients and two means of those as f32: choose a smaller model, or another device"
	}
	if len(remedies) > 0 {
		advice = "it would fit with " + strings.Join(remedies, ", or with ")
	}
	return fmt.Sprintf("%s: %v: %s on %s, where %s of %s are free: %s", e.Model, backend.ErrOutOfMemory,
		need, e.Backend, byteCount(e.Free), byteCount(e.Total), advice)
}

// byteCount is for people.
func byteCount(n int64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}

// leastContext is the smallest context that is worth advising.
const leastContext = 16

// fits reports, before anything is copied, a model that needs more memory than
// b has, where b tells how much that is.
func (o LoadOptions) fits(b backend.Backend, p checkpoint.Plan) error {
	_, free, total := backend.Memory(b)
	if free == 0 || total == 0 { // not known
		return nil
	}
	need, paper := o.demand(p)
	if need.fits(free, total) {
		return nil
	}
	e := &MemoryError{Model: p.File, Backend: b.Name(), Need: need, Free: free, Total: total, Train: o.Train && len(o.Adapters) == 0}
	fit := func(change func(*LoadOptions, *Use)) bool {
		o := o
		if o.For != nil {
			use := o.For.clone()
			o.For = &use
		}
		change(&o, o.For)
		need, _ := o.demand(p)
		return need.fits(free, total)
	}
	if use := o.For; use != nil {
		spare := min(free, total-need.Mapped) - (need.Total() - need.Cache)
		switch {
		case use.Batch != nil:
			e.Sequences = sort.Search(max(0, use.Batch.Sequences-1), func(n int) bool {
				return !fit(func(_ *LoadOptions, u *Use) { u.fewer(n + 1) })
			})
		case use.Evaluate != nil:
			size := cmp.Or(use.Evaluate.Window, paper.Context)
			now, err := use.Evaluate.complete(paper)
			if err != nil {
				break // whoever makes it is told why
			}
			most := sort.Search(size, func(n int) bool { return now.cacheBytes(paper, n+1) > spare })
			// More texts are read at once where windows are smaller.
			if most >= leastContext && most < size && fit(func(_ *LoadOptions, u *Use) { u.Evaluate.Window = most }) {
				e.Context = most
			}
		default:
			size := cmp.Or(use.Context, paper.Context)
			d := paper.CacheDType(use.Cache)
			most := sort.Search(size, func(n int) bool { return cacheBytes(paper, n+1, d) > spare })
			if most >= max(leastContext, slices.Max(append(use.Feeds, 0))) && most < size {
				e.Context = most
			}
		}
		if use.cache() != backend.F16 && fit(func(_ *LoadOptions, u *Use) { u.setCache(backend.F16) }) {
			e.Cache = backend.F16
		}
	}
	if now := paper.Weights()[0].Tensor.DType; !e.Train {
		for _, d := range backend.DTypes(backend.Targets) {
			if bitsOf(d) < bitsOf(now) && fit(func(o *LoadOptions, _ *Use) { o.DType = d }) {
				e.DType = d
				break
			}
		}
	}
	return e
}

// bitsOf is how many bits a number has, times 32 to be whole.
func bitsOf(d backend.DType) int { return 8 * 32 * d.BlockBytes() / d.BlockLen() }

// demand is what loading the model, and using it as o says, takes, and that model.
func (o LoadOptions) demand(p checkpoint.Plan) (d Demand, paper *model.Model) {
	paper, d.Weights, d.Mapped = p.Paper(o.DType)
	if o.For != nil {
		for _, u := range append([]Use{*o.For}, o.For.More...) {
			cache, workspace := use(paper, u)
			d.Cache, d.Workspace, d.Beside = d.Cache+cache, d.Workspace+workspace, d.Beside+u.Beside
		}
	}
	return d, paper
}

// cache is the type of keys and values.
func (u *Use) cache() backend.DType {
	switch {
	case u.Batch != nil:
		return u.Batch.Cache
	case u.Evaluate != nil:
		return u.Evaluate.Cache
	}
	return u.Cache
}

func (u *Use) setCache(d backend.DType) {
	if u.Cache = d; u.Batch != nil {
		u.Batch.Cache = d
	}
	if u.Evaluate != nil {
		u.Evaluate.Cache = d
	}
	for i := range u.More {
		u.More[i].setCache(d)
	}
}

// fewer makes u one of a batch of so many sequences.
func (u *Use) fewer(sequences int) {
	if u.Fewer != nil {
		if o, err := u.Fewer(sequences); err == nil { // as for those that there were
			*u.Batch = o
		}
		return
	}
	u.Batch.Blocks = u.Batch.Blocks * sequences / u.Batch.Sequences
	u.Batch.Sequences = sequences
}

// clone is a copy of u that shares nothing with it.
func (u Use) clone() Use {
	if u.Batch != nil {
		batch := *u.Batch
		u.Batch = &batch
	}
	if u.Evaluate != nil {
		evaluate := *u.Evaluate
		u.Evaluate = &evaluate
	}
	u.More = slices.Clone(u.More)
	for i, x := range u.More {
		u.More[i] = x.clone()
	}
	return u
}

// use is the memory, beside the weights, of a session, an evaluator or a batch: what they
// allocate where nothing is.
func use(m *model.Model, u Use) (cache, workspace int64) {
	dry, counts := *m, &null.Backend{As: m.Backend}
	dry.Backend = counts
	cache, err := u.rehearse(&dry, false)
	if err != nil { // what cannot be made needs nothing: whoever makes it is told why
		return cache, 0
	}
	return cache, counts.Allocated() - cache
}
