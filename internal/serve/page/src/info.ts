// What the server says about itself, asked for once; and command lines that give the same as a panel.
import { useEffect, useState } from 'preact/hooks';
import type { Shape } from './api';
import { type Answer, type Params, request } from './client';
import { quote } from './parts/copy';

export interface Info {
  model: { name: string; shape: Shape };
  device: { name: string; about: string };
  compare: string[];
  shapes: string[];
  views: { name: string; help: string; picture: boolean; table: boolean }[];
}

let asked: Promise<Info> | undefined;
let known: Info | undefined;

export function useInfo(): Answer<Info> {
  const [answer, set] = useState<Answer<Info>>(known ? { data: known, busy: false } : { busy: true });
  useEffect(() => {
    if (known) return;
    asked ??= request<Info>('api/info', 'info');
    asked.then(
      (data) => {
        known = data;
        set({ data, busy: false });
      },
      (err: unknown) => set({ error: err instanceof Error ? err.message : String(err), busy: false }),
    );
  }, []);
  return answer;
}

export const useInfoNow = (): Info | undefined => useInfo().data;

// positional are the parameters that a command takes as arguments, not as flags.
const positional = ['text', 'words'];

export function commandLine(info: Info, view: string, params: Params): string {
  const flags: string[] = [];
  const words: string[] = [];
  for (const [name, value] of Object.entries(params)) {
    for (const v of Array.isArray(value) ? value : [value]) {
      if (v === undefined || v === '' || v === false) continue;
      if (positional.includes(name)) words.push(quote(String(v)));
      else flags.push(v === true ? `--${name}` : `--${name}=${quote(String(v))}`);
    }
  }
  if (words.some((w) => w.startsWith('-'))) words.unshift('--');
  void info;
  return ['caldera', 'inspect', view, ...flags, ...words].join(' ');
}
