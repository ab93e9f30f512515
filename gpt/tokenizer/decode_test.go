package tokenizer

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tiktoken-go/tokenizer/codec"
)

// streamed decodes ids with a Decoder, checking each piece.
func streamed(t *testing.T, tok *Tokenizer, ids []int) string {
	t.Helper()
	var all strings.Builder
	d := tok.NewDecoder()
	add := func(piece string) {
		if !utf8.ValidString(piece) {
			t.Errorf("the stream has %q, which is not UTF-8", piece)
		}
		all.WriteString(piece)
	}
	for _, id := range ids {
		piece, err := d.Next(id)
		if err != nil {
			t.Fatal(err)
		}
		add(piece)
	}
	add(d.Flush())
	if again := d.Flush(); again != "" {
		t.Errorf("a second Flush returns %q", again)
	}
	return all.String()
}

func TestDecoderHoldsBack(t *testing.T) {
	// byteIDs are the tokens of single bytes.
	byteIDs := func(s string) (ids []int) {
		for i := range len(s) {
			ids = append(ids, int(gpt2().bytes[s[i]]))
		}
		return ids
	}
	for _, c := range []struct {
		bytes string
		want  []string // what each byte's token adds, then Flush
	}{
		{"aé", []string{"a", "", "é", ""}},
		{"😀!", []string{"", "", "", "😀", "!", ""}},
		{"\xe2\x82a", []string{"", "", "\ufffda", ""}},
		{"\xe2\x82", []string{"", "", "\ufffd"}},
		{"\xf0\x9f\x98", []string{"", "", "", "\ufffd"}},
		{"\xff", []string{"\ufffd", ""}},
		{"\x80\x80", []string{"\ufffd", "\ufffd", ""}},
		{"\xc3\xc3\xa9", []string{"", "\ufffd", "é", ""}},
		{"\xe0\x80", []string{"", "\ufffd\ufffd", ""}},
		{"\xed\xa0\x80", []string{"", "\ufffd\ufffd", "\ufffd", ""}},
		{"\xf4\x90", []string{"", "\ufffd\ufffd", ""}},
		{"\xc0\xaf", []string{"\ufffd", "\ufffd", ""}},
	} {
		d := gpt2().NewDecoder()
		var got []string
		for _, id := range byteIDs(c.bytes) {
			piece, err := d.Next(id)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, piece)
		}
		got = append(got, d.Flush())
		if g, w := strings.Join(got, "|"), strings.Join(c.want, "|"); g != w {
			t.Errorf("bytes %q stream as %q, want %q", c.bytes, g, w)
		}
	}
}

func TestDecodeUnknownID(t *testing.T) {
	for _, id := range []int{-1, 50257, 1 << 40} {
		const want = "expected 0 to 50256"
		if _, err := gpt2().Decode([]int{15496, id}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "ids[1]") {
			t.Errorf("Decode of id %d: error is %v, want one with %q", id, err, want)
		}
		d := gpt2().NewDecoder()
		if _, err := d.Next(int(gpt2().bytes[0xc3])); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Next(id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Next(%d): error is %v, want one with %q", id, err, want)
		}
		if piece, err := d.Next(int(gpt2().bytes[0xa9])); piece != "é" || err != nil {
			t.Errorf("after a bad id the next piece is %q, %v, want \"é\"", piece, err)
		}
	}
}

// FuzzDecode decodes arbitrary ids: the stream is valid UTF-8 at every step,
// it equals Decode, and both equal the reference's way to replace bad bytes.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01\x80\x00\xc4\x50"))
	for _, text := range []string{"é😀", "\xe2\x82\xe2\x82\xac", "\xf0\x9f\xf0\x9f\x98\x80\xff"} {
		var seed []byte
		for i := range len(text) {
			id := gpt2().bytes[text[i]]
			seed = append(seed, byte(id>>8), byte(id))
		}
		f.Add(seed)
	}
	// A codec of its own: the error mode belongs to the codec.
	reference := codec.NewR50kBase()
	reference.SetErrorMode(codec.ErrorModeReplace)
	f.Fuzz(func(t *testing.T, data []byte) {
		var ids []int
		var theirs []uint
		for i := 0; i+1 < len(data); i += 2 {
			id := (int(data[i])<<8 | int(data[i+1])) % 50256 // the reference cannot decode <|endoftext|>
			ids, theirs = append(ids, id), append(theirs, uint(id))
		}
		got, err := gpt2().Decode(ids)
		if err != nil {
			t.Fatal(err)
		}
		want, err := reference.Decode(theirs)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("Decode(%v) is %q, tiktoken's is %q", ids, got, want)
		}
		if s := streamed(t, gpt2(), ids); s != got {
			t.Errorf("%v stream as %q, Decode gives %q", ids, s, got)
		}
	})
}
