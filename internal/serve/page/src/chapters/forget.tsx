import type { ForgetResult, Slide } from '../api';
import { type Info, reading } from '../info';
import { Num, percent } from '../number';
import { Slider } from '../parts/field';
import { Panel } from '../parts/panel';
import { Table } from '../parts/table';
import { go, useApp } from '../state';
import { Piece, visible } from '../text';
import { ForgetProse } from './prose';

export function Forget({ info }: { info: Info }) {
  const { text, window, temperature, seed } = useApp();
  const most = Math.min(info.model.shape.context, 64);
  return (
    <>
      <ForgetProse info={info} />
      <div class="panels">
        <Panel
          view="forget" title="What has left the window" params={{ ...reading(text), context: window, predict: 12, temperature, seed, top: 5 }}
          about={<>The model writes on, with a window that is small enough to fill up before your eyes. When it is full, the older half goes.</>}
          controls={<Slider id="window" label="The window holds" min={0} max={most} step={1} value={Math.min(window, most)} say={(v) => (v === 0 ? 'the text' : `${v} tokens`)} onValue={(window) => go({ window }, true)} />}
          table={(r) => <Steps r={r} />}
        >
          {(r) => <Window r={r} />}
        </Panel>
      </div>
    </>
  );
}

function Window({ r }: { r: ForgetResult }) {
  const steps = r.steps ?? [];
  const tokens = r.tokens ?? [];
  const { step: chosen } = useApp();
  const at = chosen < 0 ? steps.length - 1 : Math.min(chosen, steps.length - 1);
  const step = steps[at];
  if (!step) return null;
  const slide = (r.slides ?? []).filter((s) => s.step <= at).pop();
  return (
    <>
      <Slider id="forget-step" label="After step" min={0} max={steps.length - 1} step={1} value={at} say={(v) => `${v} of ${steps.length - 1}`} onValue={(v) => go({ step: v === steps.length - 1 ? -1 : v }, true)} />
      <div class="window" role="group" aria-label={`The model sees positions ${step.from} to ${step.to}`}>
        {tokens.slice(0, step.to + 1).map((t, i) => (
          <span key={i} class={i < step.from ? 'gone' : i >= r.given ? 'wrote' : 'seen'}>{visible(t.text)}</span>
        ))}
      </div>
      <p class="readout">
        The window holds <Num value={r.context} /> tokens; this model could have <Num value={r.most} />. Now it sees positions <Num value={step.from} /> to{' '}
        <Num value={step.to} />. It read <Num value={step.read} /> {step.read === 1 ? 'token' : 'tokens'} in this step{step.slid && ', because the window slid'}.
      </p>
      {slide ? <Slid slide={slide} /> : <p class="note">Nothing has been forgotten yet.</p>}
    </>
  );
}

function Slid({ slide }: { slide: Slide }) {
  const rows = (slide.with?.top ?? []).map((w, i) => ({ w, o: slide.without?.top?.[i] }));
  return (
    <>
      <p>
        At step <Num value={slide.step} /> it forgot <Piece text={slide.forgotten.text} />. What it expected with all it had seen, and without:
      </p>
      <Table
        caption="The likeliest next tokens with the whole window, and with what is kept" rows={rows}
        columns={[
          { head: 'With all', cell: (r) => <Piece text={r.w.text} /> },
          { head: 'Probability', number: true, cell: (r) => <Num value={r.w.prob} as={percent} /> },
          { head: 'With what is kept', cell: (r) => (r.o ? <Piece text={r.o.text} /> : 'nothing is kept') },
          { head: 'Probability then', number: true, cell: (r) => <Num value={r.o?.prob} as={percent} /> },
        ]}
      />
      <p>
        What came was <Piece text={slide.came.text} />: probability <Num value={slide.with?.prob} as={percent} /> with all,{' '}
        <Num value={slide.without?.prob} as={percent} /> without. The distribution moved by <Num value={slide.kl} /> nats.
      </p>
    </>
  );
}

function Steps({ r }: { r: ForgetResult }) {
  return (
    <Table
      caption="What the model sees, step by step" rows={r.steps ?? []}
      columns={[
        { head: 'Step', number: true, cell: (_, i) => i },
        { head: 'From', number: true, cell: (s) => <Num value={s.from} /> },
        { head: 'To', number: true, cell: (s) => <Num value={s.to} /> },
        { head: 'Tokens read', number: true, cell: (s) => <Num value={s.read} /> },
        { head: 'Slid', cell: (s) => (s.slid ? 'yes' : 'no') },
        { head: 'What came', cell: (s) => (s.next ? <Piece text={s.next.text} /> : '') },
        { head: 'Surprise (nats)', number: true, cell: (s) => (s.next ? <Num value={s.surprise} /> : '') },
        { head: 'Entropy (nats)', number: true, cell: (s) => <Num value={s.entropy} /> },
      ]}
    />
  );
}
