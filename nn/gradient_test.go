package nn_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/conformance"
	"caldera/nn"
)

// windows is a model that a seed decides: it cuts results into windows of every
// kind, uses them several times or not at all, and computes with them.
type windows struct {
	b                   backend.Backend
	params              *nn.Parameters
	sinks               nn.Tensor
	places              func(time int, starts ...int32) nn.Places
	input, ids, targets nn.Tensor
	qkv                 nn.Linear
	to                  [windowsWidth + 1]nn.Linear // to[n] makes vectors of four of vectors of n
	gamma, beta         [windowsWidth + 1]nn.Tensor
	angles              nn.Tensor
	factors             nn.Tensor // no parameter: of Scale
	head                nn.Linear
	seed                uint64
	described           []string
}

const windowsWidth = 6 // of the first result's vectors

// scattered are n random numbers around 0.
func scattered(r *rand.Rand, n int) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(r.NormFloat64() / 2)
	}
	return values
}

func newWindows(t *testing.T, seed uint64) *windows {
	r := rand.New(rand.NewPCG(seed, 9))
	w := &windows{b: conformance.Reference(), seed: seed}
	var list []nn.Parameter
	random := func(dims ...int) nn.Tensor {
		x := f32(t, w.b, dims...)
		set(t, w.b, x, scattered(r, x.Len()))
		list = append(list, nn.Parameter{Value: x})
		return x
	}
	w.qkv = nn.Linear{W: random(windowsWidth, 3), Bias: random(windowsWidth)}
	w.head = nn.Linear{W: random(5, 4)}
	for n := 1; n <= windowsWidth; n++ {
		w.to[n] = nn.Linear{W: random(4, windowsWidth).Slice(-1, windowsWidth-n, windowsWidth)} // a part of a parameter
		w.gamma[n], w.beta[n] = random(n), random(n)
	}
	w.sinks = random(windowsWidth)
	w.input = random(2, 3, 3)
	w.angles = f32(t, w.b, windowsWidth+2, 2)
	for p := range windowsWidth + 2 {
		set(t, w.b, w.angles.Slice(-2, p, p+1), []float32{float32(math.Cos(float64(p))), float32(math.Sin(float64(p)))})
	}
	w.factors = f32(t, w.b, 2, windowsWidth, windowsWidth, 1)
	set(t, w.b, w.factors, scattered(r, w.factors.Len()))
	w.places = func(time int, starts ...int32) nn.Places { return placesFrom(t, w.b, time, starts...) }
	w.ids, w.targets = tensor(t, w.b, backend.I32, 1, 4), tensor(t, w.b, backend.I32, 1, 4)
	if err := backend.SetI32(w.b, w.targets, []int32{4, 0, 2, 1}); err != nil {
		t.Fatal(err)
	}
	if err := backend.SetI32(w.b, w.ids, []int32{0, 2, 1, 0}); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.params, err = nn.NewParameters(w.b, list...); err != nil {
		t.Fatal(err)
	}
	return w
}

