package model

// Rotary positions (Su et al. 2021, arXiv:2104.09864), and the ways to scale them for
// contexts beyond those of training. All come to a table of cosines and sines, which is
// computed here in float64.

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Rope is how positions turn heads: what families have in rope_theta, rope_scaling and
// rope_parameters.
type Rope struct {
	Theta   float64 // rope_theta: the slowest pair turns by about 1/Theta a position
	Local   float64 // rope_local_base_freq: Theta of layers with a window; 0: the same
	Rotary  int     // rope.dimension_count: how many numbers of a head are turned, the first ones
	Partial float64 // partial_rotary_factor: Rotary as a share of the head; 0: 1

	// How positions beyond those of training are scaled: "linear", "llama3", "yarn" (Peng et
	// al. 2023, arXiv:2309.00071), or "longrope" (Ding et al. 2024, arXiv:2402.13753), which
	// take the numbers below; empty or "none" for not at all.
	Scaling           string
	Factor, Low, High float64
	Original          int     // original_max_position_embeddings: the context of training
	Fast, Slow        float64 // beta_fast, beta_slow: pairs that turn more often than Fast in Original positions stay, those below Slow are scaled
	Exact             bool    // truncate is false: the pairs where YaRN changes need not be whole numbers
	Attention         float64 // attention_factor: what cosines and sines are multiplied by
	Short, Long       []float32

	// As GGUF has them: Stretch is Factor and Trained is Original, where Scaling is one that
	// GGUF has a name for, and Amplitude is Attention over what follows from Scaling.
	Stretch, Amplitude float64
	Trained            int

	// Factors are what the angles of each pair are divided by: of a GGUF file, or what
	// llama3 comes to. Empty for 1.
	Factors []float32
}

const (
	ropeFactors  = "rope_freqs.weight"
	shortFactors = "rope_factors_short.weight"
	longFactors  = "rope_factors_long.weight"
)

// maxAngles is the most numbers of a table of angles: a file that asks for more is
// damaged or hostile.
const maxAngles = 1 << 30

// ropeObjects are where config.json has the numbers of a scaling. The first that is there
// counts: rope_scaling before rope_parameters, as Transformers 5 has it, and the oldest
// name of a type after the newer one. layered is of families that have layers of two kinds.
var (
	ropeObjects        = []string{"rope_scaling.", "rope_parameters."}
	layeredRopeObjects = append(ropeObjects, "rope_parameters.full_attention.")
)

// ropeKeys are the settings of rotary positions, of families whose config.json may have
// scalings of the given types. The numbers of a scaling are in objects.
func ropeKeys(objects []string, types ...string) []Setting {
	scaled := func(field string, names ...string) Setting { return ropeKey(objects, field, names...) }
	theta := scaled("Theta", "rope_theta")
	theta.JSON, theta.GGUF, theta.Silent = []string{"rope_theta"}, []string{"rope.freq_base"}, 10000.0
	rule := scaled("Scaling", "rope_type", "type")
	for _, name := range append([]string{"none"}, types...) {
		text := name
		if name == "none" {
			text = "default"
		}
		rule.Values = append(rule.Values, Choice{Literal(`"` + text + `"`), name})
		if name == "longrope" {
			rule.Values = append(rule.Values, Choice{`"su"`, name}) // its first name
		}
	}
	keys := []Setting{
		theta, rule, scaled("Factor", "factor"), scaled("Original", "original_max_position_embeddings"),
		{Field: "Scaling", GGUF: []string{"rope.scaling.type"}, Needed: Nowhere, Values: []Choice{
			// What is linear is so by its factor: llama.cpp takes a file that is silent for linear, and
			// writes so of a model without a scaling.
			{`"none"`, "none"}, {`"linear"`, ""}, {`"linear"`, "linear"}, {`"yarn"`, "yarn"}, {`"longrope"`, "longrope"},
		}},
		{Field: "Stretch", GGUF: []string{"rope.scale_linear"}, Needed: Nowhere, None: true, ReadOnly: true}, // its old name
		{Field: "Stretch", GGUF: []string{"rope.scaling.factor"}, Needed: Nowhere, None: true},
		{Field: "Trained", GGUF: []string{"rope.scaling.original_context_length"}, Needed: Nowhere},
		{Field: "Amplitude", GGUF: []string{"rope.scaling.attn_factor"}, Needed: Nowhere, Silent: 1.0},
	}
	for _, name := range types {
		switch name {
		case "llama3":
			keys = append(keys, scaled("Low", "low_freq_factor"), scaled("High", "high_freq_factor"), Setting{Field: "Factors", Tensor: ropeFactors, Needed: Nowhere})
		case "yarn":
			keys = append(keys, scaled("Fast", "beta_fast"), scaled("Slow", "beta_slow"), scaled("Attention", "attention_factor"),
				only(scaled("", "truncate"), "true", "null"), only(scaled("", "mscale"), "null"), only(scaled("", "mscale_all_dim"), "null"))
		case "longrope":
			short, long := scaled("Short", "short_factor"), scaled("Long", "long_factor")
			short.Tensor, short.Follows, long.Tensor, long.Follows = shortFactors, false, longFactors, false
			keys = append(keys, short, long, scaled("Attention", "attention_factor"))
		}
	}
	return keys
}

