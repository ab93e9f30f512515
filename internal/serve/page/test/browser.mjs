// What the checks share: a browser, a page that is watched for errors, and the values of panels.
// Environment: MODULES, the folder with the npm packages; BROWSER, the browser's program; BASE, the server's address; BASE_IDS,
// that of one whose model has no tokenizer.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(process.env.MODULES + '/');
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

export const base = process.env.BASE;

export const launch = () => chromium.launch({ executablePath: process.env.BROWSER, args: ['--no-sandbox', '--disable-gpu', '--force-color-profile=srgb'] });

export function fail(message) {
  throw new Error(message);
}

export function equal(got, want, what) {
  const [a, b] = [JSON.stringify(got), JSON.stringify(want)];
  if (a !== b) fail(`${what}: found ${a?.slice(0, 400)}, expected ${b?.slice(0, 400)}`);
}

// patience bounds all waiting, in milliseconds: it ends a check that hangs. How fast a machine is must not decide, so it
// is that of the tests in Go.
const patience = 90 * 60_000;

// eventually tries until what is awaited is there.
export async function eventually(check) {
  for (const until = performance.now() + patience / 4; ; await new Promise((done) => setTimeout(done, 50))) {
    try {
      return await check();
    } catch (err) {
      if (performance.now() > until) throw err;
    }
  }
}

// open opens the page and watches it. faults has what must not be: errors in the console, requests to other hosts.
export async function open(browser, query = '', { at = base, chapter, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  const faults = [];
  page.on('console', (m) => ['error', 'warning'].includes(m.type()) && faults.push(`console: ${m.text()} (${m.location().url})`));
  page.on('pageerror', (e) => faults.push(`error: ${e.message}`));
  page.on('dialog', (d) => {
    faults.push(`dialog: ${d.message()}`);
    d.dismiss();
  });
  page.on('request', (r) => {
    if (!r.url().startsWith(at) && !r.url().startsWith('data:') && !r.url().startsWith('blob:')) faults.push(`request to another host: ${r.url()}`);
  });
  // The training run that the test offers knows few characters: it reads a text of its own.
  await page.goto(at + query + (query ? '&' : '?') + 'probe=the' + (chapter ? '#' + chapter : ''));
  await page.waitForSelector('main .chapter');
  return { page, context, faults };
}

// settle waits until all panels that are near the screen have their values.
export async function settle(page) {
  await page.waitForFunction(() => {
    const near = [...document.querySelectorAll('.panel')].filter((p) => {
      const box = p.getBoundingClientRect();
      return box.bottom > -100 && box.top < innerHeight + 100;
    });
    return near.every((p) => p.getAttribute('aria-busy') !== 'true');
  });
}

// walk goes through the page, so that each panel is looked at and has its values.
export async function walk(page) {
  const panels = page.locator('.panel[data-view]:not([data-view="generate"], [data-view="train"])');
  for (let i = 0, count = await panels.count(); i < count; i++) await ready(page, panels.nth(i), 'data-asked');
}

// ready waits until an element has an attribute, and is not busy. It is kept on the screen: what is above may still grow.
export async function ready(page, at, attribute) {
  await at.evaluate((e) => e.scrollIntoView({ block: 'center', behavior: 'instant' }));
  await page.waitForFunction(([e, attribute]) => {
    if (e.hasAttribute(attribute) && e.getAttribute('aria-busy') !== 'true') return true;
    e.scrollIntoView({ block: 'center', behavior: 'instant' });
    return false;
  }, [await at.elementHandle(), attribute], { polling: 40 });
}

// panel brings a panel near the screen, waits for its values, and gives it with the JSON that it asked for.
export async function panel(page, view, title) {
  const at = page.locator(`.panel[data-view="${view}"]`, title ? { has: page.locator('h3', { hasText: title }) } : {}).first();
  await ready(page, at, 'data-asked');
  const asked = await at.getAttribute('data-asked');
  const answer = await fetch(base + asked);
  if (!answer.ok) fail(`${asked}: ${answer.status} ${await answer.text()}`);
  return { at, asked, answer: await answer.json() };
}

// numbers are all numbers of an element, as JSON has them.
export const numbers = (at, selector = 'data') => at.locator(selector).evaluateAll((all) => all.map((e) => Number(e.getAttribute('value'))));

// column has the numbers of a table's column: the table's caption and the head of the column say which.
export const column = (at, caption, head) => at.locator('table').evaluateAll((tables, [source, head]) => {
  const table = tables.find((t) => new RegExp(source).test(t.caption?.textContent ?? t.getAttribute('aria-label') ?? ''));
  if (!table) return `no table ${source} among ${tables.map((t) => t.caption?.textContent)}`;
  const index = [...table.tHead.rows[0].cells].findIndex((c) => c.textContent === head);
  if (index < 0) return `no column ${head} among ${[...table.tHead.rows[0].cells].map((c) => c.textContent)}`;
  return [...table.tBodies[0].rows].map((row) => row.cells[index].querySelector('data')).filter(Boolean).map((d) => Number(d.getAttribute('value')));
}, [caption.source, head]);

// all numbers of a JSON value, and how long its lists are.
export function flat(value, into = new Set()) {
  if (Array.isArray(value)) into.add(value.length);
  if (typeof value === 'number') into.add(value);
  else if (value && typeof value === 'object') for (const v of Object.values(value)) flat(v, into);
  return into;
}

// accessible asks axe-core for what it finds wrong.
export async function accessible(page, what) {
  const session = await page.context().newCDPSession(page);
  await session.send('Runtime.evaluate', { expression: axe }); // which the page's own policy would not let in as a script
  const found = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
    return violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 4).map((n) => n.target.join(' ') + ' ' + (n.any[0]?.message ?? n.all[0]?.message ?? '')).join('; ')}`);
  });
  if (found.length > 0) fail(`${what}: axe-core finds ${found.join('\n')}`);
}
