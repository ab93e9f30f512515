package train_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnreadableTokenizer learns from token ids though the checkpoint's tokenizer
// cannot be read, and from texts with another that is named.
func TestUnreadableTokenizer(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "from")
	if err := os.CopyFS(from, os.DirFS("../../../models/austen")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(from, "tokenizer.json"), `{"pre_tokenizer": {"type": "UnicodeScripts"}}`)
	var ids []byte
	for i := range 2000 {
		ids = binary.LittleEndian.AppendUint16(ids, uint16(i%100))
	}
	bin := write(t, filepath.Join(dir, "train.bin"), string(ids))
	args := func(out string, more ...string) *exec.Cmd {
		return exec.Command(trainBinary, append([]string{"--backend=cpu", "--init=" + from, "--out_dir=" + filepath.Join(dir, out),
			"--max_iters=1", "--batch_size=1", "--block_size=32", "--sample_interval=0"}, more...)...)
	}
	const told = "train: warning: the checkpoint's tokenizer cannot be read and is left out: "
	if r := succeeds(t, args("ids", "--data="+bin)); strings.Count(r.Stderr, told) != 1 || !strings.Contains(r.Stderr, "UnicodeScripts") {
		t.Errorf("ids: %s", r.Stderr)
	}
	text := write(t, filepath.Join(dir, "text.txt"), strings.Repeat("It is a truth universally acknowledged. ", 50))
	if r := succeeds(t, args("text", "--data="+text, "--tokenizer=../../../models/austen")); strings.Count(r.Stderr, told) != 1 {
		t.Errorf("text with a tokenizer: %s", r.Stderr)
	}
	fails(t, args("none", "--data="+text), 1, `pre_tokenizer: found "UnicodeScripts"`)
}
