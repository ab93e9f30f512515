package trace

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"caldera/backend"
	"caldera/internal/table"
)

// Table has the sums of spans with the same op, shapes and dtypes.
type Table struct {
	Rows  []Row // the longest first
	Total Row
}

// Row is the sum of spans with the same op, shapes and dtypes.
type Row struct {
	Op      string
	Shape   string // "dst[256 384] x[256 128] w[384 128]"
	DType   string // of all operands except positions and ids: "f32 f16"
	Count   int
	Time    time.Duration
	Shaders []string

	FLOP  int64 // see backend.Cost; 0: there are no products
	Bytes int64
}

// Summarise returns the sums of all spans of the passes.
func Summarise(passes ...Pass) Table {
	type key struct{ op, shape, dtype string }
	rows := map[key]*Row{}
	t := Table{Total: Row{Op: "total"}}
	for _, p := range passes {
		for _, s := range p.Spans {
			k := key{s.Op, shape(s), dtypes(s)}
			r := rows[k]
			if r == nil {
				r = &Row{Op: k.op, Shape: k.shape, DType: k.dtype}
				rows[k] = r
			}
			flops, bytes := p.cost(s)
			for _, r := range []*Row{r, &t.Total} {
				r.Count++
				r.Time += s.Duration
				r.FLOP += flops
				r.Bytes += bytes
			}
			for _, v := range s.Variants {
				if !slices.Contains(r.Shaders, v) {
					r.Shaders = append(r.Shaders, v)
				}
			}
		}
	}
	for _, r := range rows {
		t.Rows = append(t.Rows, *r)
	}
	slices.SortFunc(t.Rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(a.Op, b.Op), cmp.Compare(a.Shape, b.Shape), cmp.Compare(a.DType, b.DType))
	})
	return t
}

// shape returns the shapes that distinguish an op from others of its type: that of
// the first operand, and those of other operands of numbers that have several rows, each shape
// once.
func shape(s backend.Span) string {
	var parts []string
	seen := map[[4]int]bool{}
	for i, o := range s.Operands {
		if i > 0 && (o.Access == backend.Scratch || o.DType == backend.I32 || o.Rows() == 1 || seen[o.Shape]) {
			continue
		}
		seen[o.Shape] = true
		_, dims, _ := strings.Cut(o.String(), "[")
		parts = append(parts, o.Name+"["+dims)
	}
	return strings.Join(parts, " ")
}

// dtypes returns the dtypes of the operands, each once, except i32: token ids and
// positions are always i32.
func dtypes(s backend.Span) string {
	var names []string
	for _, o := range s.Operands {
		if name := o.DType.String(); o.DType != backend.I32 && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// WriteMarkdown writes the table in Markdown. Its rates are the least work of an op, as
// [backend.Cost] returns it, divided by its time.
func (t Table) WriteMarkdown(w io.Writer) error {
	cells := [][]string{{"op", "shape", "dtype", "count", "ms", "share", "GB/s", "GFLOP/s", "shaders"}}
	for _, r := range append(slices.Clip(t.Rows), t.Total) {
		share := 0.0
		if t.Total.Time > 0 {
			share = 100 * float64(r.Time) / float64(t.Total.Time)
		}
		cells = append(cells, []string{
			r.Op, r.Shape, r.DType, fmt.Sprint(r.Count), fmt.Sprintf("%.3f", float64(r.Time)/1e6), fmt.Sprintf("%.1f %%", share),
			rate(r.Bytes, r.Time), rate(r.FLOP, r.Time), strings.Join(r.Shaders, " "),
		})
	}
	// Columns of numbers, from the fourth to the last but one, are aligned right.
	_, err := io.WriteString(w, table.Markdown(cells, []bool{3: true, 4: true, 5: true, 6: true, 7: true}))
	return err
}

// rate formats n divided by a time, in 10⁹ per second.
func rate(n int64, d time.Duration) string {
	if n == 0 || d <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", float64(n)/float64(d)) // d is in ns, so this is 1e9 per second
}
