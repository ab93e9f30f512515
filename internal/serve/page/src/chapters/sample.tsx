import { useEffect, useRef, useState } from 'preact/hooks';
import type { Piece, Views, WriteDone, WriteToken } from '../api';
import { address, useJSON } from '../client';
import { generateLine, hasText, type Info, leastShare, reading } from '../info';
import { Num, percent } from '../number';
import { TokenButton } from '../parts/candidates';
import { Command } from '../parts/copy';
import { Slider } from '../parts/field';
import { MadeLine } from '../parts/made';
import { say } from '../parts/say';
import { Bar, Table } from '../parts/table';
import { useSeen } from '../parts/visible';
import { current, go, useApp } from '../state';
import { stream } from '../stream';
import { Piece as Shown } from '../text';
import { useText } from '../textview';
import { SampleProse } from './prose';

// What one draw asks for. Each place of the text has a random number of its own, which the seed decides.
function draw(text: string, place: number, n: number) {
  const { temperature, topk, topp, seed } = current();
  return { ...reading(text), n, temperature, 'top-k': String(topk), 'top-p': String(topp), 'min-p': String(leastShare()), seed: seed + place, alternatives: 12 };
}

const changed = 'other settings'; // why a text is written on anew

// newer is the younger half of a text, as a session keeps it when its context is full.
function newer(text: string, tokens: Piece[]): string {
  if (!hasText()) return text.split(',').slice(Math.ceil(tokens.length / 2)).join(',');
  const from = tokens[Math.ceil(tokens.length / 2)]?.from ?? 0;
  return new TextDecoder().decode(new TextEncoder().encode(text).slice(Math.max(0, from)));
}

export function Sample({ info }: { info: Info }) {
  const state = useApp();
  const { tokens } = useText();
  const { ref, near } = useSeen<HTMLElement>();
  const [token, setToken] = useState<WriteToken>();
  const [error, setError] = useState('');
  const [written, setWritten] = useState<string | null>(null); // while it runs: the text so far
  const stop = useRef<AbortController | undefined>(undefined);
  const running = written !== null;
  const room = info.model.shape.context - tokens.length;

  // The token that would be drawn now, and what it would be drawn from.
  const { text, temperature, topk, topp, seed } = state;
  useEffect(() => {
    if (!near || running || tokens.length === 0) return;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      stream('generate', draw(text, tokens.length, 1), abort.signal, (h) => {
        if (h.event !== 'token') return;
        setToken(h.data as WriteToken);
        setError('');
      }).catch((err: unknown) => abort.signal.aborted || setError(err instanceof Error ? err.message : String(err)));
    }, 60);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [near, running, text, temperature, topk, topp, seed, tokens.length]);
  useEffect(() => () => stop.current?.abort(), []);

  // While it runs, other settings count from the next token on, and another text ends it.
  useEffect(() => stop.current?.abort(changed), [temperature, topk, topp, seed]);
  useEffect(() => stop.current?.abort(), [text]);

  // What made the scores, asked for when the reader has paused.
  const shown = near && !running && token ? address('next', { ...reading(text), top: 1, made: true }) : '';
  const [rested, setRested] = useState('');
  useEffect(() => {
    const timer = setTimeout(() => setRested(shown), 450);
    return () => clearTimeout(timer);
  }, [shown]);
  const made = useJSON<Views['next']>(rested === shown ? shown : '', 'generate-made');

  // write appends tokens: one, or many until it is stopped. What is not a whole character yet comes with the next token.
  const write = async (n: number) => {
    let abort: AbortController;
    let all = text;
    let count = 0;
    let enough = false; // more may have come in the same moment
    setWritten(all);
    setError('');
    do {
      abort = new AbortController();
      stop.current = abort;
      const { signal } = abort;
      try {
        await stream('generate', draw(all, tokens.length + count, n === 1 ? 4 : n - count), signal, (h) => {
          if (enough || signal.aborted) return;
          if (h.event === 'token') {
            const one = h.data as WriteToken;
            all += hasText() ? one.delta : `,${one.id}`;
            count++;
            setToken(one);
            setWritten(all);
            if (n === 1 && (one.delta !== '' || !hasText())) {
              enough = true;
              stop.current?.abort();
            }
          } else if (h.event === 'done') {
            all += (h.data as WriteDone).delta;
          }
        });
      } catch (err) {
        if (!signal.aborted) setError(err instanceof Error ? err.message : String(err));
      }
    } while (abort.signal.reason === changed && count < n);
    stop.current = undefined;
    setWritten(null);
    if (current().text !== text) return; // the reader has another one by now
    go({ text: all, position: -1 });
    say(count === 1 ? `Appended ${all.slice(text.length).trim()}` : `${count} tokens were written`);
  };
  return (
    <>
      <SampleProse />
      <div class="panels">
        <article class="panel" ref={ref} aria-labelledby="sample-title" aria-busy={running} data-view="generate" data-read={token && !running ? String(token.read) : undefined}>
          <header><h3 id="sample-title">Sample, append, repeat</h3></header>
          <div class="written" role="group" aria-label="The text so far" tabIndex={0}>{written ?? text}<span class="caret" aria-hidden="true" /></div>
          <div class="buttons">
            <button type="button" class="main" id="append" disabled={running || tokens.length === 0 || room < 1} onClick={() => void write(1)}>
              Append {token && !running ? <Shown text={token.text} /> : 'a token'}
            </button>
            {running
              ? <button type="button" id="run" onClick={() => stop.current?.abort()}>Stop</button>
              : <button type="button" id="run" disabled={tokens.length === 0 || room < 1} onClick={() => void write(Math.min(room, 200))}>Let it run</button>}
            <button type="button" disabled={running} onClick={() => go({ seed: seed + 1000 })}>Another random number</button>
          </div>
          {room < 1 && (
            <p class="note">
              The text fills the context of {info.model.shape.context} tokens.{' '}
              <button type="button" onClick={() => go({ text: newer(text, tokens), position: -1 })}>Forget its older half</button>
            </p>
          )}
          <div class="controls">
            <Slider id="temperature" label="Temperature" min={0} max={3} step={0.05} value={temperature} say={(v) => v.toFixed(2)} onValue={(temperature) => go({ temperature }, true)} />
            <Slider id="topk" label="Top-k: from so many tokens" min={0} max={100} step={1} value={topk} say={(v) => (v === 0 ? 'all' : String(v))} onValue={(topk) => go({ topk }, true)} />
            <Slider id="topp" label="Top-p: until they reach" min={0.05} max={1} step={0.01} value={topp} say={(v) => (v === 1 ? 'all' : v.toFixed(2))} onValue={(topp) => go({ topp }, true)} />
          </div>
          {error && <p class="error">{error}</p>}
          {token && <Draw token={token} vocab={info.model.shape.vocab} />}
          {shown && <MadeLine made={made.data && (made.data.made ?? [])} busy={made.busy} error={made.error} only={['scores']} />}
          {shown && <p class="made">Softmax, temperature, top-k, top-p and the draw are computed by the processor, from these scores.</p>}
          {hasText() && (
            <footer>
              <details>
                <summary>As a command</summary>
                <Command line={generateLine(text, state)} />
              </details>
            </footer>
          )}
        </article>
      </div>
    </>
  );
}

