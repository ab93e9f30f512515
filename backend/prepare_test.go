package backend_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"caldera/backend"
	"caldera/backend/null"
)

func TestPrepareKeepsWhatIsSupported(t *testing.T) {
	ops := samples()
	got, err := backend.Prepare(&fake{}, ops...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ops, got, sameOps); diff != "" {
		t.Error(diff)
	}
}

// outer lowers to a Linear with an epilogue between two others, which lowers in turn.
type outer struct {
	backend.Add
	lower []backend.Op
}

func (*outer) Name() string          { return "outer" }
func (o *outer) Lower() []backend.Op { return o.lower }

func TestPrepareLowers(t *testing.T) {
	all := map[string]backend.Op{}
	for _, op := range samples() {
		all[backend.Label(op)] = op
	}
	both := all["linear+silu+residual"].(*backend.Linear)
	silu, residual := *both, *both
	silu.Residual, residual.Activation = backend.Tensor{}, backend.NoActivation
	nested := &outer{*all["add"].(*backend.Add), []backend.Op{all["add"], &silu, all["softmax"]}}
	b := &fake{lacks: []string{"outer", "linear+silu", "linear+residual", "linear+silu+residual"}}
	got, err := backend.Prepare(b, all["layernorm"], nested, &residual, both, all["copy"])
	if err != nil {
		t.Fatal(err)
	}
	if want := "layernorm add linear activate+silu softmax linear add linear activate+silu add copy"; names(got) != want {
		t.Errorf("prepared %s, expected %s", names(got), want)
	}
	// What lowering gives means the same: the intermediate ties the two.
	want := []backend.Op{
		&backend.Linear{Dst: both.Sum, X: both.X, W: both.W, Bias: both.Bias},
		&backend.Activate{Dst: both.Dst, X: both.Sum, Func: backend.SiLU},
		all["softmax"],
		&backend.Linear{Dst: both.Sum, X: both.X, W: both.W, Bias: both.Bias},
		&backend.Add{Dst: both.Dst, A: both.Residual, B: both.Sum},
		&backend.Linear{Dst: both.Dst, X: both.X, W: both.W, Bias: both.Bias},
		&backend.Activate{Dst: both.Sum, X: both.Dst, Func: backend.SiLU},
		&backend.Add{Dst: both.Dst, A: both.Residual, B: both.Sum},
	}
	if diff := cmp.Diff(want, got[2:10], sameOps); diff != "" {
		t.Error(diff)
	}
}

func TestPrepareErrors(t *testing.T) {
	right := samples()[0]
	wrong := &backend.Softmax{Dst: f32(3, 5), X: f32(3, 6)}
	badLower := &outer{*right.(*backend.Add), []backend.Op{wrong}}
	cannot := &backend.Linear{Dst: f32(3, 4), X: f32(3, 5), W: tensor(backend.F16, 4, 5), Sum: f32(3, 4), Activation: backend.GELUTanh}
	for _, c := range []struct {
		name  string
		lacks []string
		op    backend.Op
		parts []string
	}{
		{"nil", nil, nil, []string{"op 1 (nil)", "missing"}},
		{"wrong", nil, wrong, []string{"op 1 (softmax)", "dst has shape [3 5], expected [3 6]"}},
		{"lowered wrongly", []string{"outer"}, badLower, []string{"op 1 (outer)", "lowered to softmax", "expected [3 6]"}},
		{"unsupported", []string{"softmax"}, &backend.Softmax{Dst: f32(2, 5), X: f32(2, 5)},
			[]string{"op 1 (softmax)", "null does not support softmax for dst f32[2 5], x f32[2 5]"}},
		{"unsupported below", []string{"linear"}, cannot,
			[]string{"op 1 (linear)", "does not support linear", "dst f32[3 4], x f32[3 5], w f16[4 5]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &fake{lacks: c.lacks}
			for what, err := range map[string]error{
				"Run":     backend.Run(b, right, c.op),
				"Prepare": errorOf(backend.Prepare(b, right, c.op)),
				"Record":  errorOf(backend.Record(b, right, c.op)),
			} {
				wantError(t, err, c.parts...)
				var e *backend.OpError
				if !errors.As(err, &e) || e.Index != 1 {
					t.Errorf("%s: %v is not an OpError of op 1", what, err)
				}
			}
			if len(b.ran) > 0 {
				t.Errorf("%s ran, though an op of the list is wrong", names(b.ran))
			}
		})
	}
}

