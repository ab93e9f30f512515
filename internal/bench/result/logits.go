package result

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"caldera/internal/strictjson"
)

// Saved runs hold, for each token that counts, the log-probability that the
// model gave each token of the vocabulary:
//
//	{"caldera_logits":1,"model":"austen",…}   a line of JSON, the header
//	float32, little-endian                    [tokens, vocab]
//
// LogitFormat is the version of that. Raise it when anything of it changes.
const LogitFormat = 1

// LogitHeader says what a saved run is of. Runs are comparable where vocabulary,
// windows and text are the same.
type LogitHeader struct {
	Format  int    `json:"caldera_logits"`
	Model   string `json:"model"`
	DType   string `json:"dtype"`
	Cache   string `json:"type_k,omitempty"` // empty in older files: f32
	Device  string `json:"device"`
	Vocab   int    `json:"vocab"`
	Window  int    `json:"n_ctx"`
	Windows int    `json:"n_windows"`
	Text    string `json:"text_sha256"` // of the token ids, each an int32
}

// Of completes the header for a text.
func (h LogitHeader) Of(ids []int) LogitHeader {
	sum := sha256.New()
	for _, id := range ids {
		binary.Write(sum, binary.LittleEndian, int32(id))
	}
	h.Format, h.Text = LogitFormat, hex.EncodeToString(sum.Sum(nil))
	return h
}

func (h LogitHeader) String() string {
	cache := cmp.Or(h.Cache, "f32")
	return fmt.Sprintf("%s %s%s on %s", h.Model, h.DType, CacheNote(cache, cache), h.Device)
}

// tokens is the number of tokens that count.
func (h LogitHeader) tokens() int64 { return int64(h.Windows) * int64(h.Window-1-h.Window/2) }

// LogitWriter writes a saved run.
type LogitWriter struct {
	w   *bufio.Writer
	row []byte
}

// NewLogitWriter writes to w; Flush ends it.
func NewLogitWriter(w io.Writer) *LogitWriter { return &LogitWriter{w: bufio.NewWriterSize(w, 1<<20)} }

// Begin writes the header.
func (w *LogitWriter) Begin(h LogitHeader) error { return json.NewEncoder(w.w).Encode(h) }

// Write writes the log-probabilities of a token, [vocab].
func (w *LogitWriter) Write(logs []float64) error {
	w.row = w.row[:0]
	for _, v := range logs {
		w.row = binary.LittleEndian.AppendUint32(w.row, math.Float32bits(float32(v)))
	}
	_, err := w.w.Write(w.row)
	return err
}

// Flush writes what is still in the buffer.
func (w *LogitWriter) Flush() error { return w.w.Flush() }

// LogitReader reads a saved run. Nothing in the file is trusted.
type LogitReader struct {
	Header LogitHeader

	path string
	file *os.File
	body int64 // where the numbers begin
	r    *bufio.Reader
	row  []byte
}

// maxLogitHeader is far more than any header has.
const maxLogitHeader = 64 << 10

// OpenLogits opens the run that a LogitWriter saved at path.
func OpenLogits(path string) (*LogitReader, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: found no regular file, expected a saved run of bench perplexity", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r := &LogitReader{path: path, file: f, r: bufio.NewReaderSize(f, maxLogitHeader)}
	if err := r.header(info.Size()); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func (r *LogitReader) header(size int64) error {
	line, err := r.r.ReadSlice('\n')
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return err
	}
	if len(line) == 0 || line[0] != '{' || line[len(line)-1] != '\n' {
		return errors.New("it is no saved run of bench perplexity")
	}
	var version struct {
		Format int `json:"caldera_logits"`
	}
	if err := json.Unmarshal(line, &version); err != nil || version.Format == 0 {
		return errors.New("it is no saved run: its first line has no caldera_logits")
	}
	if version.Format != LogitFormat {
		return fmt.Errorf("found format %d, this program reads %d: save the run again with this version", version.Format, LogitFormat)
	}
	if err := strictjson.Object(line, 1, func(string, json.RawMessage) error { return nil }); err != nil {
		return fmt.Errorf("its header is damaged: %w", err)
	}
	if err := json.Unmarshal(line, &r.Header); err != nil {
		return fmt.Errorf("its header is damaged: %w", err)
	}
	h := r.Header
	if h.Vocab < 1 || h.Vocab > 1<<22 || h.Window < 4 || h.Window > 1<<20 || h.Windows < 1 || h.Windows > 1<<30 {
		return fmt.Errorf("its header is damaged: found a vocabulary of %d and %d windows of %d tokens", h.Vocab, h.Windows, h.Window)
	}
	r.body = int64(len(line))
	if want := r.body + 4*h.tokens()*int64(h.Vocab); size != want {
		return fmt.Errorf("found %d bytes, expected %d by its header: it is truncated or damaged, save the run again", size, want)
	}
	return nil
}

// Begin checks that the run is of the same text, and starts reading.
func (r *LogitReader) Begin(h LogitHeader) error {
	b := r.Header
	differs := func(what string, base, this any) error {
		return fmt.Errorf("%s: the saved run has %s %v and this one %v: they cannot be compared", r.path, what, base, this)
	}
	switch {
	case b.Vocab != h.Vocab:
		return differs("a vocabulary of", b.Vocab, h.Vocab)
	case b.Window != h.Window:
		return differs("windows of", b.Window, h.Window)
	case b.Windows != h.Windows:
		return differs("a number of windows of", b.Windows, h.Windows)
	case b.Text != h.Text:
		return differs("another text, whose SHA-256 is", b.Text, h.Text)
	}
	if _, err := r.file.Seek(r.body, io.SeekStart); err != nil {
		return err
	}
	r.r.Reset(r.file)
	r.row = make([]byte, 4*h.Vocab)
	return nil
}

// Read reads the log-probabilities of the next token, [vocab].
func (r *LogitReader) Read(dst []float64) error {
	if _, err := io.ReadFull(r.r, r.row); err != nil {
		return fmt.Errorf("%s: %w", r.path, err)
	}
	sum := 0.0
	for i := range dst {
		v := float64(math.Float32frombits(binary.LittleEndian.Uint32(r.row[4*i:])))
		if !(v <= 1e-3 && v > -1e30) { // NaN, or no logarithm of a probability that a softmax gives
			return fmt.Errorf("%s: found the log-probability %v, expected a number of at most 0: it is damaged", r.path, v)
		}
		dst[i] = v
		sum += math.Exp(v)
	}
	if math.Abs(sum-1) > 1e-3 {
		return fmt.Errorf("%s: found probabilities that sum to %v, expected 1: it is damaged", r.path, sum)
	}
	return nil
}

// Close closes the file.
func (r *LogitReader) Close() error { return r.file.Close() }
