package gpulab_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"caldera/internal/gpulab"
	"caldera/shaders"
)

const rdna = `BB0:
	buffer_load_b128 v[0:3], v9, s[4:7], 0 offen
	s_waitcnt vmcnt(0)
BB1:
	v_cmpx_le_u32_e32 s11, v1
	s_cbranch_scc0 BB3
BB2:
	s_load_b128 s[24:27], s[22:23], 0x10
	s_waitcnt lgkmcnt(0)
	buffer_load_b128 v[20:23], v18, s[24:27], 0 offen
	buffer_load_b64 v[18:19], v19, s[28:31], 0 offen
	global_load_u16 v4, v5, s[0:1]
	s_waitcnt vmcnt(2)
	v_add_f32 v0, v1, v20
	s_waitcnt vmcnt(0)
	s_branch BB1
BB3:
	buffer_load_dwordx4 v[0:3], v9, s[4:7], 0 offen
	buffer_load_dwordx4 v[4:7], v9, s[4:7], 0 offen
	buffer_load_dwordx4 v[8:11], v9, s[4:7], 0 offen
	s_waitcnt vmcnt(0)
	s_endpgm
`

// pipelined loads in one round what it uses in the next.
const pipelined = `BB0:
BB1:
	s_wait_loadcnt 0x0
	v_add_f32 v0, v1, v20
	buffer_load_b128 v[20:23], v18, s[24:27], 0 offen
	buffer_load_b32 v24, v18, s[24:27], 0 offen
	s_cbranch_scc0 BB1
BB2:
	s_endpgm
`

const nak = `block.u 0 L3 [] -> {
      r1      = ld.global.a64.b128 [r4..6]              // delay=1 wr:0
      r2      = iadd3 r1 r1 rZ                          // delay=1 wt=000001
} -> [1]
block 1 L2 [0, 2] -> {
      p0      = isetp.ge.u32 r25 c[0x0][0x50]           // delay=13
} -> [2, 3]
block 2 L8 [1] -> {
      r44..48 = ld.global.a64.constant.b128 [r42..44]   // delay=4 rd:0 wr:1
      r42     = iadd3 r20 c[0x0][0x38] r25              // delay=6 wt=000001
      r42..44 = ld.global.a64.constant.b64 [r42..44]    // delay=6 wr:0
      r48     = f2f.f32.f16.re r42                      // delay=2 wt=000001 rd:0 wr:2
      r38     = ffma.ftz r44 r42 r38                    // delay=1 wt=000011
} -> [1]
block 3 L9 [1] -> {
                exit                                    // delay=1
} -> []
`

func TestInFlight(t *testing.T) {
	straight := rdna[strings.Index(rdna, "BB3"):]
	for name, c := range map[string]struct {
		maker gpulab.Maker
		code  string
		want  int
	}{
		"a loop, before whose end more is loaded": {gpulab.AMD, rdna, 16 + 8 + 2},
		"no loop":             {gpulab.AMD, straight, 48},
		"from round to round": {gpulab.AMD, pipelined, 20},
		"scoreboards":         {gpulab.NVIDIA, nak, 24},
		"not read here":       {gpulab.Intel, rdna, 0},
		"no code":             {gpulab.AMD, "", 0},
	} {
		if got := gpulab.InFlight(c.maker, c.code); got != c.want {
			t.Errorf("%s: %d bytes, expected %d", name, got, c.want)
		}
	}
}

func TestRead(t *testing.T) {
	amd := map[string]float64{"VGPRs": 48, "Subgroups per SIMD": 16, "Instructions": 400, "Spilled VGPRs": 2, "Spilled SGPRs": 3, "Scratch size": 64}
	k, err := gpulab.Read(gpulab.AMD, amd, rdna)
	want := gpulab.Kernel{Registers: 48, Occupancy: 16, Instructions: 400, Spilled: 2, SpilledSGPRs: 3, Scratch: 64, InFlight: 26}
	if k.InFlight != want.InFlight || k.Registers != want.Registers || k.Occupancy != want.Occupancy || k.Instructions != want.Instructions ||
		k.Spilled != want.Spilled || k.SpilledSGPRs != want.SpilledSGPRs || k.Scratch != want.Scratch || err != nil {
		t.Errorf("%+v, %v; expected %+v", k, err, want)
	}
	delete(amd, "Spilled VGPRs")
	if _, err := gpulab.Read(gpulab.AMD, amd, ""); err == nil || !strings.Contains(err.Error(), "Spilled VGPRs") {
		t.Errorf("a driver that does not tell of spills: %v", err)
	}
	if k, err := gpulab.Read(gpulab.NVIDIA, map[string]float64{"Number of GPRs": 53, "Instruction count": 9}, ""); err != nil || k.Occupancy != 36 {
		t.Errorf("53 registers a lane: %d warps, %v; expected 36", k.Occupancy, err)
	}
}

