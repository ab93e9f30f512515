// Words on a plane, each a dot with its name.
import { useState } from 'preact/hooks';
import { visible } from '../text';

export interface Dot {
  name: string;
  x: number;
  y: number;
}

interface ScatterProps {
  label: string;
  dots: Dot[];
  chosen?: number;
  onChoose?: (index: number) => void;
}

const [width, height, edge] = [720, 460, 40];

// apart moves labels up or down until none covers another, and returns their heights.
function apart(list: { x: number; y: number; wide: number }[]): number[] {
  const placed: { x: number; y: number; wide: number }[] = [];
  const heights = list.map((l) => l.y);
  for (const i of list.map((_, i) => i).sort((a, b) => list[a]!.y - list[b]!.y)) {
    const { x, wide } = list[i]!;
    const free = (y: number) => placed.every((p) => Math.abs(p.y - y) >= 15 || x >= p.x + p.wide || p.x >= x + wide);
    let y = list[i]!.y;
    for (let step = 1; !free(y) && step < 40; step++) y = list[i]!.y + (step % 2 ? 1 : -1) * Math.ceil(step / 2) * 5;
    heights[i] = y;
    placed.push({ x, y, wide });
  }
  return heights;
}

export function Scatter({ label, dots, chosen, onChoose }: ScatterProps) {
  const [focus, setFocus] = useState(0);
  const xs = dots.map((d) => d.x);
  const ys = dots.map((d) => d.y);
  // One scale for both axes: distances are what the map is for.
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = Math.min((width - 2 * edge - 60) / (right - left || 1), (height - 2 * edge) / (high - low || 1));
  const px = (x: number) => width / 2 - 30 + (x - (left + right) / 2) * scale;
  const py = (y: number) => height / 2 - (y - (low + high) / 2) * scale;
  const labels = apart(dots.map((d) => ({ x: px(d.x), y: py(d.y), wide: 12 + 8.5 * visible(d.name).length })));
  const move = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (!step || dots.length === 0) return;
    event.preventDefault();
    const next = (focus + step + dots.length) % dots.length;
    setFocus(next);
    (event.currentTarget as SVGElement).querySelectorAll<SVGElement>('.dot')[next]?.focus();
  };
  return (
    <svg class="scatter" viewBox={`0 0 ${width} ${height}`} role="group" aria-label={label} onKeyDown={move}>
      <line x1={0} x2={width} y1={py(0)} y2={py(0)} class="axis" />
      <line x1={px(0)} x2={px(0)} y1={0} y2={height} class="axis" />
      {dots.map((d, i) => (
        <g
          key={i} class={i === chosen ? 'dot chosen' : 'dot'} role="button" tabIndex={i === Math.min(focus, dots.length - 1) ? 0 : -1}
          aria-label={d.name} aria-pressed={i === chosen} onFocus={() => setFocus(i)} onClick={() => onChoose?.(i)}
          onKeyDown={(e) => {
            if (e.key !== 'Enter' && e.key !== ' ') return;
            e.preventDefault();
            onChoose?.(i);
          }}
        >
          <circle cx={px(d.x)} cy={py(d.y)} r={5} />
          <text x={px(d.x) + 9} y={labels[i]! + 4}>{visible(d.name)}</text>
        </g>
      ))}
    </svg>
  );
}
