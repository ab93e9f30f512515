import type { ContextResult, ContextText } from '../api';
import { hasText } from '../info';
import { Num, percent, short } from '../number';
import { TokenButton } from '../parts/candidates';
import { Field, Slider, Switch } from '../parts/field';
import { Panel } from '../parts/panel';
import { TokenStrip } from '../parts/strip';
import { Bar, Table } from '../parts/table';
import { go, useApp } from '../state';
import { Piece } from '../text';
import { ContextProse } from './prose';

export function Context() {
  const { text, other, word, ends } = useApp();
  const last = ends === 1 || !hasText();
  const ready = text.trim() !== '' && other.trim() !== '';
  return (
    <>
      <ContextProse />
      <div class="panels">
        <Panel
          view="context" title="The same word in two texts" params={ready ? { first: text, second: other, top: 5, ids: !hasText(), ...(last ? { at: '-1,-1' } : { word }) } : null}
          about={<>The first text is yours, from the top of the page. Words move the vector only if they stand before it.</>}
          controls={
            <>
              <Field id="other" label="Second text" value={other} wait={300} onValue={(other) => go({ other }, true)} />
              {!last && <Field id="word" label="Word" value={word} wait={300} onValue={(word) => go({ word }, true)} hint="Empty: one that both texts have." />}
              {hasText() && <Switch label="The last tokens instead" on={ends === 1} onValue={(on) => go({ ends: on ? 1 : 0 })} />}
            </>
          }
          table={(r) => <Stages r={r} />}
        >
          {(r) => <Apart r={r} />}
        </Panel>
      </div>
    </>
  );
}

const after = (stage: number) => (stage === 0 ? 'embedding' : `block ${stage - 1}`);

function Apart({ r }: { r: ContextResult }) {
  const { layer, from, from2 } = useApp();
  const apart = r.apart ?? [];
  const widest = Math.max(...apart.map((a) => a.cosine_distance ?? 0), 1e-9);
  const block = Math.min(layer, apart.length - 2);
  return (
    <>
      <Table
        caption="How far the two vectors are apart" showCaption rows={apart} chosen={(_, i) => i === block + 1}
        columns={[
          { head: 'After', cell: (_, i) => (i === 0 ? after(i) : <button type="button" class="quiet" onClick={() => go({ layer: i - 1 })}>{after(i)}</button>) },
          { head: '1 − cosine', number: true, cell: (a) => <Num value={a.cosine_distance} /> },
          { head: 'Bar', cell: (a) => <Bar share={(a.cosine_distance ?? 0) / widest} /> },
          { head: 'Distance', number: true, cell: (a) => <Num value={a.euclidean} /> },
          { head: 'Of their length', number: true, cell: (a) => <Num value={a.relative} as={percent} /> },
        ]}
      />
      {r.without_position && <p class="note">Without the embeddings of their positions the first vectors are <Num value={r.without_position.euclidean} /> apart.</p>}
      <Slider id="context-block" label="Which words moved it, in block" min={0} max={Math.max(0, apart.length - 2)} step={1} value={block} onValue={(layer) => go({ layer }, true)} />
      <Moved name="In your text" text={r.first} block={block} chosen={from} onChoose={(from) => go({ from })} />
      <Moved name="In the second text" text={r.second} block={block} chosen={from2} onChoose={(from2) => go({ from2 })} />
    </>
  );
}

interface MovedProps {
  name: string;
  text: ContextText;
  block: number;
  chosen: number;
  onChoose: (token: number) => void;
}

// Moved colours a text by how much attention took from each word, and lists what moved the vector most.
function Moved({ name, text, block, chosen, onChoose }: MovedProps) {
  const tokens = text.tokens ?? [];
  const moves = text.blocks?.[block];
  const positions = moves?.positions ?? [];
  const most = Math.max(...positions.map((m) => m.length ?? 0), 1e-9);
  const at = Math.min(chosen, positions.length - 1);
  const one = positions[at];
  return (
    <div>
      <h4>{name}</h4>
      <TokenStrip
        wrap label={`${name}: tokens, coloured by how much attention of block ${block} took from them`} chosen={at} onChoose={onChoose}
        tokens={tokens.map((t, i) => ({ text: t.text, strength: (positions[i]?.length ?? 0) / most, note: short(positions[i]?.length ?? NaN) }))}
      />
      {one && moves && (
        <p class="readout">
          From <Piece text={tokens[at]?.text ?? ''} /> attention took a vector of length <Num value={one.length} /> (weight <Num value={one.weight} />); it
          moves the word by <Num value={one.away} /> away from the other one. The MLP: length <Num value={moves.mlp.length} />, away <Num value={moves.mlp.away} />.
          Near now: {(text.stages?.[block + 1]?.nearest ?? []).map((c) => <TokenButton key={c.id} id={c.id} text={c.text} />)}
        </p>
      )}
    </div>
  );
}

function Stages({ r }: { r: ContextResult }) {
  const stages = (r.first.stages ?? []).map((first, i) => ({ first, second: r.second.stages?.[i] }));
  const list = (of: { nearest: { id: number; text: string }[] | null } | undefined) => (of?.nearest ?? []).map((c) => <Piece key={c.id} text={c.text} />);
  return (
    <Table
      caption="Both vectors on their way" rows={stages}
      columns={[
        { head: 'After', cell: (_, i) => after(i) },
        { head: 'Length in the first text', number: true, cell: (s) => <Num value={s.first.length} /> },
        { head: 'Near to', cell: (s) => list(s.first) },
        { head: 'Length in the second text', number: true, cell: (s) => <Num value={s.second?.length} /> },
        { head: 'Near to, second', cell: (s) => list(s.second) },
      ]}
    />
  );
}
