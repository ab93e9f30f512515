package chat

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// TestTemplates renders small templates of the usual kinds, and expects what
// @huggingface/jinja 0.5.11 made of them with testdata/render.mjs.
func TestTemplates(t *testing.T) {
	lines, err := os.ReadFile("testdata/expected.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if c := compare(t, "testdata/templates", lines, nil); c.same != 35 || c.refused != 5 || len(c.unable) > 0 {
		t.Errorf("%+v", c)
	}
}

// TestRender renders in a child process.
func TestRender(t *testing.T) {
	template := Template{Source: "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{% if m.reasoning_content is defined %} ({{ m.reasoning_content }}){% endif %}{{ '\n' }}{% endfor %}" +
		"{% if add_generation_prompt %}assistant:{% endif %}{% if enable_thinking is defined %} {{ enable_thinking }}{% endif %}{{ tools is none }}", Tokens: map[string]string{"bos_token": "<s>"}}
	yes := true
	for _, c := range []struct {
		o    RenderOptions
		want string
	}{
		{RenderOptions{}, "<s>user: Grüße <&>\nassistant: no (why)\nTrue"},
		{RenderOptions{Answer: true, Thinking: &yes}, "<s>user: Grüße <&>\nassistant: no (why)\nassistant: TrueTrue"},
	} {
		got, err := template.Render(t.Context(), []Message{{Role: User, Content: "Grüße <&>"}, {Role: Assistant, Content: "no", Reasoning: "why"}}, c.o)
		if err != nil || got != c.want {
			t.Errorf("%q, %v, expected %q", got, err, c.want)
		}
	}
	if !template.KnowsThinking() || (Template{}).KnowsThinking() {
		t.Error("which templates ask for enable_thinking?")
	}
	var refused *RefusedError
	_, err := Template{Source: "{{ raise_exception('no system prompt, please') }}"}.Render(t.Context(), nil, RenderOptions{})
	if !errors.As(err, &refused) || refused.Message != "no system prompt, please" {
		t.Error(err)
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	if _, err := template.Render(ended, nil, RenderOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestNothing tells of a template that writes nothing where an answer is to follow.
func TestNothing(t *testing.T) {
	template := Template{Source: "{% if false %}x{% endif %}"}
	if _, err := template.Render(t.Context(), []Message{{Role: User, Content: "hi"}}, RenderOptions{Answer: true}); err == nil || !strings.Contains(err.Error(), "it writes nothing") {
		t.Errorf("found %v", err)
	}
	if _, err := template.Render(t.Context(), []Message{{Role: User, Content: "hi"}}, RenderOptions{}); err != nil {
		t.Error(err)
	}
}

// TestBounds runs templates that would take all time and memory there is.
func TestBounds(t *testing.T) {
	defer func(old time.Duration) { maxTime = old }(maxTime)
	const much = "1000000000000"
	for name, c := range map[string]struct{ source, part string }{
		"endless":                {"{% for a in range(3000) %}{% for b in range(3000) %}{% for c in range(3000) %}{% endfor %}{% endfor %}{% endfor %}", "longer than"},
		"a long list":            {"{% for a in range(" + much + ") %}{% endfor %}", "MiB of memory"},
		"a string many times":    {"{{ 'x' * " + much + " }}", "memory"},
		"twice and twice":        {"{% set ns = namespace(x='xxxxxxxx') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", "memory"},
		"a list in itself":       {"{% set x = [] %}{% for i in range(9) %}{{ x.append(x) }}{% endfor %}{{ x | tojson(indent=1) }}", ""},
		"replace":                {"{% set x = 'aaaaaaaaaaaaaaaa' * 100000 %}{{ x | replace('a', x) }}", "memory"},
		"much text":              {"{% for i in range(20) %}{{ 'x' * 1000000 }}{% endfor %}", "wrote more than"},
		"a macro in itself":      {"{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}", "calls itself too often"},
		"parentheses":            {"{{ " + strings.Repeat("(", 400_000) + "1" + strings.Repeat(")", 400_000) + " }}", "nested too deep"},
		"blocks":                 {strings.Repeat("{% if 1 %}", 60_000) + strings.Repeat("{% endif %}", 30_000), ""},
		"not":                    {"{{ " + strings.Repeat("not ", 200_000) + "1 }}", "-"},
		"an index out of all":    {"{{ [1][" + much + much + "] }}{{ 'abc'[::-" + much + "] }}{{ [1,2][::0] }}", "-"},
		"no end":                 {"{% for a in", "chat template"},
		"no function":            {"{{ nothing() }}", "chat template"},
		"no filter":              {"{{ 1 | nothing }}", "nothing"},
		"a file":                 {"{% include '/etc/passwd' %}", "chat template"},
		"another template":       {"{% extends 'x' %}", "chat template"},
		"bytes that are no text": {"\xff", "UTF-8"},
		"long":                   {strings.Repeat("x", MaxTemplate+1), "expected at most"},
	} {
		start := time.Now()
		if maxTime = time.Minute; name == "endless" {
			maxTime = time.Second / 2
		}
		text, err := Template{Source: c.source}.Render(t.Context(), nil, RenderOptions{})
		switch {
		case c.part == "-" && err != nil && !strings.HasPrefix(err.Error(), "chat template: "):
			t.Errorf("%s: %v", name, err)
		case c.part != "-" && (err == nil || !strings.Contains(err.Error(), c.part)):
			t.Errorf("%s: %.80q, %v, expected an error with %q", name, text, err, c.part)
		case err != nil && (strings.Contains(err.Error(), "\n") || len(err.Error()) > 400):
			t.Errorf("%s: %.500q, expected a line", name, err)
		}
		if took := time.Since(start); took > 60*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

func TestStrftime(t *testing.T) {
	for format, want := range map[string]string{
		"%Y-%m-%d": "2026-01-05", "%d %b %Y": "05 Jan 2026", "%B %d, %Y": "January 05, 2026", "%-d %A %e": "5 Monday  5", "%H:%M:%S%%": "13:04:09%", "%q %": "%q %",
		"%j %y %F": "005 26 2026-01-05", "no 15:04": "no 15:04",
	} {
		if got := strftime(testNow, format); got != want {
			t.Errorf("%q: %q, expected %q", format, got, want)
		}
	}
}

// FuzzRender runs any template: it ends, with a text or an error of one line.
func FuzzRender(f *testing.F) {
	for _, name := range []string{"chatml", "inst", "headers", "gemma"} {
		source, err := os.ReadFile("testdata/templates/" + name + ".jinja")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(source))
	}
	f.Add("{% for i in range(99999) %}{% set x = [i] * 3 %}{{ x[::-1] | join('a') }}{% endfor %}")
	messages := []Message{{Role: User, Content: "Hi"}, {Role: Assistant, Content: "Hello", Reasoning: "so"}, {Role: User, Content: "?"}}
	f.Fuzz(func(t *testing.T, source string) {
		text, err := Template{Source: source, Tokens: map[string]string{"bos_token": "<s>", "eos_token": "</s>"}}.Render(t.Context(), messages, RenderOptions{Answer: true})
		if err != nil && (text != "" || strings.Contains(err.Error(), "the process that runs it")) {
			t.Errorf("%q, %v", text, err)
		}
	})
}
