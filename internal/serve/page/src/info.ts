// What the server says about itself, asked for once; and command lines that give the same as a panel.
import { useEffect, useState } from 'preact/hooks';
import type { Info } from './api';
import { type Answer, type Params, request } from './client';
import { quote } from './parts/copy';
import { adopt, fit, type State } from './state';

export type { Info };

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
        adopt(sampling(data));
        fit(data.model.shape, data.model.tokenizer); // before anything is asked
        set({ data, busy: false });
      },
      (err: unknown) => set({ error: err instanceof Error ? err.message : String(err), busy: false }),
    );
  }, []);
  return answer;
}

// sampling is how the model's files say that tokens are drawn. Where they say nothing the page draws from all tokens, as they are.
function sampling({ sampling: s }: Info): Partial<State> {
  return {
    ...(s.temperature === null ? {} : { temperature: s.temperature }), ...(s.top_k === null ? {} : { topk: s.top_k }),
    ...(s.top_p === null ? {} : { topp: s.top_p }),
  };
}

// leastShare is min-p, for which the page has no slider.
export const leastShare = (): number => known?.sampling.min_p ?? 0;

// hasText tells whether the model has a tokenizer. One that has none reads ids of tokens, with commas between.
export const hasText = (): boolean => known?.model.tokenizer ?? true;

// reading names the text as the server takes it.
export const reading = (text: string): Params => (hasText() ? { text } : { tokens: text });

export const useInfoNow = (): Info | undefined => useInfo().data;

export function commandLine(info: Info, view: string, params: Params): string {
  const about = (info.views ?? []).find((v) => v.name === view);
  const argument = (about?.parameters ?? []).filter((p) => p.argument).map((p) => p.name);
  const flags: string[] = [];
  const words: string[] = [];
  for (const [name, value] of Object.entries(params)) {
    for (const v of Array.isArray(value) ? value : [value]) {
      if (v === undefined || v === '' || v === false) continue;
      if (argument.includes(name)) words.push(quote(String(v)));
      else flags.push(v === true ? `--${name}` : `--${name}=${quote(String(v))}`);
    }
  }
  if (words.some((w) => w.startsWith('-'))) words.unshift('--');
  return ['caldera', 'inspect', view, ...flags, ...words].join(' ');
}

// generateLine is the command that continues a text as the page does.
export function generateLine(text: string, s: { temperature: number; topk: number; topp: number; seed: number }): string {
  return ['caldera', 'generate', '-p', quote(text), '-n', '40', `--temp=${s.temperature}`, `--top-k=${s.topk}`, `--top-p=${s.topp}`, `--min-p=${leastShare()}`, `--seed=${s.seed}`].join(' ');
}
