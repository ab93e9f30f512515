package result

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// writeSummary writes a table of tests with a row for each model, device and
// type of matrices, so that what several runs gave can be seen at a glance:
// speeds, and shares of the yardsticks.
func writeSummary(w io.Writer, records []Record) error {
	type cell struct{ speed, share string }
	var (
		rows   [][]string // what the cells are of
		cells  []map[string]cell
		tests  []string
		shares = map[string]string{} // of what, by test
		busy   lines
	)
	for _, x := range records {
		r, ok := x.(*TestResult)
		if !ok {
			return fmt.Errorf("found a result of kind %s: a summary is of tests of models, which bench run makes", x.common().Kind)
		}
		row := []string{r.ModelType, strings.Trim(r.DeviceName+", "+r.Driver, ", "), r.DType + CacheNote(r.TypeK, r.TypeV)}
		if r.DeviceKind == "CPU" {
			row[1] += ", " + threads(r.NThreads)
		}
		i := slices.IndexFunc(rows, func(o []string) bool { return slices.Equal(o, row) })
		if i < 0 {
			i = len(rows)
			rows, cells = append(rows, row), append(cells, map[string]cell{})
		}
		if note := othersNote(r.OthersShare); note != "" {
			busy.add("%s on %s%s", r.ModelType, r.DeviceName, note)
		}
		test := r.Test().String()
		if _, twice := cells[i][test]; twice {
			return fmt.Errorf("%s on %s is there twice: summarise runs of different models, devices or types", r.key(), r.DeviceName)
		}
		cells[i][test] = cell{r.speed().significant(), Spread{r.AvgShare, r.StddevShare, len(r.SamplesShare)}.percent()}
		if !slices.Contains(tests, test) {
			tests = append(tests, test)
		}
		shares[test] = "of " + r.Yardstick
	}
	if len(tests) == 0 {
		return errors.New("there are no results to write")
	}
	t := table{{"model", "device", "dtype"}}
	for _, test := range tests {
		t[0] = append(t[0], test+", t/s", shares[test])
	}
	for i, row := range rows {
		for _, test := range tests {
			row = append(row, cells[i][test].speed, cells[i][test].share)
		}
		t = append(t, row)
	}
	var s strings.Builder
	t.write(&s)
	busy.write(&s)
	incomplete(records).write(&s)
	_, err := io.WriteString(w, s.String())
	return err
}
