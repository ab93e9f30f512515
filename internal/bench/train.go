package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/bench/peer"
	"caldera/internal/bench/result"
	"caldera/nn"
)

// Training is what a training step is.
type Training = result.Training

// TrainStep is the shape of a training step: nanoGPT's batch for its own shape,
// and one for all others that takes some seconds of a CPU.
func TrainStep(model Model) Training {
	t := Training{Batch: 4, Time: 64, Accumulate: 1}
	if model.Shape == "nanogpt" {
		t.Batch = 12
	}
	t.Time = min(t.Time, model.Config.Context)
	return t
}

// recipe adds what all steps have: nanoGPT's clipping and AdamW, and a learning
// rate at which losses of some thousand steps are numbers.
func recipe(t Training) Training {
	t.Rate, t.Beta1, t.Beta2, t.Epsilon, t.Decay, t.Clip = 1e-4, 0.9, 0.95, 1e-8, 0.1, 1
	return t
}

func trainOptions(t Training, d backend.DType) gpt.TrainOptions {
	return gpt.TrainOptions{
		Batch: t.Batch, Time: t.Time, Accumulate: t.Accumulate, Clip: float32(t.Clip), Recompute: t.Recompute, DType: d,
		AdamW: nn.AdamW{Beta1: t.Beta1, Beta2: t.Beta2, Epsilon: float32(t.Epsilon), Decay: float32(t.Decay)},
	}
}

// repetition is how many seconds one lasts at least, of as many steps as that takes.
const repetition = 0.25

