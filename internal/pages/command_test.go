package pages_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"caldera/internal/commandtest"
	"caldera/internal/devicetest"
)

// programs are the commands of this module, by name: where each was built.
var programs = map[string]string{}

func TestMain(m *testing.M) {
	os.Exit(commandtest.Main(m, func(folder string) (failed error) {
		mains, err := filepath.Glob(filepath.Join(root, "cmd/*/main.go"))
		if err != nil || len(mains) == 0 {
			return fmt.Errorf("no commands in cmd: %w", err)
		}
		for _, main := range mains {
			name := filepath.Base(filepath.Dir(main))
			programs[name] = filepath.Join(folder, name)
			failed = errors.Join(failed, commandtest.Build(programs[name], filepath.Dir(main)))
		}
		return failed
	}))
}

// words parts a line as a shell does, up to the end of its first command.
func words(line string) (all []string) {
	var word strings.Builder
	inside := false // a word
	end := func() {
		if inside {
			all = append(all, word.String())
		}
		word.Reset()
		inside = false
	}
	var quote rune
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, inside = r, true
		case r == ' ':
			end()
		case r == '#' && !inside, r == '|', r == ';', r == '&', r == '>':
			end()
			return all
		default:
			word.WriteRune(r)
			inside = true
		}
	}
	end()
	return all
}

// typed are the lines of a page that a reader types: those of blocks, and code
// in its prose.
func typed(p page) (lines []string) {
	for _, b := range p.blocks {
		for line := range strings.Lines(b.code) {
			line = strings.TrimSuffix(line, "\n")
			switch b.language {
			case "sh":
				lines = append(lines, line)
			case "console":
				if line, ok := strings.CutPrefix(line, "$ "); ok {
					lines = append(lines, line)
				}
			}
		}
	}
	for _, m := range inline.FindAllStringSubmatch(p.prose, -1) {
		lines = append(lines, m[1])
	}
	return lines
}

var (
	help   sync.Map // texts by command line
	listed = regexp.MustCompile(`(?m)^  [a-z].*$`)
)

// helpOf is what a program prints with --help: its own or that of a command
// below it.
func helpOf(args ...string) string {
	key := strings.Join(args, " ")
	if text, ok := help.Load(key); ok {
		return text.(string)
	}
	out, err := exec.Command(programs[args[0]], append(slices.Clone(args[1:]), "--help")...).CombinedOutput()
	if err != nil {
		out = fmt.Appendf(nil, "%s --help: %v\n%s", key, err, out)
	}
	help.Store(key, string(out))
	return string(out)
}

// below are the commands that a program, or a command of it, has below it.
func below(command ...string) []string { return listedIn(helpOf(command...), command[1:]) }

// listedIn are the commands that a help text lists, each with the path to it.
func listedIn(help string, path []string) (names []string) {
	_, commands, _ := strings.Cut(help, "\nCommands:\n")
	commands, _, _ = strings.Cut(commands, "\nRun \"")
	for _, m := range listed.FindAllString(commands, -1) {
		if words := strings.Fields(m); len(words) > len(path) && slices.Equal(words[:len(path)], path) && !slices.Contains(names, words[len(path)]) {
			names = append(names, words[len(path)])
		}
	}
	return names
}

// has is whether a help text has a flag, listed as --flag or --[no-]flag.
// Underscores are as good as hyphens.
func has(text, flag string) bool {
	name := strings.TrimPrefix(strings.ReplaceAll(flag, "_", "-"), "--")
	listed := regexp.QuoteMeta(name)
	if positive, negative := strings.CutPrefix(name, "no-"); negative {
		listed += `|\[no-\]` + regexp.QuoteMeta(positive)
	} else {
		listed += `|\[no-\]` + listed
	}
	return regexp.MustCompile(`--(` + listed + `)\b([^-]|$)`).MatchString(text)
}

// everyHelp is all that all programs print with --help.
var everyHelp = sync.OnceValue(func() string {
	var all strings.Builder
	for name := range programs {
		all.WriteString(helpOf(name))
		for _, command := range below(name) {
			all.WriteString(helpOf(name, command))
			for _, deeper := range below(name, command) {
				all.WriteString(helpOf(name, command, deeper))
			}
		}
	}
	return all.String()
})

