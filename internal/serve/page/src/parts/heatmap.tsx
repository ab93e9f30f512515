// A matrix as a picture: cells in colours on a canvas, with a cursor for pointer and keys.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { colour, useTheme } from '../theme';

export interface HeatMapProps {
  label: string;
  rows: number;
  cols: number;
  of: unknown; // what the values come from: cells are painted again when it is another one
  value: (row: number, col: number) => number | null | undefined;
  low: number; // the value of the palest colour; with signs, −high is the other end
  high: number;
  signs?: boolean;
  row: number; // where the cursor is
  col: number;
  rowName?: string; // what a row is: query
  colName?: string;
  rowLabels?: string[]; // written beside, where there is room
  colLabels?: string[];
  describe: (row: number, col: number) => string;
  onSelect: (row: number, col: number) => void;
  tall?: boolean; // cells need not be square
}

const cut = (name: string) => (name.length > 12 ? name.slice(0, 11) + '…' : name);

const clamp = (n: number, most: number) => Math.max(0, Math.min(most, n));

type RGB = [number, number, number];

const mix = (a: RGB, b: RGB, t: number): RGB => [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t];

// paint fills one pixel a cell.
export function paint(p: Pick<HeatMapProps, 'rows' | 'cols' | 'value' | 'low' | 'high' | 'signs'>): HTMLCanvasElement {
  const from = colour('--heat-low');
  const more = [colour('--heat-mid'), colour('--heat-high')] as const;
  const less = [colour('--heat-less-mid'), colour('--heat-less')] as const;
  const none = colour('--heat-none');
  const cells = document.createElement('canvas');
  cells.width = p.cols;
  cells.height = p.rows;
  const context = cells.getContext('2d');
  if (!context) return cells;
  const image = context.createImageData(p.cols, p.rows);
  const scale = p.high - (p.signs ? 0 : p.low) || 1;
  for (let r = 0; r < p.rows; r++) {
    for (let c = 0; c < p.cols; c++) {
      const v = p.value(r, c);
      const at = 4 * (r * p.cols + c);
      let rgb = none;
      if (v !== null && v !== undefined) {
        const share = (v - (p.signs ? 0 : p.low)) / scale;
        const [middle, end] = share < 0 ? less : more;
        // The square root shows small differences near nothing, where most values are.
        const t = Math.sqrt(Math.min(1, Math.abs(share)));
        rgb = t < 0.5 ? mix(from, middle, 2 * t) : mix(middle, end, 2 * t - 1);
      }
      image.data[at] = rgb[0];
      image.data[at + 1] = rgb[1];
      image.data[at + 2] = rgb[2];
      image.data[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  return cells;
}

export function HeatMap(p: HeatMapProps) {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [over, setOver] = useState<[number, number] | null>(null);
  const [focused, setFocused] = useState(false);
  const { version } = useTheme();

  useEffect(() => {
    if (!box.current) return;
    const watch = new ResizeObserver(([entry]) => entry && setWidth(Math.floor(entry.contentRect.width)));
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);

  // Names take a part of the width, and are left out where rows are lower than a line.
  const beside = p.rowLabels ? Math.min(104, 14 + 7.4 * Math.max(0, ...p.rowLabels.map((l) => Math.min(12, l.length)))) : 0;
  const largest = Math.min(p.cols > 12 ? 26 : 38, p.tall ? Infinity : 720 / Math.max(1, p.rows, p.cols));
  const narrow = Math.min(largest, (width - beside) / Math.max(1, p.cols));
  const named = beside > 0 && narrow >= 14;
  const cell = named ? narrow : Math.min(largest, width / Math.max(1, p.cols));
  const wide = cell * p.cols;
  const high = p.tall ? Math.min(12, Math.max(2, 480 / p.rows)) * p.rows : cell * p.rows;

  const cells = useMemo(() => paint(p), [p.of, p.rows, p.cols, p.low, p.high, version]);
  useLayoutEffect(() => {
    const c = canvas.current;
    const context = c?.getContext('2d');
    if (!c || !context || wide === 0) return;
    const dpr = window.devicePixelRatio || 1;
    c.width = Math.max(1, Math.round(wide * dpr));
    c.height = Math.max(1, Math.round(high * dpr));
    c.style.width = wide + 'px';
    c.style.height = high + 'px';
    context.imageSmoothingEnabled = cell * dpr < 1;
    context.drawImage(cells, 0, 0, c.width, c.height);
    const [cw, ch] = [c.width / p.cols, c.height / p.rows];
    const frame = (row: number, col: number, name: string, thick: number) => {
      context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue(name);
      context.lineWidth = thick * dpr;
      context.strokeRect(col * cw + dpr / 2, row * ch + dpr / 2, Math.max(cw - dpr, 2 * dpr), Math.max(ch - dpr, 2 * dpr));
    };
    if (over) frame(over[0], over[1], '--muted', 1);
    frame(clamp(p.row, p.rows - 1), clamp(p.col, p.cols - 1), '--cursor', 2);
  });

  const at = (event: MouseEvent): [number, number] => {
    const area = canvas.current!.getBoundingClientRect();
    return [
      clamp(Math.floor(((event.clientY - area.top) / area.height) * p.rows), p.rows - 1),
      clamp(Math.floor(((event.clientX - area.left) / area.width) * p.cols), p.cols - 1),
    ];
  };
  const move = (event: KeyboardEvent) => {
    const steps: Record<string, [number, number]> = {
      ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
      PageUp: [-8, 0], PageDown: [8, 0], Home: [0, -p.cols], End: [0, p.cols],
    };
    const step = steps[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    p.onSelect(clamp(p.row + step[0], p.rows - 1), clamp(p.col + step[1], p.cols - 1));
  };
  const [row, col] = over ?? [clamp(p.row, p.rows - 1), clamp(p.col, p.cols - 1)];
  return (
    <div class="heat" ref={box}>
      <div
        class="heat-field" role="application" aria-roledescription="heat map" tabIndex={0}
        aria-label={`${p.label}. ${p.rows} rows${p.rowName ? ', each a ' + p.rowName : ''}, ${p.cols} columns${p.colName ? ', each a ' + p.colName : ''}. Arrow keys move.`}
        onKeyDown={move} onFocus={() => setFocused(true)} onBlur={() => setFocused(false)}
      >
        {named && p.colLabels && (
          <div class="names across" aria-hidden="true" style={{ marginLeft: beside + 'px' }}>
            {p.colLabels.map((l, i) => <span key={i} class={i === col ? 'at' : ''} style={{ width: cell + 'px' }}>{cut(l)}</span>)}
          </div>
        )}
        <div class="rows">
          {named && p.rowLabels && (
            <div class="names" aria-hidden="true" style={{ width: beside + 'px' }}>
              {p.rowLabels.map((l, i) => <span key={i} class={i === row ? 'at' : ''} style={{ height: high / p.rows + 'px', lineHeight: high / p.rows + 'px' }}>{cut(l)}</span>)}
            </div>
          )}
          <canvas
            ref={canvas} aria-hidden="true"
            onMouseMove={(e) => setOver(at(e))} onMouseLeave={() => setOver(null)} onClick={(e) => p.onSelect(...at(e))}
          />
        </div>
      </div>
      <p class="readout" aria-live={focused ? 'polite' : 'off'}>{p.rows > 0 && p.cols > 0 ? p.describe(row, col) : ''}</p>
    </div>
  );
}
