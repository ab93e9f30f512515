package checkpoint_test

import (
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/safetensors"
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
