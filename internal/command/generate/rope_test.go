package generate_test

import (
	"path/filepath"
	"testing"
)

// TestRopeScaling reads a prompt longer than the context of training where a flag scales positions, and
// expects to hear of it where none does.
func TestRopeScaling(t *testing.T) {
	const ids = "--tokens=1,2,3,4,5,6,7,8,9,10"
	mistral := filepath.Join("..", "..", "..", "gpt", "testdata", "mistral") // 40 positions
	args := func(more ...string) []string {
		return append([]string{"-m", mistral, "-n", "1", "--temp=0", "--ignore-eos", ids}, more...)
	}
	fail := func(args []string, parts ...string) {
		t.Helper()
		wantFailure(t, run(t, command(t, append([]string{"--backend=cpu"}, args...)...)), 2, parts...)
	}
	fail(args("-c", "70"), "--ctx-size=70: this model can have at most 40 positions", "--rope-scaling=yarn --rope-scale=2 makes it longer")
	for _, scaling := range []string{"yarn", "linear"} {
		generate(t, args("-c", "70", "--rope-scaling="+scaling, "--rope-scale=2")...)
	}
	fail(args("-c", "81", "--rope-scaling=yarn", "--rope-scale=2"), "at most 80 positions: expected at most that, or leave it out")
	fail(args("--rope-scaling=yarn"), "--rope-scaling=yarn without --rope-scale")
	fail(args("--rope-scale=2"), "--rope-scale=2 without --rope-scaling")
	fail(args("--rope-scaling=yarn", "--rope-scale=0.5"), "--rope-scale=0.5: expected more than 1")
	fail(args("--rope-freq-base=7"), "--rope-freq-base", "positions are as the model's files say")
	fail([]string{ids, "--rope-scaling=yarn", "--rope-scale=2"}, "positions of GPT-2 are learned")
	fail([]string{ids, "-c", "2000"}, "--ctx-size=2000: this model can have at most", "or leave it out")
}