// Draw shows what a token was drawn from: the model's probabilities, and those after the temperature and the filters.
function Draw({ token, vocab }: { token: WriteToken; vocab: number }) {
  const kept = new Map((token.kept ?? []).map((c) => [c.id, c.probability]));
  const list = token.likeliest ?? [];
  const rows = list.some((c) => c.id === token.id) ? list : [...list, { id: token.id, text: token.text, probability: token.probability }];
  const widest = Math.max(...rows.flatMap((c) => [c.probability ?? 0, kept.get(c.id) ?? 0]), 1e-9);
  return (
    <>
      <Table
        caption="From what the token is drawn" rows={rows} chosen={(c) => c.id === token.id}
        columns={[
          { head: 'Token', cell: (c) => <TokenButton id={c.id} text={c.text} /> },
          { head: 'Model', number: true, cell: (c) => <Num value={c.probability} as={percent} /> },
          { head: 'Bar', cell: (c) => <Bar share={(c.probability ?? 0) / widest} /> },
          { head: 'To draw', number: true, cell: (c) => (c.id === token.id ? <Num value={token.drawn ?? kept.get(c.id)} as={percent} /> : kept.has(c.id) ? <Num value={kept.get(c.id)} as={percent} /> : '–') },
          { head: 'Bar to draw', cell: (c) => <Bar share={(c.id === token.id ? token.drawn ?? 0 : kept.get(c.id) ?? 0) / widest} /> },
        ]}
      />
      <p class="readout">
        Drawn: <Shown text={token.text} />, with probability <Num value={token.drawn} as={percent} />. <Num value={token.left} /> of{' '}
        {vocab.toLocaleString('en')} tokens could be drawn. The model had read <Num value={token.read} /> tokens.
        {token.slid && ' The context was full: the older half of its tokens has left it.'}
      </p>
    </>
  );
}
