package inspect

import (
	"slices"
	"time"

	"caldera/backend"
)

// Made tells which op made a value.
type Made struct {
	Value        string    `json:"value"`        // its name; "scores" for those of all tokens
	Op           string    `json:"op"`           // with what was fused into it
	Operands     []Operand `json:"operands"`     // in the op's order
	Calls        int       `json:"calls"`        // how often it ran: once for each chunk of a text
	Bytes        int64     `json:"bytes"`        // that all calls must move at least
	FLOPs        int64     `json:"flops"`        // of its matrix products, in all calls
	Microseconds Float     `json:"microseconds"` // that all calls took on the device, by its clock; each op ran alone
	Dispatches   int       `json:"dispatches"`   // of shaders, or calls of kernels
	Variants     []string  `json:"variants"`     // of shaders; empty on backends that have none
}

// Operand is a tensor that an op reads or writes.
type Operand struct {
	Name   string `json:"name"`
	Access string `json:"access"`
	DType  string `json:"dtype"`
	Shape  []int  `json:"shape"` // of the last call
}

// Profile calls f, and returns what made the values that the Inspector saw in the
// meantime. Ops run one by one in the meantime, so f takes longer than usual.
func (in *Inspector) Profile(f func() error) ([]Made, error) {
	in.profiling, in.made = true, nil
	defer func() { in.profiling, in.made = false, nil }()
	err := f()
	return in.made, err
}

// measure calls run, which runs one program, and keeps what made the values of the
// names if that was asked for. writers has the indices of ops that wrote a value.
func (in *Inspector) measure(run func() error, names func() []string, writers func(name string) []int) error {
	if !in.profiling {
		return run()
	}
	spans, err := backend.Profile(in.Model.Backend, func(backend.Backend) error { return run() })
	if err != nil {
		return err
	}
	for _, name := range names() {
		for _, i := range writers(name) {
			if i < len(spans) {
				in.add(name, spans[i])
			}
		}
	}
	return nil
}

// add adds a call to the record of the op that made a value.
func (in *Inspector) add(name string, s backend.Span) {
	m := Made{Value: name, Op: s.Op, Variants: []string{}}
	i := slices.IndexFunc(in.made, func(o Made) bool { return o.Value == name && o.Op == s.Op })
	if i >= 0 {
		m = in.made[i]
	}
	for _, v := range s.Variants {
		if !slices.Contains(m.Variants, v) {
			m.Variants = append(m.Variants, v)
		}
	}
	m.Operands = nil
	for _, o := range s.Operands {
		m.Operands = append(m.Operands, Operand{o.Name, access(o.Access), o.DType.String(), dims(o.Tensor)})
	}
	flops, bytes := backend.Cost(s.Work)
	m.Calls, m.FLOPs, m.Bytes, m.Dispatches = m.Calls+1, m.FLOPs+flops, m.Bytes+bytes, m.Dispatches+s.Dispatches
	m.Microseconds += Float(float64(s.Duration) / float64(time.Microsecond))
	if i >= 0 {
		in.made[i] = m
	} else {
		in.made = append(in.made, m)
	}
}

// access is how an op uses an operand, in a word.
func access(a backend.Access) string {
	return map[backend.Access]string{backend.Read: "read", backend.Write: "write", backend.Update: "update", backend.Scratch: "scratch"}[a]
}

// dims is the shape without axes of 1 in front.
func dims(x backend.Tensor) []int {
	i := 0
	for i < 3 && x.Shape[i] == 1 {
		i++
	}
	return slices.Clone(x.Shape[i:])
}