// ropeKey is a setting of rotary positions by its names in objects of config.json. What
// GGUF says instead is for other fields.
func ropeKey(objects []string, field string, names ...string) Setting {
	s := Setting{Field: field, JSON: []string{"rope_scaling." + names[0]}, Follows: true, Needed: Nowhere}
	for _, o := range objects {
		for _, name := range names {
			s.Others = append(s.Others, o+name)
		}
	}
	return s
}

// wholeRope refuses a model in which only a part of each head is turned.
func wholeRope(objects []string) Setting {
	s := ropeKey(objects, "", "partial_rotary_factor")
	s.JSON = []string{"partial_rotary_factor"}
	return only(s, "1", "1.0", "null")
}

// partialRope reads how much of each head is turned.
func partialRope(objects []string) []Setting {
	s := ropeKey(objects, "Partial", "partial_rotary_factor")
	s.JSON = []string{"partial_rotary_factor"}
	return []Setting{s, {Field: "Rotary", GGUF: []string{"rope.dimension_count"}, Needed: Nowhere}}
}

// only is a setting that is compared with the values that are supported.
func only(s Setting, texts ...Literal) Setting {
	for _, text := range texts {
		s.Values = append(s.Values, Choice{text, nil})
	}
	s.Needed = Nowhere
	return s
}

// complete sets what follows from the rest, for heads of that size in a model of that
// context. It leaves alone what check is going to refuse.
func (r *Rope) complete(size, context int) {
	if size <= 0 || size > maxWidth {
		return
	}
	switch {
	case r.Rotary == 0 && r.Partial > 0 && r.Partial <= 1:
		r.Rotary = int(float64(size) * r.Partial) // rounded down, as Transformers has it
	case r.Rotary == 0:
		r.Rotary = size
	}
	switch share := float64(r.Rotary) / float64(size); {
	case share == 1:
		r.Partial = 0
	case int(float64(size)*share) < r.Rotary:
		r.Partial = math.Nextafter(share, 2)
	default:
		r.Partial = share
	}
	if r.Scaling == "" && r.Stretch != 0 {
		r.Scaling = "linear" // as llama.cpp takes a file that does not tell
	}
	if r.Scaling == "" && r.Short != nil {
		r.Scaling = "longrope" // likewise
	}
	base := 1.0
	switch r.Scaling {
	case "linear":
		r.Stretch = cmp.Or(r.Stretch, r.Factor)
		r.Factor, r.Trained = r.Stretch, 0
	case "yarn", "longrope":
		r.Original = cmp.Or(r.Trained, r.Original, context)
		r.Trained = r.Original
		r.Factor = cmp.Or(r.Factor, r.Stretch)
		if r.Factor == 0 && r.Original > 0 {
			r.Factor = float64(context) / float64(r.Original)
		}
		if r.Scaling == "longrope" {
			r.Stretch = 0
			break
		}
		r.Stretch, r.Fast, r.Slow = r.Factor, cmp.Or(r.Fast, 32), cmp.Or(r.Slow, 1)
		if r.Factor > 1 {
			base = 1 + 0.1*math.Log(r.Factor)
		}
	default:
		r.Stretch, r.Trained = 0, 0 // llama.cpp does not read a factor either
		if r.Scaling != "llama3" {
			r.Original = 0
		}
		if r.Scaling == "llama3" && r.Factors == nil {
			r.Factors = r.llama3()
		}
		if r.Scaling == "" && r.Factors != nil && len(r.Factors) == r.Rotary/2 {
			r.recognise()
		}
	}
	r.Exact = r.Exact && r.Scaling == "yarn"
	usual := base
	if r.Scaling == "longrope" && r.Factor > 1 {
		usual = math.Sqrt(1 + math.Log(r.Factor)/math.Log(float64(r.Original)))
	}
	if r.Amplitude != 0 {
		r.Attention = math.Round(1e7*r.Amplitude*base) / 1e7 // GGUF has float32
	}
	if r.Attention == 0 || math.Abs(r.Attention/usual-1) < 1e-6 {
		r.Attention = usual
	}
	if r.Amplitude = r.Attention / base; math.Abs(r.Amplitude-1) < 1e-6 {
		r.Amplitude = 0
	}
	if r.Attention == 1 && r.Scaling != "yarn" && r.Scaling != "longrope" {
		r.Attention = 0
	}
}

