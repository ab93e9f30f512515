package chat

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/ardanlabs/jinja"
)

// indented is the name of the filter that stands for tojson with arguments. The library's own
// sorts the keys of objects when it indents; Python's, which models were trained with, does not.
const indented = "tojson_in_order"

// prepared is a template in which the filter tojson, where it has arguments, is ours.
func prepared(source string) string {
	var out strings.Builder
	quote, tag := byte(0), ""
	for i := 0; i < len(source); i++ {
		c := source[i]
		switch rest := source[i:]; {
		case quote != 0:
			if c == '\\' && i+1 < len(source) {
				out.WriteByte(c)
				i++
				c = source[i]
			} else if c == quote {
				quote = 0
			}
		case tag == "":
			for open, end := range map[string]string{"{{": "}}", "{%": "%}", "{#": "#}"} {
				if strings.HasPrefix(rest, open) {
					tag = end
				}
			}
		case strings.HasPrefix(rest, tag):
			tag = ""
		case tag == "#}":
		case c == '"' || c == '\'':
			quote = c
		case c == '|':
			if n := withArguments(rest); n > 0 {
				out.WriteString("|" + indented + "(")
				i += n - 1
				continue
			}
		}
		out.WriteByte(c)
	}
	return out.String()
}

// withArguments is the length of "| tojson(", with white space in any place, at the start of
// text; 0 where something else stands there.
func withArguments(text string) int {
	const space = " \t\r\n"
	rest, is := strings.CutPrefix(strings.TrimLeft(text[1:], space), "tojson")
	if rest = strings.TrimLeft(rest, space); !is || !strings.HasPrefix(rest, "(") {
		return 0
	}
	return len(text) - len(rest) + 1
}

// toJSON is the filter: Python's json.dumps(value, ensure_ascii=False, …).
func toJSON(args []jinja.Value, named map[string]jinja.Value) (jinja.Value, error) {
	if len(args) == 0 {
		return jinja.Undefined(), errors.New("tojson: expected a value")
	}
	w := jsonWriter{item: ", ", key: ": "}
	if n, given := named["indent"]; given && n.IsInt() {
		w.step, w.indented, w.item = strings.Repeat(" ", int(min(max(n.AsInt(), 0), 100))), true, ","
	}
	if s := named["separators"]; s.IsList() && s.AsList().Len() == 2 && s.AsList().Get(0).IsString() && s.AsList().Get(1).IsString() {
		w.item, w.key = s.AsList().Get(0).AsString(), s.AsList().Get(1).AsString()
	}
	w.value(args[0], "\n")
	return jinja.NewString(w.String()), nil
}

// jsonWriter writes JSON as Python does.
type jsonWriter struct {
	bytes.Buffer
	item, key string // what separates
	step      string // of the indentation
	indented  bool
}

// value writes a value; line begins a line at its depth.
func (w *jsonWriter) value(v jinja.Value, line string) {
	switch {
	case v.IsBool():
		w.WriteString(strconv.FormatBool(v.AsBool()))
	case v.IsInt():
		w.WriteString(strconv.FormatInt(v.AsInt(), 10))
	case v.IsFloat():
		text := strconv.FormatFloat(v.AsFloat(), 'g', -1, 64)
		if f := v.AsFloat(); f == math.Trunc(f) && math.Abs(f) < 1e16 {
			text = strconv.FormatFloat(f, 'f', 1, 64)
		}
		w.WriteString(text)
	case v.IsString():
		w.text(v.AsString())
	case v.IsList():
		w.several("[", "]", line, v.AsList().Len(), func(i int, line string) { w.value(v.AsList().Get(i), line) })
	case v.IsDict():
		keys := v.AsDict().Keys
		w.several("{", "}", line, len(keys), func(i int, line string) {
			w.text(keys[i])
			w.WriteString(w.key)
			w.value(v.AsDict().Data[keys[i]], line)
		})
	default:
		w.WriteString("null")
	}
}

// several writes an array or an object.
func (w *jsonWriter) several(open, end, line string, n int, element func(i int, line string)) {
	w.WriteString(open)
	inner := line + w.step
	for i := range n {
		if i > 0 {
			w.WriteString(w.item)
		}
		if w.indented {
			w.WriteString(inner)
		}
		element(i, inner)
	}
	if w.indented && n > 0 {
		w.WriteString(line)
	}
	w.WriteString(end)
}

// escapes are those that JSON has a letter for.
var escapes = map[rune]string{'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`}

func (w *jsonWriter) text(s string) {
	w.WriteByte('"')
	for _, r := range s {
		switch escaped, known := escapes[r]; {
		case known:
			w.WriteString(escaped)
		case r < ' ':
			fmt.Fprintf(w, `\u%04x`, r)
		default:
			w.WriteRune(r)
		}
	}
	w.WriteByte('"')
}
