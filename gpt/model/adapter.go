package model

// Adapters: what lies beside the matrices of a model and changes what their products give (LoRA, see
// [nn.Adapter]).

import (
	"strings"

	"caldera/nn"
)

// Names of what an adapter has beside a matrix, behind the name of that: as PEFT and as llama.cpp
// has them.
const (
	PEFTPrefix   = "base_model.model." // before the name of the module
	peftA, peftB = ".lora_A.weight", ".lora_B.weight"
	ggufA, ggufB = ".lora_a", ".lora_b"
	weightEnd    = ".weight"
)

// Module is the name of the module of which w is the weight, as Transformers has it in a model
// of family f with a head.
func (w Weight) Module(f *Family) string {
	name := strings.TrimSuffix(w.Name(HuggingFace), weightEnd)
	if strings.HasPrefix(name, f.Body) {
		return name
	}
	return f.Body + name
}

// Thin are the two matrices of an adapter of rank r beside w, in a model of family f: A, [r, in],
// and B, [out, r], whose rows have the order of w's. Neither is stored as a transpose.
func (w Weight) Thin(f *Family, r int) (a, b Weight) {
	of := w.Linear
	if of == nil {
		of = &nn.Linear{}
	}
	a = Weight{Role: w.Role, HF: PEFTPrefix + w.Module(f) + peftA, GGUF: w.Name(GGUF) + ggufA, Tensor: &of.Adapter.A, Shape: []int{r, w.Inputs()}, Block: w.Block}
	b = Weight{Role: w.Role, HF: PEFTPrefix + w.Module(f) + peftB, GGUF: w.Name(GGUF) + ggufB, Tensor: &of.Adapter.B, Shape: []int{w.Shape[0], r}, Block: w.Block, Order: w.Order}
	if w.Order == InOut {
		b.Order = Same
	}
	return a, b
}

// Adapted are the matrices of the adapters that the model has: A and B of each.
func (m *Model) Adapted() (all []Weight) {
	for _, w := range m.Weights() {
		if w.Linear != nil && w.Linear.Adapter.Present() {
			a, b := w.Thin(m.Architecture(), w.Linear.Adapter.A.Dim(-2))
			all = append(all, a, b)
		}
	}
	return all
}
