// The reader's text as tokens, which all chapters share.
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Piece, Views } from './api';
import { address, useJSON } from './client';
import { reading, useInfoNow } from './info';
import { type State, useApp } from './state';

export interface TextTokens {
  tokens: Piece[];
  error?: string;
  busy: boolean;
}

export const TextContext = createContext<TextTokens>({ tokens: [], busy: true });
export const useText = (): TextTokens => useContext(TextContext);

export function useTokens(): TextTokens {
  const { text } = useApp();
  const info = useInfoNow(); // which tells whether it is a text or ids
  const { data, error, busy } = useJSON<Views['tokens']>(info ? address('tokens', reading(text)) : '', 'text');
  return { tokens: data?.result.pieces ?? [], busy, ...(error === undefined ? {} : { error }) };
}

// positionOf is the chosen position, in a text that may have become shorter since.
export function positionOf(state: State, tokens: unknown[]): number {
  const last = Math.max(0, tokens.length - 1);
  return state.position < 0 ? last : Math.min(state.position, last);
}

// where is the position as the server takes it: −1 is the last one, however long the text.
export function where(state: State, tokens: unknown[]): number {
  return state.position < 0 || state.position >= tokens.length ? -1 : state.position;
}
