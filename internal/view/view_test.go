package view

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"caldera/inspect"
	"caldera/internal/gpttest"
	"caldera/internal/plot"
	"caldera/models"
)

var vars = kong.Vars{"shapes": "gpt2, gpt3", "embedded": models.Name, "weights": "f32", "caches": "f32", "dtypes": "f32"}

// austen is the embedded model on the CPU.
func austen(t *testing.T) *inspect.Inspector {
	t.Helper()
	return gpttest.Inspect(t, gpttest.OpenCPU(t))
}

// parse reads an address.
func parse(t testing.TB, address string) (View, Params, error) {
	t.Helper()
	name, query, _ := strings.Cut(address, "?")
	v, ok := Find(name)
	if !ok {
		t.Fatalf("no view %q", name)
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse(v, q, vars)
	return v, p, err
}

// TestParse reads parameters as they stand in an address.
func TestParse(t *testing.T) {
	for address, want := range map[string]Params{
		"tokens?text=a+b":                    &Tokens{Text{Words: []string{"a b"}}},
		"tokens?text=--special":              &Tokens{Text{Words: []string{"--special"}}},
		"tokens?text=<script>&special=1":     &Tokens{Text{Words: []string{"<script>"}, Special: true}},
		"tokens?text=":                       &Tokens{Text{Words: []string{""}}},
		"tokens":                             &Tokens{},
		"context?first=a&second=--b&at=0,-1": &Context{First: "a", Second: "--b", At: []int{0, -1}, Top: 3},
		"tally?shape=gpt3":                   &Tally{Shape: "gpt3"},
		"tally?shape=-h":                     &Tally{Shape: "-h"},
	} {
		if _, p, err := parse(t, address); err != nil || !reflect.DeepEqual(p, want) {
			t.Errorf("%s: %+v, %v; expected %+v", address, p, err, want)
		}
	}
	for address, want := range map[string]string{
		"tokens?nothing=1":     `unknown parameter "nothing": tokens has special, text, tokens`,
		"tokens?special=maybe": "special: bool value must be true, 1, yes, false, 0 or no",
		"tally?help=1":         `unknown parameter "help"`,
		"tally?text=a":         `unknown parameter "text"`,
	} {
		_, _, err := parse(t, address)
		if user := (inspect.UserError{}); !errors.As(err, &user) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", address, err, want)
		}
	}
}

// TestNames expects of each view a name and a help text of its own, and parameters that
// find it again.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range All() {
		if v.Name == "" || !strings.HasSuffix(v.Help, ".") || seen[v.Name] || seen[v.Help] {
			t.Errorf("%q: %q", v.Name, v.Help)
		}
		seen[v.Name], seen[v.Help] = true, true
		if got := Of(v.New()).Name; got != v.Name {
			t.Errorf("the parameters of %s are those of %s", v.Name, got)
		}
	}
}

type numbers struct {
	A []inspect.Float
	B map[string]inspect.Float
	C string
}

func (numbers) Text(*Screen) error { return nil }

