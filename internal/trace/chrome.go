package trace

import (
	"encoding/json"
	"io"
	"time"
)

// event is an event of the Trace Event Format, which chrome://tracing and Perfetto
// read: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
type event struct {
	Name  string   `json:"name"`
	Cat   string   `json:"cat,omitempty"`
	Phase string   `json:"ph"` // X: an event from ts on for dur; M: the name of pid or tid
	TS    float64  `json:"ts"` // microseconds
	Dur   *float64 `json:"dur,omitempty"`
	PID   int      `json:"pid"`
	TID   int      `json:"tid"`
	Args  any      `json:"args,omitempty"`
}

type nameArgs struct {
	Name string `json:"name"`
}

type spanArgs struct {
	Operands   string   `json:"operands"`
	Dispatches int      `json:"dispatches"`
	Shaders    []string `json:"shaders,omitempty"`
	FLOP       int64    `json:"flop,omitempty"`
	Bytes      int64    `json:"bytes,omitempty"`
}

// The thread id of each track.
const thread = 1

// WriteChrome writes tracks as a JSON array of events. Each track is shown as a
// process, with its passes one after another, and the ops inside the passes.
func WriteChrome(w io.Writer, tracks ...Track) error {
	events := []event{}
	for i, t := range tracks {
		pid := i + 1
		events = append(events,
			event{Name: "process_name", Phase: "M", PID: pid, TID: thread, Args: nameArgs{t.Name}},
			event{Name: "thread_name", Phase: "M", PID: pid, TID: thread, Args: nameArgs{"ops, each alone on the device"}})
		var at time.Duration // where the pass begins
		for _, p := range t.Passes {
			var end time.Duration
			for _, s := range p.Spans {
				end = max(end, s.Begin+s.Duration)
			}
			events = append(events, complete(p.Name, "pass", at, end, pid, nil))
			for _, s := range p.Spans {
				flops, bytes := p.cost(s)
				events = append(events, complete(s.Op, "op", at+s.Begin, s.Duration, pid,
					spanArgs{s.Signature(), s.Dispatches, s.Variants, flops, bytes}))
			}
			at += end
		}
	}
	return json.NewEncoder(w).Encode(events)
}

// complete returns an event with a begin and a duration.
func complete(name, category string, begin, duration time.Duration, pid int, args any) event {
	d := microseconds(duration)
	return event{Name: name, Cat: category, Phase: "X", TS: microseconds(begin), Dur: &d, PID: pid, TID: thread, Args: args}
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
