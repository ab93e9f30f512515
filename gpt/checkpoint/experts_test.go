package checkpoint_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/gguf"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/checkpoint/tensorfile"
	"caldera/internal/gpttest"
)

// TestExpertsInBlocks: blocks of mxfp4 in the layout of Hugging Face are the bytes that ggml has.
func TestExpertsInBlocks(t *testing.T) {
	d := gpttest.ReadDirectory(t, "../testdata/gpt-oss-mxfp4")
	m, err := gpt.Load(t.Context(), gpttest.OpenCPU(t), "../testdata/gpt-oss-mxfp4", gpt.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	table := []float32{0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6}
	checked := 0
	for _, w := range m.Learned() {
		if w.Experts() == 0 || !w.Matrix() {
			continue
		}
		if w.Tensor.DType != backend.MXFP4 {
			t.Errorf("%s is kept as %v", w.HF, w.Tensor.DType)
		}
		out, in := w.Shape[1], w.Shape[2]
		p := make([]byte, w.Tensor.Size())
		if err := m.Backend.Read(p, w.Tensor.Buf, w.Tensor.DType.Bytes(w.Tensor.Offset)); err != nil {
			t.Fatal(err)
		}
		got := make([]float32, w.Elements())
		if err := backend.Decode(got, backend.MXFP4, p); err != nil {
			t.Fatal(err)
		}
		blocks, scales := d.Tensor(w.Whole()+"_blocks").Data, d.Tensor(w.Whole()+"_scales").Data
		for i, v := range got {
			row, col := i/in, i%in
			at := (row/out*out*w.Parts+row%out*w.Parts+w.Part)*in + col // of the number in the file
			code := blocks[at/2] >> (4 * (at % 2)) & 15
			want := table[code]
			for e := int(scales[at/32]) - 127; e != 0; {
				if e > 0 {
					want, e = 2*want, e-1
				} else {
					want, e = want/2, e+1
				}
			}
			if v != want {
				t.Fatalf("%s: number %d is %v, expected %v", w.HF, i, v, want)
			}
			checked++
		}
	}
	if checked == 0 {
		t.Error("no numbers")
	}
}

// TestExpertsRoundTrip converts blocks of mxfp4 to GGUF and back: their bytes are the same.
func TestExpertsRoundTrip(t *testing.T) {
	const dir = "../testdata/gpt-oss-mxfp4"
	path := filepath.Join(t.TempDir(), "experts.gguf")
	if err := gpttest.OpenCheckpoint(t, dir).SaveGGUF(t.Context(), path, checkpoint.SaveOptions{Warn: func(string) {}}); err != nil {
		t.Fatal(err)
	}
	if v, _ := openGGUF(t, path).Value("general.file_type"); true {
		if n, _ := v.Int(); n != 38 { // LLAMA_FTYPE_MOSTLY_MXFP4_MOE, though vectors of tokens are f32
			t.Errorf("general.file_type is %d", n)
		}
	}
	back := gpttest.SaveDir(t, gpttest.OpenCheckpoint(t, path), backend.None)
	before, after, blocks := tensorsOf(t, dir), tensorsOf(t, back), 0
	for name, data := range before {
		if _, there := after[name]; !there {
			t.Errorf("%s is not there", name)
		}
		if strings.HasSuffix(name, "_blocks") || strings.HasSuffix(name, "_scales") {
			blocks++
			if !bytes.Equal(data, after[name]) {
				t.Errorf("%s has other bytes", name)
			}
		}
	}
	if blocks != 2*4 || len(after) != len(before) {
		t.Errorf("%d tensors of blocks, %d of %d in all", blocks, len(after), len(before))
	}
	config := gpttest.ReadDirectory(t, back).Config
	want := map[string]any{"quant_method": "mxfp4", "modules_to_not_convert": []any{"model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"}}
	if diff := cmp.Diff(any(want), config["quantization_config"]); diff != "" {
		t.Errorf("quantization_config (-want +got):\n%s", diff)
	}

	// Asked for as f32, or where a matrix of a layer is of another type, experts are plain numbers: the same.
	b := gpttest.OpenCPU(t)
	exact := gpt.LoadOptions{Activations: backend.F32}
	scores := gpttest.Logits(t, b, dir, exact)
	gpttest.CheckNear(t, "back", gpttest.Logits(t, b, back, exact), scores, 1e-6)
	plain := gpttest.SaveDir(t, gpttest.OpenCheckpoint(t, path), backend.F32)
	gpttest.CheckNear(t, "as f32", gpttest.Logits(t, b, plain, exact), scores, 1e-5)
	if config := gpttest.ReadDirectory(t, plain).Config; config["quantization_config"] != nil {
		t.Errorf("as f32 it has quantization_config %v", config["quantization_config"])
	}
	one := readGGUF(t, path)
	mixed := one.tensor("blk.1.ffn_up_exps.weight")
	numbers := make([]float32, tensorfile.Elements(mixed.Shape))
	if err := backend.Decode(numbers, backend.MXFP4, mixed.Data); err != nil {
		t.Fatal(err)
	}
	var err error
	if mixed.Data, err = backend.Encode(nil, backend.F32, numbers); err != nil {
		t.Fatal(err)
	}
	mixed.Type = gguf.TypeOf(backend.F32)
	part := gpttest.SaveDir(t, gpttest.OpenCheckpoint(t, one.write(t)), backend.None)
	gpttest.CheckNear(t, "in part", gpttest.Logits(t, b, part, exact), scores, 1e-5)
	d := gpttest.ReadDirectory(t, part)
	for name, want := range map[string]safetensors.DType{
		"model.layers.0.mlp.experts.gate_up_proj_blocks": safetensors.U8, "model.layers.0.mlp.experts.down_proj_scales": safetensors.U8,
		"model.layers.1.mlp.experts.gate_up_proj": safetensors.F32, "model.layers.1.mlp.experts.down_proj": safetensors.BF16,
	} {
		if got := d.Tensor(name).DType; got != want {
			t.Errorf("%s is %s, expected %s", name, got, want)
		}
	}
	if left := d.Config["quantization_config"].(map[string]any)["modules_to_not_convert"].([]any); left[len(left)-1] != "model.layers.1.mlp.experts" {
		t.Errorf("%v are not in blocks", left)
	}
}

// TestExpertsNonFinite finds what is infinite in blocks.
func TestExpertsNonFinite(t *testing.T) {
	d := gpttest.ReadDirectory(t, "../testdata/gpt-oss-mxfp4")
	if err := gpttest.OpenCheckpoint(t, d.Write(t)).CheckFinite(t.Context()); err != nil {
		t.Fatal(err)
	}
	const name = "model.layers.1.mlp.experts.gate_up_proj"
	x := d.Tensor(name + "_scales") // [5, 192, 2]
	x.Data[3*192*2+7*2+1] = 255     // of expert 3, row 7, the second block: of the rows of what comes up it is row 3
	d.Tensor(name + "_blocks").Data[16*(3*192*2+7*2+1)] = 0x70
	err := gpttest.OpenCheckpoint(t, d.Write(t)).CheckFinite(t.Context())
	var bad *checkpoint.NonFiniteError
	if !errors.As(err, &bad) || bad.Tensor != name+"_blocks" || !slices.Equal(bad.Index, []int{3, 3, 33}) {
		t.Errorf("%v: %+v", err, bad)
	}
}

// TestExpertsBroken expects clear errors of tensors of experts that do not fit.
func TestExpertsBroken(t *testing.T) {
	const name = "model.layers.0.mlp.experts."
	for _, c := range []struct {
		from   string
		change func(d *gpttest.Directory)
		want   string
	}{
		{"gpt-oss", func(d *gpttest.Directory) { d.Remove(name + "down_proj") }, "tensor model.layers.0.mlp.experts.down_proj is missing"},
		{"gpt-oss", func(d *gpttest.Directory) { d.Remove(name + "gate_up_proj_bias") }, "tensor model.layers.0.mlp.experts.gate_up_proj_bias is missing"},
		{"gpt-oss", func(d *gpttest.Directory) { d.Tensor(name + "gate_up_proj").Shape = []int{7, 56, 44} }, "shape [7 56 44], expected a plain dtype and shape [7 44 56]"},
		{"gpt-oss", func(d *gpttest.Directory) { d.Tensor(name + "down_proj").DType = safetensors.I16 }, "is I16 of shape"},
		{"gpt-oss", func(d *gpttest.Directory) { d.Config["num_experts_per_tok"] = 8 }, "found 7 and 8, expected"},
		{"gpt-oss", func(d *gpttest.Directory) { d.Config["num_local_experts"] = 2000; d.Config["num_experts_per_tok"] = 4 }, "found 2000 and 4"},
		{"gpt-oss", func(d *gpttest.Directory) { d.Config["num_local_experts"] = 6 }, "expected"},
		{"gpt-oss", func(d *gpttest.Directory) { d.Config["swiglu_limit"] = 8 }, "swiglu_limit: found 8, which is not supported"},
		{"gpt-oss", func(d *gpttest.Directory) { d.Config["attention_bias"] = false }, "attention_bias: found false"},
		{"gpt-oss", func(d *gpttest.Directory) { delete(d.Config, "rope_scaling") }, "rope_scaling.rope_type: missing"},
		{"gpt-oss", func(d *gpttest.Directory) { d.Config["quantization_config"] = map[string]any{"quant_method": "fp8"} }, `quantization_config.quant_method: found "fp8", which is not supported, expected "mxfp4"`},
		{"gpt-oss-mxfp4", func(d *gpttest.Directory) { d.Remove(name + "down_proj_scales") }, `is there without "model.layers.0.mlp.experts.down_proj_scales"`},
		{"gpt-oss-mxfp4", func(d *gpttest.Directory) { d.Tensor(name + "down_proj_scales").Shape = []int{5, 32, 6} }, "expected U8 of shape [5 64 3]"},
		{"gpt-oss-mxfp4", func(d *gpttest.Directory) { d.Tensor(name + "down_proj_blocks").DType = safetensors.I8 }, "is I8 of shape"},
	} {
		d := gpttest.ReadDirectory(t, "../testdata/"+c.from)
		c.change(d)
		_, err := gpt.Load(t.Context(), gpttest.OpenCPU(t), d.Write(t), gpt.LoadOptions{})
		gpttest.WantError(t, err, c.want)
	}
	d := gpttest.ReadDirectory(t, "../testdata/gpt-oss")
	d.Config["rope_scaling"].(map[string]any)["truncate"] = true
	err := gpttest.OpenCheckpoint(t, d.Write(t)).SaveGGUF(t.Context(), t.TempDir()+"/x.gguf", checkpoint.SaveOptions{Warn: func(string) {}})
	gpttest.WantError(t, err, "GGUF cannot say that rope_scaling.truncate is")
}
