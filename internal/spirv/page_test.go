package spirv

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"caldera/internal/table"
	"caldera/shaders"
)

//go:generate go test . -run TestPage -write
var write = flag.Bool("write", false, "write what TestPage expects")

// takes are the kernels that the interpreted cards of backend/vulkan take, and what else they are for.
var takes = map[string]string{
	"4-lanes":      "kernels of software drivers, texels, mapped memory, few workgroups",
	"32-lanes":     "tiles of GPUs, cooperative matrices 16×16×16, subgroup sums, integer dot products, staging buffers, few workgroups; NVIDIA's way to unpack bytes",
	"64-lanes":     "the same with many workgroups, and the way of the others",
	"4-lanes-gpu":  "quantised products of GPUs in small subgroups",
	"no-subgroups": "products without subgroup operations, 16 lanes",
	"pieces":       "attention on caches larger than a binding, 32 lanes",
}

// TestPage holds docs/results/interpreter.md to what the tests printed (interpreter.txt, which make results-interpreter
// writes), and that to the shaders and the interpreter as they are.
func TestPage(t *testing.T) {
	const base, begin, end = "../../docs/results/interpreter", "<!-- counted -->\n", "<!-- end -->\n"
	printed, err := os.ReadFile(base + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(base + ".md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := bytes.Cut(page, []byte(begin))
	_, after, found := bytes.Cut(rest, []byte(end))
	if !found {
		t.Fatalf("interpreter.md has no block between %q and %q", begin, end)
	}
	want := bytes.Join([][]byte{before, []byte(begin), []byte(counted(t, string(printed))), []byte(end), after}, nil)
	if *write {
		if err := os.WriteFile(base+".md", want, 0o666); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(page, want) {
		t.Error("interpreter.md is not what interpreter.txt and the interpreter say: run go generate ./internal/spirv")
	}
}

// counted is the part of the page that has figures.
func counted(t *testing.T, printed string) string {
	t.Helper()
	number := func(s string) int {
		n, _ := strconv.Atoi(s)
		return n
	}
	group := func(n int) string { // 1,760
		if s := fmt.Sprint(n); n > 999 {
			return s[:len(s)-3] + "," + s[len(s)-3:]
		}
		return fmt.Sprint(n)
	}
	barriers := 0
	for i := range shaders.Variants {
		m, err := Parse(shaders.Variants[i].SPIRV())
		if err != nil {
			t.Fatal(err)
		}
		barriers += m.Barriers()
	}
	var s strings.Builder
	fmt.Fprintf(&s, "It knows %d opcodes, %d instructions of GLSL.std.450 and %d capabilities; all %d variants of shaders compile for subgroups of 1, 4, 32, 64 and 128 lanes.\n\n",
		len(opcodes), len(glslNames), len(capabilities), len(shaders.Variants))

	lines := [][]string{{"card", "takes", "cases of the suite", "left out as large"}}
	for _, m := range regexp.MustCompile(`(?m)^TestInterpreted/cards/(\S+): conformance: (\d+) cases run.*large: (\d+)\)`).FindAllStringSubmatch(printed, -1) {
		if takes[m[1]] == "" {
			t.Errorf("the card %s is not described here", m[1])
		}
		lines = append(lines, []string{m[1], takes[m[1]], group(number(m[2])), group(number(m[3]))})
	}
	if len(lines)-1 != len(takes) {
		t.Errorf("interpreter.txt tells of %d cards, expected %d", len(lines)-1, len(takes))
	}
	s.WriteString(table.Markdown(lines, []bool{false, false, true, true}))

	out := regexp.MustCompile(`(?m)^TestInterpreted/barriers: (\d+) barriers left out: (\d+) noticed \((\d+) by wrong results alone\), (\d+) in another variant`).FindStringSubmatch(printed)
	if out == nil {
		t.Fatal("interpreter.txt does not tell of barriers: make results-interpreter writes it")
	}
	if n := number(out[1]); n != barriers {
		t.Errorf("%d barriers were left out in interpreter.txt, and the shaders have %d now: run make results-interpreter", n, barriers)
	}
	fmt.Fprintf(&s, "\nEach of the %s barriers of all variants is left out in turn. %s are noticed in their variant, %s by wrong results alone, the others by a report. The other %s are of variants that no "+
		"dispatch here takes that far, or needs there, and are noticed in another variant of the same source. None goes unnoticed.\n", out[1], out[2], out[3], out[4])
	return s.String()
}
