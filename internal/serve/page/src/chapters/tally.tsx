import type { TallyResult } from '../api';
import type { Info } from '../info';
import { bytes, Num, percent, short } from '../number';
import { Choice } from '../parts/field';
import { Panel } from '../parts/panel';
import { Bar, Table } from '../parts/table';
import { go, useApp } from '../state';
import { TallyProse } from './prose';

// ends counts the weights of the first and the last matrix.
const ends = (r: TallyResult) => (r.kinds ?? []).reduce((sum, k) => sum + (/^(un)?embedding$/i.test(k.kind) ? k.weights : 0), 0);

export function Tally({ info }: { info: Info }) {
  const { shape } = useApp();
  return (
    <>
      <TallyProse />
      <div class="panels">
        <Panel
          view="tally" params={{ shape }} title="Eight kinds of matrices"
          controls={
            <Choice
              id="shape" label="Whose weights" value={shape} onValue={(shape) => go({ shape })}
              options={[['', `this model: ${info.model.name}`], ...(info.shapes ?? []).map((s): [string, string] => [s, s])]}
            />
          }
          table={(r) => (
            <Table
              caption="What the tally leaves out, and all parameters" rows={[
                ...(r.left_out ?? []).map((o) => ({ what: o.what, tensors: o.tensors as number | undefined, weights: o.weights })),
                { what: 'all parameters', tensors: undefined, weights: r.parameters },
                ...(r.active > 0 ? [{ what: 'active for each token', tensors: undefined, weights: r.active }] : []),
              ]}
              columns={[
                { head: 'What', cell: (o) => o.what },
                { head: 'Tensors', number: true, cell: (o) => (o.tensors === undefined ? '' : <Num value={o.tensors} />) },
                { head: 'Weights', number: true, cell: (o) => <Num value={o.weights} /> },
              ]}
            />
          )}
        >
          {(r) => (
            <>
              <Table
                caption={`${r.of}: ${short(r.weights)} weights in ${short(r.matrices)} matrices`} showCaption rows={r.kinds ?? []}
                columns={[
                  { head: 'Kind', cell: (k) => k.kind },
                  { head: 'Matrices', number: true, cell: (k) => <Num value={k.matrices} /> },
                  { head: 'Rows × columns', number: true, cell: (k) => <><Num value={k.rows} /> × <Num value={k.cols} /></> },
                  { head: 'Weights', number: true, cell: (k) => <Num value={k.weights} /> },
                  { head: 'Share', number: true, cell: (k) => <Num value={k.share} as={percent} /> },
                  { head: 'Share as a bar', cell: (k) => <Bar share={k.share ?? 0} /> },
                  { head: 'Running total', number: true, cell: (k) => <Num value={k.total} /> },
                ]}
              />
              <p>
                Its shape: <Num value={r.shape.layers} /> blocks of <Num value={r.shape.heads} /> heads, vectors of <Num value={r.shape.width} /> numbers, a context
                of <Num value={r.shape.context} /> tokens, a vocabulary of <Num value={r.shape.vocab} />. All kinds: <strong><Num value={r.weights} /></strong> weights in <Num value={r.matrices} /> matrices. With what the tally
                leaves out (table below) the model has <strong><Num value={r.parameters} /></strong> parameters. In memory:{' '}
                {(r.bytes ?? []).map((b, i) => <span key={b.dtype}>{i > 0 && ', '}{b.dtype} <Num value={b.bytes} as={bytes} /></span>)}.
              </p>
              {!r.shape.tied && <p>Embedding and unembedding together have {short(ends(r))} weights, a share of {percent(ends(r) / r.weights)}.</p>}
            </>
          )}
        </Panel>
      </div>
    </>
  );
}
