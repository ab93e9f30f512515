import type { AttentionHead, AttentionPair, AttentionResult } from '../api';
import { type Info, reading } from '../info';
import { Num, percent, short } from '../number';
import { Choice, Stepper, Switch } from '../parts/field';
import { HeatMap } from '../parts/heatmap';
import { Panel } from '../parts/panel';
import { TokenStrip } from '../parts/strip';
import { Bar, Table } from '../parts/table';
import { Thumb } from '../parts/thumb';
import { go, useApp } from '../state';
import { Piece, visible } from '../text';
import { positionOf } from '../textview';
import { AttentionProse } from './prose';

export function Attention({ info }: { info: Info }) {
  const { text, layer, head, weighted } = useApp();
  const shared = { ...reading(text), ...(weighted ? { weighted: true } : {}) };
  const steppers = (
    <>
      <Stepper id="attention-layer" label="Layer" value={layer} count={info.model.shape.layers} onValue={(layer) => go({ layer })} />
      <Stepper id="attention-head" label="Head" value={head} count={info.model.shape.heads} onValue={(head) => go({ head })} />
      <Switch label="Weighted by values" on={weighted === 1} onValue={(on) => go({ weighted: on ? 1 : 0 })} />
    </>
  );
  return (
    <>
      <AttentionProse info={info} />
      <div class="panels">
        <Panel
          view="attention" title="Who looks at whom" params={{ ...shared, layer, head, top: 12 }} controls={steppers} made={['.probs']}
          about={<>One head. Each row is a position that looks, each column one that is looked at. {weighted === 1 && <>Weights are times the length of what the head takes from there.</>}</>}
          table={(r) => <HeadRow r={r} />}
        >
          {(r) => <OneHead r={r} />}
        </Panel>
        <Panel
          view="attention" title="All heads of the layer" params={{ ...shared, layer, top: 12 }} made={['.probs']}
          about={<>Heads of one layer look for different things. Choose one.</>}
          table={(r) => <Figures heads={r.heads ?? []} />}
        >
          {(r) => <LayerHeads r={r} />}
        </Panel>
        <Panel
          view="attention" title="What heads do, in all layers" params={{ ...shared, top: 12, 'skip-first': true }} made={['.probs']}
          about={<>One figure of every head, and the strongest pairs of all, without those that look at the first token.</>}
          table={(r) => <Figures heads={r.heads ?? []} />}
        >
          {(r) => <AllHeads r={r} info={info} />}
        </Panel>
      </div>
    </>
  );
}

const value = (h: AttentionHead | undefined, from: number, to: number) => h?.map?.[from]?.[to];

// most is the largest weight of a head's map.
function most(h: AttentionHead | undefined): number {
  let largest = 0;
  for (const row of h?.map ?? []) for (const v of row ?? []) largest = Math.max(largest, v ?? 0);
  return largest || 1;
}

function OneHead({ r }: { r: AttentionResult }) {
  const state = useApp();
  const tokens = r.tokens ?? [];
  const names = tokens.map((t) => visible(t.text));
  const at = positionOf(state, tokens);
  const h = r.heads?.[0];
  const row = h?.map?.[at] ?? [];
  const high = r.weighted ? most(h) : 1;
  const strongest = Math.max(...row.map((v) => v ?? 0), 1e-9);
  return (
    <>
      {r.maps_left_out && <p class="note">The maps are left out: {r.maps_left_out}.</p>}
      {h?.map && (
        <>
          <p class="note">What position {at} looks at: the stronger the colour, the more.</p>
          <TokenStrip
            wrap label={`Tokens, coloured by how much position ${at} looks at them`} chosen={at} onChoose={(position) => go({ position })}
            tokens={tokens.map((t, i) => ({ text: t.text, strength: (row[i] ?? 0) / strongest, note: i > at ? 'comes later' : short(row[i] ?? 0) }))}
          />
          <HeatMap
            label={`Attention of head ${h.head} of layer ${h.layer}`} rows={tokens.length} cols={tokens.length} of={h} rowLabels={names} colLabels={names} value={(a, b) => value(h, a, b)} low={0} high={high}
            row={at} col={Math.min(state.col, at)} rowName="position that looks" colName="position that is looked at"
            onSelect={(position, col) => go({ position, col })}
            describe={(a, b) => `${a} ${visible(tokens[a]?.text ?? '')} looks at ${b} ${visible(tokens[b]?.text ?? '')}: ${b > a ? 'it comes later' : short(value(h, a, b) ?? NaN)}`}
          />
        </>
      )}
      <Pairs r={r} list={r.pairs ?? []} caption="The strongest pairs of this head" />
    </>
  );
}