// hidden are flags that help does not list: other programs' names of ours.
var hidden = []string{"--init-from"}

var (
	flagName = regexp.MustCompile(`^--?[A-Za-z][\w-]*`)
	target   = regexp.MustCompile(`(?m)^([a-z][a-z-]*(?: [a-z][a-z-]*)*):`)
)

// commands are commands, flags and tasks of make that a page names and that are
// not there.
func commands(p page) (wrong []string) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		return []string{err.Error()}
	}
	var targets []string
	for _, m := range target.FindAllStringSubmatch(string(makefile), -1) {
		targets = append(targets, strings.Fields(m[1])...)
	}
	for _, line := range typed(p) {
		args := words(line)
		if len(args) == 0 {
			continue
		}
		name := strings.TrimPrefix(args[0], "bin/")
		switch {
		case name == "make":
			for _, arg := range args[1:] {
				if !strings.Contains(arg, "=") && !slices.Contains(targets, arg) {
					wrong = append(wrong, fmt.Sprintf("`%s`: make has no task %s", line, arg))
				}
			}
		case programs[name] != "":
			wrong = append(wrong, call(line, name, args[1:])...)
		case strings.HasPrefix(name, "--"):
			if flag := flagName.FindString(name); !has(everyHelp(), flag) && !slices.Contains(hidden, strings.ReplaceAll(flag, "_", "-")) {
				wrong = append(wrong, fmt.Sprintf("`%s`: no command has this flag", line))
			}
		}
	}
	return wrong
}

// call checks the flags of a line that calls one of our programs.
func call(line, name string, args []string) (wrong []string) {
	if len(args) > 1 && args[0] == "help" { // of a command
		return call(line, name, append(args[1:], "--help"))
	}
	command := []string{name}
	for len(args) > 0 && slices.Contains(below(command...), args[0]) {
		command, args = append(command, args[0]), args[1:]
	}
	text := helpOf(command...)
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") && len(below(command...)) > 0 {
		return []string{fmt.Sprintf("`%s`: %s has no command %s", line, strings.Join(command, " "), args[0])}
	}
	for _, arg := range args {
		flag := flagName.FindString(arg)
		known := has(text, flag)
		if len(flag) == 2 || flag != "" && !strings.HasPrefix(flag, "--") { // -n 60, -n60
			known = strings.Contains(text, flag[:2]+",")
		}
		if flag != "" && flag != "--help" && !known && !slices.Contains(hidden, strings.ReplaceAll(flag, "_", "-")) {
			wrong = append(wrong, fmt.Sprintf("`%s`: %s has no flag %s", line, strings.Join(command, " "), flag))
		}
	}
	return wrong
}

func TestCommands(t *testing.T) { each(t, commands) }

// TestCommandsAreFound sees that the check finds what is wrong, and nothing else.
func TestCommandsAreFound(t *testing.T) {
	const fence = "```"
	for _, c := range []struct {
		text  string
		wrong int
	}{
		{"`make run` `make bench ARGS=\"--backend=cpu\"` `--batch_size` `--dtype=f16` `--no-ceilings` `bench show` `go test --none`", 0},
		{"    generate --backend=cpu -n 3 \"--none\" | x --none # --none\n    train tokenizer -o dir texts/\n    train --max_iters=3\n    bin/bench --shape=gpt2\n", 1},
		{"    generate --none\n    generate -Z\n    train tokenizer --max_iters=3\n    bench none\n    bench ops --pp=3\n", 5},
		{fence + "console\n$ generate --none\ngenerate --none\n" + fence + "\n", 1},
		{"`make none` `--none` `--dtyp` `convert --none -o x`", 4},
	} {
		if got := commands(read("x.md", c.text)); len(got) != c.wrong {
			t.Errorf("%q: found %q, expected %d", c.text, got, c.wrong)
		}
	}
}

