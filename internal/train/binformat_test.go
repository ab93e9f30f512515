package train

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// ids of n tokens, each of which f makes.
func drawn(n int, f func(i int) int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = f(i)
	}
	return ids
}

// wide spells ids in so many bits.
func wide(bits int, ids ...int) (data []byte) {
	for _, id := range ids {
		data = binary.LittleEndian.AppendUint32(data, uint32(id))
		if bits == 64 {
			data = binary.LittleEndian.AppendUint32(data, 0)
		}
	}
	return data
}

// TestLegalIDs reads ids of 16 bits that are like other things in part.
func TestLegalIDs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(r, 1.2, 1, 50256)
	for name, ids := range map[string][]int{
		"text of GPT-2":                       drawn(10_000, func(int) int { return int(zipf.Uint64()) }),
		"any ids":                             drawn(10_000, func(int) int { return r.IntN(1 << 16) }),
		"characters":                          drawn(1000, func(int) int { return r.IntN(65) }),
		"DNA":                                 drawn(1000, func(int) int { return r.IntN(4) }),
		"bits":                                drawn(1000, func(int) int { return r.IntN(2) }),
		"nine in ten are 0":                   drawn(1000, func(int) int { return max(0, r.IntN(1000)-900) }),
		"0 but for a few":                     drawn(1000, func(i int) int { return map[int]int{100: 300, 500: 7, 800: 9999}[i] }),
		"all 0":                               make([]int, 1000),
		"all the same":                        drawn(1000, func(int) int { return 7 }),
		"digits with spaces between":          drawn(1000, func(i int) int { return (1 + r.IntN(10)) * (1 - i%2) }),
		"spaces with digits between":          drawn(1000, func(i int) int { return (1 + r.IntN(10)) * (i % 2) }),
		"kinds and values":                    drawn(1000, func(i int) int { return r.IntN(8)*(i%2) + (100+r.IntN(1000))*(1-i%2) }),
		"every second of a few is 0":          drawn(1000, func(i int) int { return 200 * (i % 2) }),
		"few like Latin-1":                    drawn(100, func(int) int { return 0xe9e8 }),
		"like Latin-1, and one that is none":  append(drawn(1000, func(int) int { return 0xe9e8 }), 5),
		"the first bytes of UTF-16":           append([]int{0xfeff, 0xd83d, 0xd83d}, drawn(100, func(int) int { return 300 + r.IntN(5000) })...),
		"a few":                               {13, 0, 23, 0},
		"the first bytes of a zip file":       append([]int{0x4b50, 0x0403, 700}, drawn(100, func(int) int { return r.IntN(5000) })...),
		"the first bytes of a gzip file":      append([]int{0x8b1f, 0x1108, 700}, drawn(100, func(int) int { return r.IntN(5000) })...),
		"the first byte of a pickle":          append([]int{0x0480, 0x0295, 700}, drawn(100, func(int) int { return r.IntN(5000) })...),
		"the first letters of a GGUF file":    append([]int{0x4747, 0x4655, 700}, drawn(100, func(int) int { return r.IntN(5000) })...),
		"the number of a model of llm.c":      append([]int{0xd7c6, 0x0134, 700, 3}, drawn(100, func(int) int { return r.IntN(5000) })...),
		"few that are all like letters":       {0x6161, 0x6262, 0x6363, 0x6464},
		"letters, and one that is none":       append(drawn(100, func(int) int { return 0x6161 }), 5),
		"tokens of two bytes of a large file": drawn(2*widthSample, func(i int) int { return r.IntN(1 << 16) }),
	} {
		p, err := parseBin("x.bin", ids16(ids...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var x Tokens
		x.add(p)
		if !slices.Equal(all(x), ids) {
			t.Errorf("%s: read otherwise", name)
		}
		if want := name == "digits with spaces between"; p.doubtful != want {
			t.Errorf("%s: doubtful %v, expected %v", name, p.doubtful, want)
		}
	}
}

// drawnBig spells ids of 32 bits with the high byte first.
func drawnBig(r *rand.Rand, n int) (ids [][]byte) {
	for range n {
		ids = append(ids, binary.BigEndian.AppendUint32(nil, uint32(r.IntN(50257))))
	}
	return ids
}

// TestNoIDs refuses what is not ids of 16 bits, and says what it is.
func TestNoIDs(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var zipped, gzipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	file, _ := z.Create("archive/data.pkl")
	file.Write([]byte("some data of a checkpoint"))
	z.Close()
	g := gzip.NewWriter(&gzipped)
	g.Write(ids16(drawn(1000, func(int) int { return r.IntN(50257) })...))
	g.Close()
	header := `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`
	prose := "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a wife.\r\n"
	for name, c := range map[string]struct {
		data []byte
		want []string
	}{
		"uint32, GPT-2":      {wide(32, drawn(1000, func(int) int { return r.IntN(50257) })...), []string{"token ids of 32 bits", "'uint32').astype('uint16')"}},
		"uint32, characters": {wide(32, drawn(1000, func(int) int { return r.IntN(65) })...), []string{"token ids of 32 bits"}},
		"uint32, few":        {wide(32, drawn(20, func(int) int { return 300 + r.IntN(500) })...), []string{"token ids of 32 bits"}},
		"uint32, Llama 3":    {wide(32, drawn(5000, func(int) int { return int(float64(128000) * r.Float64() * r.Float64()) })...), []string{"token ids of 32 bits", "do not fit into 16", "20240801, 7"}},
		"uint32, large":      {wide(32, drawn(widthSample, func(int) int { return r.IntN(50257) })...), []string{"token ids of 32 bits"}},
		"int64, characters":  {wide(64, drawn(1000, func(int) int { return 1 + r.IntN(65) })...), []string{"token ids of 64 bits", "'uint64').astype('uint16')"}},
		"int64, GPT-2":       {wide(64, drawn(1000, func(int) int { return r.IntN(50257) })...), []string{"token ids of 64 bits"}},
		"text":               {[]byte(prose), []string{"found text", ".txt"}},
		"text, odd":          {[]byte(prose + "x"), []string{"found text"}},
		"text, large":        {[]byte(strings.Repeat("世界和平，", mostText/10)), []string{"found text"}},
		"JSON":               {[]byte(`{"ids": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}`), []string{"found text"}},
		"zip":                {zipped.Bytes(), []string{"a zip file", "PyTorch"}},
		"gzip":               {gzipped.Bytes(), []string{"gzip", "zcat"}},
		"pickle 4":           {[]byte("\x80\x04\x95\x0f\x00\x00\x00\x00\x00\x00\x00]\x94(K\x01K\x02K\x03K\x04e."), []string{"a pickle"}},
		"pickle 2":           {[]byte("\x80\x02]q\x00(K\x01K\x02K\x03e."), []string{"a pickle"}},
		"numpy":              {append([]byte("\x93NUMPY\x01\x00v\x00{'descr': '<u2', 'fortran_order': False, 'shape': (3,), }"), 1, 0, 2, 0, 3, 0), []string{"numpy.save", "numpy.load"}},
		"GGUF":               {append([]byte("GGUF\x03\x00\x00\x00"), make([]byte, 100)...), []string{"a GGUF file", "init"}},
		"safetensors":        {append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header+"12345678"...), []string{"a safetensors file"}},
		"llm.c's model":      {llmc(nil, 20240326, 3, 1024), []string{"a file of llm.c with a model"}},
		"llm.c's tokenizer":  {llmc(nil, 20240328, 1, 50257), []string{"a file of llm.c with a tokenizer"}},
		"zstd":               {[]byte("\x28\xb5\x2f\xfd\x24\x05"), []string{"zstd"}},
		"xz":                 {[]byte("\xfd7zXZ\x00\x00\x04"), []string{"xz"}},
		"uint32, big end":    {slices.Concat(drawnBig(r, 1000)...), []string{"token ids of 32 bits", "'>u4').astype('uint16')"}},
		"zip, empty":         {append([]byte("PK\x05\x06"), make([]byte, 18)...), []string{"a zip file"}},
		"tar":                {slices.Concat(make([]byte, 257), []byte("ustar\x0000"), make([]byte, 760)), []string{"a tar file"}},
		"7z":                 {[]byte("7z\xbc\xaf\x27\x1c\x00\x04"), []string{"7-Zip"}},
		"RAR":                {[]byte("Rar!\x1a\x07\x01\x00"), []string{"RAR"}},
		"lz4":                {[]byte("\x04\x22\x4d\x18\x64\x40"), []string{"lz4"}},
		"PDF":                {[]byte("%PDF-1.4\n%\xe2\xe3\xcf\xd3"), []string{"a PDF file", "pdftotext"}},
		"PNG":                {[]byte("\x89PNG\r\n\x1a\n\x00\x00"), []string{"a picture"}},
		"ELF":                {append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 57)...), []string{"a program"}},
		"SQLite":             {append([]byte("SQLite format 3\x00"), make([]byte, 100)...), []string{"SQLite"}},
		"UTF-16":             {[]byte("\xff\xfe" + strings.Join(strings.Split(prose, ""), "\x00") + "\x00"), []string{"text in UTF-16", "iconv"}},
		"UTF-16, big end":    {[]byte("\xfe\xff\x00" + strings.Join(strings.Split(prose, ""), "\x00")), []string{"text in UTF-16"}},
		"Latin-1":            {[]byte(strings.Repeat("caf\xe9 cr\xe8me, ", 30)), []string{"text that is not UTF-8", "iconv"}},
		"GBK":                {[]byte(strings.Repeat("\xd6\xd0\xce\xc4\xb2\xe2\xca\xd4\xa1\xa3", 30)), []string{"text that is not UTF-8"}},
		"bzip2":              {[]byte("BZh91AY&SY\x00\x00"), []string{"bzip2"}},
	} {
		p, err := parseBin("x.bin", c.data)
		if err == nil {
			t.Errorf("%s: read as %d ids", name, p.len())
			continue
		}
		for _, part := range append(c.want, "x.bin: found ") {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v, expected %q", name, err, part)
			}
		}
	}
}
