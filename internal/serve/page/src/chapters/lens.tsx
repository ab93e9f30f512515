import type { Ablation, Attribution, Lens } from '../api';
import type { Params } from '../client';
import { type Info, reading } from '../info';
import { Num, percent, short } from '../number';
import { Candidates, Sought } from '../parts/candidates';
import { Grid } from '../parts/grid';
import { HeatMap } from '../parts/heatmap';
import { Panel } from '../parts/panel';
import { Bar, Table } from '../parts/table';
import { answerOf, go, useApp } from '../state';
import { Piece, visible } from '../text';
import { useText, where } from '../textview';
import { LensProse } from './prose';

export function LensChapter({ info }: { info: Info }) {
  const state = useApp();
  const { tokens } = useText();
  const shared = { ...reading(state.text), position: where(state, tokens), answer: answerOf(state) };
  return (
    <>
      <LensProse info={info} />
      <div class="panels">
        <Panel
          view="lens" title="What each block would say" params={{ ...shared, show: 'lens', positions: state.all ? 0 : 8 }}
          about={<>The likeliest next token after each block, for the chosen position and those before it. The stronger a cell is coloured, the more probable.</>}
          controls={<button type="button" aria-pressed={state.all === 1} onClick={() => go({ all: state.all ? 0 : 1 })}>All positions</button>}
          made={['scores']} table={(r) => r.lens && <LensTable lens={r.lens} />}
        >
          {(r) => r.lens && <LensGrid lens={r.lens} layers={info.model.shape.layers} />}
        </Panel>
        <Panel
          view="lens" title="What each part added to the score" params={{ ...shared, show: 'attribution' }}
          about={<>Direct logit attribution: with the last norm's scale as it was in this run, the score is a sum, of which each part of the model has a row.</>}
          made={['scores']} table={(r) => r.attribution && <HeadTable a={r.attribution} />}
        >
          {(r) => r.attribution && <Parts a={r.attribution} layer={state.layer} head={state.head} />}
        </Panel>
        <Off info={info} shared={shared} />
        <Each info={info} shared={shared} />
      </div>
    </>
  );
}

const after = (blocks: number) => (blocks === 0 ? 'embedding' : `block ${blocks - 1}`);

function LensGrid({ lens, layers }: { lens: Lens; layers: number }) {
  const state = useApp();
  const blocks = lens.blocks ?? [];
  const tokens = lens.tokens ?? [];
  const count = blocks[0]?.length ?? 0;
  const row = state.row < 0 ? layers : state.row;
  const at = blocks[row]?.[count - 1];
  return (
    <>
      <Grid
        caption="The likeliest next token after each block" corner="After"
        rows={blocks.map((_, i) => after(i))} cols={Array.from({ length: count }, (_, i) => <Piece key={i} text={tokens[lens.from + i]?.text ?? ''} />)}
        row={row} col={count - 1}
        cell={(r, c) => {
          const cell = blocks[r]?.[c];
          const top = cell?.top?.[0];
          return {
            text: <code>{visible(top?.text ?? '')}</code>, strength: top?.prob ?? 0,
            label: `${after(r)}, position ${lens.from + c}: ${top?.text ?? ''}, ${percent(top?.prob ?? 0)}`,
          };
        }}
        onSelect={(r, c) => {
          const position = c === count - 1 && state.position < 0 ? -1 : lens.from + c;
          go({ row: r === layers ? -1 : r, position, ...(r > 0 ? { layer: r - 1 } : {}) });
        }}
      />
      {at && (
        <>
          <Candidates caption={`After ${after(row)}, at position ${lens.from + count - 1}`} showCaption list={at.top ?? []} />
          <p class="readout">
            <Piece text={lens.answers?.[count - 1]?.text ?? ''} /> has score <Num value={at.score} />, probability <Num value={at.prob} as={percent} />, rank{' '}
            <Num value={at.rank} />. Entropy <Num value={at.entropy} /> nats. Distance to the last distribution <Num value={at.kl} /> nats.{' '}
            {(lens.appears?.[count - 1] ?? -1) >= 0
              ? <>It is the likeliest after {after(lens.appears![count - 1]!)} and after all later ones.</>
              : <>At the end it is not the likeliest.</>}
          </p>
        </>
      )}
    </>
  );
}

function LensTable({ lens }: { lens: Lens }) {
  const blocks = lens.blocks ?? [];
  const rows = blocks.flatMap((cells, i) => (cells ?? []).map((cell, j) => ({ i, j, cell })));
  return (
    <Table
      caption="The lens: every cell" rows={rows}
      columns={[
        { head: 'After', cell: (r) => after(r.i) },
        { head: 'Position', number: true, cell: (r) => lens.from + r.j },
        { head: 'Likeliest', cell: (r) => <Piece text={r.cell.top?.[0]?.text ?? ''} /> },
        { head: 'Its probability', number: true, cell: (r) => <Num value={r.cell.top?.[0]?.prob} as={percent} /> },
        { head: 'Looked for', cell: (r) => <Piece text={lens.answers?.[r.j]?.text ?? ''} /> },
        { head: 'Score', number: true, cell: (r) => <Num value={r.cell.score} /> },
        { head: 'Probability', number: true, cell: (r) => <Num value={r.cell.prob} as={percent} /> },
        { head: 'Rank', number: true, cell: (r) => <Num value={r.cell.rank} /> },
        { head: 'Distance (nats)', number: true, cell: (r) => <Num value={r.cell.kl} /> },
      ]}
    />
  );
}

interface PartRow {
  name: string;
  score: number | null;
  layer?: number;
  head?: number;
}

// Parts lists what added to the score. The heads of the chosen layer have rows of their own.
function Parts({ a, layer, head }: { a: Attribution; layer: number; head: number }) {
  const rows: PartRow[] = [];
  for (const r of a.rows ?? []) {
    const name = r.block < 0 ? r.part : `block ${r.block} ${r.part}`;
    rows.push({ name, score: r.score, ...(r.block < 0 ? {} : { layer: r.block }) });
    if (r.block === layer) (r.heads ?? []).forEach((score, h) => rows.push({ name: `head ${h}`, score, layer, head: h }));
  }
  const widest = Math.max(...rows.map((r) => Math.abs(r.score ?? 0)), 1e-9);
  return (
    <>
      <Sought text={a.token.text} />
      <Table
        caption={`What added to the score of ${visible(a.token.text)} at position ${a.position}`} rows={rows}
        chosen={(r) => r.layer === layer && (r.head === undefined || r.head === head)}
        columns={[
          {
            head: 'Part', cell: (r) => r.layer === undefined ? r.name : (
              <button type="button" class={r.head === undefined ? 'quiet' : 'quiet inner'} onClick={() => go(r.head === undefined ? { layer: r.layer! } : { layer: r.layer!, head: r.head })}>{r.name}</button>
            ),
          },
          { head: 'Added', number: true, cell: (r) => <Num value={r.score} /> },
          { head: 'Bar', cell: (r) => <Bar signs share={(r.score ?? 0) / widest} /> },
        ]}
      />
      <p>
        The rows of parts add up to <strong><Num value={a.sum} /></strong>; the model computed <strong><Num value={a.score} /></strong>. The
        norm's scale was <Num value={a.scale} />.
      </p>
    </>
  );
}

function HeadTable({ a }: { a: Attribution }) {
  const rows = (a.rows ?? []).filter((r) => r.heads);
  return (
    <Table
      caption="What each head added" rows={rows}
      columns={[
        { head: 'Block', number: true, cell: (r) => r.block },
        ...(rows[0]?.heads ?? []).map((_, h) => ({ head: `Head ${h}`, number: true, cell: (r: typeof rows[number]) => <Num value={r.heads?.[h]} /> })),
      ]}
    />
  );
}

interface SharedProps {
  info: Info;
  shared: Params;
}

// Off switches parts off, and shows what changes.
function Off({ info, shared }: SharedProps) {
  const { off, layer, head } = useApp();
  const parts = off.split(',').filter(Boolean);
  const toggle = (part: string) => go({ off: (parts.includes(part) ? parts.filter((p) => p !== part) : [...parts, part]).join(',') });
  const choices: [part: string, name: string][] = [
    [`${layer}`, `block ${layer}`], [`${layer}.attention`, `attention ${layer}`], [`${layer}.mlp`, `MLP ${layer}`],
    ...(head < 0 ? [] : [[`${layer}.head.${head}`, `head ${head} of block ${layer}`] as [string, string]]),
  ];
  void info;
  return (
    <Panel
      view="lens" title="Without some parts" params={parts.length > 0 ? { ...shared, show: 'ablation', off } : null}
      about={<>Switch parts of the model off. They then add nothing: their outputs are multiplied by a mask of zeros in the same recorded program.</>}
      controls={
        <>
          <div class="buttons" role="group" aria-label="Switch off">
            {choices.map(([part, name]) => <button key={part} type="button" aria-pressed={parts.includes(part)} onClick={() => toggle(part)}>{name}</button>)}
          </div>
          {parts.length > 0 && (
            <div class="buttons" role="group" aria-label="Switched off">
              <span class="note">Off:</span>
              {parts.map((part) => <button key={part} type="button" onClick={() => toggle(part)} aria-label={`Switch ${part} on again`}>{part} ×</button>)}
            </div>
          )}
        </>
      }
      table={(r) => r.ablation && <ChangeTable a={r.ablation} />}
    >
      {(r) => r.ablation && <Without a={r.ablation} />}
    </Panel>
  );
}

function Without({ a }: { a: Ablation }) {
  const widest = Math.max(...(a.changes ?? []).flatMap((c) => [c.before ?? 0, c.after ?? 0]), 1e-9);
  return (
    <>
      <Table
        caption="Probabilities with all parts and without those that are off" rows={a.changes ?? []}
        columns={[
          { head: 'Token', cell: (c) => <Piece text={c.text} /> },
          { head: 'With all', number: true, cell: (c) => <Num value={c.before} as={percent} /> },
          { head: 'Bar with all', cell: (c) => <Bar share={(c.before ?? 0) / widest} /> },
          { head: 'Without', number: true, cell: (c) => <Num value={c.after} as={percent} /> },
          { head: 'Bar without', cell: (c) => <Bar share={(c.after ?? 0) / widest} /> },
        ]}
      />
      <p>
        <Piece text={a.token.text} /> goes from rank <Num value={a.before.rank} /> to <Num value={a.after.rank} />, its score from{' '}
        <Num value={a.before.score} /> to <Num value={a.after.score} />. The distribution moved by <Num value={a.kl} /> nats.
      </p>
    </>
  );
}

function ChangeTable({ a }: { a: Ablation }) {
  return (
    <Table
      caption="The likeliest tokens with all parts, and without" rows={(a.before.top ?? []).map((b, i) => ({ b, a: a.after.top?.[i] }))}
      columns={[
        { head: 'Rank', number: true, cell: (_, i) => i + 1 },
        { head: 'With all', cell: (r) => <Piece text={r.b.text} /> },
        { head: 'Probability', number: true, cell: (r) => <Num value={r.b.prob} as={percent} /> },
        { head: 'Without', cell: (r) => <Piece text={r.a?.text ?? ''} /> },
        { head: 'Probability without', number: true, cell: (r) => <Num value={r.a?.prob} as={percent} /> },
      ]}
    />
  );
}

// Each switches each head off, one after the other. That is a run for each, so it is done on request.
function Each({ info, shared }: SharedProps) {
  const { layer, head, each } = useApp();
  const { layers, heads } = info.model.shape;
  return (
    <Panel
      view="lens" title="Without each head in turn" params={each === 1 ? { ...shared, show: 'ablation', each: 'heads' } : null}
      about={<>By how much the logarithm of the answer's probability changes when one head is off: {layers * heads} runs of the model.</>}
      controls={each !== 1 && <button type="button" class="main" onClick={() => go({ each: 1 })}>Try each head</button>}
      table={(r) => (
        <Table
          caption="The answer's probability without each head" rows={r.each ?? []}
          columns={[
            { head: 'Off', cell: (a) => (a.off ?? []).join(', ') },
            { head: 'Probability before', number: true, cell: (a) => <Num value={a.before.prob} as={percent} /> },
            { head: 'Without', number: true, cell: (a) => <Num value={a.after.prob} as={percent} /> },
            { head: 'Distance (nats)', number: true, cell: (a) => <Num value={a.kl} /> },
          ]}
        />
      )}
    >
      {(r) => {
        const change = (l: number, h: number) => {
          const a = r.each?.[l * heads + h];
          return a && a.after.log_prob !== null && a.before.log_prob !== null ? a.after.log_prob - a.before.log_prob : null;
        };
        let most = 1e-9;
        for (let l = 0; l < layers; l++) for (let h = 0; h < heads; h++) most = Math.max(most, Math.abs(change(l, h) ?? 0));
        return (
          <HeatMap
            label="Change of the answer's log probability without each head" rows={layers} cols={heads} of={r} rowLabels={Array.from({ length: layers }, (_, i) => `block ${i}`)} colLabels={Array.from({ length: heads }, (_, i) => String(i))} value={change} low={-most} high={most} signs
            row={layer} col={Math.max(0, head)} rowName="block" colName="head" onSelect={(layer, head) => go({ layer, head })}
            describe={(l, h) => `Block ${l}, head ${h}: ${short(change(l, h) ?? NaN)} nats`}
          />
        );
      }}
    </Panel>
  );
}
