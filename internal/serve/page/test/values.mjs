// The values of panels: what the page shows against the JSON that it asked for.
import { base, column, equal, eventually, fail, flat, numbers, panel } from './browser.mjs';

const list = (value) => value ?? [];

// What columns of tables must show, by view and title of the panel: caption, head, and the numbers of the answer.
const columns = [
  ['tokens', 'The text, cut up', /^The tokens/, 'Id', (r) => r.pieces.map((p) => p.id)],
  ['tokens', 'The text, cut up', /^The tokens/, 'To byte', (r) => r.pieces.filter((p) => p.to >= 0).map((p) => p.to)],
  ['embed', 'The vector of the chosen token', /^All numbers/, 'Value', (r) => r.words[0].vector],
  ['embed', 'The vector of the chosen token', /^Nearest/, 'Cosine', (r) => r.words[0].nearest.map((n) => n.cosine)],
  ['embed', 'Words on a map', /^Places/, 'Across', (r) => r.map.points.map((p) => p.x)],
  ['embed', 'Directions have meanings', /^Nearest/, 'Cosine', (r) => r.sum.nearest.map((n) => n.cosine)],
  ['embed', 'How far along a direction', /^Words along/, 'Of the way', (r) => r.direction.projections.map((p) => p.share).sort((a, b) => a - b)],
  ['attention', 'Who looks at whom', /^What position/, 'Weight', (r) => r.heads[0].map.at(-1)],
  ['attention', 'Who looks at whom', /^The strongest/, 'Probability', (r) => r.pairs.map((p) => p.prob)],
  ['attention', 'All heads of the layer', /^Means/, 'entropy (nats)', (r) => r.heads.map((h) => h.entropy)],
  ['attention', 'What heads do', /^The strongest/, 'Probability', (r) => r.pairs.map((p) => p.prob)],
  ['context', 'The same word', /^How far/, '1 − cosine', (r) => r.apart.map((a) => a.cosine_distance)],
  ['context', 'The same word', /^Both vectors/, 'Length in the second text', (r) => r.second.stages.map((s) => s.length)],
  ['mlp', 'The questions', /^Answers of layer/, 'Answer', (r) => r.answers.layers[0].answers.map((a) => a.value)],
  ['mlp', 'The questions', /^What each neuron/, 'Along the output', (r) => r.answers.layers[0].answers.map((a) => a.along)],
  ['mlp', 'One neuron', /^Answers of neuron/, 'Answer', (r) => r.neuron.values],
  ['mlp', 'One neuron', /^Raises/, 'Score', (r) => r.neuron.raised.map((t) => t.score)],
  ['lens', 'What each block would say', /^The lens/, 'Score', (r) => r.lens.blocks.flat().map((c) => c.score)],
  ['lens', 'What each block would say', /^The lens/, 'Distance (nats)', (r) => r.lens.blocks.flat().map((c) => c.kl)],
  ['lens', 'What each part added', /^What added/, 'Added', (r) => r.attribution.rows.flatMap((row) => [row.score, ...(row.block === 1 ? list(row.heads) : [])])],
  ['lens', 'What each part added', /^What each head/, 'Head 2', (r) => r.attribution.rows.filter((row) => row.heads).map((row) => row.heads[2])],
  ['lens', 'Without some parts', /^Probabilities/, 'Without', (r) => r.ablation.changes.map((c) => c.after)],
  ['lens', 'From a vector', /^The highest/, 'Score', (r) => r.lens.blocks.at(-1).at(-1).top.map((c) => c.score)],
  ['next', 'Every vector predicts', /^What the model/, 'Surprise (nats)', (r) => r.positions.filter((p) => p.next).map((p) => p.surprise)],
  ['next', 'Every vector predicts', /^What the model/, 'Rank', (r) => r.positions.filter((p) => p.next).map((p) => p.rank)],
  ['next', 'What may come next', /^The likeliest/, 'Probability', (r) => r.positions.at(-1).top.map((c) => c.prob)],
  ['next', 'What may come next', /^The likeliest/, 'Score', (r) => r.positions.at(-1).top.map((c) => c.score)],
  ['next', 'The same at several', /^Probabilities/, 'T = 0.5', (r) => r.temperatures[0].tokens.map((c) => c.drawn)],
  ['forget', 'What has left', /^What the model sees/, 'Entropy (nats)', (r) => r.steps.map((s) => s.entropy)],
  ['learn', 'How a trained model', /^The weights/, 'Surprise of the text', (r) => r.stages.map((s) => s.surprise)],
  ['learn', 'How a trained model', /^The likeliest/, 'Probability', (r) => r.stages.at(-1).next.map((c) => c.prob)],
  ['tally', 'Eight kinds', /weights in/, 'Running total', (r) => r.kinds.map((k) => k.total)],
  ['tally', 'Eight kinds', /^What the tally/, 'Weights', (r) => [...r.left_out.map((o) => o.weights), r.parameters]],
];

// values checks columns one by one; and that no panel shows a number which is not in its answer.
export async function values(page) {
  const seen = new Map();
  for (const [view, title, caption, head, want] of columns) {
    let found = seen.get(view + title);
    if (!found) {
      found = await panel(page, view, title);
      for (const details of await found.at.locator('footer details').all()) await details.evaluate((e) => { e.open = true; });
      seen.set(view + title, found);
    }
    const numbersWanted = want(found.answer.result);
    if (numbersWanted.length === 0) fail(`${title}: the answer has nothing to compare`);
    await eventually(async () => equal(await column(found.at, caption, head), numbersWanted, `${title}: ${head}`));
  }
  for (const [name, { at, answer }] of seen) {
    const known = flat(answer.result);
    for (const n of await numbers(at, '.picture data, footer data')) if (!known.has(n)) fail(`${name} shows ${n}, which is not in its answer`);
  }
}

// made checks that beside each panel's values stands what made them, as the server tells it.
export async function made(page, view, title) {
  const { at, asked } = await panel(page, view, title);
  await at.locator('.made data').first().waitFor();
  const answer = await (await fetch(base + asked + '&made=true')).json();
  const text = await at.locator('.made').first().innerText();
  const m = answer.made.find((one) => text.includes(one.value)) ?? fail(`${title}: ${text} is none of ${answer.made.map((one) => one.value)}`);
  for (const part of [m.op, `[${m.operands[0].shape.join(', ')}] ${m.operands[0].dtype}`]) if (!text.includes(part)) fail(`${title}: ${text} lacks ${part}`);
  if (!(await numbers(at, '.made data')).includes(m.bytes)) fail(`${title}: ${text} does not tell of ${m.bytes} bytes`);
}
