package cli

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// Advice about flags of other programs, for every command that could have them.
const (
	OneDevice = "the whole model is on one device: choose it with --backend and --device, and leave this out"
	Positions = "positions are as the model's files say: for a longer context see --rope-scaling and --rope-scale"
	Automatic = "this is chosen by itself: leave it out"
	HubToken  = "set HF_TOKEN in the environment, or run hf auth login"
)

// Foreign makes a table for [Command.Foreign]. Its argument maps our flag, or what to do,
// to a list of flags separated by spaces.
func Foreign(lists map[string]string) map[string]string {
	table := map[string]string{}
	for to, flags := range lists {
		for flag := range strings.FieldsSeq(flags) {
			table[flag] = to
		}
	}
	return table
}

// respell replaces flags of other programs by ours, as table says. If table has a message
// for a flag, it returns that as an error. Arguments after -- are text.
func respell(args []string, table map[string]string) ([]string, error) {
	out := append([]string{}, args...)
	for i, arg := range out {
		if arg == "--" {
			break
		}
		name, value, joined := strings.Cut(arg, "=")
		switch to := table[name]; {
		case to == "":
		case !strings.HasPrefix(to, "--"):
			return nil, Usagef("%s: %s", name, to)
		case joined && strings.Contains(to, "="):
			return nil, Usagef("%s: say %s", name, to)
		case joined:
			out[i] = to + "=" + value
		default:
			out[i] = to
		}
	}
	return out, nil
}

// empties returns an error if a flag or an argument is an empty text: most often that is
// a shell variable that is not set. A flag that may be empty has the tag empty:"".
func empties(ctx *kong.Context) error {
	flags := map[string]*kong.Flag{}
	for _, f := range ctx.Flags() {
		for _, name := range append([]string{f.Name}, f.Aliases...) {
			flags["--"+name] = f
		}
		if f.Short != 0 {
			flags["-"+string(f.Short)] = f
		}
	}
	// kong drops empty elements of a list, so look at the arguments.
	for i, arg := range ctx.Args {
		if arg == "--" {
			break
		}
		name, value, joined := strings.Cut(arg, "=")
		f := flags[name]
		if f == nil || f.IsBool() || f.Tag.Has("empty") {
			continue
		}
		if joined && value == "" || !joined && i+1 < len(ctx.Args) && ctx.Args[i+1] == "" {
			return Usagef("--%s is empty: expected %s (is a variable not set?)", f.Name, what(f.Value))
		}
	}
	for _, element := range ctx.Path {
		if p := element.Positional; p != nil && !p.Tag.Has("empty") && hasEmpty(ctx.Value(element)) {
			return Usagef("argument %s is empty: expected %s (is a variable not set?)", p.Name, what(p))
		}
	}
	return nil
}

func hasEmpty(v reflect.Value) bool {
	if v.Kind() == reflect.String {
		return v.String() == ""
	}
	if v.Kind() == reflect.Slice {
		for i := range v.Len() {
			if hasEmpty(v.Index(i)) {
				return true
			}
		}
	}
	return false
}

func what(v *kong.Value) string {
	switch v.Tag.PlaceHolder {
	case "PATH", "FILE":
		return "the path of a file"
	case "DIR":
		return "the path of a directory"
	case "":
		return "a value"
	}
	return fmt.Sprintf("a value (%s)", v.Tag.PlaceHolder)
}
