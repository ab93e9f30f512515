// Command corpus makes one text of Jane Austen's six novels as R's package
// janeaustenr holds them: paragraphs, each on a line, parted by a blank line.
// scripts/austen.sh fetches the package and runs it.
//
//	corpus Rdata.rdb >austen.txt
package main

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "corpus: expected the name of a file Rdata.rdb; scripts/austen.sh makes the text of it")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	}
}

func run(path string, to io.Writer) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(to)
	for n, r := 1, bytes.NewReader(data); r.Len() > 0; n++ {
		lines, err := book(r)
		if err != nil {
			return fmt.Errorf("%s: object %d: %w", path, n, err)
		}
		for i, p := range paragraphs(lines) {
			if n > 1 || i > 0 {
				w.WriteString("\n")
			}
			w.WriteString(p + "\n")
		}
	}
	return w.Flush()
}

// maxBook is far more bytes than a novel has.
const maxBook = 64 << 20

// book reads the next object of a lazy-load database of R: its length, and that
// many bytes compressed. These are R's serialization of a vector of lines.
// https://cran.r-project.org/doc/manuals/r-release/R-ints.html#Serialization-Formats
func book(r *bytes.Reader) ([]string, error) {
	var length uint32
	if err := binary.Read(r, binary.BigEndian, &length); err != nil {
		return nil, fmt.Errorf("its length: %w", err)
	}
	if length > maxBook {
		return nil, fmt.Errorf("found %d bytes, expected a novel of at most %d", length, maxBook)
	}
	z, err := zlib.NewReader(r) // which reads no byte more than it needs
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(z, maxBook+1))
	if err != nil {
		return nil, err
	}
	if len(data) != int(length) {
		return nil, fmt.Errorf("found %d bytes, expected the %d that it tells of", len(data), length)
	}
	x := &xdr{data: data}
	return x.lines()
}

// Types of R's objects.
const (
	rType    = 0xff // of the flags of an object
	rChars   = 9    // CHARSXP: one text
	rStrings = 16   // STRSXP: a vector of texts
	rMissing = -1   // the length of NA
)

// xdr reads R's binary format.
type xdr struct {
	data []byte
	err  error
}

func (x *xdr) take(n int) []byte {
	if x.err == nil && (n < 0 || n > len(x.data)) {
		x.err = fmt.Errorf("found the end, or a length of %d, expected more of a vector of texts", n)
	}
	if x.err != nil {
		return nil
	}
	taken := x.data[:n]
	x.data = x.data[n:]
	return taken
}

func (x *xdr) int() int {
	if b := x.take(4); b != nil {
		return int(int32(binary.BigEndian.Uint32(b)))
	}
	return 0
}

// lines reads a vector of texts.
func (x *xdr) lines() (lines []string, err error) {
	if format := x.take(2); string(format) != "X\n" {
		return nil, fmt.Errorf("found %q, expected R's format X", format)
	}
	version := x.int()
	x.take(8) // versions of R
	if version == 3 {
		x.take(x.int()) // the encoding
	}
	if kind := x.int() & rType; kind != rStrings {
		return nil, fmt.Errorf("format %d, type %d: expected a vector of texts, type %d", version, kind, rStrings)
	}
	for n := x.int(); n > 0 && x.err == nil; n-- {
		if kind := x.int() & rType; kind != rChars && x.err == nil {
			return nil, fmt.Errorf("line %d is of type %d, expected a text, type %d", len(lines)+1, kind, rChars)
		}
		length := x.int()
		if length == rMissing {
			length = 0
		}
		lines = append(lines, string(x.take(length)))
	}
	return lines, x.err
}

// paragraphs joins the lines of each, which blank lines part.
func paragraphs(lines []string) (all []string) {
	var words []string
	for _, line := range append(lines, "") {
		if line = strings.TrimSpace(line); line != "" {
			words = append(words, line)
		} else if len(words) > 0 {
			all = append(all, strings.Join(words, " "))
			words = nil
		}
	}
	return all
}
