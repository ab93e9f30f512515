// A table whose cells can be chosen: by pointer, or by arrow keys.
import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';

interface GridProps {
  caption: string;
  corner: string; // the head of the column of row heads
  rows: ComponentChildren[];
  cols: ComponentChildren[];
  cell: (row: number, col: number) => { text: ComponentChildren; strength?: number; label: string };
  row: number; // which is chosen
  col: number;
  onSelect: (row: number, col: number) => void;
}

export function Grid({ caption, corner, rows, cols, cell, row, col, onSelect }: GridProps) {
  const table = useRef<HTMLTableElement>(null);
  const [atRow, atCol] = [Math.max(0, Math.min(rows.length - 1, row)), Math.max(0, Math.min(cols.length - 1, col))];
  const move = (event: KeyboardEvent) => {
    const step = {
      ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -cols.length], End: [0, cols.length],
    }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const r = Math.max(0, Math.min(rows.length - 1, atRow + step[0]!));
    const c = Math.max(0, Math.min(cols.length - 1, atCol + step[1]!));
    onSelect(r, c);
    table.current?.querySelector<HTMLElement>(`[data-at="${r} ${c}"]`)?.focus();
  };
  return (
    <div class="scroll grid">
      <table role="grid" aria-label={caption} ref={table} onKeyDown={move}>
        <thead>
          <tr role="row">
            <th scope="col" role="columnheader">{corner}</th>
            {cols.map((c, i) => <th key={i} scope="col" role="columnheader">{c}</th>)}
          </tr>
        </thead>
        <tbody>
          {rows.map((head, r) => (
            <tr key={r} role="row">
              <th scope="row" role="rowheader">{head}</th>
              {cols.map((_, c) => {
                const { text, strength, label } = cell(r, c);
                const chosen = r === atRow && c === atCol;
                return (
                  <td
                    key={c} role="gridcell" tabIndex={chosen ? 0 : -1} aria-selected={chosen} aria-label={label} data-at={`${r} ${c}`}
                    class="cell" style={strength === undefined ? undefined : { '--strength': `${Math.round(100 * Math.min(1, strength))}%` }}
                    onClick={() => onSelect(r, c)}
                  >
                    {text}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
