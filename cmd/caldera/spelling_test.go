package main_test

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"caldera/internal/cli"
	"caldera/internal/command/bench"
	"caldera/internal/command/chat"
	"caldera/internal/command/convert"
	"caldera/internal/command/generate"
	"caldera/internal/command/train"
)

// TestForeignTables expects no flag of a command's own among other programs', and
// flags that there are where one is to be taken.
func TestForeignTables(t *testing.T) {
	for _, c := range []cli.Command{generate.Command(), chat.Command(), train.Command(), convert.Command(), bench.Command()} {
		parser, err := kong.New(c.Flags, c.Vars)
		if err != nil {
			t.Fatal(err)
		}
		own := map[string]bool{}
		var visit func(*kong.Node)
		visit = func(n *kong.Node) {
			for _, f := range n.Flags {
				for _, name := range append([]string{f.Name}, f.Aliases...) {
					own["--"+name] = true
				}
				if f.Short != 0 {
					own["-"+string(f.Short)] = true
				}
			}
			for _, child := range n.Children {
				visit(child)
			}
		}
		visit(parser.Model.Node)
		if len(c.Foreign) == 0 {
			t.Errorf("%s: no foreign flags", c.Name)
		}
		for flag, to := range c.Foreign {
			if own[flag] {
				t.Errorf("%s: %s is a flag of its own", c.Name, flag)
			}
			if name, _, _ := strings.Cut(to, "="); strings.HasPrefix(to, "--") && !strings.Contains(to, " ") && !own[name] {
				t.Errorf("%s: %s is to be %s, which is no flag", c.Name, flag, to)
			}
		}
	}
}
