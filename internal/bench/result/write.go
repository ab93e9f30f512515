package result

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Formats are the names of what [Write] writes of results of any kind.
var Formats = []string{"md", "json", "csv", "bench"}

// Summary is a format of results of tests alone.
const Summary = "summary"

// Write writes records, all of one kind, in one of the formats:
//
//	md     tables for people
//	json   an array of objects with llama-bench's field names, which Read reads
//	csv    the same fields but for lists of samples
//	bench  Go benchmark lines, a sample each, which benchstat reads
//	summary  a row for each model, device and type: speeds and shares of tests
func Write(w io.Writer, format string, records []Record) error {
	if len(records) == 0 {
		return errors.New("there are no results to write")
	}
	if kind := records[0].common().Kind; format != "json" && format != "bench" {
		for _, r := range records {
			if k := r.common().Kind; k != kind {
				return fmt.Errorf("found results of kinds %s and %s: expected one kind for a table", kind, k)
			}
		}
	}
	switch format {
	case "json":
		return WriteJSON(w, records)
	case "csv":
		return writeCSV(w, records)
	case Summary:
		return writeSummary(w, records)
	case "bench":
		return writeGoBench(w, records)
	}
	return writeMarkdown(w, records)
}

// WriteJSON writes records as llama-bench does: an array of one object each.
func WriteJSON(w io.Writer, records []Record) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(records)
}

// writeCSV writes a head and a line for each record. Samples are left out, as
// llama-bench does; other lists have spaces between what they list.
func writeCSV(w io.Writer, records []Record) error {
	out := csv.NewWriter(w)
	for i, r := range records {
		var heads, cells []string
		for f := range fields(r) {
			switch v := f.value.Interface().(type) {
			case []float64, []int64:
				continue
			case []string:
				cells = append(cells, strings.Join(v, " "))
			case time.Time:
				cells = append(cells, v.Format(time.RFC3339))
			default:
				cells = append(cells, fmt.Sprint(v))
			}
			heads = append(heads, f.name)
		}
		if i == 0 {
			out.Write(heads)
		}
		out.Write(cells)
	}
	out.Flush()
	return out.Error()
}

// field is a field of a record and its name in files.
type field struct {
	name  string
	since int // the first format that has it
	value reflect.Value
}

// fields yields those of a record, embedded structs' in the place of the struct.
func fields(r Record) func(yield func(field) bool) {
	return func(yield func(field) bool) {
		structFields(reflect.ValueOf(r).Elem(), 1, yield)
	}
}

// structFields yields fields of a struct that has been there since a format.
func structFields(v reflect.Value, first int, yield func(field) bool) bool {
	for i := range v.NumField() {
		t := v.Type().Field(i)
		first := max(first, since(t.Tag))
		if t.Anonymous {
			if !structFields(v.Field(i), first, yield) {
				return false
			}
		} else if !yield(field{t.Tag.Get("json"), first, v.Field(i)}) {
			return false
		}
	}
	return true
}

func since(tag reflect.StructTag) int {
	n, err := strconv.Atoi(tag.Get("since"))
	if err != nil {
		return 1
	}
	return n
}
