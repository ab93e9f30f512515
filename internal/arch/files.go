package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// generated matches the line that marks a generated file (`go help generate`).
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// Files checks that every hand-written Go and GLSL file below dir has at most lines lines, and that every Go file is
// formatted by gofmt. It does not check directories named testdata and those that Go ignores.
func Files(dir string, lines int) (wrong []string, err error) {
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != dir && (base == "testdata" || base == "bin" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
				return fs.SkipDir
			}
			return nil
		}
		ext := filepath.Ext(base)
		if ext != ".go" && ext != ".comp" && ext != ".glsl" {
			return nil
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if rel, err := filepath.Rel(dir, name); err == nil {
			name = filepath.ToSlash(rel)
		}
		if n := bytes.Count(src, []byte("\n")); n > lines && !generated.Match(src) {
			wrong = append(wrong, fmt.Sprintf("%s has %d lines, at most %d can be read at one sitting: split it by subject", name, n, lines))
		}
		if ext == ".go" {
			if want, err := format.Source(src); err != nil {
				wrong = append(wrong, fmt.Sprintf("%s: %v", name, err))
			} else if !bytes.Equal(src, want) {
				wrong = append(wrong, fmt.Sprintf("%s is not as gofmt writes it: run gofmt -w %[1]s", name))
			}
		}
		return nil
	})
	return wrong, err
}

// Op is an operation that package backend declares.
type Op struct {
	Type string // Go type: LayerNorm
	Name string // what its method Name returns: layernorm
	File string // base name of its file: layernorm.go
}

// Ops finds the operations in the package in dir: the types whose method `Name() string`, on the pointer, returns a
// string literal.
func Ops(dir string) ([]Op, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var ops []Op
	fset := token.NewFileSet()
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			return nil, err
		}
		for _, decl := range file.Decls {
			if op, ok := opNamed(decl); ok {
				op.File = filepath.Base(name)
				ops = append(ops, op)
			}
		}
	}
	return ops, nil
}

// opNamed reads func (*T) Name() string { return "…" }.
func opNamed(decl ast.Decl) (Op, bool) {
	f, ok := decl.(*ast.FuncDecl)
	if !ok || f.Recv == nil || f.Name.Name != "Name" || f.Type.Params.NumFields() != 0 || f.Body == nil || len(f.Body.List) != 1 {
		return Op{}, false
	}
	star, ok := f.Recv.List[0].Type.(*ast.StarExpr)
	if !ok {
		return Op{}, false
	}
	receiver, ok := star.X.(*ast.Ident)
	if !ok {
		return Op{}, false
	}
	ret, ok := f.Body.List[0].(*ast.ReturnStmt)
	if !ok || len(ret.Results) != 1 {
		return Op{}, false
	}
	lit, ok := ret.Results[0].(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return Op{}, false
	}
	name, err := strconv.Unquote(lit.Value)
	return Op{Type: receiver.Name, Name: name}, err == nil
}

// Rooms checks that the module in dir has one file for each op in each room. A room is a path with * in place of the
// op's name, such as backend/cpu/*.go. The first room declares the ops. exceptions maps files that need not exist to
// the reason. If such a file does exist, that is a fault too, so that the table stays true.
func Rooms(dir string, rooms []string, exceptions map[string]string) (wrong []string, err error) {
	ops, err := Ops(filepath.Join(dir, path.Dir(rooms[0])))
	if err != nil {
		return nil, err
	}
	if len(ops) == 0 {
		wrong = append(wrong, fmt.Sprintf("%s declares no op: the rule checks nothing", path.Dir(rooms[0])))
	}
	due := map[string]bool{}
	for _, op := range ops {
		if want := op.Name + ".go"; op.File != want {
			wrong = append(wrong, fmt.Sprintf("op %s (%s) is declared in %s: one file an op, so %s", op.Type, op.Name, op.File, want))
		}
		for _, room := range rooms[1:] {
			file := strings.Replace(room, "*", op.Name, 1)
			due[file] = true
			_, err := os.Stat(filepath.Join(dir, filepath.FromSlash(file)))
			reason, excepted := exceptions[file]
			switch {
			case err == nil && excepted:
				wrong = append(wrong, fmt.Sprintf("%s is there, take its exception out (%s)", file, reason))
			case err != nil && !excepted:
				wrong = append(wrong, fmt.Sprintf("%s is missing: op %s has a file of its name in each room, or an exception that says why not", file, op.Type))
			}
		}
	}
	for file, reason := range exceptions {
		if !due[file] {
			wrong = append(wrong, fmt.Sprintf("%s is excepted (%s), but no op and room ask for it", file, reason))
		}
	}
	slices.Sort(wrong)
	return wrong, nil
}

// flag matches the name of a flag of a command: two dashes and a word.
var flag = regexp.MustCompile(`(?:^|[^-\w])--[a-z][\w-]*`)

// Flags reports flags that Go files below dir name, except in tests and in directories of commands. allowed lists, by
// file, flags of other programs. A file that no longer names such a flag is reported too.
func Flags(dir string, commands []string, allowed map[string]string) (wrong []string, err error) {
	found := map[string]bool{}
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains(commands, name) || d.Name() == "testdata" || name != "." && strings.HasPrefix(d.Name(), ".") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		for i, line := range strings.Split(string(src), "\n") {
			for _, f := range flag.FindAllString(line, -1) {
				f = f[strings.Index(f, "--"):]
				if found[name+f] = true; !slices.Contains(strings.Fields(allowed[name]), f) {
					wrong = append(wrong, fmt.Sprintf("%s:%d names the flag %s: only commands know flags; name the setting, as package setting has it", name, i+1, f))
				}
			}
		}
		return nil
	})
	for name, flags := range allowed {
		for f := range strings.FieldsSeq(flags) {
			if !found[name+f] {
				wrong = append(wrong, fmt.Sprintf("%s does not name %s: take it out of what is allowed", name, f))
			}
		}
	}
	slices.Sort(wrong)
	return wrong, err
}
