package train

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// This file tells what a file *.bin is that is not what its name says. A file of
// ids of 16 bits may begin with any bytes: only what no such file is likely to
// have, by many orders of magnitude, is taken for something else.

// numpyIDs is what makes a file of ids of 16 bits with numpy.
const numpyIDs = "write its ids with numpy's .astype('uint16').tofile('NEW.bin')"

// otherFormats are formats by how they begin. Their names are as package setting
// has them.
var otherFormats = []struct {
	start, name string
	sure        func(data []byte) bool // whether the rest is like it too; nil where start is enough
}{
	{"\x93NUMPY", "an array that numpy.save wrote: numpy.load('OLD.bin').astype('uint16').tofile('NEW.bin') converts it", nil},
	{"PK\x05\x06", "a zip file, and an empty one", nil},
	{"PK\x03\x04", "a zip file, as PyTorch and numpy.savez write it: load it there, and " + numpyIDs, func(d []byte) bool { return len(d) > 30 && d[4] <= 63 && d[5] <= 3 }},
	{"\x80", "a pickle of Python: load it there, and " + numpyIDs, isPickle},
	{"GGUF", "a GGUF file, a model: name it with {init}", func(d []byte) bool { return word(d, 1) > 0 && word(d, 1) < 16 }},
	{"\x1f\x8b\x08", "a file that gzip compressed: unpack it, or give it as {data=<(zcat FILE)}", isGzip},
	{"\x28\xb5\x2f\xfd", "a file that zstd compressed: unpack it", nil},
	{"\xfd7zXZ\x00", "a file that xz compressed: unpack it", nil},
	{"BZh", "a file that bzip2 compressed: unpack it", func(d []byte) bool { return len(d) > 10 && string(d[4:10]) == "\x31\x41\x59\x26\x53\x59" }},
	{"\x89HDF\r\n\x1a\n", "an HDF5 file: load it, and " + numpyIDs, nil},
	{"PAR1", "a Parquet file: load it, and " + numpyIDs, func(d []byte) bool { return bytes.HasSuffix(d, []byte("PAR1")) }},
	{"ARROW1\x00\x00", "an Arrow file: load it, and " + numpyIDs, nil},
	{"7z\xbc\xaf\x27\x1c", "a file that 7-Zip compressed: unpack it", nil},
	{"Rar!\x1a\x07", "a file that RAR compressed: unpack it", nil},
	{"\x04\x22\x4d\x18", "a file that lz4 compressed: unpack it", nil},
	{"%PDF-", "a PDF file: take its text, as pdftotext does", nil},
	{"\x89PNG\r\n\x1a\n", "a picture", nil},
	{"\x7fELF", "a program", func(d []byte) bool { return len(d) > 16 && d[4] <= 2 && d[5] <= 2 && d[6] == 1 }},
	{"SQLite format 3\x00", "an SQLite database", nil},
	{"", "a tar file: unpack it", func(d []byte) bool { return len(d) >= 512 && string(d[257:262]) == "ustar" }},
	{"\xff\xfe", "text in UTF-16: convert it, as iconv does, and give it a name that ends in .txt", func(d []byte) bool { return isUTF16(d[2:], binary.LittleEndian) }},
	{"\xfe\xff", "text in UTF-16: convert it, as iconv does, and give it a name that ends in .txt", func(d []byte) bool { return isUTF16(d[2:], binary.BigEndian) }},
	{"MMIDIDX\x00\x00", "the index of a Megatron data set: the ids are in the file .bin beside it", nil},
}

// llmcOthers are files of llm.c that have no ids, by the number at their start.
var llmcOthers = map[int]string{
	20240326: "a model", 20240327: "a model's activations", 20240328: "a tokenizer",
	20240522: "questions to evaluate with", 20240527: "an optimizer's state", 20240803: "a model",
}

// otherFormat says what data is that is not token ids, "" where it may be ids.
func otherFormat(data []byte) string {
	for _, f := range otherFormats {
		if bytes.HasPrefix(data, []byte(f.start)) && (f.sure == nil || f.sure(data)) {
			return f.name
		}
	}
	if what := llmcOthers[word(data, 0)]; what != "" && word(data, 1) >= 0 && word(data, 1) < 16 {
		return fmt.Sprintf("a file of llm.c with %s", what)
	}
	if isSafetensors(data) {
		return "a safetensors file, a model: name its directory with {init}"
	}
	if isText(data) {
		return "text: give it a name that does not end in .bin, such as .txt"
	}
	if isBytesText(data) {
		return "text that is not UTF-8: convert it, as iconv does, and give it a name that ends in .txt"
	}
	return ""
}

func isPickle(data []byte) bool {
	if len(data) < 12 || data[len(data)-1] != '.' {
		return false
	}
	switch data[1] {
	case 2, 3:
		return strings.IndexByte("]})(c\x8aXKMJG", data[2]) >= 0
	case 4, 5:
		return data[2] == 0x95 && binary.LittleEndian.Uint64(data[3:]) <= uint64(len(data))
	}
	return false
}

func isGzip(data []byte) bool {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil || data[3] >= 0x20 {
		return false
	}
	n, _ := r.Read(make([]byte, 1))
	return n == 1
}

