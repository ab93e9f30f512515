import { useEffect, useRef, useState } from 'preact/hooks';
import type { TrainingLook, TrainingStart, TrainingStep, TrainDone, TrainSteps } from '../api';
import type { Info } from '../info';
import { Num, percent, short } from '../number';
import { Field, Slider } from '../parts/field';
import { HeatMap } from '../parts/heatmap';
import { Lines } from '../parts/lines';
import { say } from '../parts/say';
import { Bar, Table } from '../parts/table';
import { go, useApp } from '../state';
import { stream } from '../stream';
import { Piece, visible } from '../text';
import { LearnProse } from './prose';
import { Run } from './run';

interface Course {
  start?: TrainingStart;
  steps: TrainingStep[];
  looks: TrainingLook[];
  done?: TrainDone;
}

export function Learn({ info }: { info: Info }) {
  return (
    <>
      <LearnProse />
      <div class="panels">
        <Live />
        <Run info={info} />
      </div>
    </>
  );
}

// Live has the server train a small model, and shows what it has come to.
function Live() {
  const { lesson, steps, blocks } = useApp();
  const [course, setCourse] = useState<Course>({ steps: [], looks: [] });
  const [error, setError] = useState('');
  const [running, setRunning] = useState(false);
  const [at, setAt] = useState(-1); // which look; −1: the last one
  const stop = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => stop.current?.abort(), []);

  const learn = async () => {
    const abort = new AbortController();
    stop.current = abort;
    setError('');
    setRunning(true);
    setAt(-1);
    let now: Course = { steps: [], looks: [] };
    setCourse(now);
    try {
      await stream('train', { text: lesson, steps, layers: blocks }, abort.signal, ({ event, data }) => {
        if (event === 'start') now = { ...now, start: data as TrainingStart };
        else if (event === 'steps') now = { ...now, steps: [...now.steps, ...((data as TrainSteps).steps ?? [])] };
        else if (event === 'look') now = { ...now, looks: [...now.looks, data as TrainingLook] };
        else if (event === 'done') now = { ...now, done: data as TrainDone };
        setCourse(now);
      });
    } catch (err) {
      if (!abort.signal.aborted) setError(err instanceof Error ? err.message : String(err));
    }
    setRunning(false);
    say(`Training has ended after ${now.steps.length} steps`);
  };
  const { looks } = course;
  const shown = at < 0 ? looks.length - 1 : Math.min(at, looks.length - 1);
  const look = looks[shown];
  return (
    <article class="panel" aria-labelledby="live-title" aria-busy={running} data-view="train" data-steps={course.done ? String(course.done.steps) : undefined}>
      <header><h3 id="live-title">A model that learns before your eyes</h3></header>
      <div class="about">A small GPT learns a text character by character, from random weights, on the same device. Nothing is saved.</div>
      <Field id="lesson" label="Text to learn" value={lesson} lines={3} onValue={(lesson) => go({ lesson }, true)} hint="Empty: the first chapters of a novel. About a page of text is needed, at least." />
      <div class="controls">
        <Slider id="steps" label="Steps" min={50} max={2000} step={50} value={steps} onValue={(steps) => go({ steps }, true)} />
        <Slider id="layers" label="Blocks" min={1} max={4} step={1} value={blocks} onValue={(blocks) => go({ blocks }, true)} />
        {running
          ? <button type="button" id="teach" onClick={() => stop.current?.abort()}>Stop</button>
          : <button type="button" id="teach" class="main" onClick={() => void learn()}>Learn</button>}
      </div>
      {error && <p class="error">{error}</p>}
      {course.start && <Progress course={course} mark={look?.step} />}
      {look && looks.length > 1 && (
        <Slider id="look" label="Look at the model after" min={0} max={looks.length - 1} step={1} value={shown} say={(v) => `step ${looks[v]?.step ?? 0}`} onValue={(v) => setAt(v === looks.length - 1 ? -1 : v)} />
      )}
      {look && <Look look={look} />}
    </article>
  );
}

