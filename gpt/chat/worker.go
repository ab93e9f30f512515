package chat

// A template may loop for ever, call itself without end, or double a text until no memory is
// left, and the library that runs it has no bounds. So it runs in a child process: this
// program, started again, which does nothing else. There every bound holds whatever the
// library does. A render takes some tens of milliseconds.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"time"

	"github.com/ardanlabs/jinja"
)

// Bounds of a render.
const (
	maxRequest = 16 << 20  // bytes of a conversation, as JSON
	maxText    = 16 << 20  // bytes that a template may write
	maxMemory  = 256 << 20 // bytes that the child may use
	maxStack   = 64 << 20  // bytes of it, of calls within calls
)

// maxTime is how long a render may take.
var maxTime = 10 * time.Second

// workerVariable is set in the environment of the child alone.
const workerVariable = "CALDERA_CHAT_TEMPLATE_WORKER"

// Exit codes of the child; Go's own for a fatal error is 2.
const tooLarge = 3

func init() {
	if os.Getenv(workerVariable) != "" {
		os.Exit(work(os.Stdin, os.Stdout))
	}
}

type request struct {
	Template string          `json:"template"`
	Values   json.RawMessage `json:"values"` // an object
	Now      string          `json:"now"`    // for strftime_now; RFC 3339
}

type answer struct {
	Text    string `json:"text"`
	Refused string `json:"refused,omitempty"` // what raise_exception was given
	Error   string `json:"error,omitempty"`
}

// now is the time that templates are told. Tests replace it.
var now = time.Now

// isolated runs a template in a child process.
func isolated(ctx context.Context, r request) (a answer, err error) {
	r.Now = now().Format(time.RFC3339)
	input, err := json.Marshal(r)
	if err != nil {
		return a, err
	}
	if len(input) > maxRequest {
		return a, fmt.Errorf("the conversation has %d bytes, expected at most %d", len(input), maxRequest)
	}
	program, err := os.Executable()
	if err != nil {
		return a, fmt.Errorf("finding this program's own path: %w", err)
	}
	if _, err := os.Stat("/proc/self/exe"); err == nil {
		program = "/proc/self/exe" // even where its file was replaced
	}
	limited, stop := context.WithTimeout(ctx, maxTime)
	defer stop()
	cmd := exec.CommandContext(limited, program)
	cmd.Env = []string{workerVariable + "=1", "GOMAXPROCS=2", "GOTRACEBACK=none", "SYSTEMROOT=" + os.Getenv("SYSTEMROOT")}
	cmd.Stdin = bytes.NewReader(input)
	cmd.WaitDelay = time.Second
	out, said := &bounded{most: 6*maxText + 1024}, &bounded{most: 1024} // JSON escapes a byte by six at most
	cmd.Stdout, cmd.Stderr = out, said
	err = cmd.Run()
	switch exit := (*exec.ExitError)(nil); {
	case ctx.Err() != nil:
		return a, ctx.Err()
	case limited.Err() != nil:
		return a, fmt.Errorf("it took longer than %v", maxTime)
	case errors.As(err, &exit) && exit.ExitCode() == tooLarge, strings.Contains(said.String(), "out of memory"):
		return a, fmt.Errorf("it took more than %d MiB of memory", maxMemory>>20)
	case strings.Contains(said.String(), "stack exceeds"), strings.Contains(said.String(), "stack overflow"):
		return a, errors.New("it calls itself too often, or is nested too deep")
	case err != nil:
		return a, fmt.Errorf("the process that runs it failed: %w", err)
	}
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		return a, fmt.Errorf("the process that runs it: %w", err)
	}
	return a, nil
}

// bounded keeps the beginning of what is written to it.
type bounded struct {
	bytes.Buffer
	most int
}

func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:max(0, min(len(p), b.most-b.Len()))])
	return len(p), nil
}

// work is what the child does. It returns the exit code.
func work(in io.Reader, out io.Writer) int {
	signal.Ignore(os.Interrupt) // which a terminal sends to the child as well: the parent decides
	debug.SetMaxStack(maxStack)
	go watch()
	var r request
	if err := json.NewDecoder(io.LimitReader(in, maxRequest+1)).Decode(&r); err != nil {
		return 1
	}
	a := run(r)
	if len(a.Text) > maxText {
		a = answer{Error: fmt.Sprintf("it wrote more than %d bytes", maxText)}
	}
	if json.NewEncoder(out).Encode(a) != nil {
		return 1
	}
	return 0
}