function Pairs({ r, list, caption }: { r: AttentionResult; list: AttentionPair[]; caption: string }) {
  const widest = Math.max(...list.map((p) => p.weight ?? 0), 1e-9);
  const text = (i: number) => r.tokens?.[i]?.text ?? '';
  return (
    <Table
      caption={caption} showCaption rows={list}
      columns={[
        { head: 'Who', cell: (p) => <button type="button" class="quiet" onClick={() => go({ layer: p.layer, head: p.head, position: p.from })}><Piece text={text(p.from)} /> {p.from}</button> },
        { head: 'Looks at', cell: (p) => <><Piece text={text(p.to)} /> {p.to}</> },
        ...((r.heads ?? []).length === 1 ? [] : [
          { head: 'Layer', number: true, cell: (p: AttentionPair) => <Num value={p.layer} /> },
          { head: 'Head', number: true, cell: (p: AttentionPair) => <Num value={p.head} /> },
        ]),
        { head: 'Probability', number: true, cell: (p) => <Num value={p.prob} as={percent} /> },
        ...(r.weighted ? [
          { head: 'Takes', number: true, cell: (p: AttentionPair) => <Num value={p.carried} /> },
          { head: 'Weight', number: true, cell: (p: AttentionPair) => <Num value={p.weight} /> },
        ] : []),
        { head: 'Bar', cell: (p) => <Bar share={(p.weight ?? 0) / widest} /> },
      ]}
    />
  );
}

// HeadRow is the row of the chosen position; all rows are in the CSV.
function HeadRow({ r }: { r: AttentionResult }) {
  const state = useApp();
  const tokens = r.tokens ?? [];
  const at = positionOf(state, tokens);
  return (
    <Table
      caption={`What position ${at} looks at`} rows={r.heads?.[0]?.map?.[at] ?? []}
      columns={[
        { head: 'Position', number: true, cell: (_, i) => i },
        { head: 'Token', cell: (_, i) => <Piece text={tokens[i]?.text ?? ''} /> },
        { head: 'Weight', number: true, cell: (v) => <Num value={v} /> },
      ]}
    />
  );
}

function LayerHeads({ r }: { r: AttentionResult }) {
  const { head } = useApp();
  const heads = r.heads ?? [];
  const n = (r.tokens ?? []).length;
  return (
    <>
      {r.maps_left_out && <p class="note">The maps are left out: {r.maps_left_out}.</p>}
      <div class="thumbs" role="group" aria-label="Heads of the layer">
        {heads.map((h) => (
          <button key={h.head} type="button" aria-pressed={h.head === head} onClick={() => go({ head: h.head })}>
            {h.map && <Thumb of={h} size={n} high={r.weighted ? most(h) : 1} value={(a, b) => value(h, a, b)} />}
            <span>Head {h.head}</span>
          </button>
        ))}
      </div>
    </>
  );
}

const figures: [keyof AttentionHead & ('first' | 'self' | 'previous' | 'distance' | 'entropy'), string][] = [
  ['first', 'weight on the first token'], ['self', 'weight on itself'], ['previous', 'weight on the one before'], ['distance', 'tokens back'], ['entropy', 'entropy (nats)'],
];

function Figures({ heads }: { heads: AttentionHead[] }) {
  return (
    <Table
      caption="Means over the positions behind the first" rows={heads}
      columns={[
        { head: 'Layer', number: true, cell: (h) => h.layer },
        { head: 'Head', number: true, cell: (h) => h.head },
        ...figures.map(([key, name]) => ({ head: name, number: true, cell: (h: AttentionHead) => <Num value={h[key]} /> })),
      ]}
    />
  );
}

const numbers = (name: string, count: number) => Array.from({ length: count }, (_, i) => name + i);

function AllHeads({ r, info }: { r: AttentionResult; info: Info }) {
  const { layer, head, figure } = useApp();
  const { layers, heads } = info.model.shape;
  const [key, name] = figures.find(([k]) => k === figure) ?? figures[0]!;
  const of = (l: number, h: number) => r.heads?.[l * heads + h]?.[key];
  let high = key === 'distance' || key === 'entropy' ? 0 : 1;
  for (const h of r.heads ?? []) high = Math.max(high, h[key] ?? 0);
  return (
    <>
      <div class="controls"><Choice id="figure" label="The colour shows" value={key} options={figures} onValue={(figure) => go({ figure })} /></div>
      <HeatMap
        label={`Heads by: ${name}`} rows={layers} cols={heads} rowLabels={numbers('layer ', layers)} colLabels={numbers('', heads)} of={(r.heads ?? []).map((h) => h[key]).join()} value={of} low={0} high={high || 1} row={layer} col={head} rowName="layer" colName="head"
        onSelect={(layer, head) => go({ layer, head })} describe={(l, h) => `Layer ${l}, head ${h}, ${name}: ${short(of(l, h) ?? NaN)}`}
      />
      <Pairs r={r} list={r.pairs ?? []} caption="The strongest pairs of all heads" />
    </>
  );
}
