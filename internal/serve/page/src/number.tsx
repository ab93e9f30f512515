// Numbers as a person reads them. The full value stays in the element: <data value>.

const digits = new Intl.NumberFormat('en', { maximumSignificantDigits: 4, useGrouping: true });
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

export function short(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return whole.format(value).replace('-', '−');
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-4 || size >= 1e7) ? value.toExponential(2) : digits.format(value);
  return text.replace('-', '−');
}

export function percent(value: number): string {
  const p = value * 100;
  if (p > 0 && p < 0.01) return '<0.01 %';
  return (p >= 99.995 ? '100' : p >= 10 ? p.toFixed(1) : p.toFixed(2)) + ' %';
}

export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let n = 0;
  while (Math.abs(value) >= 1000 && n < units.length - 1) {
    value /= 1000;
    n++;
  }
  return (n === 0 ? String(value) : value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)) + ' ' + units[n];
}

export function micros(value: number): string {
  if (value >= 1000) return (value / 1000).toFixed(value < 10000 ? 2 : 1) + ' ms';
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0) + ' µs';
}

interface NumProps {
  value: number | null | undefined;
  as?: (value: number) => string;
}

// Num shows a number; what is no number is said so, as JSON has null for it.
export function Num({ value, as = short }: NumProps) {
  if (value === null || value === undefined) return <span class="nan" title="not a finite number">n/a</span>;
  return <data value={String(value)}>{as(value)}</data>;
}
