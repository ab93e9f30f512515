import type { MLPAnswer, MLPAnswers, MLPNeuron, TokenScore } from '../api';
import { type Info, reading } from '../info';
import { Num, percent, short } from '../number';
import { TokenButton } from '../parts/candidates';
import { Stepper } from '../parts/field';
import { Panel } from '../parts/panel';
import { TokenStrip } from '../parts/strip';
import { Bar, Table } from '../parts/table';
import { go, useApp } from '../state';
import { positionOf, useText, where } from '../textview';
import { Piece } from '../text';
import { MLPProse } from './prose';

export function MLP({ info }: { info: Info }) {
  const state = useApp();
  const { tokens } = useText();
  const { text, layer, neuron } = state;
  return (
    <>
      <MLPProse info={info} />
      <div class="panels">
        <Panel
          view="mlp" title="The questions that the vector answers most strongly" params={{ ...reading(text), layer, position: where(state, tokens), top: 12, writes: 5 }} made={['.mlp.hidden', '.mlp.output']}
          controls={<Stepper id="mlp-layer" label="Layer" value={layer} count={info.model.shape.layers} onValue={(layer) => go({ layer })} />}
          about={<>Each question is a neuron. Its answer is a number, times which the neuron's own vector is added. Choose a neuron to see where it answers.</>}
          table={(r) => r.answers && <Shares r={r.answers} />}
        >
          {(r) => r.answers && <Answers r={r.answers} />}
        </Panel>
        <Panel
          view="mlp" title="One neuron, at all positions" params={neuron < 0 ? null : { ...reading(text), layer, neuron, top: 12, writes: 10 }} made={['.mlp.hidden']}
          controls={<Stepper id="neuron" label="Neuron" value={neuron} count={info.model.shape.inner} special="none" onValue={(neuron) => go({ neuron })} />}
          about={neuron < 0 ? <>Choose a neuron in the list above.</> : undefined}
          table={(r) => r.neuron && <Values r={r.neuron} />}
        >
          {(r) => r.neuron && <Neuron r={r.neuron} />}
        </Panel>
      </div>
    </>
  );
}

const Writes = ({ list }: { list: TokenScore[] | null }) => <span class="writes">{(list ?? []).map((t) => <TokenButton key={t.id} id={t.id} text={t.text} />)}</span>;

function Answers({ r }: { r: MLPAnswers }) {
  const { neuron } = useApp();
  const l = r.layers?.[0];
  const rows = l?.answers ?? [];
  const widest = Math.max(...rows.map((a) => Math.abs(a.value ?? 0)), 1e-9);
  const up = (a: MLPAnswer) => ((a.value ?? 0) < 0 ? a.lowered : a.raised);
  const down = (a: MLPAnswer) => ((a.value ?? 0) < 0 ? a.raised : a.lowered);
  return (
    <>
      <Table
        caption={`Answers of layer ${l?.layer ?? ''} at position ${r.position}`} rows={rows} chosen={(a) => a.neuron === neuron}
        columns={[
          { head: 'Neuron', cell: (a) => <button type="button" class="quiet" aria-pressed={a.neuron === neuron} onClick={() => go({ neuron: a.neuron })}><Num value={a.neuron} as={String} /></button> },
          { head: 'Answer', number: true, cell: (a) => <Num value={a.value} /> },
          { head: 'Bar', cell: (a) => <Bar signs share={(a.value ?? 0) / widest} /> },
          { head: 'Makes likelier', cell: (a) => <Writes list={up(a)} /> },
          { head: 'Makes less likely', cell: (a) => <Writes list={down(a)} /> },
        ]}
      />
      <p><Num value={r.neurons} /> questions{r.gated && ', with a gate'}. The MLP adds a vector of length <Num value={l?.length} />.</p>
    </>
  );
}

function Shares({ r }: { r: MLPAnswers }) {
  return (
    <Table
      caption="What each neuron adds" rows={r.layers?.[0]?.answers ?? []}
      columns={[
        { head: 'Neuron', number: true, cell: (a) => <Num value={a.neuron} as={String} /> },
        { head: 'Answer', number: true, cell: (a) => <Num value={a.value} /> },
        { head: 'Length', number: true, cell: (a) => <Num value={a.length} /> },
        { head: 'Share of lengths', number: true, cell: (a) => <Num value={a.share} as={percent} /> },
        { head: 'Along the output', number: true, cell: (a) => <Num value={a.along} /> },
      ]}
    />
  );
}

function Neuron({ r }: { r: MLPNeuron }) {
  const state = useApp();
  const tokens = r.tokens ?? [];
  const values = r.values ?? [];
  const most = Math.max(...values.map((v) => Math.abs(v ?? 0)), 1e-9);
  const scores = (caption: string, list: TokenScore[] | null) => {
    const widest = Math.max(...(list ?? []).map((t) => Math.abs(t.score ?? 0)), 1e-9);
    return (
      <Table
        caption={caption} showCaption rows={list ?? []}
        columns={[
          { head: 'Token', cell: (t) => <TokenButton id={t.id} text={t.text} /> },
          { head: 'Score', number: true, cell: (t) => <Num value={t.score} /> },
          { head: 'Bar', cell: (t) => <Bar signs share={(t.score ?? 0) / widest} /> },
        ]}
      />
    );
  };
  return (
    <>
      <p class="note">Where it answers: the stronger the colour, the larger the answer.</p>
      <TokenStrip
        wrap label={`Tokens, coloured by how strongly neuron ${r.neuron} answers`} chosen={positionOf(state, tokens)} onChoose={(position) => go({ position })}
        tokens={tokens.map((t, i) => ({ text: t.text, strength: Math.abs(values[i] ?? 0) / most, note: short(values[i] ?? NaN) }))}
      />
      <p>Its own vector has length <Num value={r.column} />. An answer above 0 raises these scores, one below 0 lowers them:</p>
      <div class="looks">{scores('Raises', r.raised)}{scores('Lowers', r.lowered)}</div>
    </>
  );
}

function Values({ r }: { r: MLPNeuron }) {
  return (
    <Table
      caption={`Answers of neuron ${r.neuron} of layer ${r.layer}`} rows={r.values ?? []}
      columns={[
        { head: 'Position', number: true, cell: (_, i) => i },
        { head: 'Token', cell: (_, i) => <Piece text={r.tokens?.[i]?.text ?? ''} /> },
        { head: 'Answer', number: true, cell: (v) => <Num value={v} /> },
      ]}
    />
  );
}
