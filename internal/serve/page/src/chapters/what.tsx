import type { Info } from '../info';
import { Field } from '../parts/field';
import { Shown } from '../parts/panel';
import { go, useApp } from '../state';
import { useText } from '../textview';
import { WhatProse } from './prose';

export function What({ info }: { info: Info }) {
  const { text } = useApp();
  const { error, tokens } = useText();
  const { shape } = info.model;
  return (
    <>
      <WhatProse />
      <div class="panels">
        <article class="panel">
          <h3>Your text</h3>
          <Field
            id="text" label={info.model.tokenizer ? 'Text that the model reads' : 'Ids of tokens that the model reads, with commas between'} value={text} lines={2} onValue={(text) => go({ text, position: -1 }, true)}
            hint="All chapters follow what you type. The address of this page changes with it: keep it, and it shows the same again."
          />
          {error && <Shown answer={{ error, busy: false }}>{() => null}</Shown>}
          <Flow info={info} tokens={tokens.length} />
        </article>
        <dl class="facts">
          <div><dt>Model</dt><dd>{info.model.name}, of the family {shape.family}</dd></div>
          <div><dt>Device</dt><dd>{info.device.about} <code>{info.device.name}</code></dd></div>
          <div><dt>Blocks</dt><dd>{shape.layers}, each with {shape.heads} heads of attention and an MLP of {shape.inner} questions</dd></div>
          <div><dt>Vectors</dt><dd>{shape.width} numbers each</dd></div>
          <div><dt>Vocabulary</dt><dd>{shape.vocab.toLocaleString('en')} tokens</dd></div>
          <div><dt>Context</dt><dd>{shape.context.toLocaleString('en')} tokens at most</dd></div>
        </dl>
      </div>
    </>
  );
}

const Shape = ({ of }: { of: number[] }) => <span class="shape">[{of.join(', ')}]</span>;

// Flow shows the way of a text through the model, and the shapes of the tensors on it. Blocks can be chosen.
function Flow({ info, tokens }: { info: Info; tokens: number }) {
  const { layer } = useApp();
  const { shape } = info.model;
  const blocks = [];
  for (let i = 0; i < shape.layers; i++) {
    blocks.push(
      <li key={i}>
        <button type="button" aria-pressed={i === layer} onClick={() => go({ layer: i })} aria-label={`Block ${i}: attention, then MLP`}>
          <span>{i}</span>
        </button>
      </li>,
    );
  }
  return (
    <div class="flow" role="group" aria-label="The way of a text through the model">
      <span><a href="#tokens">tokens</a> <Shape of={[tokens]} /></span>
      <span><a href="#vectors">vectors</a> <Shape of={[tokens, shape.width]} /></span>
      <div class="blocks">
        <span class="note">{shape.layers} blocks: <a href="#attention">attention</a>, then <a href="#mlp">MLP</a> <Shape of={[tokens, shape.width]} /></span>
        <ol start={0}>{blocks}</ol>
      </div>
      <span><a href="#last">last vector</a> <Shape of={[shape.width]} /></span>
      <span><a href="#next">probabilities</a> <Shape of={[shape.vocab]} /></span>
      <a href="#sample">next token</a>
    </div>
  );
}
