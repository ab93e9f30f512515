package bench

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/backend/calltrace"
	"caldera/backend/null"
	"caldera/gpt/model"
	"caldera/internal/gpttest"
	"caldera/internal/opcases"
	"caldera/nn"
)

func TestOpShape(t *testing.T) {
	c, err := model.Shape("gpt2")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := opShape(c); err != nil || !reflect.DeepEqual(s, opcases.GPT2) {
		t.Errorf("%+v, %v, expected %+v", s, err, opcases.GPT2)
	}
}

// TestOpNames has the ops of all models once each, those of experts too.
func TestOpNames(t *testing.T) {
	names := OpNames()
	for _, name := range []string{"linear", "linear+gelu_tanh", "expert_linear", "route", "expert_sum", "adamw"} {
		if i := slices.Index(names, name); i < 0 || slices.Contains(names[i+1:], name) {
			t.Errorf("%s is not there once: %q", name, names)
		}
	}
}

// TestOpsOfTape records what models compute, and expects each op among those that
// are timed for their shape, with operands of the same shapes.
func TestOpsOfTape(t *testing.T) {
	narrow := model.Config{Family: "llama", Layers: 1, Heads: 6, KVHeads: 2, HeadSize: 16, Width: 64, Inner: 160, Context: 256, Vocab: 100}.Complete()
	experts := gpttest.FamilyShapes()["gpt-oss"].Complete()
	for _, c := range []model.Config{narrow, experts, shapeOf(t, "llama-3.2-1b"), shapeOf(t, "gpt2"), shapeOf(t, "nanogpt")} {
		s, err := opShape(c)
		if err != nil {
			t.Fatal(err)
		}
		timed := map[string][]string{} // operands of each case
		b := &null.Backend{}
		for _, x := range opcases.Cases(s, []backend.DType{backend.F32}) {
			op, err := x.Build(b)
			if err == nil {
				err = backend.Check(op.Op)
			}
			if err != nil {
				t.Fatalf("%s: %v", x.Name(), err)
			}
			timed[x.Op] = append(timed[x.Op], operands(op.Op))
			op.Free()
		}
		for _, time := range []int{1, min(128, c.Context)} {
			for _, op := range taped(t, c, time) {
				if name := backend.Label(op); !slices.Contains(timed[name], operands(op)) && (time > 1 || name != "embedding" && name != "store") {
					t.Errorf("%s of %d, %d tokens: no case is of %s: %q", c.Family, c.Width, time, operands(op), timed[name])
				}
			}
		}
	}
}

func shapeOf(t *testing.T, name string) model.Config {
	t.Helper()
	c, err := model.Shape(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// operands are the shapes of an op's operands, without those that some models have
// and others do not, and rows that tables and caches have.
func operands(op backend.Op) string {
	text := backend.Label(op)
	op.Operands(func(name string, x *backend.Tensor, _ backend.Access) {
		shape := x.Shape
		switch name {
		case "bias", "at":
			return
		case "tokens", "k", "v", "angles":
			shape[2] = 0
		case "dst":
			if op.Name() == "store" {
				shape[2] = 0
			}
		}
		text += fmt.Sprint(" ", name, shape[2:])
	})
	return text
}

// taped are the ops of a pass over time tokens of a model that has no weights, one block of
// it and the scores after the last of them.
func taped(t *testing.T, c model.Config, time int) (ops []backend.Op) {
	t.Helper()
	c.Layers = 1
	f, err := model.FamilyOf(c.Family)
	if err != nil {
		t.Fatal(err)
	}
	m := f.Network(c, model.HuggingFace)
	for _, w := range m.Weights() {
		*w.Tensor = null.Tensor(backend.F32, w.Shape...)
	}
	b := calltrace.Wrap(&null.Backend{}, calltrace.Hooks{After: func(c calltrace.Call) { ops = append(ops, c.Ops...) }})
	tape := nn.NewTape(b)
	ids := null.Tensor(backend.I32, 1, time)
	at := nn.Places{At: null.Tensor(backend.I32, 2, time)}
	x := m.Forward(tape, ids, at, model.Cache{null.Tensor(backend.F32, 1, c.Context, c.CacheWidth())})
	if time == 1 {
		tape.Keep(model.Unembed(m, tape, x))
	} else {
		tape.Keep(x)
	}
	p, err := tape.Record()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil || len(ops) < 8 {
		t.Errorf("%d ops, %v", len(ops), err)
	}
	return ops
}
