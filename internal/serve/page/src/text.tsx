// Pieces of text, with what cannot be seen made visible.

const signs: Record<string, string> = { ' ': '·', '\n': '↵', '\t': '⇥', '\r': '␍', '\u00a0': '⍽' };

// visible replaces white space at the ends and control characters by signs.
export function visible(piece: string): string {
  if (piece === '') return '∅';
  return piece
    .replace(/^ +| +$/g, (s) => '·'.repeat(s.length))
    .replace(/[\n\t\r\u00a0]/g, (c) => signs[c] ?? c)
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
}

// spoken is how a screen reader should name a piece.
export function spoken(piece: string): string {
  if (piece === '') return 'empty';
  if (/^\s+$/.test(piece)) return piece.replace(/ /g, 'space ').replace(/\n/g, 'line break ').replace(/\t/g, 'tab ').trim();
  return visible(piece).replace(/·/g, ' ').trim() || piece;
}

export function Piece({ text }: { text: string }) {
  return <code class="piece" data-text={text}>{visible(text)}</code>;
}
