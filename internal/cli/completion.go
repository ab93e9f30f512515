package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/posener/complete"
	"github.com/willabides/kongplete"
)

// completion is the command that prints a shell's script for completion.
type completion struct {
	Shell string `arg:"" optional:"" enum:",bash,zsh,fish" default:"" help:"bash, zsh or fish (default: that of $$SHELL)."`
}

// Help returns the text that kong prints below the command's flags.
func (c *completion) Help() string {
	return `Add this line to the file that your shell reads when it starts (~/.bashrc, ~/.zshrc):

  eval "$(caldera completion bash)"

fish reads it from a file: caldera completion fish > ~/.config/fish/completions/caldera.fish`
}

// completionScripts are formats for the program's name and its quoted path. bash and
// zsh read the word after -C as a command, so there the path is quoted twice. The
// shell then runs the program with COMP_LINE set, and the program prints the words
// that may come next.
var completionScripts = map[string]string{
	"bash": "complete -C %[3]s %[1]s\n",
	"zsh":  "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\ncomplete -o nospace -C %[3]s %[1]s\n",
	"fish": "function __complete_%[1]s\n    set -lx COMP_LINE (commandline -cp)\n    test -z (commandline -ct)\n    and set COMP_LINE \"$COMP_LINE \"\n    %[2]s\nend\ncomplete -f -c %[1]s -a \"(__complete_%[1]s)\"\n",
}

// Run prints the script for a shell.
func (c *completion) Run(ctx *kong.Context) error {
	shell := c.Shell
	if shell == "" {
		shell = filepath.Base(os.Getenv("SHELL"))
	}
	script, known := completionScripts[shell]
	if !known {
		return Usagef("SHELL=%q: no completion for it: expected %s completion bash, zsh or fish", os.Getenv("SHELL"), ctx.Model.Name)
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program's own path: %w", err)
	}
	path := quote(program)
	_, err = fmt.Fprintf(ctx.Stdout, script, ctx.Model.Name, path, quote(path))
	return err
}

// plain matches a text that is one word in every shell without quotes.
var plain = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

// quote quotes text as one word for a shell.
func quote(text string) string {
	if plain.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// asked reports whether a shell has started the process for completion.
func asked() bool { return os.Getenv("COMP_LINE") != "" }

// answerShell prints the words that may come next on the line in COMP_LINE, if
// a shell started the process to ask for them.
func answerShell(parser *kong.Kong) (answered bool, err error) {
	if !asked() {
		return false, nil
	}
	root, err := kongplete.Command(parser)
	if err != nil {
		return false, err
	}
	refine(&root, parser.Model.Node)
	if help, ok := root.Sub["help"]; ok { // help is followed by a command too
		help.Sub = complete.Commands{}
		for name, sub := range root.Sub {
			if name != "help" {
				help.Sub[name] = complete.Command{Sub: names(sub.Sub)}
			}
		}
		root.Sub["help"] = help
	}
	c := complete.New(parser.Model.Name, root)
	c.Out = parser.Stdout
	return c.Complete(), nil
}

// names returns commands without their flags.
func names(all complete.Commands) complete.Commands {
	bare := complete.Commands{}
	for name := range all {
		bare[name] = complete.Command{}
	}
	return bare
}

// refine adds what kongplete does not know: the flags of the default command, and
// which flags have paths as values.
func refine(c *complete.Command, node *kong.Node) {
	for _, child := range node.Children {
		if sub, listed := c.Sub[child.Name]; listed {
			refine(&sub, child)
			c.Sub[child.Name] = sub
		}
	}
	for _, flag := range node.Flags {
		switch flag.PlaceHolder {
		case "PATH", "FILE", "DIR", "FROM":
			c.GlobalFlags["--"+flag.Name] = complete.PredictFiles("*")
			if flag.Short != 0 {
				c.GlobalFlags["-"+string(flag.Short)] = complete.PredictFiles("*")
			}
		}
	}
	if node.DefaultCmd != nil {
		c.Flags = complete.Flags{} // not GlobalFlags, which are offered behind other commands too
		for flag, values := range c.Sub[node.DefaultCmd.Name].GlobalFlags {
			c.Flags[flag] = values
		}
	}
}
