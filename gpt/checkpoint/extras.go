package checkpoint

import "errors"

// Extras are chat templates, and what the files of a model say of writing text with it, as a directory holds them.
// They are kept when the model has learned something else.
type Extras struct {
	template   string // the default one; empty for none
	named      map[string]string
	generation generation
}

// Extras reads them. warn is called with what a directory cannot hold of them, and is left out, and with the error of
// generation_config.json where that cannot be read. The error is that of templates that cannot be read: it names the
// file of a directory, what was found and what was expected.
func (c *Checkpoint) Extras(warn func(what string)) (x Extras, err error) {
	o := SaveOptions{Warn: warn}
	t, err := c.template()
	if err != nil && !errors.Is(err, errNoDefault) {
		return Extras{}, err
	}
	if err == nil {
		x.template = t.Source
	}
	named, err := c.NamedTemplates()
	if err != nil {
		return Extras{}, err
	}
	if x.template, err = o.text(x.template); err != nil {
		return Extras{}, err
	}
	if x.named, err = o.named(named, fileNames); err != nil {
		return Extras{}, err
	}
	if x.generation, err = c.savedGeneration(o); err == nil {
		x.generation, err = x.generation.inDirectory(o)
	}
	return x, err
}

// SetExtras makes x those of the checkpoint, which are saved with it. A directory holds all of them.
func (c *Checkpoint) SetExtras(x Extras) {
	c.SetChatTemplate(ChatTemplate{Source: x.template})
	c.SetNamedTemplates(x.named)
	c.sampling = func(func(string) bool) (Sampling, error) { return x.generation.sampling, nil }
	c.generation = func() (settings, error) { return x.generation.members, nil }
}
