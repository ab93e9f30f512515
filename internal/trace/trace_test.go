package trace

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"caldera/backend"
)

func of(d backend.DType, dims ...int) backend.Tensor { return backend.Of(nil, d, 0, dims...) }

func f32(dims ...int) backend.Tensor { return of(backend.F32, dims...) }

// spanOf is a span of op at a time in microseconds.
func spanOf(op backend.Op, begin, duration int) backend.Span {
	s := backend.NewSpan(op)
	s.Begin, s.Duration = time.Duration(begin)*time.Microsecond, time.Duration(duration)*time.Microsecond
	s.Dispatches, s.Variants = 1, []string{op.Name() + ".x4"}
	return s
}

var (
	half  = &backend.Linear{Dst: f32(6, 5), X: f32(6, 4), W: of(backend.F16, 5, 4), Bias: f32(5)}
	full  = &backend.Linear{Dst: f32(6, 5), X: f32(6, 4), W: f32(5, 4)}
	gelu  = &backend.Activate{Dst: f32(2, 3, 8), X: f32(2, 3, 8), Func: backend.GELUTanh}
	paged = &backend.Attention{ // single tokens of sequences that have five blocks of four positions
		Dst: f32(1, 3, 8), Q: f32(1, 3, 8), K: of(backend.F16, 15, 4, 4), V: of(backend.F16, 15, 4, 4), At: of(backend.I32, 2, 3), Table: of(backend.I32, 2, 5), Heads: 4, Run: 1,
	}
	heads = &backend.Attention{
		Dst: f32(2, 3, 8), Q: f32(2, 3, 8), K: of(backend.F16, 2, 20, 4), V: of(backend.F16, 2, 20, 4), At: of(backend.I32, 2, 6), Heads: 4,
	}
)

// The costs themselves are tested in package backend.
func TestCost(t *testing.T) {
	for _, c := range []struct {
		name         string
		op           backend.Op
		keys         int
		flops, bytes int64
	}{
		{"linear", half, 10, 2 * 6 * 4 * 5, 4*(30+24+5) + 2*20},
		// The three queries see 8, 9 and 10 keys.
		{"attention", heads, 10, 2 * 4 * 8 * 27, 4*(48+48+12) + 2*2*(2*10*4)},
		// Three blocks have the ten keys of a query.
		{"attention to blocks", paged, 10, 4 * 8 * 3 * 12, 4*(24+24+6) + 4*2*3 + 2*2*(3*12*4)},
		{"attention to all blocks", paged, 20, 4 * 8 * 3 * 20, 4*(24+24+6) + 4*2*5 + 2*2*(3*20*4)},
		{"attention to a full cache", heads, 20, 2 * 4 * 8 * 57, 4*(48+48+12) + 2*2*(2*20*4)},
		{"attention to a cache of unknown use", heads, 0, 2 * 4 * 8 * 57, 4*(48+48+12) + 2*2*(2*20*4)},
	} {
		if flops, bytes := (Pass{Keys: c.keys}).cost(backend.NewSpan(c.op)); flops != c.flops || bytes != c.bytes {
			t.Errorf("%s: %d FLOP and %d bytes, want %d and %d", c.name, flops, bytes, c.flops, c.bytes)
		}
	}
	if flops, bytes := (Pass{}).cost(backend.Span{Op: "unknown"}); flops != 0 || bytes != 0 {
		t.Errorf("a span without its op: %d FLOP and %d bytes, want nothing", flops, bytes)
	}
}

func passes() []Pass {
	other := spanOf(half, 60, 25)
	other.Variants = []string{"linear_vec.f16"}
	return []Pass{
		{Name: "pp6", Keys: 6, Spans: []backend.Span{spanOf(gelu, 0, 10), spanOf(half, 10, 30), spanOf(heads, 41, 7), other, spanOf(full, 90, 5)}},
		{Name: "tg1", Keys: 7, Spans: []backend.Span{spanOf(heads, 0, 3), spanOf(half, 3, 20)}},
	}
}

