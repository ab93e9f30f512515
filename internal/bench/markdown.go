package bench

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"
)

// WriteMarkdown writes what ran where, a table of speeds in llama-bench's
// form, and a table of what comes before a test can run.
func WriteMarkdown(w io.Writer, h Host, results []Result) error {
	var s strings.Builder
	commit := h.Commit
	if commit == "" {
		commit = "of an unknown commit"
	}
	fmt.Fprintf(&s, "- caldera %s, %s, %s, %s\n", commit, runtime.Version(), platform(), h.Time.Format(time.DateOnly))
	fmt.Fprintf(&s, "- host: %s, %d threads\n", h.CPU, h.Threads)
	seen := map[string]bool{}
	for _, r := range results {
		if !seen[r.Device] {
			seen[r.Device] = true
			fmt.Fprintf(&s, "- %s: %s (%s), %s\n", r.Device, r.DeviceName, r.DeviceKind, r.Driver)
		}
	}
	s.WriteByte('\n')

	speed := table{{"model", "size", "params", "device", "dtype", "test", "t/s", "share", "of"}}
	before := table{{"model", "device", "dtype", "test", "load", "compile + record", "first run", "peak RSS"}}
	for _, r := range results {
		speed = append(speed, []string{
			r.ModelType, mebibytes(r.ModelSize), fmt.Sprintf("%.2f M", float64(r.ModelNParams)/1e6), r.Device, r.DType, r.Test().String(),
			fmt.Sprintf("%.2f ± %.2f", r.AvgTS, r.StddevTS),
			fmt.Sprintf("%.1f ± %.1f %%", 100*r.AvgShare, 100*r.StddevShare),
			fmt.Sprintf("%s, %.1f ± %.1f G%s", r.Yardstick, r.AvgYardstick/1e9, r.StddevYardstick/1e9, r.YardstickUnit),
		})
		rss := "unknown"
		if r.PeakRSS > 0 {
			rss = mebibytes(r.PeakRSS)
		}
		before = append(before, []string{
			r.ModelType, r.Device, r.DType, r.Test().String(),
			milliseconds(r.LoadNS), milliseconds(r.RecordNS), milliseconds(r.FirstNS - r.RecordNS), rss,
		})
	}
	speed.write(&s)
	s.WriteByte('\n')
	before.write(&s)
	s.WriteString(explanation)
	_, err := io.WriteString(w, s.String())
	return err
}

const explanation = `
Shares are of what the device did between the repetitions. Matrix products: the prompt's matrices alone, at the same
rows, through the same kernels. Read bandwidth: one vector times an f32 matrix of 512 MiB; generation is taken to read
every matrix, the head included, and the keys and values so far once a token. Peak RSS is of the
process up to the end of the first run: models before it count, as do those 512 MiB once generation was measured.
`

func mebibytes(n int64) string { return fmt.Sprintf("%.2f MiB", float64(n)/(1<<20)) }

func milliseconds(ns int64) string { return fmt.Sprintf("%.1f ms", float64(ns)/1e6) }

// table is rows of cells, the first of them the heads.
type table [][]string

// write pads the cells, so that the table is as readable unrendered.
func (t table) write(s *strings.Builder) {
	widths := make([]int, len(t[0]))
	for _, row := range t {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range t {
		for i, cell := range row {
			fmt.Fprintf(s, "| %-*s ", widths[i], strings.ReplaceAll(cell, "|", "/"))
		}
		s.WriteString("|\n")
		if n == 0 {
			for _, width := range widths {
				fmt.Fprintf(s, "|%s", strings.Repeat("-", width+2))
			}
			s.WriteString("|\n")
		}
	}
}