func errorOf[T any](_ T, err error) error { return err }

func TestRunReportsTheDevice(t *testing.T) {
	if err := backend.Run(&null.Backend{Fault: errDevice}, samples()...); !errors.Is(err, errDevice) {
		t.Errorf("Run gave %v", err)
	}
}

func TestRecordFallback(t *testing.T) {
	b := &fake{lacks: []string{"linear+gelu_tanh"}}
	p, err := backend.Record(b, &backend.Linear{Dst: f32(3, 4), X: f32(3, 5), W: f32(4, 5), Sum: f32(3, 4), Activation: backend.GELUTanh})
	if err != nil {
		t.Fatal(err)
	}
	if len(b.ran) > 0 {
		t.Error("recording ran something")
	}
	for range 2 {
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
	}
	if want := "linear activate+gelu_tanh linear activate+gelu_tanh"; names(b.ran) != want {
		t.Errorf("two runs ran %s, expected %s", names(b.ran), want)
	}
	b.Fault = errDevice
	if err := p.Run(); !errors.Is(err, errDevice) {
		t.Errorf("the device's error became %v", err)
	}
	if err := errors.Join(p.Close(), p.Close()); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	if err := p.Run(); !errors.Is(err, backend.ErrClosed) {
		t.Errorf("Run after Close gave %v", err)
	}
}

// able is a fake with more abilities.
type able struct {
	fake
	mapped   []byte
	recorded []backend.Op
}

func (a *able) MapHost(p []byte) (backend.Buffer, error) {
	a.mapped = p
	return memory(len(p)), nil
}

func (a *able) Record(ops ...backend.Op) (backend.Program, error) {
	a.recorded = ops
	return nil, errDevice
}

func (a *able) Describe() string { return "a fake that is able" }

type wrapper struct{ backend.Backend }

func (w wrapper) Unwrap() backend.Backend { return w.Backend }

// opaque hides the optional abilities of a backend.
type opaque struct{ backend.Backend }

func TestAs(t *testing.T) {
	a := &able{}
	for name, b := range map[string]backend.Backend{"itself": a, "wrapped": wrapper{a}, "twice": wrapper{wrapper{a}}} {
		if got, ok := backend.As[backend.HostMapper](b); !ok || got != a {
			t.Errorf("%s: As found %v, %v", name, got, ok)
		}
		if got := backend.Describe(b); got != "a fake that is able" {
			t.Errorf("%s: described as %q", name, got)
		}
	}
	for name, b := range map[string]backend.Backend{"none": &null.Backend{}, "hidden": opaque{a}, "wrapped": wrapper{opaque{a}}, "nil": wrapper{}} {
		if got, ok := backend.As[backend.HostMapper](b); ok {
			t.Errorf("%s: As found %v", name, got)
		}
	}
	if got := backend.Describe(wrapper{&null.Backend{}}); got != "null" {
		t.Errorf("without a Describer: %q", got)
	}
}

func TestRecordUsesRecorder(t *testing.T) {
	a := &able{fake: fake{lacks: []string{"linear+silu+residual"}}}
	if _, err := backend.Record(wrapper{a}, samples()...); !errors.Is(err, errDevice) {
		t.Errorf("the recorder's error became %v", err)
	}
	if got := names(a.recorded); strings.Contains(got, "linear+silu+residual") || !strings.Contains(got, "linear activate+silu add") {
		t.Errorf("the recorder got %s, expected it prepared", got)
	}
}
