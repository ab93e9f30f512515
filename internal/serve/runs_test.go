package serve

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"caldera/gpt/model"
	"caldera/inspect"
	"caldera/internal/gpttest"
)

// TestRuns looks at the training runs that the server offers, and at no other folder.
func TestRuns(t *testing.T) {
	in := inspect.New(&model.Model{Backend: gpttest.OpenCPU(t)}, nil, inspect.Options{})
	const run = "../view/testdata/run"
	ask := func(m *Model, folder string) error {
		look, err := m.View("learn", url.Values{"run": {folder}, "text": {"the"}, "most": {"1"}})
		if err == nil {
			_, err = look(t.Context())
		}
		return err
	}
	m := NewModel(in, ModelOptions{Vars: kong.Vars{}, Runs: []string{run}})
	if err := ask(m, run); err != nil {
		t.Error(err)
	}
	none := NewModel(in, ModelOptions{Vars: kong.Vars{}})
	for folder, want := range map[string]string{"/etc": `run: found "/etc", expected one of ` + run, run + "/.": "expected one of", "": "expected one of"} {
		if err := ask(m, folder); !errors.As(err, new(inspect.UserError)) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, expected %q", folder, err, want)
		}
	}
	if err := ask(none, run); !errors.As(err, new(inspect.UserError)) || !strings.Contains(err.Error(), "started without a training run") {
		t.Errorf("%v", err)
	}
}