// watch ends the process when it has too much memory.
func watch() {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	for ; ; time.Sleep(time.Millisecond) {
		metrics.Read(sample)
		if sample[0].Value.Uint64()-sample[1].Value.Uint64() > maxMemory {
			os.Exit(tooLarge)
		}
	}
}

// run runs a template.
func run(r request) (a answer) {
	defer func() {
		if failed := recover(); failed != nil {
			a = answer{Error: fmt.Sprintf("the library that runs it failed: %v", failed)}
		}
	}()
	values, err := object(r.Values)
	if err != nil {
		return answer{Error: err.Error()}
	}
	at, err := time.Parse(time.RFC3339, r.Now)
	if err != nil {
		return answer{Error: err.Error()}
	}
	var refused string
	values["raise_exception"] = jinja.NewCallable("raise_exception", func(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
		refused = "no reason given"
		if len(args) > 0 && args[0].IsString() {
			refused = args[0].AsString()
		}
		return jinja.Undefined(), errors.New(refused)
	})
	values["strftime_now"] = jinja.NewCallable("strftime_now", func(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
		if len(args) == 0 || !args[0].IsString() {
			return jinja.Undefined(), errors.New("strftime_now: expected a format")
		}
		return jinja.NewString(strftime(at, args[0].AsString())), nil
	})
	values[indented] = jinja.NewCallable(indented, toJSON)
	t, err := jinja.Compile(prepared(r.Template))
	if err != nil {
		return answer{Error: err.Error()}
	}
	a.Text, err = t.RenderValues(values)
	switch {
	case refused != "":
		return answer{Refused: refused}
	case err != nil:
		return answer{Error: err.Error()}
	}
	return a
}

// object reads the values of a template from a JSON object.
func object(text []byte) (map[string]jinja.Value, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := value(d)
	if err != nil {
		return nil, err
	}
	if !v.IsDict() {
		return nil, errors.New("the conversation is no JSON object")
	}
	return v.AsDict().Data, nil
}

// value reads the next JSON value. Objects keep the order of their keys, which templates show.
func value(d *json.Decoder) (jinja.Value, error) {
	token, err := d.Token()
	if err != nil {
		return jinja.Undefined(), err
	}
	switch x := token.(type) {
	case string:
		return jinja.NewString(x), nil
	case bool:
		return jinja.NewBool(x), nil
	case json.Number:
		if n, err := x.Int64(); err == nil {
			return jinja.NewInt(n), nil
		}
		f, err := x.Float64()
		return jinja.NewFloat(f), err
	case json.Delim:
		if x == '[' {
			items := []jinja.Value{}
			for d.More() {
				item, err := value(d)
				if err != nil {
					return item, err
				}
				items = append(items, item)
			}
			_, err := d.Token()
			return jinja.NewList(items), err
		}
		dict := jinja.NewDict()
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return dict, err
			}
			item, err := value(d)
			if err != nil {
				return item, err
			}
			dict.AsDict().Set(key.(string), item)
		}
		_, err := d.Token()
		return dict, err
	}
	return jinja.None(), nil
}

// strftime writes a time in the format of C's function of that name, in its C locale.
func strftime(at time.Time, format string) string {
	layouts := map[byte]string{
		'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM",
		'B': "January", 'b': "Jan", 'h': "Jan", 'A': "Monday", 'a': "Mon", 'Z': "MST", 'z': "-0700", 'j': "002",
		'F': "2006-01-02", 'T': "15:04:05", 'R': "15:04", 'D': "01/02/06", 'x': "01/02/06", 'X': "15:04:05", 'c': "Mon Jan _2 15:04:05 2006",
	}
	var out strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			out.WriteByte(format[i])
			continue
		}
		i++
		unpadded := format[i] == '-' && i+1 < len(format)
		if unpadded {
			i++
		}
		layout, known := layouts[format[i]]
		switch text := at.Format(layout); {
		case format[i] == '%':
			out.WriteByte('%')
		case !known:
			out.WriteString(format[i-1 : i+1])
		case unpadded:
			out.WriteString(strings.TrimLeft(text, "0 "))
		default:
			out.WriteString(text)
		}
	}
	return out.String()
}
