// The server's answers: typed by api.ts, which is written from the Go structs.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Views } from './api';

export type View = keyof Views;
export type Value = string | number | boolean | undefined;
export type Params = Record<string, Value | string[]>;

// query encodes parameters; what is undefined or empty is left out.
export function query(params: Params): string {
  const said = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const v of Array.isArray(value) ? value : [value]) {
      if (v !== undefined && v !== '' && v !== false) said.append(name, String(v));
    }
  }
  const text = said.toString();
  return text && '?' + text;
}

// address of a view, or of its export where an extension is given.
export const address = (view: string, params: Params, ext = ''): string =>
  'api/' + view + (ext && '.' + ext) + query(params);

// tab names this tab, so that the server can share the device among tabs, and drops what a newer request replaces.
const tab = Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, '0')).join('');

export const headers = (panel: string): Record<string, string> => ({ Accept: 'application/json', 'X-Tab': `${tab}.${panel}` });

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

// request fetches JSON for a panel. An error has the server's own line. Where too many wait, it asks again after a while.
export async function request<T>(where: string, panel: string, signal?: AbortSignal): Promise<T> {
  for (let left = 5; ; left--) {
    let answer: Response;
    try {
      answer = await fetch(where, { signal: signal ?? null, headers: headers(panel) });
    } catch (err) {
      if (signal?.aborted) throw err;
      throw new Error('The server does not answer. Is caldera inspect serve still running?');
    }
    if (answer.ok) return (await answer.json()) as T;
    const again = answer.status === 409 || answer.status === 503;
    if (!again || left === 0) throw new Error(await reason(answer));
    await pause(answer.status === 409 ? 100 : 1000);
    signal?.throwIfAborted();
  }
}

export async function reason(answer: Response): Promise<string> {
  const text = await answer.text();
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null && 'error' in body) return String(body.error);
  } catch {
    // Not JSON: the text itself says it.
  }
  return text.trim().split('\n')[0] || `${answer.status} ${answer.statusText}`;
}

// Answers are kept a while: going back, or opening a table, asks nothing again. Panels that want the same share a request,
// which is aborted when none of them waits for it any more.
const kept = new Map<string, unknown>();
const most = 40;
const open = new Map<string, { body: Promise<unknown>; abort: AbortController; users: number }>();

function keep(where: string, body: unknown): void {
  kept.delete(where);
  kept.set(where, body);
  if (kept.size > most) kept.delete(kept.keys().next().value as string);
}

// ask returns the answer, and a function that says that nobody waits for it here any more.
function ask(where: string, panel: string): [Promise<unknown>, () => void] {
  let one = open.get(where);
  if (!one) {
    const abort = new AbortController();
    const body = request<unknown>(where, panel, abort.signal).then((body) => {
      keep(where, body);
      return body;
    });
    one = { body, abort, users: 0 };
    open.set(where, one);
    const mine = one;
    const done = () => {
      if (open.get(where) === mine) open.delete(where);
    };
    body.then(done, done);
  }
  const mine = one;
  mine.users++;
  let left = false;
  return [mine.body, () => {
    if (left) return;
    left = true;
    if (--mine.users > 0 || open.get(where) !== mine) return;
    open.delete(where);
    mine.abort.abort();
  }];
}

export interface Answer<T> {
  data?: T; // the last one that came, until the next is there
  error?: string;
  of?: string; // the address that it is the answer of
  busy: boolean;
}

// useJSON keeps the answer of an address. A new address aborts the request of the old one. Empty: nothing is asked. panel
// tells requests apart that may wait at the same time.
export function useJSON<T>(where: string, panel: string): Answer<T> {
  const [answer, set] = useState<Answer<T>>({ busy: false });
  const last = useRef(0);
  useEffect(() => {
    if (where === '') return;
    if (kept.has(where)) {
      set({ data: kept.get(where) as T, of: where, busy: false });
      return;
    }
    let gone = false;
    let leave = () => {};
    set(({ data }) => (data === undefined ? { busy: true } : { data, busy: true }));
    // One that comes soon after another waits a little: a slider or a key held down makes many.
    const wait = performance.now() - last.current < 100 ? 40 : 0;
    last.current = performance.now();
    const timer = setTimeout(() => {
      const [body, drop] = ask(where, panel);
      leave = drop;
      body.then(
        (data) => gone || set({ data: data as T, of: where, busy: false }),
        (err: unknown) => gone || set({ error: err instanceof Error ? err.message : String(err), of: where, busy: false }),
      );
    }, wait);
    return () => {
      gone = true;
      clearTimeout(timer);
      leave();
    };
  }, [where, panel]);
  return answer;
}
