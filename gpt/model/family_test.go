package model

import (
	"reflect"
	"slices"
	"testing"
)

// TestFamilies holds every family's tables to what those who read them take for
// granted.
func TestFamilies(t *testing.T) {
	for _, f := range families {
		c := f.Defaults()
		if c.Family != f.Name || len(f.Shapes) == 0 {
			t.Errorf("%s: its defaults are of family %q, and it has %d shapes", f.Name, c.Family, len(f.Shapes))
		}
		for _, s := range f.Keys {
			if s.Name() == "" || s.Field == "" && s.Values == nil {
				t.Errorf("%s: a setting without a name, or without a field and values: %+v", f.Name, s)
			}
			if s.Field == "" {
				continue
			}
			field := s.field(&c)
			if !field.IsValid() {
				t.Errorf("%s: %s: there is no field %s", f.Name, s.Name(), s.Field)
				continue
			}
			for _, v := range s.Values {
				if reflect.TypeOf(v.Value) != field.Type() {
					t.Errorf("%s: %s: %s stands for a %T, and the field is a %v", f.Name, s.Name(), v.Text, v.Value, field.Type())
				}
			}
			if kinds := []reflect.Kind{reflect.Int, reflect.Bool, reflect.Float64, reflect.Slice}; s.Values == nil && !slices.Contains(kinds, field.Kind()) {
				t.Errorf("%s: %s: a field of type %v needs values", f.Name, s.Name(), field.Type())
			}
		}
		for _, shape := range f.Shapes {
			c, err := Shape(shape.Name)
			if err != nil || c.Validate() != nil {
				t.Errorf("%s: %s: %v, %v", f.Name, shape.Name, err, c.Validate())
				continue
			}
			rows := New(nil, c, Placement{}).Weights()
			if rows[0].Role != Embedding {
				t.Errorf("%s: the first row is %s", f.Name, rows[0].HF)
			}
			for _, format := range []Format{HuggingFace, GGUF} {
				seen := map[string]bool{}
				for _, w := range rows {
					if name := w.Name(format); w.Make == nil && (name == "" || seen[name]) {
						t.Errorf("%s: two rows, or none, are called %q in %v", f.Name, name, format)
					}
					seen[w.Name(format)] = true
					if w.Tensor == nil || w.Elements() < 1 || (w.Order == InOut && !w.Matrix()) || (w.Order == Rotated && w.Shape[0]%c.HeadSize != 0) {
						t.Errorf("%s: %s: shape %v does not fit order %d", f.Name, w.HF, w.Shape, w.Order)
					}
				}
			}
		}
	}
}

// TestRows turns rows of heads there and back.
func TestRows(t *testing.T) {
	w := Weight{Order: Rotated, Shape: []int{20, 3}}
	there, back := w.Rows(HuggingFace, GGUF, 10), w.Rows(GGUF, HuggingFace, 10)
	var rows []int
	for r := range 20 {
		rows = append(rows, there(r))
		if there(back(r)) != r || back(there(r)) != r {
			t.Errorf("row %d comes back as %d and %d", r, there(back(r)), back(there(r)))
		}
	}
	if want := []int{0, 5, 1, 6, 2, 7, 3, 8, 4, 9, 10, 15, 11, 16, 12, 17, 13, 18, 14, 19}; !slices.Equal(rows, want) {
		t.Errorf("GGUF's rows are %v, expected %v", rows, want)
	}
	if w.Rows(GGUF, GGUF, 10) != nil || (Weight{Shape: []int{20, 3}}).Rows(HuggingFace, GGUF, 10) != nil {
		t.Error("rows that stay have an order")
	}
}