// TestListedCommands reads help as it is for one program that has all commands.
func TestListedCommands(t *testing.T) {
	const whole = "Usage: all <command>\n\nCommands:\n  bench run [flags]\n    Measure.\n\n  bench show <files> ...\n    Write.\n\n  generate [flags]\n\nRun \"all <command> --help\""
	const part = "Usage: all bench <command>\n\nCommands:\n  bench run [flags]\n    Measure.\n\n  bench show <files> ...\n\nRun \"all bench\""
	if got := listedIn(whole, nil); !slices.Equal(got, []string{"bench", "generate"}) {
		t.Errorf("of all: %q", got)
	}
	if got := listedIn(part, []string{"bench"}); !slices.Equal(got, []string{"run", "show"}) {
		t.Errorf("of bench: %q", got)
	}
	if got := listedIn("Usage: generate\n  -h\n", nil); len(got) > 0 {
		t.Errorf("of none: %q", got)
	}
}

// transcripts are calls in a page's blocks whose output is the same each time,
// with the output: words taken greedily.
func transcripts(p page) (all [][2]string) {
	for _, b := range p.blocks {
		if b.language != "console" {
			continue
		}
		for _, part := range strings.Split("\n"+b.code, "\n$ ")[1:] {
			line, out, _ := strings.Cut(part, "\n")
			if args := words(line); len(args) > 1 && args[0] == "caldera" && args[1] == "generate" && slices.Contains(args, "--temp=0") {
				all = append(all, [2]string{line, out})
			}
		}
	}
	return all
}

var device = regexp.MustCompile(`^(warning: )?(cpu|vulkan):\d+: |^seed: \d+\n|^draft: \d+ of \d+ guesses |^fetching [^ ]+: `)

// text is the output without the lines that tell of the machine.
func text(out string) string {
	lines := strings.SplitAfter(out, "\n")
	return strings.Trim(strings.Join(slices.DeleteFunc(lines, device.MatchString), ""), "\n")
}

// TestTranscripts runs what README shows, on the CPU and on Vulkan drivers.
func TestTranscripts(t *testing.T) {
	devicetest.UseTestDrivers(t)
	useHub(t)
	all, err := pages()
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for _, p := range all {
		for _, call := range transcripts(p) {
			calls++
			for _, hardware := range [][]string{{"--backend=cpu"}, {"--backend=vulkan", "--device=llvmpipe"}} {
				args := slices.DeleteFunc(words(call[0])[2:], func(arg string) bool {
					return strings.HasPrefix(arg, "--backend") || strings.HasPrefix(arg, "--device")
				})
				cmd := exec.Command(programs["caldera"], slices.Concat([]string{"generate"}, hardware, args)...)
				cmd.Dir = root
				r := commandtest.Run(t, cmd)
				if got, want := strings.Trim(r.Out, "\n"), text(call[1]); r.Code != 0 || got != want {
					t.Errorf("%s: %s, with %v: exit %d, and wrote\n%s\nexpected\n%s\n%s", p.path, call[0], hardware, r.Code, got, want, r.Stderr)
				}
			}
		}
	}
	if calls == 0 {
		t.Error("no page has a call of caldera generate with --temp=0 whose output it shows")
	}
}

// TestMakeRun holds the line that README has make print to the Makefile.
func TestMakeRun(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip(err)
	}
	all, err := pages()
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, p := range all {
		for _, b := range p.blocks {
			call, out, _ := strings.Cut(b.code, "\n")
			args, ok := strings.CutPrefix(call, "$ make ")
			if b.language != "console" || !ok {
				continue
			}
			blocks++
			cmd := exec.Command("make", append([]string{"-n"}, words(args)...)...)
			cmd.Dir = root
			printed, err := cmd.Output()
			first, _, _ := strings.Cut(out, "\n")
			if err != nil || !slices.Contains(strings.Split(strings.ReplaceAll(string(printed), " \n", "\n"), "\n"), first) {
				t.Errorf("%s: %s prints no line %q (%v):\n%s", p.path, call, first, err, printed)
			}
		}
	}
	if blocks == 0 {
		t.Error("no page shows what make run prints")
	}
}