func TestJudge(t *testing.T) {
	card := func(name string) gpulab.Card {
		c, err := gpulab.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	good := gpulab.Kernel{Name: "linear_vec.f16", Spec: "Lanes 64", Registers: 60, Occupancy: 8}
	spilled, low, scratch := good, good, good
	spilled.Spilled, low.Occupancy, scratch.Scratch = 1, 7, 4
	prefill, decode := good, good
	prefill.Name, prefill.Spec, prefill.Occupancy = "attention.x4", "Lanes 64, Queries 8, Chunk 64", 4
	decode.Name, decode.Spec, decode.Occupancy = "attention.x4", "Lanes 256, Queries 1, Chunk 512", 4
	single := good // of which one card has a floor of its own
	single.Name, single.Occupancy = "linear_one.f16", 6
	for _, c := range []struct {
		card   string
		kernel gpulab.Kernel
		want   string // "": no fault
	}{
		{"navi31", good, ""},
		{"navi31", spilled, "1 vector registers are spilled"},
		{"navi31", scratch, "4 bytes of scratch"},
		{"navi31", low, "holds 7 subgroups of 60 registers, expected at least 8"},
		{"polaris10", low, ""}, // which has a quarter of the registers
		{"navi31", prefill, ""},
		{"navi31", decode, "expected at least 12"},
		{"navi21", single, ""},
		{"navi31", single, "expected at least 8"},
		{"dg2", spilled, "spilled"},
		{"m1", spilled, "spilled"},
		{"ampere", spilled, ""}, // is not judged
	} {
		got := gpulab.Judge(card(c.card), []gpulab.Kernel{c.kernel})
		if c.want == "" && got != nil || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want) || !strings.Contains(got[0], c.kernel.Name)) {
			t.Errorf("%s, %+v: %q, expected %q", c.card, c.kernel, got, c.want)
		}
	}
	if _, err := gpulab.Find("voodoo2"); err == nil {
		t.Error("a card that is not known is found")
	}
}

// TestFloors: a row is for kernels that there are, and tells why.
func TestFloors(t *testing.T) {
	for _, f := range gpulab.Floors {
		known := f.Source == "*" || slices.ContainsFunc(shaders.Variants, func(v shaders.Variant) bool { return v.Source == f.Source })
		if f.Card != "" {
			if c, err := gpulab.Find(f.Card); err != nil || c.Maker != f.Maker {
				t.Errorf("%+v: %v, expected a card of that maker", f, err)
			}
		}
		if !known || f.Least < 1 || len(f.Why) < 20 {
			t.Errorf("%+v: expected a shader's name, an occupancy and a reason", f)
		}
	}
}

func TestReports(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gpus.json")
	report := func(card string, registers int) gpulab.Report {
		return gpulab.Report{Card: card, Device: card + "'s", Pipelines: 7, Kernels: []gpulab.Kernel{
			{Name: "add", Spec: "Lanes 64", Uses: []string{"gpt2 f16 decode"}, Subgroup: 64, Registers: registers, Instructions: 9},
			{Name: "scale", Uses: []string{"gpt2 f16 train"}, Instructions: 5, Spilled: 2},
		}}
	}
	for _, r := range []map[string]gpulab.Report{
		{}, // no card passed
		{"tgl": {Card: "tgl", Device: "without kernels"}},
		{"navi31": report("navi31", 12), "ampere": report("ampere", 20)},
		{"navi31": report("navi31", 16)},
	} {
		if err := gpulab.UpdateReports(path, r); err != nil {
			t.Fatal(err)
		}
		if _, err := gpulab.ReadReports(path); err != nil {
			t.Fatal(err)
		}
	}
	list, err := gpulab.ReadReports(path)
	if err != nil || len(list) != 3 || list[2].Card != "tgl" || len(list[2].Kernels) > 0 || list[0].Card != "navi31" || list[0].Kernels[0].Registers != 16 || len(list[1].Kernels) != 2 {
		t.Fatalf("%+v, %v; expected navi31's newer report, then ampere's, then tgl's, which is empty", list, err)
	}
	var page strings.Builder
	if err := gpulab.WritePage(&page, list); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## AMD", "## NVIDIA", "add {Lanes 64}", "16 / – / 9 / –", "5 / – !2", "decode"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %q:\n%s", want, page.String())
		}
	}
	if strings.Contains(page.String(), "## Apple") {
		t.Error("the page has a table of cards that were not played")
	}
}
