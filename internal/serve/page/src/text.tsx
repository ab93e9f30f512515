// Pieces of text, with what cannot be seen made visible.

const signs: Record<string, string> = { ' ': '·', '\n': '↵', '\t': '⇥', '\r': '␍', '\u00a0': '⍽' };

// visible replaces white space at the ends by signs, and what shows nothing or turns the direction of text by its number.
export function visible(piece: string): string {
  if (piece === '') return '∅';
  return piece
    .replace(/^ +| +$/g, (s) => '·'.repeat(s.length))
    .replace(/[\n\t\r\u00a0]/g, (c) => signs[c] ?? c)
    .replace(/[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}]/gu, (c) => (c === ' ' ? c : '\\u' + c.codePointAt(0)!.toString(16).padStart(4, '0')));
}

// spoken is how a screen reader should name a piece.
export function spoken(piece: string): string {
  if (piece === '') return 'empty';
  if (/^[ \n\t]+$/.test(piece)) return piece.replace(/ /g, 'space ').replace(/\n/g, 'line break ').replace(/\t/g, 'tab ').trim();
  return visible(piece).replace(/·/g, ' ').trim() || piece;
}

export function Piece({ text }: { text: string }) {
  return <code class="piece" data-text={text}>{visible(text)}</code>;
}