func TestTable(t *testing.T) {
	table := Summarise(passes()...)
	var got []string
	var count int
	var sum time.Duration
	var flop, moved int64
	for _, r := range table.Rows {
		got = append(got, fmt.Sprintf("%s %s (%s) %d %v %v", r.Op, r.Shape, r.DType, r.Count, r.Time, r.Shaders))
		count, sum, flop, moved = count+r.Count, sum+r.Time, flop+r.FLOP, moved+r.Bytes
	}
	want := []string{
		"linear dst[6 5] x[6 4] w[5 4] (f32 f16) 3 75µs [linear.x4 linear_vec.f16]",
		"activate+gelu_tanh dst[2 3 8] (f32) 1 10µs [activate.x4]",
		"attention dst[2 3 8] k[2 20 4] (f32 f16) 2 10µs [attention.x4]",
		"linear dst[6 5] x[6 4] w[5 4] (f32) 1 5µs [linear.x4]",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("rows\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if table.Total.Count != count || table.Total.Time != sum || table.Total.FLOP != flop || table.Total.Bytes != moved {
		t.Errorf("total %+v, but rows sum up to %d, %v, %v FLOP and %v bytes", table.Total, count, sum, flop, moved)
	}
	if sum != 100*time.Microsecond || flop != 4*240+4*2*8*(4+5+6+5+6+7) {
		t.Errorf("%v and %v FLOP in all", sum, flop)
	}
}

func TestMarkdown(t *testing.T) {
	var out strings.Builder
	if err := Summarise(passes()...).WriteMarkdown(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var cells [][]string
	for _, line := range lines {
		row := strings.Split(strings.Trim(line, "|"), "|")
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		if cells = append(cells, row); len(row) != len(cells[0]) || len([]rune(line)) != len([]rune(lines[0])) {
			t.Errorf("%q does not line up with %q", line, lines[0])
		}
	}
	for i, want := range [][]string{
		{"op", "shape", "dtype", "count", "ms", "share", "GB/s", "GFLOP/s", "shaders"},
		nil,
		// 3 × 276 bytes and 3 × 240 FLOP in 75 µs
		{"linear", "dst[6 5] x[6 4] w[5 4]", "f32 f16", "3", "0.075", "75.0 %", "0.01", "0.01", "linear.x4 linear_vec.f16"},
		{"activate+gelu_tanh", "dst[2 3 8]", "f32", "1", "0.010", "10.0 %", "0.04", "–", "activate.x4"},
		// 2 × 432 + 16 × (6 + 7) × 2 bytes and 64 × (4 + 5 + 6 + 5 + 6 + 7) FLOP in 10 µs
		{"attention", "dst[2 3 8] k[2 20 4]", "f32 f16", "2", "0.010", "10.0 %", "0.13", "0.21", "attention.x4"},
	} {
		if want != nil && strings.Join(cells[i], "|") != strings.Join(want, "|") {
			t.Errorf("line %d is %q, want %q", i, cells[i], want)
		}
	}
	if total := cells[len(cells)-1]; len(cells) != 7 || total[0] != "total" || total[3] != "7" || total[4] != "0.100" || total[5] != "100.0 %" {
		t.Errorf("%d lines, the last %q", len(cells), total)
	}
	out.Reset()
	if err := Summarise().WriteMarkdown(&out); err != nil || !strings.Contains(out.String(), "| total |") || strings.Contains(out.String(), "NaN") {
		t.Errorf("nothing profiled: %v\n%s", err, out.String())
	}
}

// TestChrome reads the file back as a viewer does, and holds it to what viewers need:
// on one track, events lie within one another or apart.
func TestChrome(t *testing.T) {
	var out bytes.Buffer
	tracks := []Track{{"cpu", passes()}, {"vulkan:0", passes()}}
	if err := WriteChrome(&out, tracks...); err != nil {
		t.Fatal(err)
	}
	var events []struct {
		Name, Ph string
		TS       *float64
		Dur      float64
		PID, TID int
		Args     map[string]any
	}
	if err := json.Unmarshal(out.Bytes(), &events); err != nil {
		t.Fatalf("%v in %s", err, &out)
	}
	type interval struct {
		name     string
		from, to float64
	}
	open := map[[2]int][]interval{} // that the next event may lie in
	ops, names := map[int][]string{}, map[int]string{}
	for i, e := range events {
		if e.TS == nil || e.PID == 0 || e.TID == 0 {
			t.Errorf("event %d lacks ts, pid or tid: %+v", i, e)
			continue
		}
		if e.Ph == "M" {
			if e.Name == "process_name" {
				names[e.PID] = e.Args["name"].(string)
			}
			continue
		}
		if e.Ph != "X" || e.Dur <= 0 {
			t.Errorf("event %d: %+v", i, e)
		}
		const rounding = 1e-6 // of a microsecond
		at, track := interval{e.Name, *e.TS, *e.TS + e.Dur}, [2]int{e.PID, e.TID}
		around := open[track]
		for len(around) > 0 && around[len(around)-1].to <= at.from+rounding {
			around = around[:len(around)-1]
		}
		if n := len(around); n > 0 && (at.from < around[n-1].from-rounding || at.to > around[n-1].to+rounding) {
			t.Errorf("%+v overlaps with %+v", at, around[n-1])
		}
		if isPass := strings.HasPrefix(e.Name, "pp") || strings.HasPrefix(e.Name, "tg"); isPass == (len(around) > 0) {
			t.Errorf("%+v lies in %v: ops lie in passes", at, around)
		}
		open[track] = append(around, at)
		ops[e.PID] = append(ops[e.PID], fmt.Sprintf("%s@%g+%g", e.Name, math.Round(1000*at.from)/1000, e.Dur))
	}
	want := "pp6@0+95 activate+gelu_tanh@0+10 linear@10+30 attention@41+7 linear@60+25 linear@90+5 tg1@95+23 attention@95+3 linear@98+20"
	for i, track := range tracks {
		if got := strings.Join(ops[i+1], " "); got != want || names[i+1] != track.Name {
			t.Errorf("process %d is %q and has\n%s\nwant\n%s", i+1, names[i+1], got, want)
		}
	}
	for _, e := range events {
		if e.Name != "attention" {
			continue
		}
		if e.Args["operands"] != "dst f32[2 3 8], q f32[2 3 8], k f16[2 20 4], v f16[2 20 4], at i32[2 6]" || e.Args["dispatches"] != 1.0 || e.Args["flop"] == nil ||
			fmt.Sprint(e.Args["shaders"]) != "[attention.x4]" {
			t.Errorf("attention has args %v", e.Args)
		}
	}
	out.Reset()
	if err := WriteChrome(&out); err != nil || strings.TrimSpace(out.String()) != "[]" {
		t.Errorf("no tracks: %v, %q", err, &out)
	}
}

func TestCheck(t *testing.T) {
	span := func(begin, took time.Duration) backend.Span {
		return backend.Span{Op: "activate", Begin: begin, Duration: took}
	}
	for _, c := range []struct {
		spans []backend.Span
		want  string // of the error; empty: there is none
	}{
		{nil, ""},
		{[]backend.Span{span(0, 1)}, ""},
		{[]backend.Span{span(0, 0), span(0, 5)}, ""}, // a coarse clock
		{[]backend.Span{span(0, 0), span(0, 0)}, "none of its 2 ops took any time"},
		{[]backend.Span{span(0, 1), span(-1, 5)}, "op 1 (activate) begins at -1ns"},
		{[]backend.Span{span(0, -1)}, "takes -1ns"},
		{[]backend.Span{span(0, math.MinInt64)}, "takes -2562047h"},
		{[]backend.Span{span(math.MaxInt64, 1)}, "begins at 2562047h"},
	} {
		err := Pass{Name: "pp6", Spans: c.spans}.Check()
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "pp6: ")) {
			t.Errorf("%v: %v, expected %q", c.spans, err, c.want)
		}
	}
}
