package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"

	"caldera/internal/strictjson"
)

// Bounds on files of results. They may come from anywhere.
const (
	maxFileSize = 64 << 20
	maxRecords  = 10000
	maxDepth    = 4    // of JSON: a record is 1, its lists 2
	minSample   = 1e-6 // ns: less than any clock can measure
	maxSample   = 1e18 // ns: 31 years
	maxNumber   = 1e24 // more than anything that is counted here
)

// ReadFile reads the records that [WriteJSON] wrote, in this format or an older
// one. It checks that the file is complete, and that means are those of their
// samples.
func ReadFile(path string) ([]Record, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: found no regular file, expected one that bench -o json wrote", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, err
	}
	records, err := Read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return records, nil
}

// Read reads the contents of such a file.
func Read(data []byte) ([]Record, error) {
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("it is larger than %d bytes: it holds more than results", maxFileSize)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	open, err := d.Token()
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("it is empty: expected results of bench -o json")
	case err != nil || open != json.Delim('['):
		return nil, errors.New("it is not a file of results: expected a JSON array, which bench -o json writes")
	}
	var records []Record
	for d.More() {
		if len(records) == maxRecords {
			return nil, fmt.Errorf("it holds more than %d results", maxRecords)
		}
		var text json.RawMessage
		if err := d.Decode(&text); err != nil {
			return nil, damaged(len(records), d, err)
		}
		r, err := record(text)
		if err != nil {
			return nil, fmt.Errorf("result %d: %w", len(records), err)
		}
		records = append(records, r)
	}
	if _, err := d.Token(); err != nil {
		return nil, damaged(len(records), d, err)
	}
	if rest := bytes.TrimSpace(data[d.InputOffset():]); len(rest) > 0 {
		return nil, fmt.Errorf("found %q after the results, expected the end of the file", strictjson.Shorten(string(rest)))
	}
	if len(records) == 0 {
		return nil, errors.New("it holds no results")
	}
	return records, nil
}

// damaged describes an error in JSON: a file that ends too early, or another one.
func damaged(n int, d *json.Decoder, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("it is truncated: it ends within result %d, at byte %d; write it again", n, d.InputOffset())
	}
	return fmt.Errorf("result %d, near byte %d: %w", n, d.InputOffset(), err)
}

// record reads one record. It checks the format first, since fields of a newer
// format may have another meaning.
func record(text []byte) (Record, error) {
	members := map[string]json.RawMessage{}
	err := strictjson.Object(text, maxDepth, func(key string, value json.RawMessage) error {
		members[key] = value
		return nil
	})
	if err != nil {
		return nil, err
	}
	version := 0
	if v, ok := members["caldera_format"]; !ok || json.Unmarshal(v, &version) != nil || version < 1 {
		return nil, errors.New("it has no caldera_format: expected results of bench -o json")
	}
	if version > Format {
		return nil, fmt.Errorf("caldera_format is %d and this program reads %d: take a newer bench to read it", version, Format)
	}
	var kind string
	if json.Unmarshal(members["kind"], &kind) != nil || kinds[kind].empty == nil {
		return nil, fmt.Errorf("kind is %s, expected one of %v", strictjson.Shorten(string(members["kind"])), kindNames())
	}
	if since := kinds[kind].since; since > version {
		return nil, fmt.Errorf("it is of kind %s, which format %d has and %d has not", kind, since, version)
	}
	r := kinds[kind].empty()
	for f := range fields(r) {
		value, ok := members[f.name]
		switch {
		case f.since > version && ok:
			return nil, fmt.Errorf("it has a %q, which no %s of format %d has", f.name, kind, version)
		case f.since > version:
			continue
		case !ok:
			return nil, fmt.Errorf("%s is missing: expected a %s of format %d", f.name, kind, version)
		}
		delete(members, f.name)
		if string(value) == "null" && f.value.Kind() != reflect.Slice {
			return nil, fmt.Errorf("%s is null, expected a value", f.name)
		}
		if err := json.Unmarshal(value, f.value.Addr().Interface()); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	for name := range members {
		return nil, fmt.Errorf("it has a %q, which no %s of format %d has", strictjson.Shorten(name), kind, version)
	}
	if c := r.common(); c.Device == "" {
		return nil, errors.New("device is empty: expected one such as cpu:0")
	}
	if version < Format {
		r.upgrade(version)
		r.common().Format = Format
	}
	return r, r.check()
}

func kindNames() []string {
	var names []string
	for name := range kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// plausible reports a number in a record that is huge or below 0, but for
// fields that are excepted.
func plausible(r Record, except ...string) error {
	for f := range fields(r) {
		if slices.Contains(except, f.name) {
			continue // checked by the record
		}
		values := f.value
		if values.Kind() != reflect.Slice {
			values = reflect.Append(reflect.MakeSlice(reflect.SliceOf(values.Type()), 0, 1), values)
		}
		for i := range values.Len() {
			v := values.Index(i)
			if v.CanInt() && v.Int() < 0 || v.CanFloat() && !(v.Float() >= 0 && v.Float() < maxNumber) {
				return fmt.Errorf("%s is %v, expected 0 or more and less than %g", f.name, v, maxNumber)
			}
		}
	}
	return nil
}

// positive reports numbers of which there must be some, and all above 0.
func positive[T int64 | float64](name string, values []T) error {
	if len(values) == 0 {
		return fmt.Errorf("%s is empty: expected at least one", name)
	}
	for i, v := range values {
		if !(float64(v) > minSample && float64(v) < maxSample) {
			return fmt.Errorf("%s[%d] is %v, expected more than 0 and less than %g", name, i, v, maxSample)
		}
	}
	return nil
}
