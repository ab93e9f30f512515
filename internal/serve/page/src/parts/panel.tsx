// A view of the model: its picture, what made its values, the same on another device, exports and the command.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Views } from '../api';
import { type Answer, address, type Params, useJSON, type View } from '../client';
import { commandLine, useInfoNow } from '../info';
import { go, useApp } from '../state';
import { Command } from './copy';
import { Switch } from './field';
import { Compared, MadeLine } from './made';
import { say } from './say';
import { useSeen } from './visible';

interface PanelProps<V extends View> {
  view: V;
  params: Params | null; // null: not yet known
  title: string;
  about?: ComponentChildren;
  controls?: ComponentChildren;
  made?: string[]; // names of values of which it says what made them; else all
  table?: (result: Views[V]['result']) => ComponentChildren; // behind the picture
  children: (result: Views[V]['result']) => ComponentChildren; // the picture
}

export function Panel<V extends View>(p: PanelProps<V>) {
  const { ref, near } = useSeen<HTMLElement>();
  const { compare } = useApp();
  const info = useInfoNow();
  const asked = p.params && address(p.view, p.params);
  const id = `${p.view}-${p.title.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`.slice(0, 36);
  const answer = useJSON<Views[V]>(near && asked ? asked : '', id);
  const main: Answer<Views[V]> = asked ? answer : { busy: false };
  const [open, setOpen] = useState(false);

  // What made the values is measured op by op, which takes longer: it is asked for when the reader has paused.
  const [rested, setRested] = useState('');
  useEffect(() => {
    if (!near || !asked || main.busy || !main.data) return;
    const timer = setTimeout(() => setRested(asked), 450);
    return () => clearTimeout(timer);
  }, [near, asked, main.busy, main.data]);
  const more = useJSON<Views[V]>(near && asked && rested === asked ? address(p.view, { ...p.params, made: true, compare }) : '', id + '-made');
  const has = (info?.views ?? []).find((v) => v.name === p.view);
  return (
    <article class="panel" ref={ref} aria-labelledby={id} aria-busy={main.busy} data-view={p.view} data-asked={!asked ? '' : main.of === asked && !main.busy ? asked : undefined}>
      <header>
        <h3 id={id}>{p.title}</h3>
        {asked && p.params && (
          <div class="exports">
            {has?.picture && <a href={address(p.view, p.params, 'svg')} download={p.view + '.svg'} aria-label={`SVG of ${p.title}`}>SVG</a>}
            {has?.table && <a href={address(p.view, p.params, 'csv')} download={p.view + '.csv'} aria-label={`CSV of ${p.title}`}>CSV</a>}
            <a href={asked} download={p.view + '.json'} aria-label={`JSON of ${p.title}`}>JSON</a>
          </div>
        )}
      </header>
      {p.about && <div class="about">{p.about}</div>}
      {p.controls && <div class="controls">{p.controls}</div>}
      <Shown answer={main}>{(data) => <div class="picture">{p.children(data.result)}</div>}</Shown>
      {main.data && !main.error && <MadeLine made={more.data && (more.data.made ?? [])} busy={more.busy} error={more.error} only={p.made} />}
      {main.data && !main.error && compare && <Compared compared={more.data?.compared} here={main.data.device} result={more.data?.result} busy={more.busy} />}
      {p.params && <footer>
        {p.table && main.data && !main.error && (
          <details onToggle={(e) => setOpen(e.currentTarget.open)}>
            <summary>As a table</summary>
            {open && p.table(main.data.result)}
          </details>
        )}
        {info && (
          <details>
            <summary>As a command, and on another device</summary>
            <Command line={commandLine(info, p.view, p.params)} />
            {(info.compare ?? []).map((d) => (
              <Switch key={d} label={`Compare with ${d}`} on={compare === d} onValue={(on) => go({ compare: on ? d : '' })} />
            ))}
          </details>
        )}
      </footer>}
    </article>
  );
}

// Shown shows an answer, the last one while the next is awaited, or one line that says what went wrong.
export function Shown<T>({ answer, children }: { answer: Answer<T>; children: (data: T) => ComponentChildren }) {
  useEffect(() => {
    if (answer.error) say(answer.error);
  }, [answer.error]);
  if (answer.error) return <p class="error">{answer.error}</p>;
  if (!answer.data) return <p class="waiting picture">{answer.busy ? 'Computing …' : ''}</p>;
  return <>{children(answer.data)}</>;
}
