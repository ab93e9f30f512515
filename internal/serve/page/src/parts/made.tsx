// What made a value: the op, its shapes, what it moved and how long it took on the device; and how far another device is
// from it.
import type { Made, Comparison } from '../api';
import { bytes, micros, Num } from '../number';

const shape = (o: { name: string; dtype: string; shape: number[] | null }) => `${o.name} [${(o.shape ?? []).join(', ')}] ${o.dtype}`;

function One({ made }: { made: Made }) {
  return (
    <li>
      <code>{made.value}</code> by <strong>{made.op}</strong>
      {(made.operands ?? []).map((o) => <span key={o.name}> · <code>{shape(o)}</code></span>)}
      {' · '}<Num value={made.bytes} as={bytes} />
      {' · '}<Num value={made.microseconds} as={micros} />
      {made.calls > 1 && ` in ${made.calls} calls`}
      {(made.variants ?? []).length > 0 && <> · <code>{made.variants!.join(', ')}</code></>}
    </li>
  );
}

interface MadeProps {
  made: Made[] | undefined;
  busy: boolean;
  error: string | undefined;
  only?: string[] | undefined;
}

export function MadeLine({ made, busy, error, only }: MadeProps) {
  if (error) return <p class="made">What made these values: {error}</p>;
  if (!made) return <p class="made">{busy ? 'Measuring what made these values …' : '\u00a0'}</p>;
  const first = made.filter((m) => !only || only.some((name) => m.value === name || m.value.endsWith(name)));
  const shown = (first.length > 0 ? first : made).slice(0, 2);
  const rest = made.filter((m) => !shown.includes(m));
  if (made.length === 0) return <p class="made">No op of the device made this. It comes from the vocabulary, the shape or the weights themselves.</p>;
  return (
    <div class="made">
      <ul>{shown.map((m, i) => <One key={i} made={m} />)}</ul>
      {rest.length > 0 && (
        <details>
          <summary>and {rest.length} more {rest.length === 1 ? 'op' : 'ops'}</summary>
          <ul>{rest.map((m, i) => <One key={i} made={m} />)}</ul>
        </details>
      )}
    </div>
  );
}

export function Compared({ compared, here, busy }: { compared: Comparison | undefined; here: string; busy: boolean }) {
  if (!compared) return <p class="made">{busy ? 'Computing the same on the other device …' : ''}</p>;
  return (
    <div class="made compared" role="group" aria-label="Comparison of two devices">
      {compared.numbers.toLocaleString('en')} numbers of {here} and {compared.device} differ by at most{' '}
      <strong><Num value={compared.largest} /></strong>
      {compared.where && <>, at <code>{compared.where.replace(/^\./, '')}</code>: <Num value={compared.here} as={String} /> and <Num value={compared.there} as={String} /></>}
      {(compared.others ?? []).length > 0 && <>. What else differs: <code>{compared.others!.join(', ')}</code></>}
    </div>
  );
}
