// A small picture of a map, to choose it by.
import { useLayoutEffect, useRef } from 'preact/hooks';
import { useTheme } from '../theme';
import { paint } from './heatmap';

interface ThumbProps {
  size: number;
  high: number;
  of: unknown; // what the values come from
  value: (row: number, col: number) => number | null | undefined;
}

export function Thumb({ size, high, of, value }: ThumbProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { version } = useTheme();
  useLayoutEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!context || size === 0) return;
    context.imageSmoothingEnabled = size > 112;
    context.drawImage(paint({ rows: size, cols: size, low: 0, high, value }), 0, 0, 112, 112);
  }, [of, size, high, version]);
  return <canvas ref={canvas} width={112} height={112} aria-hidden="true" />;
}
