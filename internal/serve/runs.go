package serve

import (
	"slices"
	"strings"

	"caldera/inspect"
	"caldera/internal/view"
)

// offered returns an error for parameters that name a folder of this machine which the
// server does not offer: whoever asks must not look around in its files.
func (m *Model) offered(p view.Params) error {
	f, ok := p.(interface{ Folders() []string })
	if !ok {
		return nil
	}
	for _, folder := range f.Folders() {
		switch {
		case slices.Contains(m.o.Runs, folder):
		case len(m.o.Runs) == 0:
			return inspect.Userf("run: the server was started without a training run to look at")
		default:
			return inspect.Userf("run: found %.40q, expected one of %s", folder, strings.Join(m.o.Runs, ", "))
		}
	}
	return nil
}
