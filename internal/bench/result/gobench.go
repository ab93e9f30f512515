package result

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// goBench is a record as benchmark lines of Go's testing package: a line for
// each sample, so that benchstat sees how they spread.
type goBench struct {
	name    string      // after "Benchmark"; begins with an upper-case letter or a digit
	labels  [][2]string // in order
	ns      []float64   // a run, one of each sample
	rates   []rate      // of work done in that time
	special []metric    // the same for every sample
}

// rate is work that each run does, shown a second: in unit, more is better.
type rate struct {
	unit string
	work float64 // a run, in the unit's
}

type metric struct {
	unit  string
	value float64
}

// writeGoBench writes the format that golang.org/design/14313-benchmark-format
// describes.
func writeGoBench(w io.Writer, records []Record) error {
	var s strings.Builder
	c := records[0].common()
	goos, goarch, _ := strings.Cut(c.OS, "/")
	fmt.Fprintf(&s, "goos: %s\ngoarch: %s\npkg: caldera\ncpu: %s\n", goos, goarch, OneLine(c.CPUInfo))
	if c.BuildCommit != "" {
		fmt.Fprintf(&s, "commit: %s\n", OneLine(c.BuildCommit))
	}
	known := map[string]bool{}
	for _, r := range records {
		for _, x := range r.goBench().rates {
			if !known[x.unit] {
				known[x.unit] = true
				fmt.Fprintf(&s, "Unit %s better=higher\n", x.unit)
			}
		}
	}
	for _, r := range records {
		b := r.goBench()
		name := "Benchmark" + label(b.name)
		for _, l := range b.labels {
			name += "/" + l[0] + "=" + label(l[1])
		}
		for _, ns := range b.ns {
			fmt.Fprintf(&s, "%s-%d\t1\t%s ns/op", name, r.common().NThreads, number(ns))
			for _, x := range b.rates {
				fmt.Fprintf(&s, "\t%s %s", number(x.work/(ns*1e-9)), x.unit)
			}
			for _, m := range b.special {
				fmt.Fprintf(&s, "\t%s %s", number(m.value), m.unit)
			}
			s.WriteByte('\n')
		}
	}
	_, err := io.WriteString(w, s.String())
	return err
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', 10, 64) }

// label is a value that may stand in a benchmark's name, where white space and
// slashes part things and a number after a dash at the end is taken for threads.
func label(value string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r <= ' ' || r == 0x7f, r == '/', r == '=', r == 0x85, r == 0xa0:
			return '_'
		}
		return r
	}, value)
}

// deviceLabels begin the labels of every record: what it is measured on.
func (c *Common) deviceLabels(more ...[2]string) [][2]string {
	return append([][2]string{{"device", c.Device}}, more...)
}

// cacheLabel is empty for keys and values of f32, the default.
func cacheLabel(k, v string) [][2]string {
	if c := cacheTypes(k, v); c != "f32" {
		return [][2]string{{"cache", c}}
	}
	return nil
}

// sequencesLabel is empty for one that no batch ran.
func sequencesLabel(n int) [][2]string {
	if n > 0 {
		return [][2]string{{"sequences", strconv.Itoa(n)}}
	}
	return nil
}

func (r *TestResult) goBench() goBench {
	b := goBench{name: "PP" + strconv.Itoa(r.NPrompt), rates: []rate{{"t/s", float64(r.Test().Tokens())}}}
	if r.NGen > 0 {
		b.name = "TG" + strconv.Itoa(r.NGen)
	}
	b.labels = append([][2]string{{"model", r.ModelType}}, r.deviceLabels([2]string{"dtype", r.DType})...)
	b.labels = append(b.labels, cacheLabel(r.TypeK, r.TypeV)...)
	b.labels = append(b.labels, sequencesLabel(r.NSequences)...)
	if r.NDepth > 0 {
		b.labels = append(b.labels, [2]string{"depth", strconv.Itoa(r.NDepth)})
	}
	for _, ns := range r.SamplesNS {
		b.ns = append(b.ns, float64(ns))
	}
	return b
}

// OneLine makes text of another program fit for a message: one line of bounded
// length that a terminal can print.
func OneLine(s string) string {
	const most = 240
	r := []rune(strings.Join(strings.Fields(s), " "))
	if len(r) > most {
		r = append(r[:most], '…')
	}
	return printable(string(r))
}
