import type { Candidate, NextResult, NextTemperature } from '../api';
import { type Info, reading } from '../info';
import { Num, percent, short } from '../number';
import { Candidates, TokenButton } from '../parts/candidates';
import { Slider } from '../parts/field';
import { Panel } from '../parts/panel';
import { TokenStrip } from '../parts/strip';
import { Bar, Table } from '../parts/table';
import { go, type State, useApp } from '../state';
import { Piece } from '../text';
import { positionOf, useText, where } from '../textview';
import { LastProse, NextProse } from './prose';

// Both chapters show parts of one answer: it is asked for once.
const params = (state: State, tokens: unknown[]) => ({
  ...reading(state.text), top: 10, position: where(state, tokens), temperature: temperatures(state),
  'top-k': state.topk === 0 ? undefined : state.topk, 'top-p': state.topp === 1 ? undefined : state.topp,
});

const temperatures = (state: State) => [...new Set([0.5, 1, 2, state.temperature])].sort((a, b) => a - b).join(',');

export function Last({ info }: { info: Info }) {
  const state = useApp();
  const { tokens } = useText();
  const { width, vocab } = info.model.shape;
  return (
    <>
      <LastProse />
      <div class="panels">
        <Panel
          view="lens" title="From a vector to scores" params={{ ...reading(state.text), show: 'lens', positions: 1, top: 12, position: where(state, tokens) }} made={['scores']}
          about={<>The vector of the chosen position after all blocks, {width.toLocaleString('en')} numbers, is multiplied with the unembedding matrix: that gives {vocab.toLocaleString('en')} scores, one for each token.</>}
        >
          {(r) => {
            const last = r.lens?.blocks?.at(-1)?.at(-1);
            return last && (
              <>
                <Scores list={last.top ?? []} />
                <p class="readout">These are the highest. Softmax makes them a distribution, whose entropy is <Num value={last.entropy} /> nats.</p>
              </>
            );
          }}
        </Panel>
        <Panel
          view="next" title="Every vector predicts" params={params(state, tokens)} made={['scores']}
          about={<>Each token, coloured by how much it surprised the model after those before it. Choose one to see what the model expects after it.</>}
          table={(r) => <Positions r={r} />}
        >
          {(r) => <Surprises r={r} />}
        </Panel>
      </div>
    </>
  );
}

function Scores({ list }: { list: Candidate[] }) {
  const widest = Math.max(...list.map((c) => Math.abs(c.score ?? 0)), 1e-9);
  return (
    <Table
      caption="The highest scores" rows={list}
      columns={[
        { head: 'Token', cell: (c) => <TokenButton id={c.id} text={c.text} /> },
        { head: 'Score', number: true, cell: (c) => <Num value={c.score} /> },
        { head: 'Bar', cell: (c) => <Bar signs share={(c.score ?? 0) / widest} /> },
        { head: 'Probability', number: true, cell: (c) => <Num value={c.prob} as={percent} /> },
      ]}
    />
  );
}

function Surprises({ r }: { r: NextResult }) {
  const state = useApp();
  const positions = r.positions ?? [];
  const at = positionOf(state, positions);
  const here = positions[at];
  const before = positions[at - 1];
  const t = r.training;
  const most = Math.max(...positions.map((p) => p.surprise ?? 0), 1e-9);
  return (
    <>
      <TokenStrip
        wrap label="Tokens, coloured by their surprise" chosen={at} onChoose={(position) => go({ position })}
        tokens={positions.map((p, i) => {
          const surprise = positions[i - 1]?.surprise;
          return { text: p.token.text, strength: (surprise ?? 0) / most, note: i === 0 ? 'nothing came before' : `surprise ${short(surprise ?? NaN)} nats` };
        })}
      />
      {before && here && (
        <p class="readout">
          <Piece text={here.token.text} /> had probability <Num value={before.prob} as={percent} /> after <Piece text={before.token.text} />: rank{' '}
          <Num value={before.rank} />, surprise <Num value={before.surprise} /> nats.
        </p>
      )}
      {t.predictions > 0
        ? (
          <p>
            One pass over <Num value={t.read} /> tokens gives <Num value={t.predictions} /> predictions. The mean of their surprises is the loss:{' '}
            <strong><Num value={t.loss} /></strong> nats, a perplexity of <Num value={t.perplexity} />. Training makes it smaller. One prediction a
            pass would have to read <Num value={t.read_alone} /> tokens for the same.
          </p>
        )
        : <p>A text of one token gives no prediction that can be compared with what came.</p>}
    </>
  );
}