func isSafetensors(data []byte) bool {
	if len(data) < 10 || data[8] != '{' {
		return false
	}
	n := binary.LittleEndian.Uint64(data)
	return n >= 2 && n <= uint64(len(data)-8) && bytes.Contains(data[8:8+min(n, 1<<20)], []byte(`"data_offsets"`))
}

// Text is taken for text if it has this many bytes: fewer may be ids. Of a long one
// so many are looked at.
const (
	leastText = 32
	mostText  = 1 << 16
)

func isText(data []byte) bool {
	if len(data) < leastText {
		return false
	}
	if len(data) > mostText {
		data = data[:mostText]
		for len(data) > mostText-utf8.UTFMax && !utf8.FullRune(data[lastRune(data):]) {
			data = data[:lastRune(data)] // which was cut
		}
	}
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		if r == utf8.RuneError && n == 1 || unicode.IsControl(r) && !unicode.IsSpace(r) {
			return false
		}
		data = data[n:]
	}
	return true
}

// leastBytesText is how many bytes are taken for text in an older encoding, such as
// Latin-1 or GBK, if none is a control character. Ids of 16 bits have such in one
// of eight bytes, and a vocabulary's frequent tokens have more.
const leastBytesText = 256

func isBytesText(data []byte) bool {
	if len(data) < leastBytesText {
		return false
	}
	for _, b := range data[:min(len(data), mostText)] {
		if b < ' ' && b != '\t' && b != '\n' && b != '\r' || b == 0x7f {
			return false
		}
	}
	return true
}

// isUTF16 reports whether data, which stood behind a byte order mark, is text.
func isUTF16(data []byte, order binary.ByteOrder) bool {
	var units []uint16
	for ; len(data) > 1 && len(units) < mostText; data = data[2:] {
		units = append(units, order.Uint16(data))
	}
	text := utf16.Decode(units)
	return !slices.Contains(text, utf8.RuneError) && isText([]byte(string(text)))
}

// lastRune is where the last character of data begins.
func lastRune(data []byte) int {
	i := len(data) - 1
	for i > 0 && !utf8.RuneStart(data[i]) {
		i--
	}
	return i
}

// widthSample is how many numbers of 16 bits are looked at.
const widthSample = 1 << 20

// leastWide is how many numbers other than 0 there must be, all of them at every
// second place: ids of 16 bits are so by chance once in 2¹⁶ times, or less.
const leastWide = 16

// widerIDs reports that data, read as numbers of 16 bits, is like ids of 32 or 64
// bits: 0 if it is not. Text may well have many tokens 0, also every second one, if
// that is a space between digits or a line break between letters. So ids that
// are all small and themselves never 0 are taken for ids of 16 bits; doubtful
// reports such.
func widerIDs(data []byte) (bits int, doubtful bool) {
	if len(data)%4 != 0 {
		return 0, false
	}
	n := min(len(data)/2, widthSample)
	var high, highZeros, low, lowZeros, lowOver, quarter int
	for i := 0; i+1 < n; i += 2 {
		l, h := int(binary.LittleEndian.Uint16(data[2*i:])), int(binary.LittleEndian.Uint16(data[2*i+2:]))
		low, high = max(low, l), max(high, h)
		if h == 0 {
			highZeros++
		}
		if l == 0 {
			lowZeros++
		}
		if l > 15 {
			lowOver++
		}
		if i%4 == 2 {
			quarter = max(quarter, l)
		}
	}
	pairs := n / 2
	switch {
	case low == 0 && high > 255 && pairs-highZeros >= leastWide: // the high half first
		return 32, false
	case high == 0 && quarter == 0 && len(data)%8 == 0 && pairs-lowZeros >= leastWide:
		return 64, false
	case high == 0 && pairs-lowZeros >= leastWide:
		if low > 255 || lowZeros > 0 {
			return 32, false
		}
		return 0, true
	// A vocabulary of more than 65,536 tokens, most of which text needs seldom.
	case high > 0 && high <= 15 && 2*highZeros >= pairs && low >= 1<<15 && lowOver >= 2*leastWide:
		return 32, false
	}
	return 0, false
}

// convertIDs says how ids of so many bits become a file that can be read.
func convertIDs(data []byte, bits int) string {
	wide, swapped := false, true
	for i := 0; i+3 < min(len(data), 2*widthSample); i += 4 {
		wide = wide || data[i+2] != 0 || data[i+3] != 0
		swapped = swapped && data[i] == 0 && data[i+1] == 0
	}
	if swapped {
		return "convert it with numpy: numpy.fromfile('OLD.bin', '>u4').astype('uint16').tofile('NEW.bin')"
	}
	if wide {
		return fmt.Sprintf("they do not fit into 16, so write llm.c's format for Llama with numpy: a = numpy.fromfile('OLD.bin', 'uint32'); h = numpy.zeros(256, 'int32'); h[:3] = %d, %d, len(a); open('NEW.bin', 'wb').write(h.tobytes() + a.tobytes())", llmcLlama, llmcLlamaIs)
	}
	return fmt.Sprintf("convert it with numpy: numpy.fromfile('OLD.bin', 'uint%d').astype('uint16').tofile('NEW.bin')", bits)
}