// losses writes the model on a tape.
func (w *windows) losses(tape *nn.Tape) nn.Tensor {
	r := rand.New(rand.NewPCG(w.seed, 10))
	w.described = nil
	pool := []nn.Tensor{tape.Linear(w.qkv, w.input), w.input} // results, a parameter, and windows on them
	add := func(what string, x nn.Tensor) {
		pool = append(pool, x)
		w.described = append(w.described, fmt.Sprintf("%d: %s %v %v", len(pool)-1, what, x, x.Strides))
	}
	for range 15 {
		i := r.IntN(len(pool))
		x := pool[i]
		rows := x.Dim(-1) == 1 || x.Stride(-1) == 1
		of := fmt.Sprintf("of %d", i)
		switch r.IntN(17) {
		case 0, 1: // a slice
			axis := r.IntN(4)
			from := r.IntN(x.Dim(axis))
			add("slice "+of, x.Slice(axis, from, from+1+r.IntN(x.Dim(axis)-from)))
		case 2: // another order of axes, such as heads before time
			a, b := r.IntN(3), r.IntN(3)
			x.Shape[a], x.Shape[b], x.Strides[a], x.Strides[b] = x.Shape[b], x.Shape[a], x.Strides[b], x.Strides[a]
			add("axes "+of, x)
		case 3: // the last axis in two, as heads are
			if n := x.Dim(-1); x.Shape[0] == 1 && n%2 == 0 {
				s := x.Stride(-1)
				x.Shape = [4]int{x.Shape[1], x.Shape[2], 2, n / 2}
				x.Strides = [4]int{x.Strides[1], x.Strides[2], n / 2 * s, s}
				add("heads "+of, x)
			} else if x.Contiguous() {
				add("reshape "+of, x.Reshape(x.Rows(), n))
			}
		case 4:
			add("transpose "+of, x.Transpose())
			if x.Rows() <= windowsWidth {
				add("pick "+of, tape.Pick(x.Transpose(), w.ids.Slice(-1, 0, 1)))
			}
		case 5:
			if rows {
				add("activate "+of, tape.Activate(backend.GELUTanh, x))
			}
		case 6:
			if rows {
				n := x.Dim(-1)
				add("layernorm "+of, tape.LayerNorm(nn.Norm{Gamma: w.gamma[n], Beta: w.beta[n], Epsilon: 0.1}, x))
			}
		case 7:
			for _, y := range pool { // a sum with the first that fits, itself perhaps
				if rows && y.Shape == x.Shape && (y.Dim(-1) == 1 || y.Stride(-1) == 1) {
					add("add "+of, tape.Add(x, y))
					break
				}
			}
		case 8:
			tape.Segment()
		case 9:
			if rows {
				add("rmsnorm "+of, tape.RMSNorm(nn.Norm{Gamma: w.gamma[x.Dim(-1)], Epsilon: 0.1}, x))
			}
		case 10:
			if rows && x.Shape[0] == 1 && x.Dim(-1)%2 == 0 && x.Dim(-3) <= 4 && x.Dim(-2) <= windowsWidth {
				pairing := backend.Pairing(r.IntN(2))
				at := w.places(x.Dim(-2), []int32{0, 2, 1, 0}[:x.Dim(-3)]...)
				add("rotary "+of, tape.Rotary(nn.Rotation{Angles: w.angles, Pairing: pairing}, x.Dim(-1)/2, x, at))
			}
		case 12:
			// Keys and values are the first that fits, and the one after it or the same.
			fits := slices.Clone(pool)
			fits = slices.DeleteFunc(fits, func(y nn.Tensor) bool {
				same := y.Shape[0] == 1 && y.Dim(-3) == x.Dim(-3) && y.Dim(-2) == x.Dim(-2) && (y.Dim(-1) == 1 || y.Stride(-1) == 1)
				return !same || y.Dim(-1) != x.Dim(-1) && 2*y.Dim(-1) != x.Dim(-1)
			})
			if rows && x.Shape[0] == 1 && len(fits) > 0 {
				k, heads := fits[0], 1
				if x.Dim(-1) == 2*k.Dim(-1) || x.Dim(-1)%2 == 0 && r.IntN(2) == 0 {
					heads = 2
				}
				v := k
				if len(fits) > 1 && fits[1].Dim(-1) == k.Dim(-1) {
					v = fits[1]
				}
				layer := nn.Attention{Heads: heads, Scale: float32(r.IntN(2)), Window: r.IntN(3), SoftCap: float32(2 * r.IntN(2))}
				if r.IntN(2) == 0 {
					layer.Sinks = w.sinks.Slice(-1, 0, heads)
				}
				add(fmt.Sprintf("attention %+v %s", layer, of), tape.Attention(layer, x, k, v, w.places(x.Dim(-2), make([]int32, x.Dim(-3))...)))
			}
		case 13, 14: // a matrix that is a result, and a bias
			for _, y := range pool {
				if rows && y.Shape[0] == 1 && y.Shape[1] == 1 && y.Dim(-1) == x.Dim(-1) && y.Dim(-2) <= windowsWidth && (y.Dim(-1) == 1 || y.Stride(-1) == 1 || y.Stride(-2) == 1) {
					l := nn.Linear{W: y}
					for _, z := range pool {
						if z.Rows() == 1 && z.Dim(-1) == y.Dim(-2) && (z.Dim(-1) == 1 || z.Stride(-1) == 1) && r.IntN(2) == 0 {
							l.Bias = z
						}
					}
					add("product "+of, tape.Activate(backend.SiLU, tape.Linear(l, x)))
					break
				}
			}
		case 15: // a norm's vector that is a result, and sinks
			for _, y := range pool {
				if rows && y.Rows() == 1 && y.Dim(-1) == x.Dim(-1) && (y.Dim(-1) == 1 || y.Stride(-1) == 1) {
					x = tape.RMSNorm(nn.Norm{Gamma: y, Epsilon: 0.1}, x)
					add("normed "+of, x)
					if x.Shape[0] == 1 {
						add("sunk "+of, tape.Attention(nn.Attention{Heads: y.Dim(-1), Sinks: y}, x, x, x, w.places(x.Dim(-2), make([]int32, x.Dim(-3))...)))
					}
					break
				}
			}
		case 16: // by factors of their own along some axes
			if rows && x.Shape[0] <= 2 && x.Shape[1] <= windowsWidth && x.Shape[2] <= windowsWidth {
				by := w.factors
				for axis := range 3 {
					if by.Shape[axis] = x.Shape[axis]; r.IntN(2) == 0 {
						by.Shape[axis] = 1
					}
				}
				add(fmt.Sprintf("scale by %v %s", by, of), tape.Scale(x, by))
			}
		case 11:
			for _, y := range pool { // with the first that fits, itself perhaps
				if rows && y.Shape == x.Shape && (y.Dim(-1) == 1 || y.Stride(-1) == 1) {
					add("gate "+of, tape.GatedActivation(nn.Gate{Func: backend.SiLU, Shift: 1}, y, x))
					break
				}
			}
		}
	}
	// The loss looks at the last ones, which may leave some unused.
	var sum nn.Tensor
	for i := len(pool) - 1; i >= max(0, len(pool)-3); i-- {
		x := pool[i]
		if x.Dim(-1) > windowsWidth {
			continue
		}
		y := tape.Pick(x, w.ids.Slice(-1, 0, 1))
		if x.Rows() >= 3 {
			y = tape.Pick(x, w.ids.Slice(-1, 0, 3)).Slice(-2, 1, 2)
		}
		if y = tape.Linear(w.to[x.Dim(-1)], y); sum.Absent() {
			sum = y
		} else {
			sum = tape.Add(sum, y)
		}
	}
	return tape.Keep(tape.CrossEntropy(w.head, sum, w.targets.Slice(-1, 0, 1), 4))
}

