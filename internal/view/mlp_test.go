package view

import (
	"strings"
	"testing"

	"caldera/internal/gpttest"
)

func TestMLPText(t *testing.T) {
	in := austen(t)
	for address, parts := range map[string][]string{
		"mlp?text=It is a truth&layer=2&top=2":     {`" truth" at position 3, of 768 neurons`, "raises", "along output"},
		"mlp?text=It is a truth&layer=2&neuron=17": {"neuron 17 of layer 2, of 768", "raises \"", "lowers \"", "position  token"},
	} {
		got := text(t, answer(t, in, address, Options{}), 100, false)
		for _, part := range parts {
			if !strings.Contains(got, part) {
				t.Errorf("%s: no %q in\n%s", address, part, got)
			}
		}
	}
	_, p, err := parse(t, "mlp?text=It is&neuron=3")
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Run(t.Context(), in)
	gpttest.WantError(t, err, "neuron 3 of which layer")
}
