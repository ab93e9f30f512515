// A text as its tokens, one of which is chosen.
import { useEffect, useRef } from 'preact/hooks';
import { calm } from '../theme';
import { spoken, visible } from '../text';

export interface StripToken {
  text: string;
  id?: number;
  note?: string; // beside its name for a screen reader, and as a title
  strength?: number; // 0 … 1: how strongly it is coloured
}

interface StripProps {
  label: string;
  tokens: StripToken[];
  chosen: number;
  onChoose: (index: number) => void;
  wrap?: boolean; // over several lines, else one that scrolls
}

export function TokenStrip({ label, tokens, chosen, onChoose, wrap }: StripProps) {
  const list = useRef<HTMLDivElement>(null);
  const show = (index: number, focus: boolean) => {
    const item = list.current?.children[index] as HTMLElement | undefined;
    if (!item || !list.current) return;
    if (focus) item.focus({ preventScroll: true });
    if (wrap) return;
    // Only the strip scrolls, not the page.
    const left = item.offsetLeft - (list.current.clientWidth - item.offsetWidth) / 2;
    list.current.scrollTo({ left, behavior: calm() ? 'instant' : 'smooth' });
  };
  useEffect(() => show(chosen, false), [chosen, tokens.length]);
  const move = (event: KeyboardEvent) => {
    const last = tokens.length - 1;
    const to = { ArrowLeft: chosen - 1, ArrowUp: chosen - 1, ArrowRight: chosen + 1, ArrowDown: chosen + 1, Home: 0, End: last }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const index = Math.max(0, Math.min(last, to));
    onChoose(index);
    show(index, true);
  };
  return (
    <div class={wrap ? 'strip wrap' : 'strip'} role="radiogroup" aria-label={label} ref={list} onKeyDown={move}>
      {tokens.map((t, i) => (
        <button
          key={i} type="button" role="radio" class={`token tint${i % 4}`} aria-checked={i === chosen} tabIndex={i === chosen ? 0 : -1}
          aria-label={`${i}: ${spoken(t.text)}${t.note ? ', ' + t.note : ''}`} title={t.note} data-id={t.id}
          style={t.strength === undefined ? undefined : { '--strength': `${Math.round(100 * Math.min(1, t.strength))}%` }}
          data-strong={t.strength === undefined ? undefined : ''}
          onClick={() => onChoose(i)}
        >
          {visible(t.text)}
        </button>
      ))}
    </div>
  );
}