// TestCompare finds the largest difference, and what is no number.
func TestCompare(t *testing.T) {
	a := numbers{[]inspect.Float{1, 2}, map[string]inspect.Float{"x": 5}, "one"}
	b := numbers{[]inspect.Float{1, 2.5}, map[string]inspect.Float{"x": 5.25}, "two"}
	c, err := compare(a, b)
	if err != nil || c.Numbers != 3 || c.Largest != 0.5 || c.Where != ".A[1]" || c.Here != 2 || c.There != 2.5 || !reflect.DeepEqual(c.Others, []string{".C"}) {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = compare(a, numbers{A: []inspect.Float{1}, B: a.B, C: "one"}); err != nil || !reflect.DeepEqual(c.Others, []string{".A"}) || c.Largest != 0 {
		t.Errorf("lists of other lengths: %+v, %v", c, err)
	}
}

// answer asks a view by its address.
func answer(t *testing.T, in *inspect.Inspector, address string, o Options) *Answer {
	t.Helper()
	v, p, err := parse(t, address)
	if err != nil {
		t.Fatal(err)
	}
	a, err := Ask(context.Background(), in, v, p, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// text is what a view writes on a terminal of so many columns.
func text(t *testing.T, a *Answer, columns int, color bool) string {
	t.Helper()
	var out strings.Builder
	if err := a.Text(&Screen{W: &out, Columns: columns, Color: color}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestCompared looks on another device, where the model has other weights.
func TestCompared(t *testing.T) {
	other := austen(t)
	other.Model.Vocab--
	a := answer(t, austen(t), "tokens?text=a", Options{Other: func() (*inspect.Inspector, error) { return other, nil }, Made: true})
	if c := a.Compared; c == nil || c.Largest != 1 || c.Where != ".vocab" || c.Device != "cpu" || !strings.Contains(text(t, a, 100, false), "largest difference") {
		t.Errorf("%+v", c)
	}
	same := answer(t, austen(t), "tokens?text=a", Options{Other: func() (*inspect.Inspector, error) { return austen(t), nil }})
	if s := text(t, same, 100, false); !strings.HasSuffix(s, "\non cpu all 6 numbers are the same\n") {
		t.Errorf("two that are the same:\n%s", s)
	}
	gone := errors.New("gone")
	v, p, _ := parse(t, "tokens?text=a")
	if _, err := Ask(context.Background(), austen(t), v, p, Options{Other: func() (*inspect.Inspector, error) { return nil, gone }}); !errors.Is(err, gone) {
		t.Errorf("the other device fails: %v", err)
	}
}

// TestTokens shows a text with bytes that are no characters.
func TestTokens(t *testing.T) {
	a := answer(t, austen(t), "tokens?text=It is 世", Options{})
	if got := text(t, a, 100, false); !strings.HasPrefix(got, "It| is| |<0xE4>|<0xB8>|<0x96>\n\n6 tokens of 9 bytes, 7 characters") {
		t.Errorf("%s", got)
	}
	if got := text(t, a, 100, true); !strings.HasPrefix(got, "\x1b[48;5;153m\x1b[38;5;16mIt\x1b[0m") {
		t.Errorf("%q", got)
	}
}

// TestTallyPicture draws GPT-3.
func TestTallyPicture(t *testing.T) {
	a := answer(t, austen(t), "tally?shape=gpt3", Options{})
	var svg, png bytes.Buffer
	if err := a.Result.(Drawer).Draw(&svg, plot.SVG); err != nil {
		t.Fatal(err)
	}
	if err := a.Result.(Drawer).Draw(&png, plot.PNG); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(svg.String(), "175,181,291,520 weights in 27,938 matrices") || !bytes.HasPrefix(png.Bytes(), []byte("\x89PNG")) {
		t.Error("the picture does not say what it shows")
	}
	var out bytes.Buffer
	if err := WriteJSON(&out, a); err != nil {
		t.Fatal(err)
	}
	var back struct {
		View   string
		Result struct {
			Weights  int64
			Matrices int
		}
	}
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back.View != "tally" || back.Result.Weights != 175_181_291_520 || back.Result.Matrices != 27_938 {
		t.Errorf("%+v, %v", back, err)
	}
}

// TestWriteJSON escapes what a terminal may obey, and nothing else.
func TestWriteJSON(t *testing.T) {
	for given, want := range map[string]string{
		"a<b>&c 世界 😀 \ufffd": `"a<b>&c 世界 😀 �"`,
		"\x1b[31m\x07\n":     `"\u001b[31m\u0007\n"`,
		"\u009b31m\x7f":      `"\u009b31m\u007f"`,
		"\u202egnp\u2028":    `"\u202egnp\u2028"`,
		"\U000e0001":         `"\udb40\udc01"`,
	} {
		var out bytes.Buffer
		if err := WriteJSON(&out, given); err != nil || out.String() != want+"\n" {
			t.Errorf("%q: %s, %v; expected %s", given, out.String(), err, want)
		}
		var back string
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || back != given {
			t.Errorf("%q is read back as %q, %v", given, back, err)
		}
	}
	gone := errors.New("gone")
	if err := WriteJSON(broken{gone}, "\x7f"); !errors.Is(err, gone) {
		t.Errorf("a writer that fails: %v", err)
	}
}

// broken is a writer that fails.
type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }
