package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"caldera/internal/version"
)

// Command is a command of Caldera. It is a program of its own and a subcommand of
// caldera.
type Command struct {
	Name string
	Help string    // one sentence
	Vars kong.Vars // values of ${…} in the tags of Flags

	// Flags is a pointer to a struct with kong's tags. It has a method
	// Run(context.Context) error, or has commands below it that do.
	Flags any

	// Foreign maps flags of other programs, which users may try, to our flag (which
	// begins with --), or to a sentence that says what to do.
	Foreign map[string]string

	// Arguments says what to do if the user gives an argument that the command does
	// not accept.
	Arguments string

	// MainThread says that Run needs the thread on which the process began. The
	// command's package locks it when it is initialised; other commands free it.
	MainThread bool

	// Interrupts says that Run is told of Ctrl-C by the system, and not by the end of its
	// context.
	Interrupts bool

	// Child, if not nil, is called when the process starts. If the process is a child
	// that the command has started for a part of its work, Child does that work and
	// returns the exit code.
	Child func() (code int, child bool)
}

// Main is the main function of a program with one command. It parses the command
// line, runs the command, prints one line if that fails, and returns the exit code.
// Ctrl-C, SIGTERM and SIGHUP cancel the command's context; a second Ctrl-C or SIGTERM
// ends the process at once.
func Main(c Command) int {
	return start(filepath.Base(os.Args[0]), c.Help, []Command{c}, os.Args[1:], c.Flags, c.Vars)
}

// Program is the main function of a program with several commands.
func Program(help string, commands ...Command) int {
	name := filepath.Base(os.Args[0])
	vars := kong.Vars{}
	var options []kong.Option
	for _, c := range commands {
		maps.Copy(vars, c.Vars)
		options = append(options, kong.DynamicCommand(c.Name, c.Help, "", c.Flags))
	}
	args := os.Args[1:]
	if !asked() { // for completion the shell gives other arguments
		var err error
		if args, err = programArguments(commands, args); err != nil {
			return report(name, err)
		}
	}
	return start(name, help, commands, args, &struct{}{}, append(options,
		kong.DynamicCommand("completion", "Print what sets up completion of flags and commands in a shell.", "", &completion{}),
		kong.DynamicCommand("help", "Show the flags of a command.", "", &helpCommand{}), vars)...)
}

// self is how the program was called: "generate", or "caldera generate".
var self = filepath.Base(os.Args[0])

// Self is the command as the user has called it: "generate", or "caldera generate".
// Messages that name the program begin with it.
func Self() string { return self }

// helpCommand is only listed in the help. programArguments replaces it by --help.
type helpCommand struct {
	Command []string `arg:"" optional:"" help:"The command."`
}

// programArguments converts the arguments of a program with several commands to the
// form that kong reads. If the first word is no command it returns an error that says
// so; the user may have meant it as a prompt.
func programArguments(commands []Command, args []string) ([]string, error) {
	var names []string
	for _, c := range commands {
		names = append(names, c.Name)
	}
	name, known := filepath.Base(os.Args[0]), strings.Join(names, ", ")
	words := commandWords(args)
	switch {
	case len(args) == 0, words == 1 && args[0] == "help":
		return []string{"--help"}, nil
	case words > 1 && args[0] == "help" && !slices.Contains(append(names, "completion", "help"), args[1]):
		return nil, Usagef("%q is not a command: expected one of %s; see %s help", args[1], known, name)
	case words > 1 && args[0] == "help":
		return programArguments(commands, append(args[1:len(args):len(args)], "--help"))
	case words == 1 && len(args) == 1 && args[0] == "version":
		return []string{"--version"}, nil
	case words > 0 && slices.Contains(append(names, "completion"), args[0]), words == 0 && global(args[0]):
		return args, nil
	case words == 0:
		return nil, Usagef("%s: expected a command before its flags, one of %s; see %s help", args[0], known, name)
	}
	return nil, Usagef("%q is not a command: expected one of %s; to continue a text: %s generate %q; see %s help",
		args[0], known, name, strings.Join(args[:words], " "), name)
}

// commandWords returns the number of arguments before the first flag.
func commandWords(args []string) int {
	n := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "-") })
	if n < 0 {
		return len(args)
	}
	return n
}

// global reports whether arg is a flag that needs no command.
func global(arg string) bool {
	return slices.Contains([]string{"-h", "--help", "-V", "--version"}, arg)
}

// globals are the flags of every program.
type globals struct {
	Version versionFlag `short:"V" help:"Print the version, the commit, Go's version and the backends, and stop."`
}

type versionFlag bool

// BeforeReset is called by kong as soon as it reads the flag.
func (versionFlag) BeforeReset(app *kong.Kong) error {
	fmt.Fprint(app.Stdout, version.Text())
	app.Exit(ExitOK)
	return nil
}

func start(name, help string, commands []Command, args []string, flags any, options ...kong.Option) int {
	for _, c := range commands {
		if c.Child != nil {
			if code, child := c.Child(); child {
				return code
			}
		}
	}
	options = append(options, kong.Name(name), kong.Description(help), kong.Help(helpWithDefault), kong.Embed(&globals{}))
	parser, err := kong.New(flags, options...)
	if err != nil {
		return report(name, fmt.Errorf("its flags are wrong: %w", err))
	}
	if answered, err := answerShell(parser); answered || err != nil {
		return report(name, err)
	}
	self = name
	if len(commands) > 1 && commandWords(args) > 0 {
		self = name + " " + args[0]
	}
	if !named(commands, args).MainThread {
		runtime.UnlockOSThread() // nothing happens if it is not locked
	}
	chosen, err := parse(parser, commands, args)
	if err != nil {
		return report(self, err)
	}
	// If the reader of the output ends, such as head, the process goes on, and its
	// writes fail with EPIPE.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := untilSignal(named(commands, args).Interrupts)
	defer stop()
	chosen.BindTo(ctx, (*context.Context)(nil))
	return report(self, chosen.Run())
}

// parse reads the command line.
func parse(parser *kong.Kong, commands []Command, args []string) (*kong.Context, error) {
	args, err := arguments(args)
	if err != nil {
		return nil, err
	}
	chosen := named(commands, args)
	if args, err = respell(args, chosen.Foreign); err != nil {
		return nil, err
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		return nil, misread(err, chosen)
	}
	return ctx, empties(ctx)
}

// named returns the command that the arguments begin with.
func named(commands []Command, args []string) (c Command) {
	for _, c := range commands {
		if len(commands) == 1 || len(args) > 0 && args[0] == c.Name {
			return c
		}
	}
	return c
}

// kongs matches parts of kong's messages: the argument that a command does not accept,
// and flags of one letter that kong suggests for any other.
var (
	unexpected = regexp.MustCompile(`^unexpected argument (.*?)(, did you mean .*)?$`)
	letters    = regexp.MustCompile(`, did you mean (one of )?"-.".*\?$`)
)

// misread returns the error for a command line that kong could not read, with the help
// to look at. A command below the chosen one does not accept what that one does.
func misread(err error, chosen Command) error {
	text, help, hint := err.Error(), self, chosen.Arguments
	var e *kong.ParseError
	if errors.As(err, &e) {
		if node := e.Context.Selected(); node != nil {
			help = node.FullPath()
			if usual := node.Parent != nil && node.Parent.DefaultCmd == node; node.Name != chosen.Name && !usual {
				hint = ""
			}
		}
	}
	if m := unexpected.FindStringSubmatch(text); m != nil {
		text = fmt.Sprintf("unexpected argument %q%s", m[1], m[2])
		if hint != "" {
			text += ": " + hint
		}
	}
	return Usagef("%s; see %s --help", letters.ReplaceAllString(text, ""), help)
}

// helpWithDefault prints the help. It includes the flags of the default command, which
// runs if none is named.
func helpWithDefault(o kong.HelpOptions, ctx *kong.Context) error {
	err := kong.DefaultHelpPrinter(o, ctx)
	node := ctx.Selected()
	if node == nil {
		node = ctx.Model.Node
	}
	if usual := node.DefaultCmd; err == nil && usual != nil {
		fmt.Fprintf(ctx.Stdout, "\nWithout a command, %s is meant:\n\n", usual.Name)
		ctx.Path = append(ctx.Path, &kong.Path{Command: usual})
		err = kong.DefaultHelpPrinter(o, ctx)
	}
	return err
}
