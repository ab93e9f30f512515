// The frame: what is looked at above, the chapters beside, and the story itself.
import { useEffect, useMemo } from 'preact/hooks';
import { chapters, type Chapter } from './chapters';
import { type Info, useInfo } from './info';
import { Stepper } from './parts/field';
import { say } from './parts/say';
import { type Shortcut, Shortcuts } from './parts/shortcuts';
import { TokenStrip } from './parts/strip';
import { useCurrent } from './parts/visible';
import { current, fit, go, useApp } from './state';
import { setTheme, type Theme, useTheme } from './theme';
import { positionOf, TextContext, useText, useTokens } from './textview';
import { spoken } from './text';

const ids = chapters.map((c) => c.id);

export function App() {
  const info = useInfo();
  const tokens = useTokens();
  const state = useApp();
  useEffect(() => {
    if (info.data) fit(info.data.model.shape, info.data.model.tokenizer);
  }, [info.data, state]);
  const there = info.data !== undefined;
  useEffect(() => {
    // The browser looked for the chapter that the address names before there were any.
    if (there && location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
  }, [there]);
  return (
    <TextContext.Provider value={tokens}>
      <Top info={info.data} />
      <div class="body">
        <Contents />
        <main id="main" tabIndex={-1}>
          {info.error && <p class="error" role="alert">{info.error}</p>}
          {info.data && chapters.map((c, i) => <Section key={c.id} chapter={c} number={i + 1} info={info.data!} />)}
        </main>
      </div>
      <div id="said" class="unseen" role="status" aria-live="polite" />
    </TextContext.Provider>
  );
}

const titleOf = (chapter: string) => 'chapter-' + chapter;

function Section({ chapter, number, info }: { chapter: Chapter; number: number; info: Info }) {
  const { Body } = chapter;
  return (
    <section class="chapter" id={chapter.id} aria-labelledby={titleOf(chapter.id)}>
      <header>
        <div class="n">Chapter {number}</div>
        <h2 id={titleOf(chapter.id)} tabIndex={-1}>{chapter.title}</h2>
      </header>
      <Body info={info} />
    </section>
  );
}

function Top({ info }: { info: Info | undefined }) {
  const state = useApp();
  const { tokens } = useText();
  const position = positionOf(state, tokens);
  const shortcuts = useMemo(() => (info ? keysFor(info) : []), [info]);
  return (
    <header class="top">
      <div class="brand">
        <h1>Inside a GPT{info && <span class="where"> {info.model.name} on {info.device.name}</span>}</h1>
        <div class="tools">
          <Jump />
          <Shortcuts list={shortcuts} />
          <ThemeButton />
        </div>
      </div>
      <div class="looking">
        <TokenStrip
          label="The text. The chosen token is what all chapters look at" chosen={position}
          tokens={tokens.map((t) => ({ text: t.text, id: t.id }))} onChoose={(i) => choose(i)}
        />
        {info && (
          <div class="chosen">
            <Stepper id="top-layer" label="Layer" value={state.layer} count={info.model.shape.layers} onValue={(layer) => go({ layer })} />
            <Stepper id="top-head" label="Head" value={state.head} count={info.model.shape.heads} onValue={(head) => go({ head })} />
          </div>
        )}
      </div>
    </header>
  );
}

// choose looks at another token of the text.
function choose(position: number): void {
  go({ position });
}

function ThemeButton() {
  const { theme } = useTheme();
  const next: Record<Theme, Theme> = { system: 'dark', dark: 'light', light: 'system' };
  const name: Record<Theme, string> = { system: 'auto', dark: 'dark', light: 'light' };
  return <button type="button" onClick={() => setTheme(next[theme])} aria-label={`Colours: ${name[theme]}. Change to ${name[next[theme]]}`}><span class="word">Colours: </span>{name[theme]}</button>;
}

function Contents() {
  const at = useCurrent(ids);
  return (
    <nav class="chapters" aria-label="Chapters">
      <ol>
        {chapters.map((c, i) => (
          <li key={c.id}><a href={'#' + c.id} aria-current={at === c.id ? 'true' : undefined}><span class="n">{i + 1}</span><span>{c.title}</span></a></li>
        ))}
      </ol>
    </nav>
  );
}

// Jump is the list of chapters where there is no room for one beside them.
function Jump() {
  const at = useCurrent(ids);
  return (
    <select class="jump" aria-label="Chapter" value={at} onChange={(e) => visit(e.currentTarget.value)}>
      {chapters.map((c, i) => <option key={c.id} value={c.id}>{i + 1}. {c.title}</option>)}
    </select>
  );
}

// visit goes to a chapter, which the address then names, and puts the focus on its title.
function visit(id: string): void {
  history.replaceState(null, '', location.pathname + location.search + '#' + id);
  document.getElementById(id)?.scrollIntoView();
  document.getElementById(titleOf(id))?.focus({ preventScroll: true });
}

// turn goes so many chapters on.
function turn(step: number): void {
  const tops = ids.map((id) => document.getElementById(id)?.getBoundingClientRect().top ?? Infinity);
  let at = -1;
  tops.forEach((top, i) => {
    if (top < 200) at = i;
  });
  const id = ids[Math.max(0, Math.min(ids.length - 1, at + step))]!;
  visit(id);
}

function keysFor(info: Info): Shortcut[] {
  const { layers, heads } = info.model.shape;
  const step = (key: 'layer' | 'head', by: number, count: number) => () => {
    const value = Math.max(0, Math.min(count - 1, current()[key] + by));
    go({ [key]: value });
    say(`${key} ${value}`);
  };
  const token = (by: number) => () => {
    const options = [...document.querySelectorAll<HTMLElement>('.top .token')];
    const at = options.findIndex((o) => o.getAttribute('aria-checked') === 'true');
    const next = Math.max(0, Math.min(options.length - 1, at + by));
    if (options.length === 0) return;
    choose(next);
    say(`position ${next}, ${spoken(options[next]!.textContent ?? '')}`);
  };
  return [
    { key: '/', does: 'to the text', run: () => document.getElementById('text')?.focus() },
    { key: 'j', does: 'next chapter', run: () => turn(1) },
    { key: 'k', does: 'previous chapter', run: () => turn(-1) },
    { key: 'h', does: 'previous token', run: token(-1) },
    { key: 'l', does: 'next token', run: token(1) },
    { key: '[', does: 'a layer down', run: step('layer', -1, layers) },
    { key: ']', does: 'a layer up', run: step('layer', 1, layers) },
    { key: ',', does: 'previous head', run: step('head', -1, heads) },
    { key: '.', does: 'next head', run: step('head', 1, heads) },
    { key: 'g', does: 'append a token', run: () => document.querySelector<HTMLButtonElement>('#append')?.click() },
  ];
}