// check reports what cannot be computed.
func (r *Rope) check(size, context int) error {
	switch {
	case size%2 != 0 && r.Rotary == size:
		return fmt.Errorf("head_dim: found %d, expected an even number: rotary positions turn pairs", size)
	case r.Rotary < 2 || r.Rotary > size || r.Rotary%2 != 0:
		return fmt.Errorf("partial_rotary_factor: found %v, with which %d numbers of a head of %d are turned: expected an even number, from 2 to all of them", r.Partial, r.Rotary, size)
	case r.Theta <= 1:
		return fmt.Errorf("rope_theta: found %v, expected more than 1", r.Theta)
	case int64(context)*int64(size) > maxAngles:
		return fmt.Errorf("max_position_embeddings: found %d with heads of %d, expected a product of at most %d: a table has the angles of all positions", context, size, maxAngles)
	case r.Scaling == "" && r.Factor != 0:
		return fmt.Errorf("rope_scaling.rope_type: missing, expected one that tells what factor is for")
	case r.Scaling == "linear" && r.Factor == 0:
		return fmt.Errorf("rope_scaling.factor: missing, expected a number for linear scaling")
	case r.Scaling == "llama3" && (r.Factor == 0 || r.Low == 0 || r.High <= r.Low || r.Original == 0):
		return fmt.Errorf("rope_scaling: found factor %v, low_freq_factor %v, high_freq_factor %v and original_max_position_embeddings %d, expected numbers above 0, the second below the third",
			r.Factor, r.Low, r.High, r.Original)
	case r.Scaling == "yarn" && !(r.Factor > 0 && r.Fast > r.Slow && r.Slow > 0 && r.Original > 0):
		return fmt.Errorf("rope_scaling: found factor %v, beta_fast %v, beta_slow %v and original_max_position_embeddings %d, expected numbers above 0, the second above the third",
			r.Factor, r.Fast, r.Slow, r.Original)
	case r.Scaling == "longrope" && (r.Short == nil || r.Long == nil || r.Original < 2):
		return fmt.Errorf("rope_scaling: found %d numbers of short_factor, %d of long_factor and original_max_position_embeddings %d, expected one of each for each pair of a head, and 2 or more",
			len(r.Short), len(r.Long), r.Original)
	case r.Scaling != "longrope" && (r.Short != nil || r.Long != nil):
		return fmt.Errorf("rope_scaling.rope_type: found %q with short_factor or long_factor, expected \"longrope\"", r.Scaling)
	case !(r.amplitude() > 0 && r.amplitude() < 1e6):
		return fmt.Errorf("rope_scaling.attention_factor: found %v, expected more than 0 and less than 1e6", r.amplitude())
	}
	for _, list := range []struct {
		name    string
		numbers []float32
	}{{"tensor " + ropeFactors, r.Factors}, {"rope_scaling.short_factor", r.Short}, {"rope_scaling.long_factor", r.Long}} {
		if len(list.numbers) != 0 && len(list.numbers) != r.Rotary/2 {
			return fmt.Errorf("%s: found %d numbers, expected %d, one for each pair of a head", list.name, len(list.numbers), r.Rotary/2)
		}
		for i, f := range list.numbers {
			if !(f > 0) {
				return fmt.Errorf("%s: found %v as number %d, expected more than 0", list.name, f, i)
			}
		}
	}
	return nil
}

func (r *Rope) amplitude() float64 { return cmp.Or(r.Attention, 1) }

// wavelength is how many positions a pair of a head takes to turn once.
func (r *Rope) wavelength(pair int) float64 {
	return 2 * math.Pi * math.Pow(r.Theta, 2*float64(pair)/float64(r.Rotary))
}

