// What the reader looks at: one state for all panels, kept in the address, so that each view has an address that replays it.
import { useEffect, useState } from 'preact/hooks';

export interface State {
  text: string;
  other: string; // the second text of the chapter on context
  word: string; // which word of the two texts; empty: one that both have
  ends: number; // 1: the last tokens of both texts are compared, whatever they are
  words: string; // the words of the chapter on vectors, with spaces between
  sum: string; // words with + or − between them
  on: string; // two words, from the first of which to the second a direction goes
  position: number; // a token of the text; -1: the last one
  layer: number;
  head: number;
  neuron: number; // -1: none
  token: number; // a token of the vocabulary that scores are about; -1: the most likely one
  off: string; // heads and blocks that are switched off, as the command has them
  temperature: number;
  topk: number; // 0: all
  topp: number; // 1: all
  seed: number;
  weighted: number; // 1: attention times the length of what is taken
  shape: string; // whose weights are counted; empty: the model's
  window: number; // tokens that the window of the chapter on forgetting holds; 0: as many as the text has
  run: string; // folder of a training run
  probe: string; // the text that its weights read; empty: the text
  runlayer: number; // whose map of attention is shown
  runhead: number;
  all: number; // 1: the lens shows all positions
  row: number; // of the lens: 0 is the embedding; -1: after the last block
  each: number; // 1: each head was tried
  figure: string; // which figure of all heads is shown
  col: number; // of the head's map
  cell: number; // of the vector
  dot: number; // a word of the map
  pair: string; // row and column of the cosines
  from: number; // a token of your text that moved the word
  from2: number; // likewise, of the second text
  step: number; // of forgetting; -1: the last one
  stage: number; // of a training run; -1: the last one
  spot: string; // row and column of its map
  lesson: string; // the text to learn; empty: the server's own
  steps: number; // of learning
  blocks: number; // of the model that learns
  compare: string; // the backend beside whose values ours stand; empty: none
}

export const defaults: State = {
  text: 'It is a truth universally acknowledged, that a single man',
  other: 'It was a truth that nobody acknowledged, that a poor man',
  word: '',
  ends: 0,
  words: 'man woman he she mother father sister brother',
  sum: 'mother - woman + man', on: 'man,woman',
  position: -1, layer: 0, head: 0, neuron: -1, token: -1, off: '',
  temperature: 1, topk: 0, topp: 1, seed: 1, weighted: 0, shape: '', window: 0, run: '', probe: '', runlayer: 0, runhead: 0,
  all: 0, row: -1, each: 0, figure: 'previous', col: 0, cell: 0, dot: 0, pair: '0,1', from: 0, from2: 0, step: -1, stage: -1, spot: '0,0', lesson: '', steps: 500, blocks: 2, compare: '',
};

type Key = keyof State;
const keys = Object.keys(defaults) as Key[];

// read takes from an address what it knows; what is no number there counts as not said.
export function read(search: string): State {
  const said = new URLSearchParams(search);
  const state: Record<string, string | number> = { ...defaults };
  for (const key of keys) {
    const value = said.get(key);
    if (value === null) continue;
    if (typeof defaults[key] === 'string') state[key] = value;
    else if (value.trim() !== '' && Number.isFinite(Number(value))) state[key] = Number(value);
  }
  return state as unknown as State;
}

const longest = 240_000; // characters that the server takes of an address, and some room

// write gives the query of an address. What is as it begins is left out, and of what is too long the longest.
export function write(state: State): string {
  const said = new URLSearchParams();
  for (const key of keys) if (state[key] !== defaults[key]) said.set(key, String(state[key]));
  let query = said.toString();
  while (query.length > longest) {
    const [name] = [...said].reduce((a, b) => (b[1].length > a[1].length ? b : a));
    said.delete(name);
    query = said.toString();
  }
  return query && '?' + query;
}

const same = (a: State, b: State): boolean => keys.every((key) => a[key] === b[key]);

let now = read(location.search);
const watchers = new Set<() => void>();

export const current = (): State => now;

// What changed last, and when: steps of the same kind that follow each other at once, as when a key is held down, are one.
let last = { what: '', when: -Infinity };
const atOnce = 700; // milliseconds

