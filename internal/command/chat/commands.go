package chat

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"caldera/gpt/chat"
)

// command is what a line that begins with a slash does.
type command struct {
	name, argument, help string
	run                  func(t *talk, argument string) (again bool, err error)
}

// commands are in the order of the help. It is made at the start, because one of them prints it.
var commands []command

func init() {
	commands = []command{
		{"retry", "", "answer the last message again", (*talk).retry},
		{"system", "TEXT", "set what the system says; without a text: show it", (*talk).setSystem},
		{"temperature", "T", "set the temperature; without a number: show it", (*talk).temperature},
		{"thinking", "WHEN", "whether the model reasons first: auto, on or off", (*talk).setThinking},
		{"clear", "", "forget the conversation, but not what the system says", (*talk).clear},
		{"save", "FILE", "save the conversation", (*talk).save},
		{"load", "FILE", "go on with a conversation that was saved", (*talk).load},
		{"help", "", "show this", (*talk).help},
		{"quit", "", "end the program; so do /exit and /bye", nil},
	}
}

// ending are the names that end the program.
var ending = []string{"quit", "exit", "bye"}

// help lists the commands.
func help() string {
	var out strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&out, "  /%-20s %s\n", strings.TrimSpace(c.name+" "+c.argument), c.help)
	}
	return out.String() + "  //TEXT                a message that begins with a slash\n"
}

// complete lists the commands that a line begins.
func complete(line string) (all []string) {
	for _, c := range commands {
		if name := "/" + c.name; strings.HasPrefix(name, line) && strings.HasPrefix(line, "/") {
			all = append(all, name+" ")
		}
	}
	return all
}

// do runs a line that begins with a slash. quit says to end, and again to have the last
// message answered.
func (t *talk) do(line string) (again, quit bool, err error) {
	name, argument, _ := strings.Cut(strings.TrimSpace(line[1:]), " ")
	if slices.Contains(ending, name) {
		return false, true, nil
	}
	for _, c := range commands {
		if c.name != name {
			continue
		}
		argument = strings.TrimSpace(argument)
		if argument != "" && c.argument == "" {
			return false, false, fmt.Errorf("/%s takes nothing behind it: found %q", name, argument)
		}
		again, err = c.run(t, argument)
		return again, false, err
	}
	return false, false, fmt.Errorf("/%s is no command: see /help; a message that begins with a slash is written with two", name)
}

func (t *talk) retry(string) (bool, error) {
	m := t.chat.Messages
	if n := len(m); n > 0 && m[n-1].Role == chat.Assistant {
		m = m[:n-1]
	}
	if n := len(m); n == 0 || m[n-1].Role != chat.User {
		return false, fmt.Errorf("/retry: there is no message to answer again")
	}
	t.chat.Messages = m
	return true, nil
}

func (t *talk) setSystem(text string) (bool, error) {
	if text != "" {
		t.system(text)
		return false, nil
	}
	if m := t.chat.Messages; len(m) > 0 && m[0].Role == chat.System {
		t.note("%s", m[0].Content)
	} else {
		t.note("the system says nothing")
	}
	return false, nil
}

// system sets what the system says.
func (t *talk) system(text string) {
	t.chat.Messages = append([]chat.Message{{Role: chat.System, Content: text}},
		slices.DeleteFunc(t.chat.Messages, func(m chat.Message) bool { return m.Role == chat.System })...)
}

func (t *talk) temperature(text string) (bool, error) {
	if text == "" {
		t.note("the temperature is %v", t.options.Temperature)
		return false, nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return false, fmt.Errorf("/temperature: found %q, expected a number", text)
	}
	s := t.options.Sampling
	if s.Temperature = v; s.Validate() != nil {
		return false, fmt.Errorf("/temperature: found %v, expected a finite number of 0 and more", v)
	}
	t.options.Sampling = s
	return false, nil
}

func (t *talk) setThinking(text string) (bool, error) {
	on := text == "on"
	switch text {
	case "auto":
		t.chat.Thinking = nil
	case "on", "off":
		t.chat.Thinking = &on
	default:
		return false, fmt.Errorf("/thinking: found %q, expected auto, on or off", text)
	}
	if text != "auto" && !t.template.KnowsThinking() {
		t.note("this model's template does not ask whether to reason: it is as before")
	}
	return false, nil
}

func (t *talk) clear(string) (bool, error) {
	t.chat.Clear()
	return false, nil
}

func (t *talk) save(path string) (bool, error) {
	if path == "" {
		return false, fmt.Errorf("/save: expected the name of a file")
	}
	if err := save(path, saved{t.model, append([]chat.Message{}, t.chat.Messages...)}); err != nil {
		return false, err
	}
	t.note("saved %d messages as %s", len(t.chat.Messages), path)
	return false, nil
}

func (t *talk) load(path string) (bool, error) {
	if path == "" {
		return false, fmt.Errorf("/load: expected the name of a file")
	}
	s, err := load(path)
	if err != nil {
		return false, err
	}
	t.chat.Clear()
	t.chat.Messages = s.Messages
	with := ""
	if s.Model != t.model {
		with = ", of a conversation with " + s.Model
	}
	t.note("loaded %d messages%s", len(s.Messages), with)
	return false, nil
}

func (t *talk) help(string) (bool, error) {
	t.note("%s", strings.TrimSuffix(help(), "\n"))
	return false, nil
}