// llama3 are the factors of Llama 3: pairs that turn fast stay, slow ones turn more
// slowly by r.Factor, and between them is a passage.
func (r *Rope) llama3() []float32 {
	factors := make([]float32, r.Rotary/2)
	for i := range factors {
		smooth := (float64(r.Original)/r.wavelength(i) - r.Low) / (r.High - r.Low)
		smooth = max(0, min(1, smooth))
		factors[i] = float32(1 / ((1-smooth)/r.Factor + smooth))
	}
	return factors
}

// recognise finds the settings of llama3 in r.Factors, so that config.json can say
// them: where two pairs are in the passage they follow, but for a factor that low,
// high and original share. It leaves r as it is if the factors are others.
func (r *Rope) recognise() {
	guess := *r
	guess.Scaling, guess.Low, guess.Factor = "llama3", 1, float64(r.Factors[len(r.Factors)-1])
	var turns, smooths []float64
	for i, f := range r.Factors {
		if x := float64(f); x > 1 && x < guess.Factor {
			turns = append(turns, 1/r.wavelength(i))
			smooths = append(smooths, (1/x-1/guess.Factor)/(1-1/guess.Factor))
		}
	}
	switch last := len(turns) - 1; last {
	case -1:
		return
	case 0: // as all of Llama 3 have it
		guess.High, guess.Original = 4, int(math.Round((1+3*smooths[0])/turns[0]))
	default:
		slope := (smooths[0] - smooths[last]) / (turns[0] - turns[last])
		low := slope*turns[0] - smooths[0]
		guess.High, guess.Original = math.Round(1000*(1+1/low))/1000, int(math.Round(slope/low))
	}
	guess.Factors = guess.llama3()
	nearly := func(a, b float32) bool { return math.Abs(float64(a/b)-1) <= 1e-6 } // but for rounding
	if guess.High > 1 && guess.Original > 0 && slices.EqualFunc(guess.Factors, r.Factors, nearly) {
		*r = guess
	}
}

// yarn is how much of each pair's turn YaRN keeps, 0 to 1; of the rest it keeps one part in
// r.Factor (Peng et al. 2023, section 3.2). The pairs where that changes are whole numbers, unless
// r.Exact is true.
func (r *Rope) yarn() func(pair int) float64 {
	// The pair that turns so often within the context of training.
	pair := func(turns float64) float64 {
		return float64(r.Rotary) * math.Log(float64(r.Original)/(turns*2*math.Pi)) / (2 * math.Log(r.Theta))
	}
	low, high := pair(r.Fast), pair(r.Slow)
	if !r.Exact {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, float64(r.Rotary-1))
	if low == high {
		high += 0.001
	}
	return func(pair int) float64 { return 1 - max(0, min(1, (float64(pair)-low)/(high-low))) }
}

// angleKind says which layers, or which contexts, a table of angles is for.
type angleKind int

const (
	scaledAngles angleKind = iota // all of the model, or the layers without a window where others have angles of their own
	localAngles                   // layers with a window, which no scaling is for
	longAngles                    // contexts longer than that of training, with longrope
)

// angles are cosines and sines of positions, [context, Rotary].
func (r *Rope) angles(context int, kind angleKind) []float32 {
	plain, amplitude := *r, r.amplitude()
	if kind == localAngles {
		plain, amplitude = Rope{Theta: cmp.Or(r.Local, r.Theta), Rotary: r.Rotary}, 1
	}
	factors := plain.Factors
	switch {
	case plain.Scaling == "longrope" && kind == longAngles:
		factors = plain.Long
	case plain.Scaling == "longrope":
		factors = plain.Short
	}
	pairs := r.Rotary / 2
	values := make([]float32, context*r.Rotary)
	for i := range pairs {
		turn := 2 * math.Pi / plain.wavelength(i)
		switch plain.Scaling {
		case "linear":
			turn /= plain.Factor
		case "yarn":
			kept := plain.yarn()(i)
			turn *= kept + (1-kept)/plain.Factor
		}
		if factors != nil {
			turn /= float64(factors[i])
		}
		for p := range context {
			sin, cos := math.Sincos(float64(p) * turn)
			values[p*r.Rotary+i], values[p*r.Rotary+pairs+i] = float32(amplitude*cos), float32(amplitude*sin)
		}
	}
	return values
}
