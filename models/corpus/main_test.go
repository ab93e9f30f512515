package main

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// text spells a CHARSXP; a length of -1 is NA.
func text(s string, length int) []byte {
	out := binary.BigEndian.AppendUint32(nil, 0x40009)
	return append(binary.BigEndian.AppendUint32(out, uint32(int32(length))), s...)
}

// serialized spells a vector of lines as R does, in version 2 or 3.
func serialized(version uint32, lines ...string) []byte {
	out := []byte("X\n")
	for _, v := range []uint32{version, 0x40201, 0x20300} {
		out = binary.BigEndian.AppendUint32(out, v)
	}
	if version == 3 {
		out = append(out, "\x00\x00\x00\x05UTF-8"...)
	}
	out = binary.BigEndian.AppendUint32(out, 16)
	out = binary.BigEndian.AppendUint32(out, uint32(len(lines)))
	for _, l := range lines {
		out = append(out, text(l, len(l))...)
	}
	return out
}

// object is data in a lazy-load database.
func object(t *testing.T, data []byte, length int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(length)), b.Bytes()...)
}

func convert(t *testing.T, data []byte) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Rdata.rdb")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err := run(path, &out)
	return out.String(), err
}

func TestRun(t *testing.T) {
	one := serialized(3, "EMMA", "", "", "Emma Woodhouse, handsome,", "  clever, and rich", "", "ended.", "")
	two := serialized(2, "PERSUASION", " ", "naïve")
	got, err := convert(t, append(object(t, one, len(one)), object(t, two, len(two))...))
	if want := "EMMA\n\nEmma Woodhouse, handsome, clever, and rich\n\nended.\n\nPERSUASION\n\nnaïve\n"; err != nil || got != want {
		t.Errorf("found %q, %v; expected %q", got, err, want)
	}
	missing := append(serialized(3), text("", -1)...)
	binary.BigEndian.PutUint32(missing[len(missing)-12:], 1) // one line, which is NA
	if got, err := convert(t, object(t, missing, len(missing))); err != nil || got != "" {
		t.Errorf("a line that is missing: %q, %v", got, err)
	}
}

func TestDamaged(t *testing.T) {
	good := serialized(3, "a line")
	at := func(i int, v byte) []byte { // from the end
		data := bytes.Clone(good)
		data[len(data)-i] = v
		return object(t, data, len(data))
	}
	whole := object(t, good, len(good))
	for want, data := range map[string][]byte{
		"object 1: its length":                      {0, 0},
		"expected a novel of at most":               {0xff, 0, 0, 0},
		"zlib":                                      append([]byte{0, 0, 0, 4}, "not zlib"...),
		"unexpected EOF":                            whole[:len(whole)-6],
		"found 45 bytes, expected the 99":           object(t, good, 99),
		`found "Y\n", expected R's format`:          at(len(good), 'Y'),
		"type 17: expected a vector of texts":       at(len("a line")+13, 17),
		"line 1 is of type 7":                       at(len("a line")+5, 7),
		"found the end, or a length of 7, expected": at(len("a line")+1, 7),
		"a length of -16777210":                     at(len("a line")+4, 0xff),
		"object 2":                                  append(bytes.Clone(whole), 1),
	} {
		if got, err := convert(t, data); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Rdata.rdb") || len(got) > 0 {
			t.Errorf("error %v, expected %s", err, want)
		}
	}
}
