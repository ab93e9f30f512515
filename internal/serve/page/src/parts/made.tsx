// What made a value: the op, its shapes, what it moved and how long it took on the device; and how far another device is
// from it.
import { useState } from 'preact/hooks';
import type { Comparison, Made } from '../api';
import { bytes, micros, Num } from '../number';
import { Table } from './table';

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

interface Pair {
  path: string;
  here: number;
  there: number;
}

// pairs are the numbers that two answers have at the same place.
function pairs(a: unknown, b: unknown, path: string, into: Pair[]): Pair[] {
  if (typeof a === 'number' && typeof b === 'number') into.push({ path, here: a, there: b });
  else if (Array.isArray(a) && Array.isArray(b)) a.forEach((v, i) => pairs(v, b[i], `${path}[${i}]`, into));
  else if (typeof a === 'object' && typeof b === 'object' && a !== null && b !== null) {
    for (const [key, v] of Object.entries(a)) pairs(v, (b as Record<string, unknown>)[key], path ? `${path}.${key}` : key, into);
  }
  return into;
}

const most = 500; // rows that are shown

// Both lists the values of both devices, those that differ most first.
function Both({ compared, here, result }: { compared: Comparison; here: string; result: unknown }) {
  const all = pairs(result, compared.result, '', []).sort((a, b) => Math.abs(b.here - b.there) - Math.abs(a.here - a.there));
  return (
    <Table
      caption={`Values of ${here} and ${compared.device}, those that differ most first${all.length > most ? `: ${most} of ${all.length}` : ''}`} showCaption rows={all.slice(0, most)}
      columns={[
        { head: 'Value', cell: (p) => <code>{p.path}</code> },
        { head: `Here, ${here}`, number: true, cell: (p) => <Num value={p.here} as={String} /> },
        { head: `There, ${compared.device}`, number: true, cell: (p) => <Num value={p.there} as={String} /> },
        { head: 'Difference', number: true, cell: (p) => <Num value={p.here - p.there} /> },
      ]}
    />
  );
}

interface ComparedProps {
  compared: Comparison | undefined;
  here: string;
  result: unknown;
  busy: boolean;
}

export function Compared({ compared, here, result, busy }: ComparedProps) {
  const [open, setOpen] = useState(false);
  if (!compared) return <p class="made">{busy ? 'Computing the same on the other device …' : ''}</p>;
  return (
    <div class="made compared" role="group" aria-label="Comparison of two devices">
      {compared.numbers.toLocaleString('en')} numbers of {here} and {compared.device} differ by at most{' '}
      <strong><Num value={compared.largest} /></strong>
      {compared.where && <>, at <code>{compared.where.replace(/^\./, '')}</code>: <Num value={compared.here} as={String} /> and <Num value={compared.there} as={String} /></>}
      {(compared.others ?? []).length > 0 && <>. What else differs: <code>{compared.others!.join(', ')}</code></>}
      <details onToggle={(e) => setOpen(e.currentTarget.open)}>
        <summary>Every value on both devices</summary>
        {open && <Both compared={compared} here={here} result={result} />}
      </details>
    </div>
  );
}