// go changes the state. A step that the reader may want to take back is an entry of the history; typing and moving a slider
// replace the last one.
export function go(change: Partial<State>, replace = false): void {
  const next = { ...now, ...change };
  if (same(next, now)) return;
  // Trying each head is for one text, position and token: it takes long.
  if (!('each' in change) && (next.text !== now.text || next.position !== now.position || next.token !== now.token)) next.each = 0;
  const query = write(next);
  now = next;
  const step = { what: replace || 'text' in change ? '' : Object.keys(change).join(), when: performance.now() };
  replace ||= step.what !== '' && step.what === last.what && step.when - last.when < atOnce;
  last = step;
  const address = location.pathname + query + location.hash;
  try {
    if (replace) history.replaceState(null, '', address);
    else history.pushState(null, '', address);
  } catch {
    // Browsers bound how often and how long addresses may be: the view goes on without one.
  }
  for (const tell of watchers) tell();
}

addEventListener('popstate', () => {
  const next = read(location.search);
  if (same(next, now)) return;
  now = next;
  for (const tell of watchers) tell();
});

// place reads a row and a column.
export function place(said: string): [number, number] {
  const [row, col] = said.split(',').map((n) => Math.max(0, Math.round(Number(n))) || 0);
  return [row ?? 0, col ?? 0];
}

// adopt makes other values those that hold where the address says nothing: what the model's own files say.
export function adopt(own: Partial<State>): void {
  Object.assign(defaults, own);
  const said = read(location.search);
  now = { ...now, ...Object.fromEntries((Object.keys(own) as Key[]).map((key) => [key, said[key]])) };
}

const ids = { text: '0,1,2', other: '3,2', words: '#0 #1 #2', sum: '#0 - #1 + #2', on: '#0,#1' };

// numbered puts ids in the place of words that nobody typed, for a model without a tokenizer.
function numbered(): Partial<State> {
  const unsaid = (Object.keys(ids) as (keyof typeof ids)[]).filter((key) => now[key] === defaults[key]);
  return Object.fromEntries(unsaid.map((key) => [key, ids[key]]));
}

// fit brings what an address says within what the model has.
export function fit(shape: { layers: number; heads: number; inner: number; vocab: number }, text: boolean): void {
  const within = (value: number, least: number, count: number) => Math.max(least, Math.min(count - 1, Math.round(value)));
  const count = (value: number, least = 0, most = 1e9) => Math.max(least, Math.min(most, Math.round(value)));
  go({
    ...(text ? {} : numbered()),
    layer: within(now.layer, 0, shape.layers), head: within(now.head, 0, shape.heads), neuron: within(now.neuron, -1, shape.inner),
    token: within(now.token, -1, shape.vocab), position: Math.max(-1, Math.round(now.position)), seed: Math.max(0, Math.round(now.seed)),
    topk: Math.max(0, Math.round(now.topk)), topp: Math.max(0.05, Math.min(1, now.topp)), temperature: Math.max(0, Math.min(100, now.temperature)),
    window: count(now.window), runlayer: count(now.runlayer), runhead: count(now.runhead), weighted: now.weighted === 1 ? 1 : 0, ends: now.ends === 1 ? 1 : 0,
    all: now.all === 1 ? 1 : 0, each: now.each === 1 ? 1 : 0, row: within(now.row, -1, shape.layers + 1), col: count(now.col), cell: count(now.cell), dot: count(now.dot),
    from: count(now.from), from2: count(now.from2), step: count(now.step, -1), stage: count(now.stage, -1), steps: count(now.steps, 50, 2000), blocks: count(now.blocks, 1, 4),
  }, true);
}

// useApp gives the state, and draws again when it changes.
export function useApp(): State {
  const [state, set] = useState(now);
  useEffect(() => {
    const tell = () => set(now);
    watchers.add(tell);
    tell();
    return () => void watchers.delete(tell);
  }, []);
  return state;
}

// answerOf names the token that is looked for, as the server takes it.
export const answerOf = (state: State): string | undefined => (state.token < 0 ? undefined : '#' + state.token);
