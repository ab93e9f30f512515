// Tables, plain and with bars.
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';

export interface Column<Row> {
  head: string;
  cell: (row: Row, index: number) => ComponentChildren;
  number?: boolean;
}

interface TableProps<Row> {
  caption: string;
  columns: Column<Row>[];
  rows: Row[];
  chosen?: (row: Row, index: number) => boolean;
  showCaption?: boolean;
}

export function Table<Row>({ caption, columns, rows, chosen, showCaption }: TableProps<Row>) {
  // What scrolls must be reached by keys; what does not is no stop on the way.
  const box = useRef<HTMLDivElement>(null);
  const [over, setOver] = useState(false);
  useLayoutEffect(() => {
    const b = box.current;
    if (b) setOver(b.scrollWidth > b.clientWidth || b.scrollHeight > b.clientHeight);
  });
  return (
    <div class="scroll" role="group" aria-label={caption} ref={box} tabIndex={over ? 0 : undefined}>
      <table>
        <caption class={showCaption ? '' : 'unseen'}>{caption}</caption>
        <thead>
          <tr>{columns.map((c) => <th key={c.head} scope="col" class={c.number ? 'number' : ''}>{c.head}</th>)}</tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={i} class={chosen?.(row, i) ? 'chosen' : ''}>
              {columns.map((c, k) => k === 0
                ? <th key={k} scope="row" class={c.number ? 'number' : ''}>{c.cell(row, i)}</th>
                : <td key={k} class={c.number ? 'number' : ''}>{c.cell(row, i)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface BarProps {
  share: number; // −1 … 1 of the widest bar
  signs?: boolean; // bars begin in the middle
}

// Bar is a cell's bar. It says nothing that the number beside it does not say.
export function Bar({ share, signs }: BarProps) {
  const size = `${Math.min(1, Math.abs(share)) * (signs ? 50 : 100)}%`;
  return (
    <span class={signs ? 'bar signs' : 'bar'} aria-hidden="true">
      <span class={share < 0 ? 'less' : 'more'} style={{ width: size }} />
    </span>
  );
}