func (w *windows) gradients(t *testing.T, recompute bool) (grads [][]float32) {
	t.Helper()
	tape := nn.NewTape(w.b)
	tape.Train(w.params, nn.Training{Share: 1, Recompute: recompute})
	tape.ClearGradients(w.params)
	tape.Round(w.params)
	tape.Backward(w.losses(tape))
	p, err := tape.Record()
	if err != nil {
		t.Fatalf("seed %d: %v\n%s", w.seed, err, strings.Join(w.described, "\n"))
	}
	defer p.Close()
	run(t, p)
	for _, p := range w.params.List {
		grads = append(grads, get(t, w.b, p.Grad))
	}
	return grads
}

// TestGradientWindows holds the gradients of random models of windows to finite
// differences, and those of results that are computed again to these.
func TestGradientWindows(t *testing.T) {
	kinds := map[string]int{}
	for seed := range uint64(100) {
		w := newWindows(t, seed)
		grads := w.gradients(t, false)
		for _, what := range w.described {
			kinds[strings.Fields(what)[1]]++
		}
		if again := w.gradients(t, true); !slices.EqualFunc(again, grads, slices.Equal[[]float32]) {
			t.Errorf("seed %d: gradients differ where results are computed again\n%s", seed, strings.Join(w.described, "\n"))
		}
		tape := nn.NewTape(w.b)
		losses := w.losses(tape)
		forward := record(t, tape)
		loss := func() float64 {
			run(t, forward)
			return float64(get(t, w.b, forward.Tensor(losses))[0])
		}
		for i, p := range w.params.List {
			values := get(t, w.b, p.Value)
			for j, v := range values {
				slope := func(h float32) float64 {
					values[j] = v + h
					set(t, w.b, p.Value, values)
					up := loss()
					values[j] = v - h
					set(t, w.b, p.Value, values)
					return (up - loss()) / (2 * float64(h))
				}
				want := (4*slope(1./128) - slope(1./64)) / 3 // without the term of h²
				values[j] = v
				set(t, w.b, p.Value, values)
				if got := float64(grads[i][j]); !(math.Abs(got-want) <= 1e-3+1e-2*math.Abs(want)) {
					t.Errorf("seed %d: parameter %d, %v: the gradient of element %d is %v, finite differences give %v\n%s",
						seed, i, p.Value, j, got, want, strings.Join(w.described, "\n"))
					return
				}
			}
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		if kinds[kind] < 8 {
			t.Errorf("%s occurs %d times in all models: that shows little", kind, kinds[kind])
		}
	}
	t.Logf("windows and ops of the models: %v", kinds)
}

// TestGradientWindowsHalf holds the gradients of such models in mixed precision to
// those in f32, and those of results that are computed again to these.
func TestGradientWindowsHalf(t *testing.T) {
	for seed := range uint64(100) {
		w := newWindows(t, seed)
		want := w.gradients(t, false)
		list := slices.Clone(w.params.List)
		for i, p := range list {
			list[i] = nn.Parameter{Value: p.Value, Half: p.Value.Rows() > 1}
		}
		var err error
		if w.params, err = nn.NewParameters(w.b, list...); err != nil {
			t.Fatal(err)
		}
		got := w.gradients(t, false)
		if again := w.gradients(t, true); !slices.EqualFunc(again, got, slices.Equal[[]float32]) {
			t.Errorf("seed %d: gradients differ where results are computed again\n%s", seed, strings.Join(w.described, "\n"))
		}
		size, distance := 0.0, 0.0
		for i := range want {
			for j, v := range want[i] {
				size = math.Hypot(size, float64(v))
				distance = math.Hypot(distance, float64(v-got[i][j]))
			}
		}
		if distance == 0 || distance > 0.02*size {
			t.Errorf("seed %d: the gradient of length %v is %v away from that in f32\n%s", seed, size, distance, strings.Join(w.described, "\n"))
		}
	}
}

// TestGradientOps counts what gradients of windows take: nothing beside the
// rules' own ops where windows fill a result, one op that clears where they do
// not, and sums only where they overlap.
func TestGradientOps(t *testing.T) {
	const width = 4
	zero := placesFrom(t, newCounting(), 3, 0)
	for _, c := range []struct {
		name  string
		write func(tape *nn.Tape, x nn.Tensor) nn.Tensor // from [1, 3, 2·width] to [1, 3, width]
		want  string                                     // backward, up to the gradient of x
	}{
		{"halves", func(tape *nn.Tape, x nn.Tensor) nn.Tensor {
			return tape.Add(tape.Activate(backend.GELUTanh, x.Slice(-1, 0, width)), tape.Activate(backend.GELUTanh, x.Slice(-1, width, 2*width)))
		}, "activate_backward+gelu_tanh activate_backward+gelu_tanh"},
		{"a half twice", func(tape *nn.Tape, x nn.Tensor) nn.Tensor {
			x = x.Slice(-1, 0, width)
			return tape.Add(tape.Activate(backend.GELUTanh, x), x)
		}, "copy copy copy activate_backward+gelu_tanh add"}, // clear, what Add hands on; clear, what GELU does; both
		{"a half", func(tape *nn.Tape, x nn.Tensor) nn.Tensor {
			return tape.Activate(backend.GELUTanh, x.Slice(-1, width, 2*width))
		}, "copy activate_backward+gelu_tanh"},
		{"all and a half", func(tape *nn.Tape, x nn.Tensor) nn.Tensor {
			y := tape.Activate(backend.GELUTanh, x.Slice(-1, width, 2*width))
			return tape.Add(tape.Activate(backend.GELUTanh, x).Slice(-1, 0, width), y)
		}, "copy copy activate_backward+gelu_tanh copy activate_backward+gelu_tanh add"},
		{"twice", func(tape *nn.Tape, x nn.Tensor) nn.Tensor {
			sum := func() nn.Tensor {
				return tape.Add(tape.Activate(backend.GELUTanh, x.Slice(-1, 0, width)), tape.Activate(backend.GELUTanh, x.Slice(-1, width, 2*width)))
			}
			return tape.Add(sum(), sum())
		}, "activate_backward+gelu_tanh activate_backward+gelu_tanh activate_backward+gelu_tanh activate_backward+gelu_tanh add"},
		{"reshaped", func(tape *nn.Tape, x nn.Tensor) nn.Tensor {
			return tape.Activate(backend.GELUTanh, x.Reshape(1, 6, width)).Slice(-2, 0, 3)
		}, "copy copy activate_backward+gelu_tanh"},
		{"attention of neighbours", func(tape *nn.Tape, x nn.Tensor) nn.Tensor {
			return tape.Attention(nn.Attention{Heads: 2}, x.Slice(-1, 0, width), x.Slice(-1, width, width+2), x.Slice(-1, width+2, 2*width), zero)
		}, "attention_backward"},
		{"attention of results of their own", func(tape *nn.Tape, x nn.Tensor) nn.Tensor {
			k, v := tape.Activate(backend.ReLU, x.Slice(-1, width, width+2)), tape.Activate(backend.ReLU, x.Slice(-1, width+2, 2*width))
			return tape.Attention(nn.Attention{Heads: 2}, x.Slice(-1, 0, width), k, v, zero)
		}, "attention_backward activate_backward+relu activate_backward+relu"},
		{"a residual stream", func(tape *nn.Tape, x nn.Tensor) nn.Tensor { // of which the sum joins the product
			square := nn.Linear{W: f32(t, newCounting(), 2*width, 2*width)}
			y := tape.Activate(backend.GELUTanh, x)
			return tape.Add(tape.Add(x, tape.Linear(square, x)), y).Slice(-1, 0, width)
		}, "copy copy linear+residual activate_backward+gelu_tanh add"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newCounting()
			up, head := nn.Linear{W: f32(t, b, 2*width, width)}, nn.Linear{W: f32(t, b, 5, width)}
			params, err := nn.NewParameters(b, nn.Parameter{Value: up.W}, nn.Parameter{Value: head.W})
			if err != nil {
				t.Fatal(err)
			}
			tape := nn.NewTape(b)
			tape.Train(params, nn.Training{Share: 1})
			x := tape.Linear(up, f32(t, b, 1, 3, width))
			tape.Backward(tape.CrossEntropy(head, c.write(tape, x), tensor(t, b, backend.I32, 1, 3), 3))
			run(t, record(t, tape))
			got := strings.Join(b.ran, " ")
			_, got, _ = strings.Cut(got, "cross_entropy linear_backward linear ")
			if got, _, _ = strings.Cut(got, " linear_backward"); got != c.want {
				t.Errorf("ran %s, expected %s", got, c.want)
			}
		})
	}
}

// placesFrom are those of sequences of time tokens that begin at these positions.
func placesFrom(t testing.TB, b backend.Backend, time int, starts ...int32) nn.Places {
	t.Helper()
	p, err := nn.NewPlaces(b, len(starts), time)
	if err != nil {
		t.Fatal(err)
	}
	pos := make([]int32, len(starts)*time)
	for i := range pos {
		pos[i] = starts[i/time] + int32(i%time)
	}
	if err := backend.SetI32(b, p.At.Slice(-2, 1, 2), pos); err != nil {
		t.Fatal(err)
	}
	return p
}