function Progress({ course, mark }: { course: Course; mark: number | undefined }) {
  const { start, steps, looks } = course;
  const last = steps[steps.length - 1];
  const points = (list: { step: number; loss: number | null }[]): [number, number][] => list.filter((s) => s.loss !== null).map((s) => [s.step, s.loss!]);
  // At most some hundred points are drawn.
  const every = Math.max(1, Math.ceil(steps.length / 400));
  return (
    <>
      <p class="readout">
        A model of <Num value={start!.weights} /> weights with {start!.layers} {start!.layers === 1 ? 'block' : 'blocks'} reads a text of <Num value={start!.characters} /> characters.
        Its vocabulary has <Num value={start!.vocab} /> tokens.{last && <> Step <Num value={last.step} /> of {start!.steps}: the loss is <Num value={last.loss} /> nats a
        character. To take all tokens for equally likely would give <Num value={start!.uniform_loss} />.</>}
      </p>
      {steps.length > 1 && (
        <Lines
          label={`Loss over ${steps.length} steps, from ${short(steps[0]!.loss ?? NaN)} to ${short(last?.loss ?? NaN)} nats`} x="step" y="loss in nats a character"
          lines={[
            { name: 'text that it learns', points: points(steps.filter((_, i) => i % every === 0 || i === steps.length - 1)) },
            { name: 'text that it does not see', points: points(looks.filter((l) => l.held_out_loss !== null).map((l) => ({ step: l.step, loss: l.held_out_loss }))) },
          ].filter((l) => l.points.length > 1)}
          {...(mark === undefined ? {} : { mark })}
        />
      )}
      <details class="more">
        <summary>The losses as a table</summary>
        <Table
          caption="Loss at each look" rows={looks}
          columns={[
            { head: 'Step', number: true, cell: (l) => <Num value={l.step} /> },
            { head: 'Loss of text it learns', number: true, cell: (l) => (l.step === 0 ? 'none yet' : <Num value={steps[l.step - 1]?.loss} />) },
            { head: 'Loss of text it does not see', number: true, cell: (l) => (l.held_out_loss === null ? 'none' : <Num value={l.held_out_loss} />) },
          ]}
        />
      </details>
    </>
  );
}

function Look({ look }: { look: TrainingLook }) {
  const [cursor, setCursor] = useState<[number, number]>([0, 0]);
  const probe = look.probe ?? [];
  const rows = look.attention.rows ?? [];
  const likeliest = Math.max(...(look.next ?? []).map((c) => c.probability ?? 0), 1e-9);
  return (
    <div class="looks">
      <section>
        <h4>What it writes after step {look.step}</h4>
        <pre class="written small">{look.sample}</pre>
      </section>
      <section>
        <h4>What follows <Piece text={probe.join('')} /></h4>
        <Table
          caption="The likeliest next characters" rows={look.next ?? []}
          columns={[
            { head: 'Character', cell: (c) => <Piece text={c.text} /> },
            { head: 'Probability', number: true, cell: (c) => <Num value={c.probability} as={percent} /> },
            { head: 'Bar', cell: (c) => <Bar share={(c.probability ?? 0) / likeliest} /> },
          ]}
        />
      </section>
      <section>
        <h4>Nearest to <Piece text={look.character} /></h4>
        <Table
          caption="The characters with the nearest vectors" rows={look.neighbours ?? []}
          columns={[
            { head: 'Character', cell: (c) => <Piece text={c.text} /> },
            { head: 'Cosine', number: true, cell: (c) => <Num value={c.cosine} /> },
            { head: 'Bar', cell: (c) => <Bar signs share={c.cosine ?? 0} /> },
          ]}
        />
      </section>
      <section>
        <h4>Who looks at whom, layer {look.attention.layer}, head {look.attention.head}</h4>
        <HeatMap
          label="Attention of the model that learns" rows={rows.length} cols={rows.length} of={look} rowLabels={probe.map(visible)} colLabels={probe.map(visible)} value={(r, c) => rows[r]?.[c]} low={0} high={1}
          row={cursor[0]} col={cursor[1]} rowName="character that looks" colName="character that is looked at" onSelect={(r, c) => setCursor([r, c])}
          describe={(r, c) => `${visible(probe[r] ?? '')} looks at ${visible(probe[c] ?? '')}: ${c > r ? 'it comes later' : percent(rows[r]?.[c] ?? 0)}`}
        />
      </section>
    </div>
  );
}
