// Package hub has the commands for models of Hugging Face's hub: pull fetches them into the
// cache, list lists what is there, and rm removes it.
package hub

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/term"

	"caldera/internal/cli"
	"caldera/internal/hub"
	"caldera/internal/printable"
)

const name = "org/name[:file or quantisation][@revision]"

// Commands returns the commands, with flags of their own.
func Commands() []cli.Command {
	return []cli.Command{
		{
			Name: "pull", Help: "Fetch models of Hugging Face's hub into its tools' cache, and print their paths.", Flags: &pull{},
			Arguments: "name models as " + name,
		},
		{Name: "list", Help: "List the models in the cache of Hugging Face's tools.", Flags: &list{}},
		{
			Name: "rm", Help: "Remove models from the cache of Hugging Face's tools. What other revisions use stays.", Flags: &remove{},
			Arguments: "name models as " + name,
		},
	}
}

type pull struct {
	Models []string `arg:"" name:"model" help:"Models: org/name[:file or quantisation][@revision]."`
}

// Run fetches.
func (c *pull) Run(ctx context.Context) error {
	names, err := parse(c.Models)
	if err != nil {
		return err
	}
	for _, n := range names {
		path, err := cli.Fetch(ctx, n, os.Stderr)
		if err != nil {
			return err
		}
		if _, err := fmt.Println(path); err != nil {
			return err
		}
	}
	return nil
}

// parse reads the names of models.
func parse(texts []string) (names []hub.Name, err error) {
	for _, text := range texts {
		n, isName, err := hub.Parse(text)
		if err != nil {
			return nil, cli.UsageError{Err: err}
		}
		if !isName {
			return nil, cli.Usagef("%q is the name of no model on the hub: expected %s", text, name)
		}
		names = append(names, n)
	}
	return names, nil
}

type list struct {
	JSON bool `name:"json" help:"Print a JSON object for each model, a line each."`
}

// listed is a model as --json prints it.
type listed struct {
	Model     string     `json:"model"`
	Size      int64      `json:"size"`              // bytes on the disk
	Partial   int64      `json:"partial,omitempty"` // of it, of fetches that were cut off
	Revisions []revision `json:"revisions"`
}

type revision struct {
	Commit   string    `json:"commit"`
	Refs     []string  `json:"refs"`
	Size     int64     `json:"size"`
	Files    []file    `json:"files"`
	Modified time.Time `json:"modified"`
}

type file struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
}

// Run lists.
func (c *list) Run(context.Context) error {
	place, err := hub.FromEnvironment()
	if err != nil {
		return err
	}
	all, err := place.List()
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(os.Stdout, all)
	}
	if len(all) == 0 {
		fmt.Fprintf(os.Stderr, "no models in %s: caldera pull fetches one\n", printable.Text(place.Cache))
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MODEL\tREVISION\tCOMMIT\tSIZE\tFILES\tFETCHED")
	var total int64
	for _, m := range all {
		total += m.Size
		for _, s := range m.Snapshots {
			fmt.Fprintf(w, "%s\t%s\t%.8s\t%s\t%d\t%s\n", printable.Text(m.Repo), printable.Text(strings.Join(s.Refs, ", ")), printable.Text(s.Commit),
				humanize.Bytes(uint64(s.Size)), len(s.Files), s.Modified.Format(time.DateOnly))
		}
		if m.Partial > 0 {
			fmt.Fprintf(w, "%s\t\t\t%s\t\tcut off\n", printable.Text(m.Repo), humanize.Bytes(uint64(m.Partial)))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s in %s\n", humanize.Bytes(uint64(total)), printable.Text(place.Cache))
	return nil
}

func writeJSON(w io.Writer, all []hub.Cached) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, m := range all {
		l := listed{Model: m.Repo, Size: m.Size, Partial: m.Partial, Revisions: []revision{}}
		for _, s := range m.Snapshots {
			r := revision{Commit: s.Commit, Refs: append([]string{}, s.Refs...), Size: s.Size, Files: []file{}, Modified: s.Modified}
			for _, f := range s.Files {
				r.Files = append(r.Files, file{f.Path, f.Size})
			}
			l.Revisions = append(l.Revisions, r)
		}
		if err := e.Encode(l); err != nil {
			return err
		}
	}
	return nil
}

type remove struct {
	Models []string `arg:"" name:"model" help:"Models: org/name for all of one, or org/name[:file or quantisation][@revision] for a part."`
	Yes    bool     `short:"y" help:"Do not ask."`
}

// Run removes.
func (c *remove) Run(ctx context.Context) error {
	names, err := parse(c.Models)
	if err != nil {
		return err
	}
	place, err := hub.FromEnvironment()
	if err != nil {
		return err
	}
	for _, n := range names {
		r, err := place.Plan(n)
		if err != nil {
			return err
		}
		size := humanize.Bytes(uint64(r.Size))
		if !c.Yes {
			if !term.IsTerminal(int(os.Stdin.Fd())) {
				return cli.Usagef("%s: %s would be removed: say --yes, for there is no terminal to ask on", n, size)
			}
			if yes, err := ask(ctx, fmt.Sprintf("remove %s (%s)? [y/N] ", n, size)); err != nil || !yes {
				return err
			}
		}
		if err := r.Do(); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "removed %s (%s)\n", n, size)
	}
	return nil
}

// ask asks on the terminal.
func ask(ctx context.Context, question string) (bool, error) {
	fmt.Fprint(os.Stderr, printable.Text(question))
	line, err := cli.Until(ctx, func() (string, error) { return bufio.NewReader(os.Stdin).ReadString('\n') })
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}
