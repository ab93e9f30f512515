// Package typescript writes the types of JSON for TypeScript, from the Go types that encoding/json makes it of.
package typescript

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Writer collects declarations. Its zero value is ready.
type Writer struct {
	// Marshalers says what types are in JSON that encode themselves: "number | null".
	Marshalers map[reflect.Type]string

	names map[reflect.Type]string
	taken map[string]bool
	decls []string
	errs  []error
}

var (
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// Type is the TypeScript type of t's JSON. Structs are declared as interfaces on the way.
func (w *Writer) Type(t reflect.Type) string {
	if name, ok := w.Marshalers[t]; ok {
		return name
	}
	if t.Kind() == reflect.Pointer {
		if name, ok := w.Marshalers[t.Elem()]; ok {
			return or(name, "null")
		}
		if !t.Implements(textMarshaler) {
			return or(w.Type(t.Elem()), "null")
		}
	}
	if t.Kind() != reflect.Interface && (t.Implements(marshaler) || reflect.PointerTo(t).Implements(marshaler)) {
		w.errs = append(w.errs, fmt.Errorf("%v encodes itself: say in Marshalers what it is in JSON", t))
		return "unknown"
	}
	if t.Kind() != reflect.Interface && t.Implements(textMarshaler) {
		return "string"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "string | null" // base64
		}
		return list(w.Type(t.Elem())) + " | null"
	case reflect.Array:
		return list(w.Type(t.Elem()))
	case reflect.Map:
		return "Record<string, " + w.Type(t.Elem()) + "> | null"
	case reflect.Struct:
		return w.structure(t)
	case reflect.Interface:
		return "unknown"
	}
	w.errs = append(w.errs, fmt.Errorf("%v has no JSON", t))
	return "unknown"
}

func list(elem string) string {
	if strings.Contains(elem, " ") {
		return "(" + elem + ")[]"
	}
	return elem + "[]"
}

func or(a, b string) string {
	if strings.HasSuffix(a, b) {
		return a
	}
	return a + " | " + b
}

// structure declares an interface, once, and returns its name. Two packages may have a type of the same name: the second
// one is told apart by its package.
func (w *Writer) structure(t reflect.Type) string {
	if name, ok := w.names[t]; ok {
		return name
	}
	if w.names == nil {
		w.names, w.taken = map[reflect.Type]string{}, map[string]bool{}
	}
	if t.Name() == "" {
		var b strings.Builder
		b.WriteString("{ ")
		w.fields(&b, t, " ")
		b.WriteString("}")
		return b.String()
	}
	name := identifier(t.Name())
	if w.taken[name] {
		pkg := t.PkgPath()[strings.LastIndex(t.PkgPath(), "/")+1:]
		name = strings.ToUpper(pkg[:1]) + pkg[1:] + name
	}
	for n := 2; w.taken[name]; n++ {
		name = identifier(t.Name()) + strconv.Itoa(n)
	}
	w.names[t], w.taken[name] = name, true
	var b strings.Builder
	fmt.Fprintf(&b, "// %v\nexport interface %s {\n", t, name)
	w.fields(&b, t, "\n")
	b.WriteString("}\n")
	w.decls = append(w.decls, b.String())
	return name
}

// identifier keeps what may stand in a name: type arguments have dots and brackets.
func identifier(name string) string {
	if i := strings.IndexByte(name, '['); i >= 0 {
		arg := name[i+1 : len(name)-1]
		name = name[:i] + "Of" + arg[strings.LastIndexAny(arg, "./")+1:]
	}
	return strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, name)
}

func (w *Writer) fields(b *strings.Builder, t reflect.Type, end string) {
	for f := range t.Fields() {
		tag, _ := f.Tag.Lookup("json")
		name, options, _ := strings.Cut(tag, ",")
		if name == "-" && options == "" || !f.IsExported() && !f.Anonymous {
			continue
		}
		elem := f.Type
		if elem.Kind() == reflect.Pointer {
			elem = elem.Elem()
		}
		if f.Anonymous && name == "" && elem.Kind() == reflect.Struct {
			w.fields(b, elem, end)
			continue
		}
		if name == "" {
			name = f.Name
		}
		opts := strings.Split(options, ",")
		typ := w.Type(f.Type)
		if slices.Contains(opts, "string") {
			typ = "string"
		}
		optional := ""
		if slices.Contains(opts, "omitempty") || slices.Contains(opts, "omitzero") {
			optional = "?"
			// What is left out where it is empty is never null.
			if k := f.Type.Kind(); k == reflect.Pointer || k == reflect.Slice || k == reflect.Map {
				if _, own := w.Marshalers[elem]; !own {
					typ = strings.TrimSuffix(typ, " | null")
				}
			}
		}
		indent := ""
		if end == "\n" {
			indent = "  "
		}
		fmt.Fprintf(b, "%s%s%s: %s;%s", indent, key(name), optional, typ, end)
	}
}

func key(name string) string {
	if identifier(name) == name && name != "" && (name[0] < '0' || name[0] > '9') {
		return name
	}
	return strconv.Quote(name)
}

// Declarations returns all that was declared, or what could not be.
func (w *Writer) Declarations() (string, error) {
	if len(w.errs) > 0 {
		return "", w.errs[0]
	}
	return strings.Join(w.decls, "\n"), nil
}
