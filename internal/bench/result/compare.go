package result

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"caldera/backend"
)

// File is the records of one file.
type File struct {
	Path    string
	Records []Record
}

// Comparison is what several machines or devices did on the same work.
type Comparison struct {
	Columns []Column
	Rows    []Row
	notes   lines // on single results
}

// Column is a device in a file.
type Column struct {
	Name  string // the file's, short where that tells it from others, and the device
	About string // the hardware and what serves it
	path  string

	threads int // of the CPU backend; 0 for other devices
}

func newColumn(path string, c *Common) Column {
	commit := c.BuildCommit
	if commit == "" {
		commit = "of an unknown commit"
	}
	column := Column{Name: path + " " + c.Device, path: path}
	note := ""
	if c.DeviceKind == backend.Host.String() {
		column.threads = c.NThreads
		note = ", " + threads(c.NThreads)
	}
	column.About = fmt.Sprintf("%s (%s), %s%s, caldera %s%s", c.DeviceName, c.DeviceKind, c.Driver, note, commit, othersNote(c.OthersShare))
	return column
}

// Row is one thing that was measured.
type Row struct {
	Key    string
	Unit   string
	Lower  bool     // less is better
	Values []Spread // of each column; N is 0 where it has none
}

// Ratio is how many times as fast column i was as the first column that has a
// value; ok is false where one of the two is missing.
func (r *Row) Ratio(i int) (ratio Spread, ok bool) {
	base := r.base()
	if r.Values[i].N == 0 || i == base || r.Values[base].Mean <= 0 || r.Values[i].Mean <= 0 {
		return Spread{}, false
	}
	if r.Lower {
		return r.Values[base].over(r.Values[i]), true
	}
	return r.Values[i].over(r.Values[base]), true
}

// base is the first column that has a value. Every row has one.
func (r *Row) base() int {
	i := 0
	for r.Values[i].N == 0 {
		i++
	}
	return i
}

// Compare lays records side by side that have the same key: model, test and
// dtype. It is an error if they are of different shapes under the same name,
// or have nothing in common.
func Compare(files []File) (*Comparison, error) {
	c := &Comparison{}
	type origin struct {
		path string
		r    Record
		row  int // of its first figure
	}
	first := map[string]origin{} // by key
	for _, f := range files {
		columns := map[string]int{} // by device
		for _, r := range f.Records {
			device := r.common().Device
			if _, ok := columns[device]; !ok {
				columns[device] = len(c.Columns)
				c.Columns = append(c.Columns, newColumn(f.Path, r.common()))
				for i := range c.Rows {
					c.Rows[i].Values = append(c.Rows[i].Values, Spread{})
				}
			}
			key := r.key()
			if r.common().Incomplete {
				c.notes.add("incomplete: %s on %s of %s: measuring ended after %s", name(r), device, f.Path, r.size())
			}
			if o, ok := first[key]; !ok {
				first[key] = origin{f.Path, r, len(c.Rows)}
				for _, fig := range r.figures() {
					c.Rows = append(c.Rows, Row{Key: name(r), Unit: fig.unit, Lower: fig.lower, Values: make([]Spread, len(c.Columns))})
				}
			} else if err := sameWork(name(r), o.path, o.r, f.Path, r); err != nil {
				return nil, err
			}
			for i, fig := range r.figures() {
				cell := &c.Rows[first[key].row+i].Values[columns[device]]
				if cell.N > 0 {
					return nil, fmt.Errorf("%s: %s on %s stands there twice", f.Path, name(r), device)
				}
				*cell = fig.Spread
			}
		}
	}
	if len(c.Columns) < 2 {
		return nil, fmt.Errorf("there is one device in all: give results of at least two to compare")
	}
	if err := c.common(files); err != nil {
		return nil, err
	}
	c.shorten()
	c.tellThreads()
	return c, nil
}

// sameWork reports records of one key that are of different shapes.
func sameWork(key, pathA string, a Record, pathB string, b Record) error {
	if a.common().Kind != b.common().Kind {
		return fmt.Errorf("%s is a %s in %s and a %s in %s: they cannot be compared", key, a.common().Kind, pathA, b.common().Kind, pathB)
	}
	of := b.work()
	for i, q := range a.work() {
		if q.value != of[i].value {
			return fmt.Errorf("%s has %.0f %s in %s and %.0f in %s: they are of different shapes and cannot be compared",
				key, q.value, q.name, pathA, of[i].value, pathB)
		}
	}
	return nil
}

// common reports files of which nothing can be compared.
func (c *Comparison) common(files []File) error {
	for _, r := range c.Rows {
		n := 0
		for _, v := range r.Values {
			n += min(v.N, 1)
		}
		if n > 1 {
			return nil
		}
	}
	var have []string
	for _, f := range files {
		have = append(have, fmt.Sprintf("%s has %s", f.Path, name(f.Records[0])))
	}
	return fmt.Errorf("nothing was measured twice, so there is nothing to compare: %s; measure the same model, shape, test and dtype on each",
		strings.Join(have, ", "))
}

// shorten shortens the names of columns as far as they stay different: files of
// one name in several folders keep their paths.
func (c *Comparison) shorten() {
	var names []string
	for _, column := range c.Columns {
		base := strings.TrimSuffix(filepath.Base(column.path), ".json")
		name := base + strings.TrimPrefix(column.Name, column.path)
		if slices.Contains(names, name) {
			return
		}
		names = append(names, name)
	}
	for i := range c.Columns {
		c.Columns[i].Name = names[i]
	}
}

// tellThreads adds the number of threads to columns' names where it differs.
func (c *Comparison) tellThreads() {
	numbers := map[int]bool{}
	for _, column := range c.Columns {
		numbers[column.threads] = true
	}
	delete(numbers, 0)
	for i, column := range c.Columns {
		if len(numbers) > 1 && column.threads > 0 {
			c.Columns[i].Name += ", " + threads(column.threads)
		}
	}
}

// Write writes the comparison as a table in Markdown. The first column with a
// figure is what the others are compared with.
func (c *Comparison) Write(w io.Writer) error {
	var s strings.Builder
	head := []string{"", ""}
	for i, column := range c.Columns {
		fmt.Fprintf(&s, "- %s: %s\n", printable(column.Name), printable(column.About))
		head = append(head, column.Name)
		if i > 0 {
			head = append(head, "×")
		}
	}
	t := table{head}
	for _, r := range c.Rows {
		row := []string{r.Key, r.Unit}
		for i, v := range r.Values {
			cell := ""
			if v.N > 0 {
				cell = v.significant()
			}
			row = append(row, cell)
			if i > 0 {
				row = append(row, r.ratioCell(i))
			}
		}
		t = append(t, row)
	}
	s.WriteByte('\n')
	t.write(&s)
	c.notes.write(&s)
	s.WriteString(`
×: how many times as fast as the first column with a figure, with the deviations of both; in brackets where the two
figures differ by no more than their deviations together, so that they may well be the same.
`)
	_, err := io.WriteString(w, s.String())
	return err
}

func (r *Row) ratioCell(i int) string {
	ratio, ok := r.Ratio(i)
	if !ok {
		return ""
	}
	if r.Values[i].agrees(r.Values[r.base()]) {
		return "(" + ratio.String() + ")"
	}
	return ratio.String()
}
