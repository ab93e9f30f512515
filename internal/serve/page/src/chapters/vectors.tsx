import type { EmbedResult, EmbedWord, Neighbour } from '../api';
import type { Info } from '../info';
import { Num, percent, short } from '../number';
import { TokenButton } from '../parts/candidates';
import { Field } from '../parts/field';
import { HeatMap } from '../parts/heatmap';
import { Panel } from '../parts/panel';
import { Scatter } from '../parts/scatter';
import { Bar, Table } from '../parts/table';
import { go, place, useApp } from '../state';
import { Piece, visible } from '../text';
import { positionOf, useText } from '../textview';
import { VectorsProse } from './prose';

const split = (words: string) => words.split(/\s+/).filter(Boolean).slice(0, 32);

export function Vectors({ info }: { info: Info }) {
  const state = useApp();
  const { tokens } = useText();
  const token = tokens[positionOf(state, tokens)];
  const words = split(state.words);
  return (
    <>
      <VectorsProse info={info} />
      <div class="panels">
        <Panel
          view="embed" title="The vector of the chosen token" params={token ? { word: `#${token.id}`, nearest: 12 } : null}
          about={<>Every number of it as a cell, and the tokens whose vectors point in nearly the same direction.</>}
          table={(r) => r.words?.[0] && <VectorTable word={r.words[0]} />}
        >
          {(r) => r.words?.[0] && <One word={r.words[0]} />}
        </Panel>
        <Panel
          view="embed" title="Words on a map" params={words.length > 0 ? { word: words, nearest: 5 } : null}
          about={<>Two directions out of {info.model.shape.width}: those along which these words differ most.</>}
          controls={<Field id="words" label="Words" value={state.words} wait={350} onValue={(words) => go({ words }, true)} />}
          table={(r) => <MapTable r={r} />}
        >
          {(r) => <WordMap r={r} />}
        </Panel>
        <Panel
          view="embed" title="Directions have meanings" params={state.sum.trim() ? { word: [state.sum], nearest: 8 } : null}
          about={<>Words with + and − between them: their vectors are added and subtracted. Which tokens are near to the result?</>}
          controls={<Field id="sum" label="Sum of words" value={state.sum} wait={350} onValue={(sum) => go({ sum }, true)} />}
        >
          {(r) => r.sum && (
            <>
              <Near caption="Nearest to the sum, without its own words" list={r.sum.nearest ?? []} />
              <p>
                Its own words: {(r.sum.excluded ?? []).map((n, i) => <span key={n.id}>{i > 0 && ', '}<Piece text={n.text} /> <Num value={n.cosine} />, rank <Num value={n.rank} /></span>)}.
                Length <Num value={r.sum.norm} />.
              </p>
            </>
          )}
        </Panel>
        <Panel
          view="embed" title="How far along a direction" params={words.length > 0 && state.on.includes(',') ? { word: words, on: state.on, nearest: 0 } : null}
          about={<>All words of the map, projected on the direction from one word to another: 0 is the first one, 1 the second.</>}
          controls={<Field id="on" label="From, to" value={state.on} wait={350} onValue={(on) => go({ on: on.replace(/\s+/g, '') }, true)} />}
        >
          {(r) => r.direction && (
            <Table
              caption="Words along the direction" rows={[...(r.direction.projections ?? [])].sort((a, b) => (a.share ?? 0) - (b.share ?? 0))}
              columns={[
                { head: 'Word', cell: (p) => p.word },
                { head: 'Of the way', number: true, cell: (p) => <Num value={p.share} /> },
                { head: 'Bar', cell: (p) => <Bar signs share={(p.share ?? 0) / 2} /> },
                { head: 'Length', number: true, cell: (p) => <Num value={p.length} /> },
                { head: 'Cosine', number: true, cell: (p) => <Num value={p.cosine} /> },
              ]}
            />
          )}
        </Panel>
      </div>
    </>
  );
}

