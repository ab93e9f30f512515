package cli

import (
	"errors"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"caldera/gpt/checkpoint"
)

// AdapterFlag chooses adapters of the model.
type AdapterFlag struct {
	LoRA []string `name:"lora" sep:"none" placeholder:"PATH[=X]" help:"Put a LoRA adapter beside the model: a directory as PEFT has it (adapter_config.json, adapter_model.safetensors), the folder of a training run, or a GGUF file; times X (1). May be given several times."`
}

// OpenAdapters opens the chosen adapters, and writes notes about them to log. done closes them.
func (f AdapterFlag) OpenAdapters(log io.Writer) (list []*checkpoint.Adapter, done func() error, err error) {
	done = func() (err error) {
		for _, a := range list {
			err = errors.Join(err, a.Close())
		}
		return err
	}
	for _, text := range f.LoRA {
		path, scale, err := adapterOf(text)
		if err != nil {
			return nil, nothing, errors.Join(err, done())
		}
		a, err := checkpoint.OpenAdapter(path)
		if err != nil {
			return nil, nothing, errors.Join(err, done())
		}
		a.Scale = scale
		list = append(list, a)
		Tell(log, a.Notes())
	}
	return list, done, nil
}

func nothing() error { return nil }

// adapterOf reads PATH or PATH=X. A path that exists is meant as such.
func adapterOf(text string) (path string, scale float64, err error) {
	at := strings.LastIndexByte(text, '=')
	if _, err := os.Lstat(text); err == nil || at < 0 {
		return text, 1, nil
	}
	scale, err = strconv.ParseFloat(text[at+1:], 64)
	if err != nil || !(math.Abs(scale) < math.MaxFloat32) || at == 0 {
		return "", 0, Usagef("--lora=%s: expected the path of an adapter, and behind = a number that it is multiplied by", text)
	}
	return text[:at], scale, nil
}
