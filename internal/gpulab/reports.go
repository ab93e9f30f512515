package gpulab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"caldera/internal/atomicfile"
)

// ReadReports reads what UpdateReports wrote.
func ReadReports(path string) (list []Report, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

// UpdateReports writes reports to a file, in place of those that it has of the same cards.
// Cards are in the order of Cards, a kernel a line.
func UpdateReports(path string, reports map[string]Report) error {
	old, err := ReadReports(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	all := map[string]Report{}
	for _, r := range old {
		all[r.Card] = r
	}
	for name, r := range reports {
		all[name] = r
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		fmt.Fprint(w, "[")
		before := "\n"
		for _, c := range Cards {
			r, ok := all[c.Name]
			if !ok {
				continue
			}
			kernels := r.Kernels
			r.Kernels = nil
			head, err := json.Marshal(r)
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "%s%s[", before, head[:len(head)-len("null}")])
			separator := "\n"
			for _, k := range kernels {
				text, err := json.Marshal(k)
				if err != nil {
					return err
				}
				fmt.Fprintf(w, "%s%s", separator, text)
				separator = ",\n"
			}
			fmt.Fprint(w, "\n]}")
			before = ",\n"
		}
		_, err := fmt.Fprintln(w, "\n]")
		return err
	})
}