function One({ word }: { word: EmbedWord }) {
  const { cell } = useApp();
  const vector = word.vector ?? [];
  const cols = Math.min(48, vector.length);
  const rows = Math.ceil(vector.length / Math.max(1, cols));
  const most = Math.max(...vector.map((v) => Math.abs(v ?? 0)), 1e-9);
  return (
    <>
      <p><Piece text={word.text} /> <Num value={vector.length} /> numbers, of length <Num value={word.norm} /> together.</p>
      <HeatMap
        label={`The vector of ${visible(word.text)}`} rows={rows} cols={cols} of={word} value={(r, c) => vector[r * cols + c]} low={-most} high={most} signs tall
        row={Math.floor(cell / Math.max(1, cols))} col={cell % Math.max(1, cols)} onSelect={(r, c) => go({ cell: Math.min(r * cols + c, vector.length - 1) }, true)}
        describe={(r, c) => (r * cols + c < vector.length ? `Number ${r * cols + c}: ${short(vector[r * cols + c] ?? NaN)}` : '')}
      />
      <Near caption="Nearest tokens" list={word.nearest ?? []} />
    </>
  );
}

function VectorTable({ word }: { word: EmbedWord }) {
  return (
    <Table
      caption="All numbers of the vector" rows={word.vector ?? []}
      columns={[{ head: 'Index', number: true, cell: (_, i) => i }, { head: 'Value', number: true, cell: (v) => <Num value={v} /> }]}
    />
  );
}

export function Near({ caption, list, plain }: { caption: string; list: Neighbour[]; plain?: boolean }) {
  return (
    <Table
      caption={caption} showCaption rows={list}
      columns={[
        { head: 'Token', cell: (n) => (plain ? <Piece text={n.text} /> : <TokenButton id={n.id} text={n.text} />) },
        { head: 'Cosine', number: true, cell: (n) => <Num value={n.cosine} /> },
        { head: 'Bar', cell: (n) => <Bar share={n.cosine ?? 0} /> },
      ]}
    />
  );
}

function WordMap({ r }: { r: EmbedResult }) {
  const { dot: chosen, pair } = useApp();
  const points = r.map?.points ?? [];
  const words = (r.words ?? []).filter((w) => w !== null);
  const at = place(pair);
  return (
    <>
      {points.length > 0
        ? <Scatter label={`A map of ${points.length} words`} dots={points.map((p) => ({ name: p.text, x: p.x ?? 0, y: p.y ?? 0 }))} chosen={chosen} onChoose={(dot) => go({ dot })} />
        : <p class="note">A map needs two words or more.</p>}
      {points[chosen] && <p class="readout"><Piece text={points[chosen].text} /> at <Num value={points[chosen].x} />, <Num value={points[chosen].y} />. The map shows <Num value={r.map?.explained[0]} as={percent} /> and <Num value={r.map?.explained[1]} as={percent} /> of how they differ.</p>}
      {words.length > 1 && (
        <HeatMap
          label="Cosines of each two words" rows={words.length} cols={words.length} of={r} rowLabels={words.map((w) => w.given)} colLabels={words.map((w) => w.given)} value={(a, b) => r.cosines?.[a]?.[b]} low={-1} high={1} signs
          row={at[0]} col={at[1]} rowName="word" colName="word" onSelect={(a, b) => go({ pair: `${a},${b}` }, true)}
          describe={(a, b) => `${words[a]?.given ?? ''} and ${words[b]?.given ?? ''}: cosine ${short(r.cosines?.[a]?.[b] ?? NaN)}`}
        />
      )}
    </>
  );
}

function MapTable({ r }: { r: EmbedResult }) {
  const words = (r.words ?? []).filter((w) => w !== null);
  return (
    <>
      <Table
        caption="Places on the map" rows={r.map?.points ?? []}
        columns={[
          { head: 'Word', cell: (p) => <Piece text={p.text} /> },
          { head: 'Across', number: true, cell: (p) => <Num value={p.x} /> },
          { head: 'Up', number: true, cell: (p) => <Num value={p.y} /> },
        ]}
      />
      <Table
        caption="Cosines of each two words" rows={words}
        columns={[
          { head: 'Word', cell: (w) => w.given },
          ...words.map((w, k) => ({ head: w.given, number: true, cell: (_: EmbedWord, i: number) => <Num value={r.cosines?.[i]?.[k]} /> })),
        ]}
      />
    </>
  );
}