// Train measures steps of training, in f32 or, for a DType of f16, in mixed
// precision, on this device and in each of the peers by turns. What was repeated
// at least once before an error, or before ctx ended, comes with it. A peer that
// is absent, or fails, has a result that says so, and the rest goes on. The error
// wraps [result.ErrUnsupported] where the device cannot train, and joins what failed,
// without peers that are absent.
func (d *Device) Train(ctx context.Context, model Model, t Training, o PeerOptions) (results []*result.TrainResult, err error) {
	defer func() {
		if err != nil && !errors.Is(err, context.Canceled) {
			err = fmt.Errorf("training %s on %s: %w", model.Name, d.Spec(), err)
		}
	}()
	if err := t.Check(model.Config.Context); err != nil {
		return nil, err
	}
	o.DType = cmp.Or(o.DType, backend.F32)
	r := &trainRace{Race: d.race(model, backend.F32, o), d: d, model: model, o: o, step: recipe(t), beside: map[*peer.Rival]*result.TrainResult{}}
	r.p = progress{o.Progress, 0, 3 + o.Repetitions}
	if o.Ceilings && d.ceilings == nil {
		r.p.total += ceilingSteps
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	err = r.run(ctx)
	all := []*result.TrainResult{r.ours}
	for _, x := range r.Rivals {
		all = append(all, r.beside[x])
	}
	for _, x := range all {
		if x != nil && len(x.SamplesNS) > 0 {
			x.Summarise()
			x.Incomplete = len(x.SamplesNS) < o.Repetitions
			results = append(results, x)
		}
	}
	if ctx.Err() != nil {
		return results, err
	}
	for _, about := range r.Missing {
		results = append(results, r.result(about))
	}
	return results, errors.Join(append(r.Failed, err)...)
}

// trainRace is the training of a model on a device and in the peers beside it.
type trainRace struct {
	peer.Race
	d       *Device
	model   Model
	o       PeerOptions
	p       progress
	step    Training
	trainer *gpt.Trainer
	y       *yardstick // that a repetition is compared with
	rates   []float64  // FLOP a second of the yardstick, beside each sample
	ours    *result.TrainResult
	beside  map[*peer.Rival]*result.TrainResult

	ids, targets []int // of a step: the same each time
}

// result begins one; about is empty for ours.
func (r *trainRace) result(about result.PeerAbout) *result.TrainResult {
	return &result.TrainResult{
		Common: r.d.newCommon("train"), ModelFilename: r.model.File, ModelType: r.model.Name, DType: r.o.DType.String(),
		ModelNParams: int64(r.model.Config.Parameters()), Training: r.step, FLOP: trainFLOP(r.model.Config, r.step),
		PeerAbout: about, Lowered: []string{},
	}
}

func (r *trainRace) run(ctx context.Context) (err error) {
	var ceilings result.Ceilings
	if r.o.Ceilings {
		if ceilings, err = r.d.Ceilings(ctx, r.o.Repetitions, r.p.step); err != nil {
			return err
		}
	}
	debug.FreeOSMemory() // what the model before this one leaves behind
	forgetPeakRSS()
	r.p.step("loading")
	start := r.d.now()
	m, err := r.model.Load(ctx, r.d.b, gpt.LoadOptions{Train: true})
	if err != nil {
		return advice(err, false, false)
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	x := r.result(result.PeerAbout{})
	x.Ceilings = ceilings
	x.LoadNS = r.d.now().Sub(start).Nanoseconds()
	before := r.d.b.spent
	if r.trainer, err = gpt.NewTrainer(m, trainOptions(r.step, r.o.DType)); err != nil {
		if lacks := (*backend.OpError)(nil); errors.As(err, &lacks) {
			return fmt.Errorf("%w: %w", result.ErrUnsupported, err)
		}
		return err
	}
	defer r.trainer.Close()
	x.RecordNS = (r.d.b.spent - before).Nanoseconds()
	r.p.step("warm-up")
	if err := r.warm(ctx, x); err != nil {
		return err
	}
	r.p.step("loading and warm-up of peers")
	if err := r.warmPeers(ctx); err != nil {
		return err
	}
	if r.y, err = r.d.newTrainProducts(m, r.step, r.o.DType); err != nil {
		return err
	}
	defer r.y.close()
	if err := r.y.warm(long); err != nil {
		return err
	}
	x.Yardstick, x.YardstickUnit = r.y.name, r.y.unit
	debug.FreeOSMemory() // so that no collection of garbage falls into a repetition
	for i := range r.o.Repetitions {
		what := fmt.Sprintf("%d/%d", i+1, r.o.Repetitions)
		r.p.step(what)
		if err := r.turn(ctx, what); err != nil {
			return err
		}
	}
	return nil
}

// warm runs two steps of ours, whose losses are compared with those of the peers,
// and chooses how many steps make a repetition.
func (r *trainRace) warm(ctx context.Context, x *result.TrainResult) error {
	random := rand.New(rand.NewPCG(uint64(r.step.Batch), uint64(r.step.Time)))
	for range r.step.Accumulate * r.step.Batch * r.step.Time {
		r.ids = append(r.ids, random.IntN(r.model.Config.Vocab))
		r.targets = append(r.targets, random.IntN(r.model.Config.Vocab))
	}
	r.d.b.lowered = nil
	first, loss, err := r.steps(ctx, 1)
	if err != nil {
		return err
	}
	x.FirstNS, x.FirstLoss = first.Nanoseconds(), loss
	second, loss, err := r.steps(ctx, 1)
	if err != nil {
		return err
	}
	x.SecondLoss = loss
	x.DeviceInfo = r.d.Describe() // once products have run, it may say on what
	x.PeakRSS = peakRSS()
	x.DeviceMemory, _, _ = backend.Memory(r.d.b)
	x.Lowered = append(x.Lowered, r.d.b.lowered...)
	x.Steps = int(max(1, min(result.MaxSteps, math.Ceil(repetition/second.Seconds()))))
	r.ours = x
	return nil
}

// steps runs n steps of ours. The loss is that of the last.
func (r *trainRace) steps(ctx context.Context, n int) (took time.Duration, loss float64, err error) {
	start := r.d.now()
	for range n {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		norm := 0.0
		if loss, norm, err = r.trainer.Step(r.ids, r.targets, r.step.Rate); err != nil {
			return 0, 0, err
		}
		if sum := loss + norm; math.IsNaN(sum) || math.IsInf(sum, 0) {
			return 0, 0, fmt.Errorf("step %d has a loss of %v and gradients of norm %v: the weights are of no use to learn from", r.trainer.Count(), loss, norm)
		}
	}
	return r.d.now().Sub(start), loss, nil
}

// warmPeers starts the peers and has each run two steps.
func (r *trainRace) warmPeers(ctx context.Context) error {
	if err := r.Start(ctx, r.o.Peers); err != nil {
		return err
	}
	about := map[*peer.Rival]result.PeerAbout{}
	err := r.Load(ctx, peer.Request{Command: "train", Training: r.step}, func(x *peer.Rival, a peer.Reply) { about[x] = x.About(a) })
	if err != nil {
		return err
	}
	return r.Turn(ctx, "warm-up", r.request(2), func(x *peer.Rival, a peer.Reply) {
		b := r.result(about[x])
		b.Steps, b.FirstLoss, b.SecondLoss = r.ours.Steps, r.ours.FirstLoss, r.ours.SecondLoss
		b.PeerFirstLoss, b.PeerSecondLoss = a.Losses[0], a.Losses[1]
		r.beside[x] = b
	})
}

func (r *trainRace) request(steps int) peer.Request {
	return peer.Request{Command: "steps", IDs: r.ids, Targets: r.targets, Steps: steps}
}

// turn has each side do a repetition, ours between two measurements of the
// yardstick.
func (r *trainRace) turn(ctx context.Context, what string) error {
	before, err := r.y.measure()
	if err != nil {
		return err
	}
	took, _, err := r.steps(ctx, r.ours.Steps)
	if err != nil {
		return err
	}
	after, err := r.y.measure()
	if err != nil {
		return err
	}
	x := r.ours
	rate := r.y.work / ((before + after) / 2)
	r.rates = append(r.rates, rate)
	yardstick := result.SpreadOf(r.rates)
	x.AvgYardstick, x.StddevYardstick = yardstick.Mean, yardstick.SD
	x.SamplesNS = append(x.SamplesNS, took.Nanoseconds())
	need := trainPasses * float64(r.step.Accumulate*x.Steps) * r.y.work
	x.SamplesShare = append(x.SamplesShare, need/rate/took.Seconds())
	return r.Turn(ctx, what, r.request(x.Steps), func(p *peer.Rival, a peer.Reply) {
		b := r.beside[p]
		b.SamplesNS, b.PeerSamplesNS = append(b.SamplesNS, took.Nanoseconds()), append(b.PeerSamplesNS, a.NS)
		b.PeerPeakRSS, b.PeerDeviceMemory = a.PeakRSS, a.PeakDevice
	})
}

// Products of a step for each of its forward pass: that, and backward for the
// gradients of what goes in and of the weights.
const trainPasses = 3

// trainFLOP is the arithmetic of a step: three times that of the forward pass,
// with the scores of all tokens. It is the same where blocks are computed twice,
// as in "model FLOPs utilization" (Chowdhery et al. 2022, PaLM, appendix B).
func trainFLOP(c model.Config, t Training) float64 {
	products, attention := trainWork(c, t.Batch, t.Time)
	return trainPasses * float64(t.Accumulate) * (products + attention)
}

// trainWork is the forward arithmetic of a batch; as for prompts all pairs of
// tokens count.
func trainWork(c model.Config, batch, time int) (products, attention float64) {
	w := Count(onPaper(nil, c, backend.F32), Test{Prompt: time}, backend.F32)
	b := float64(batch)
	return b * (w.Products + float64(time)*w.Head), b * w.Attention
}