function Positions({ r }: { r: NextResult }) {
  return (
    <Table
      caption="What the model expects after every position, and what came" rows={r.positions ?? []}
      columns={[
        { head: 'Position', number: true, cell: (p) => <Num value={p.position} /> },
        { head: 'Token', cell: (p) => <Piece text={p.token.text} /> },
        { head: 'What came', cell: (p) => (p.next ? <Piece text={p.next.text} /> : 'nothing yet') },
        { head: 'Probability', number: true, cell: (p) => (p.next ? <Num value={p.prob} as={percent} /> : '') },
        { head: 'Rank', number: true, cell: (p) => (p.next ? <Num value={p.rank} /> : '') },
        { head: 'Surprise (nats)', number: true, cell: (p) => (p.next ? <Num value={p.surprise} /> : '') },
        { head: 'Entropy (nats)', number: true, cell: (p) => <Num value={p.entropy} /> },
        { head: 'Likeliest', cell: (p) => (p.top?.[0] ? <Piece text={p.top[0].text} /> : '') },
        { head: 'Its probability', number: true, cell: (p) => <Num value={p.top?.[0]?.prob} as={percent} /> },
      ]}
    />
  );
}

export function Next({ info }: { info: Info }) {
  const state = useApp();
  const { tokens } = useText();
  return (
    <>
      <NextProse info={info} />
      <div class="panels">
        <Panel
          view="next" title="What may come next" params={params(state, tokens)} made={['scores']}
          about={<>The likeliest tokens after the chosen position, with the scores of which softmax made probabilities.</>}
        >
          {(r) => {
            const p = (r.positions ?? [])[positionOf(state, r.positions ?? [])];
            return p && (
              <>
                <Candidates caption={`The likeliest tokens after position ${p.position}`} list={p.top ?? []} extra={[{ head: 'Score', number: true, cell: (c) => <Num value={c.score} /> }]} />
                <p>
                  After <Piece text={p.token.text} /> the entropy is <Num value={p.entropy} /> nats.{' '}
                  {p.next && <>What came was <Piece text={p.next.text} />, of rank <Num value={p.rank} />.</>}
                </p>
              </>
            );
          }}
        </Panel>
        <Panel
          view="next" title="The same at several temperatures" params={params(state, tokens)} made={['scores']}
          about={<>How likely each token is to be drawn. Tokens that top-k or top-p leave out have no bar.</>}
          controls={<Slider id="temperature-next" label="Another temperature" min={0} max={3} step={0.05} value={state.temperature} say={(v) => v.toFixed(2)} onValue={(temperature) => go({ temperature }, true)} />}
        >
          {(r) => <Temperatures list={r.temperatures ?? []} />}
        </Panel>
      </div>
    </>
  );
}

function Temperatures({ list }: { list: NextTemperature[] }) {
  const tokens = list.find((t) => (t.tokens ?? []).length > 0)?.tokens ?? [];
  const drawn = (t: NextTemperature, id: number) => (t.tokens ?? []).find((c) => c.id === id);
  return (
    <>
      <Table
        caption="Probabilities at which tokens are drawn" rows={tokens}
        columns={[
          { head: 'Token', cell: (c) => <TokenButton id={c.id} text={c.text} /> },
          ...list.map((t) => ({
            head: `T = ${t.temperature ?? 'n/a'}`, number: true,
            cell: (c: { id: number }) => {
              const one = drawn(t, c.id);
              return one && <>{one.kept ? <Num value={one.drawn} as={percent} /> : 'left out'} <Bar share={one.drawn ?? 0} /></>;
            },
          })),
        ]}
      />
      <p>
        {list.map((t) => (
          <span key={t.temperature} class="note">At {t.temperature}: {t.note ?? <><Num value={t.kept} /> tokens can be drawn, entropy <Num value={t.entropy} /> nats. </>}</span>
        ))}
      </p>
    </>
  );
}
