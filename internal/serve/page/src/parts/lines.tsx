// Curves over a common axis, such as the loss of a training run.
export interface Line {
  name: string;
  points: [x: number, y: number][];
}

interface LinesProps {
  label: string;
  lines: Line[];
  x: string;
  y: string;
  mark?: number; // an x that is chosen
}

const [width, height, left, right, top, bottom] = [720, 250, 56, 16, 12, 40];

// steps are up to five round numbers between two.
function steps(from: number, to: number): number[] {
  const raw = (to - from) / 4 || 1;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * size).find((n) => n >= raw) ?? raw;
  const list = [];
  for (let n = Math.ceil(from / step) * step; n <= to + step / 1e6; n += step) list.push(Number(n.toPrecision(12)));
  return list;
}

export function Lines({ label, lines, x, y, mark }: LinesProps) {
  const all = lines.flatMap((l) => l.points);
  if (all.length === 0) return null;
  const [x0, x1] = [Math.min(...all.map((p) => p[0])), Math.max(...all.map((p) => p[0]))];
  const [y0, y1] = [Math.min(...all.map((p) => p[1])), Math.max(...all.map((p) => p[1]))];
  const px = (v: number) => left + ((v - x0) / (x1 - x0 || 1)) * (width - left - right);
  const py = (v: number) => height - bottom - ((v - y0) / (y1 - y0 || 1)) * (height - top - bottom);
  return (
    <figure class="lines">
      <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
        {steps(y0, y1).map((v) => (
          <g key={v}>
            <line x1={left} x2={width - right} y1={py(v)} y2={py(v)} class="axis" />
            <text x={left - 8} y={py(v) + 4} text-anchor="end">{v}</text>
          </g>
        ))}
        {steps(x0, x1).map((v) => <text key={v} x={px(v)} y={height - bottom + 18} text-anchor="middle">{v}</text>)}
        <text x={(left + width - right) / 2} y={height - 4} text-anchor="middle">{x}</text>
        <text x={4} y={10}>{y}</text>
        {mark !== undefined && <line x1={px(mark)} x2={px(mark)} y1={top} y2={height - bottom} class="mark" />}
        {lines.map((l, i) => (
          <g key={l.name} class={`line${i % 4}`}>
            <polyline points={l.points.map((p) => `${px(p[0]).toFixed(1)},${py(p[1]).toFixed(1)}`).join(' ')} />
            {l.points.length < 60 && l.points.map((p, k) => <circle key={k} cx={px(p[0])} cy={py(p[1])} r={3} />)}
          </g>
        ))}
      </svg>
      {lines.length > 1 && <figcaption>{lines.map((l, i) => <span key={l.name} class={`key line${i % 4}`}>{l.name}</span>)}</figcaption>}
    </figure>
  );
}
