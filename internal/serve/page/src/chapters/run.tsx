import type { LearnResult, Stage } from '../api';
import type { Info } from '../info';
import { Num, percent, short } from '../number';
import { Candidates } from '../parts/candidates';
import { Choice, Field, Slider, Stepper } from '../parts/field';
import { HeatMap } from '../parts/heatmap';
import { Lines } from '../parts/lines';
import { Panel } from '../parts/panel';
import { Table } from '../parts/table';
import { go, place, useApp } from '../state';
import { Piece, visible } from '../text';
import { Near } from './vectors';

// Run looks at what a training run of this machine has kept on its way, if the server was started with one.
export function Run({ info }: { info: Info }) {
  const { text, probe, run, runlayer, runhead } = useApp();
  const runs = info.runs ?? [];
  if (runs.length === 0) return null;
  const chosen = runs.includes(run) ? run : runs[0]!;
  return (
    <Panel
      view="learn" title="How a trained model came about" params={{ run: chosen, text: probe || text, layer: runlayer, head: runhead, top: 5 }}
      about={<>What the weights that the run has kept make of a text, from the first ones, which are random, to the last.</>}
      controls={
        <>
          {runs.length > 1 && <Choice id="run-folder" label="Training run" value={chosen} options={runs.map((r) => [r, r])} onValue={(run) => go({ run })} />}
          <Field id="probe" label="Text" value={probe} wait={300} onValue={(probe) => go({ probe }, true)} hint="Empty: your text. The run may have learned with another tokenizer." />
          <Stepper id="run-layer" label="Layer" value={runlayer} count={Math.max(info.model.shape.layers, runlayer + 2)} onValue={(runlayer) => go({ runlayer })} />
          <Stepper id="run-head" label="Head" value={runhead} count={Math.max(info.model.shape.heads, runhead + 2)} onValue={(runhead) => go({ runhead })} />
        </>
      }
      table={(r) => <Stages r={r} />}
    >
      {(r) => <Way r={r} />}
    </Panel>
  );
}

function Way({ r }: { r: LearnResult }) {
  const stages = r.stages ?? [];
  const { stage: chosen } = useApp();
  const at = chosen < 0 ? stages.length - 1 : Math.min(chosen, stages.length - 1);
  const stage = stages[at];
  const points = (name: 'training' | 'validation') => (r.losses ?? []).filter((l) => l[name] !== null).map((l): [number, number] => [l.step, l[name]!]);
  const surprise = stages.filter((s) => s.surprise !== null).map((s): [number, number] => [s.step, s.surprise!]);
  if (!stage) return <p class="note">The run has kept no weights.</p>;
  return (
    <>
      <Lines
        label={`Losses over the run, and the surprise of the text at ${stages.length} steps`} x="step" y="nats a token" mark={stage.step}
        lines={[
          { name: 'text that it learned', points: points('training') },
          { name: 'text that it did not see', points: points('validation') },
          { name: 'the text', points: surprise },
        ].filter((l) => l.points.length > 0)}
      />
      <Slider id="stage" label="Weights of" min={0} max={stages.length - 1} step={1} value={at} say={(v) => `step ${stages[v]?.step ?? ''}`} onValue={(v) => go({ stage: v === stages.length - 1 ? -1 : v }, true)} />
      <At r={r} stage={stage} />
      {(r.notes ?? []).map((n) => <p key={n} class="note">{n}</p>)}
    </>
  );
}

function At({ r, stage }: { r: LearnResult; stage: Stage }) {
  const cursor = place(useApp().spot);
  const rows = stage.attention ?? [];
  const name = (i: number) => visible(r.tokens?.[i]?.text ?? '');
  return (
    <div class="looks">
      <section>
        <h4>What comes next, after {stage.step} steps</h4>
        <Candidates plain caption="The likeliest next tokens" list={stage.next ?? []} />
        <p class="readout">Surprise of the text: <Num value={stage.surprise} /> nats a token.</p>
      </section>
      <section>
        <h4>Nearest to <Piece text={r.near.text} /></h4>
        <Near plain caption="Tokens with the nearest vectors" list={stage.neighbours ?? []} />
      </section>
      <section>
        <h4>Who looks at whom, layer {r.layer}, head {r.head}</h4>
        <HeatMap
          label="Attention at this step" rows={rows.length} cols={rows.length} of={stage} rowLabels={(r.tokens ?? []).map((t) => visible(t.text))} colLabels={(r.tokens ?? []).map((t) => visible(t.text))} value={(a, b) => rows[a]?.[b]} low={0} high={1} row={cursor[0]} col={cursor[1]}
          rowName="position that looks" colName="position that is looked at" onSelect={(a, b) => go({ spot: `${a},${b}` }, true)}
          describe={(a, b) => `${name(a)} looks at ${name(b)}: ${b > a ? 'it comes later' : short(rows[a]?.[b] ?? NaN)}`}
        />
      </section>
    </div>
  );
}

function Stages({ r }: { r: LearnResult }) {
  return (
    <Table
      caption="The weights that were looked at" rows={r.stages ?? []}
      columns={[
        { head: 'Step', number: true, cell: (s) => <Num value={s.step} /> },
        { head: 'Kept as', cell: (s) => (s.kinds ?? []).join(', ') },
        { head: 'Training loss', number: true, cell: (s) => <Num value={s.training} /> },
        { head: 'Validation loss', number: true, cell: (s) => <Num value={s.validation} /> },
        { head: 'Surprise of the text', number: true, cell: (s) => <Num value={s.surprise} /> },
        { head: 'Likeliest next', cell: (s) => (s.next?.[0] ? <Piece text={s.next[0].text} /> : '') },
        { head: 'Its probability', number: true, cell: (s) => <Num value={s.next?.[0]?.prob} as={percent} /> },
      ]}
    />
  );
}
