package pages_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"caldera/internal/commandtest"
)

// chapters are the panels of the page, which its source lists.
const chapters = "internal/serve/page/src/chapters/index.tsx"

// storyRow is a row of the table of the story: a statement, a command, a panel.
var storyRow = regexp.MustCompile("(?m)^\\| (.+?) \\| `([^`]+)` \\| `#([a-z]+)` \\|$")

// TestStory holds the table of docs/inspect.md to the commands and the page: each
// statement of the story has a command that runs, and a panel that there is.
func TestStory(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs/inspect.md"))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(root, chapters))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n| what the story says |")
	table, _, _ = strings.Cut(table, "\n\n")
	lines := strings.Split(strings.TrimSpace(table), "\n")[2:]
	rows := storyRow.FindAllStringSubmatch(table, -1)
	if len(rows) != len(lines) || len(rows) < 40 {
		t.Errorf("%d of %d rows have a statement, a command and a panel, expected all, and at least 40", len(rows), len(lines))
	}
	ran := map[string]bool{}
	for _, row := range rows {
		if !strings.Contains(string(source), "id: '"+row[3]+"'") {
			t.Errorf("%q: %s lists no panel %q", row[1], chapters, row[3])
		}
		args := words(row[2])
		if args[0] != "inspect" || ran[row[2]] {
			continue // what generate and train do is tested with them
		}
		ran[row[2]] = true
		cmd := exec.Command(programs["inspect"], args[1:]...)
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "VK_DRIVER_FILES=/nonexistent") // the CPU computes
		if args[1] == "learn" {                                        // the run in "out"
			run, err := filepath.Abs(filepath.Join(root, "internal/view/testdata/run"))
			if err == nil {
				err = os.Symlink(run, filepath.Join(cmd.Dir, "out"))
			}
			if err != nil {
				t.Fatal(err)
			}
			for i, arg := range cmd.Args { // whose vocabulary is small
				if arg == "It is a truth" {
					cmd.Args[i] = "the"
				}
				cmd.Args[i] = strings.Replace(cmd.Args[i], "lady", "author", 1)
			}
		}
		if r := commandtest.Run(t, cmd); r.Code != 0 || len(r.Out) < 100 {
			t.Errorf("%s: exit code %d, %d bytes of output\n%s", row[2], r.Code, len(r.Out), r.Stderr)
		}
	}
}
