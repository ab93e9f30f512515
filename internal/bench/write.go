package bench

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
)

// Formats are the names of what [Write] can write.
var Formats = []string{"md", "json", "csv", "bench"}

// Write writes records, all of one kind, in one of the formats:
//
//	md     tables for people
//	json   an array of objects with llama-bench's field names, which Read reads
//	csv    the same fields but for lists of samples
//	bench  Go benchmark lines, a sample each, which benchstat reads
func Write(w io.Writer, format string, h Host, records []Record) error {
	switch format {
	case "json":
		return WriteJSON(w, records)
	case "csv":
		return writeCSV(w, records)
	case "bench":
		return writeGoBench(w, h, records)
	}
	return writeMarkdown(w, h, records)
}

// WriteJSON writes records as llama-bench does: an array of one object each.
func WriteJSON(w io.Writer, records []Record) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if records == nil {
		records = []Record{}
	}
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
	value reflect.Value
}

// fields yields those of a record, embedded structs' in the place of the struct.
func fields(r Record) func(yield func(field) bool) {
	return func(yield func(field) bool) {
		structFields(reflect.ValueOf(r).Elem(), yield)
	}
}

func structFields(v reflect.Value, yield func(field) bool) bool {
	for i := range v.NumField() {
		t := v.Type().Field(i)
		if t.Anonymous {
			if !structFields(v.Field(i), yield) {
				return false
			}
		} else if !yield(field{t.Tag.Get("json"), v.Field(i)}) {
			return false
		}
	}
	return true
}
