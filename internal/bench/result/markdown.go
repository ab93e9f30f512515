package result

import (
	"fmt"
	"io"
	"strings"
	"time"

	markdown "caldera/internal/table"
)

// writeMarkdown writes what ran where, and the tables of the records' kind. All of
// it comes from the records, so that a saved file gives the same text.
func writeMarkdown(w io.Writer, records []Record) error {
	var s strings.Builder
	first := records[0].common()
	commit := printable(first.BuildCommit)
	if commit == "" {
		commit = "of an unknown commit"
	}
	fmt.Fprintf(&s, "- caldera %s, %s, %s, %s\n", commit, printable(first.GoVersion), printable(first.OS), first.TestTime.Format(time.DateOnly))
	fmt.Fprintf(&s, "- host: %s, %s%s\n", printable(first.CPUInfo), threads(first.NThreads), othersNote(first.OthersShare))
	seen := map[string]bool{}
	for _, r := range records {
		if c := r.common(); !seen[c.Device] {
			seen[c.Device] = true
			about := c.DeviceInfo
			if about == "" {
				about = fmt.Sprintf("%s (%s), %s", c.DeviceName, c.DeviceKind, c.Driver)
			}
			fmt.Fprintf(&s, "- %s: %s\n", printable(c.Device), printable(about))
			writeCeilings(&s, r)
		}
	}
	s.WriteByte('\n')
	kinds[first.Kind].markdown(&s, records)
	incomplete(records).write(&s)
	_, err := io.WriteString(w, s.String())
	return err
}

// incomplete names the records that are.
func incomplete(records []Record) (l lines) {
	for _, r := range records {
		if c := r.common(); c.Incomplete {
			l.add("incomplete: %s on %s: measuring ended after %s", name(r), c.Device, r.size())
		}
	}
	return l
}

// writeCeilings tells what a device can do at most, where it was measured.
func writeCeilings(s *strings.Builder, r Record) {
	c, ok := r.(interface{ ceilings() *Ceilings })
	if !ok || c.ceilings().Copy == "" {
		return
	}
	m := c.ceilings()
	fmt.Fprintf(s, "  - copies %s GB/s, both ways counted (%s)\n", m.copyBandwidth().times(1e-9).significant(), printable(m.Copy))
	fmt.Fprintf(s, "  - computes %s GFLOP/s at most (%s)\n", m.peak().times(1e-9).significant(), printable(m.Peak))
}

// testTables are one of speeds in llama-bench's form, one of what they are of
// what the device can do, and one of what comes before a test can run.
func testTables(s *strings.Builder, records []Record) {
	speed := table{{"model", "size", "params", "device", "dtype", "test", "t/s", "share", "of"}}
	parts := table{{"model", "device", "dtype", "test", "GB/s", "of copy", "GFLOP/s", "of peak"}}
	before := table{{"model", "device", "dtype", "test", "load", "compile + record", "first run", "peak RSS", "device memory"}}
	var notes lines
	for _, x := range records {
		r := x.(*TestResult)
		n := len(r.SamplesNS)
		speed = append(speed, []string{
			r.ModelType, mebibytes(r.ModelSize), fmt.Sprintf("%.2f M", float64(r.ModelNParams)/1e6), r.Device, r.DType, r.Test().String(),
			r.speed().String(),
			Spread{r.AvgShare, r.StddevShare, n}.percent(),
			fmt.Sprintf("%s, %s G%s", r.Yardstick, Spread{r.AvgYardstick, r.StddevYardstick, n}.times(1e-9).format(1), r.YardstickUnit),
		})
		work := func(w float64) string { return Spread{w, 0, n}.over(r.seconds()).times(1e-9).significant() }
		parts = append(parts, []string{
			r.ModelType, r.Device, r.DType, r.Test().String(),
			work(r.Bytes), r.copyShare(n).percent(), work(r.FLOP), r.peakShare(n).percent(),
		})
		before = append(before, []string{
			r.ModelType, r.Device, r.DType, r.Test().String(),
			milliseconds(r.LoadNS), milliseconds(r.RecordNS), milliseconds(r.FirstNS - r.RecordNS), known(r.PeakRSS), known(r.DeviceMemory),
		})
		for _, op := range r.Lowered {
			notes.add("lowered: %s on %s with %s: the backend lacks it, so simpler ops ran", op, r.Device, r.DType)
		}
		if r.DrawnOnDevice {
			notes.add("generation on %s: the device draws the tokens, a step ahead, and no scores come to the host", r.Device)
		}
	}
	speed.write(s)
	notes.write(s)
	if records[0].(*TestResult).Copy != "" {
		s.WriteByte('\n')
		parts.write(s)
	}
	s.WriteByte('\n')
	before.write(s)
	s.WriteString(testsExplained)
	batchTable(s, records)
}

const testsExplained = `
Shares are of what the device did between the repetitions. Matrix products: the prompt's matrices alone, at the same
rows, through the same kernels. Read bandwidth: one vector times an f32 matrix of 512 MiB; generation is taken to read
every matrix, the head included, and the keys and values so far once a token. Peak RSS is of the process from the
loading of the model to the end of the first run (where Linux tells; elsewhere all that ran before counts), device
memory what the backend held then.
`

// lines are lines of text, each of them once.
type lines []string

func (l *lines) add(format string, args ...any) {
	line := printable(fmt.Sprintf(format, args...))
	for _, said := range *l {
		if said == line {
			return
		}
	}
	*l = append(*l, line)
}

func (l lines) write(s *strings.Builder) {
	if len(l) > 0 {
		s.WriteString("\n- " + strings.Join(l, "\n- ") + "\n")
	}
}

func mebibytes(n int64) string { return fmt.Sprintf("%.2f MiB", float64(n)/(1<<20)) }

// known is a number of bytes of which 0 is none.
func known(n int64) string {
	if n == 0 {
		return "unknown"
	}
	return mebibytes(n)
}

func milliseconds(ns int64) string { return fmt.Sprintf("%.1f ms", float64(ns)/1e6) }

// table is rows of cells, the first of them the heads.
type table [][]string

// write writes the table, without characters that would end a cell or control a
// terminal.
func (t table) write(s *strings.Builder) {
	for _, row := range t {
		for i := range row {
			row[i] = strings.ReplaceAll(printable(row[i]), "|", "/")
		}
	}
	s.WriteString(markdown.Markdown(t, nil))
}

// threads is a number of them for people.
func threads(n int) string {
	if n == 1 {
		return "1 thread"
	}
	return fmt.Sprintf("%d threads", n)
}
