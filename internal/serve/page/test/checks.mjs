// The checks, by name. Each opens pages of its own.
import { accessible, base, column, equal, eventually, fail, open, panel, ready, settle, walk } from './browser.mjs';
import { made, values } from './values.mjs';

const start = '?layer=1&head=2&neuron=5&off=1.mlp';
const clean = (faults) => equal(faults, [], 'faults of the page');
const address = async (page) => new URLSearchParams(await page.evaluate(() => location.search));
// Answers that are errors are told in the console by the browser itself.
const expected = (faults) => faults.filter((f) => !/status of 4\d\d/.test(f));

async function type(page, text) {
  await page.locator('#text').fill(text);
  await page.waitForFunction((t) => new URLSearchParams(location.search).get('text') === t, text);
}

export const checks = {
  async values(browser) {
    const { page, faults } = await open(browser, start);
    await values(page);
    await made(page, 'next', 'What may come next');
    await made(page, 'attention', 'Who looks at whom');
    clean(faults);
  },

  async tallyOfGPT3(browser) {
    const { page, faults } = await open(browser);
    await panel(page, 'tally');
    await page.locator('#shape').selectOption('gpt3');
    const { at, asked } = await panel(page, 'tally');
    equal(asked, 'api/tally?shape=gpt3', 'what the panel shows');
    const text = await at.innerText();
    for (const part of ['175,181,291,520', '27,938', '617,558,016', 'a context of 2,048 tokens', '1,235,116,032']) if (!text.includes(part)) fail(`the tally of GPT-3 lacks ${part}: ${text}`);
    clean(faults);
  },

  // What is chosen in one panel, all others follow.
  async follow(browser) {
    const { page, faults } = await open(browser);
    const { at } = await panel(page, 'attention', 'All heads');
    await at.getByRole('button', { name: 'Head 3' }).click();
    equal((await address(page)).get('head'), '3', 'head in the address');
    await page.locator('#top-layer').selectOption('4');
    const one = await panel(page, 'attention', 'Who looks at whom');
    equal([one.answer.result.heads[0].layer, one.answer.result.heads[0].head], [4, 3], 'layer and head that are shown');
    await one.at.locator('.token').nth(2).click();
    equal((await address(page)).get('position'), '2', 'position in the address');
    equal(await page.locator('.top .token[aria-checked="true"]').getAttribute('data-id'), String(one.answer.result.tokens[2].id), 'the token on top');
    const mlp = await panel(page, 'mlp', 'The questions');
    equal([mlp.answer.result.answers.position, mlp.answer.result.answers.layers[0].layer], [2, 4], 'position and layer of the MLP');
    const neuron = mlp.answer.result.answers.layers[0].answers[1].neuron;
    await mlp.at.locator('tbody th button').nth(1).click();
    equal((await panel(page, 'mlp', 'One neuron')).answer.result.neuron.neuron, neuron, 'neuron');
    const next = await panel(page, 'next', 'What may come next');
    const token = next.answer.result.positions[2].top[1].id;
    await next.at.locator('tbody th button').nth(1).click();
    equal((await panel(page, 'lens', 'What each part')).answer.result.attribution.token.id, token, 'the token that scores are about');
    clean(faults);
  },

  // An address shows the same again; back and forward go through what was chosen.
  async replay(browser) {
    const { page, faults } = await open(browser);
    await type(page, 'A lady of fortune');
    await page.locator('#top-layer').selectOption('2');
    await page.locator('.top .token').first().click();
    const text = async (p) => (await panel(p, 'attention', 'Who looks at whom')).at.locator('.picture').innerText();
    const shown = await text(page);
    const again = await open(browser, await page.evaluate(() => location.search));
    equal(await text(again.page), shown, 'the same address in another tab');
    equal(await again.page.locator('#text').inputValue(), 'A lady of fortune', 'the text in another tab');
    await page.goBack();
    equal((await address(page)).get('position'), null, 'position after going back');
    await page.waitForFunction(() => document.querySelector('.top .token:last-child')?.getAttribute('aria-checked') === 'true');
    await page.goForward();
    equal((await address(page)).get('position'), '0', 'position after going forward');
    equal(await text(page), shown, 'what is shown after going forward');
    const chapter = await open(browser, '', { chapter: 'mlp' });
    await eventually(async () => equal(await chapter.page.locator('.chapters a[aria-current]').getAttribute('href'), '#mlp', 'the chapter that an address names'));
    clean([...faults, ...again.faults, ...chapter.faults]);
  },

  // All that was chosen in panels is in the address, too.
  async replayAll(browser) {
    const query = '?text=A+man+of+fortune&layer=2&head=1&row=0&all=1&each=1&figure=entropy&col=1&cell=7&dot=2&pair=3,1&from=1&from2=2&window=4&step=3&stage=0&spot=2,1&lesson=abc&steps=150&blocks=3';
    const { page, faults } = await open(browser, query);
    const checks = {
      'What each block': async (at) => equal(await at.locator('td[aria-selected="true"]').getAttribute('data-at'), '0 3', 'the cell of the lens'),
      'Without each head': async (at) => at.locator('canvas').waitFor(),
      'What heads do': async (at) => equal(await at.locator('#figure').inputValue(), 'entropy', 'the figure of all heads'),
      'Who looks at whom': async (at) => equal(/^3 .* looks at 1 /.test(await at.locator('.readout').first().innerText()), true, 'the cell of the map'),
      'The vector of': async (at) => equal(/^Number 7:/.test(await at.locator('.readout').first().innerText()), true, 'the number of the vector'),
      'Words on a map': async (at) => {
        equal(await at.locator('.dot[aria-pressed="true"]').getAttribute('aria-label'), ' he', 'the word of the map');
        equal(/^she and woman:/.test(await at.locator('.readout').last().innerText()), true, 'the two words');
      },
      'The same word': async (at) => equal(await at.locator('.strip').evaluateAll((all) => all.map((s) => [...s.children].findIndex((t) => t.getAttribute('aria-checked') === 'true'))), [1, 2], 'the tokens that moved the word'),
      'What has left': async (at) => equal(await at.locator('#forget-step').inputValue(), '3', 'the step'),
      'How a trained': async (at) => {
        equal(await at.locator('#stage').inputValue(), '0', 'the weights');
        equal(/ looks at .*later|looks at/.test(await at.locator('.heat .readout').innerText()), true, 'the map of the run');
      },
      'A model that learns': async (at) => equal([await at.locator('#lesson').inputValue(), await at.locator('#steps').inputValue(), await at.locator('#layers').inputValue()], ['abc', '150', '3'], 'what is to be learned'),
    };
    for (const [title, check] of Object.entries(checks)) {
      const at = page.locator('.panel', { has: page.locator('h3', { hasText: title }) });
      await ready(page, at, title === 'A model that learns' ? 'data-view' : 'data-asked');
      await eventually(() => check(at));
    }
    const again = new URLSearchParams(query);
    for (const [name, value] of await address(page)) if (name !== 'probe') equal(value, again.get(name), name);
    // Another text has not tried its heads.
    await type(page, 'A lady');
    equal((await address(page)).get('each'), null, 'heads of another text');
    clean(faults);
  },

  // A text that is too long for an address is no reason for a page that does not load.
  async reloadLong(browser) {
    const { page } = await open(browser);
    await page.locator('#text').fill('é'.repeat(120000));
    await page.locator('#what .error').waitFor();
    await page.locator('#text').fill('ü'.repeat(120000));
    await eventually(async () => equal((await page.evaluate(() => location.href)).length < 250000, true, 'an address of a length that the server takes'));
    await page.reload();
    await page.waitForSelector('main .chapter');
  },

  // Whoever types while the model writes keeps what was typed; other settings count at once.
  async typeWhileRunning(browser) {
    const { page, faults } = await open(browser, '?temperature=0');
    await ready(page, page.locator('[data-view="generate"]'), 'data-read');
    await page.evaluate(() => {
      document.querySelector('#run').click();
      const seen = new MutationObserver(() => {
        if (document.querySelector('.written').textContent.length < 90) return;
        seen.disconnect();
        const text = document.querySelector('#text');
        text.value = 'A lady of fortune';
        text.dispatchEvent(new InputEvent('input', { bubbles: true }));
      });
      seen.observe(document.querySelector('.written'), { subtree: true, childList: true, characterData: true });
    });
    await page.waitForFunction(() => document.querySelector('.written').textContent.startsWith('A lady') && document.querySelector('#run').textContent === 'Let it run');
    await page.waitForTimeout(300);
    equal([await page.locator('#text').inputValue(), (await address(page)).get('text'), await page.locator('.written').first().innerText()], ['A lady of fortune', 'A lady of fortune', 'A lady of fortune'], 'the text');
    await ready(page, page.locator('[data-view="generate"]'), 'data-read');
    await page.locator('#topk').fill('1');
    await page.locator('#temperature').fill('1');
    await ready(page, page.locator('[data-view="generate"]'), 'data-read');
    // From all tokens while the first ones are drawn, then from one. Where the page is so slow that the model has stopped
    // before the slider was moved, it runs again.
    for (let outcome = 'again'; outcome === 'again'; ) {
      await page.locator('#text').fill('A lady of fortune');
      await page.locator('#topk').fill('0');
      await ready(page, page.locator('[data-view="generate"]'), 'data-read');
      await page.evaluate(() => {
        const from = document.querySelector('.written').textContent.length;
        document.querySelector('#run').click();
        window.moved = false;
        const seen = new MutationObserver(() => {
          if (document.querySelector('.written').textContent.length < from + 20) return;
          seen.disconnect();
          const slider = document.querySelector('#topk');
          slider.value = '1';
          slider.dispatchEvent(new InputEvent('input', { bubbles: true }));
          window.moved = true;
        });
        seen.observe(document.querySelector('.written'), { subtree: true, childList: true, characterData: true });
      });
      const handle = await page.waitForFunction(() => {
        const running = document.querySelector('#run').textContent === 'Stop';
        if (running && /^1 of/.test([...document.querySelectorAll('[data-view="generate"] .readout')].at(-1)?.textContent.split('. ')[1] ?? '')) return 'from one';
        return !running && window.moved && 'again';
      });
      outcome = await handle.jsonValue();
    }
    clean(expected(faults));
  },

  // What shows nothing, or turns the direction of what follows, is shown by its number, and has a name.
  async unseen(browser) {
    const { page, faults } = await open(browser);
    await page.locator('#text').fill('a\u00ad\u061c\u3000\u2028\u{e0041}\ufe0fb\u000c');
    await page.waitForFunction(() => /^b/.test(document.querySelector('.top .token:nth-last-child(2)')?.textContent ?? ''));
    const tokens = await page.locator('.top .token').evaluateAll((all) => all.map((t) => [t.textContent, t.getAttribute('aria-label')]));
    for (const [text, name] of tokens) if (/^\s*$/.test(text) || /^\d+: $/.test(name)) fail(`the token ${JSON.stringify(text)} is called ${JSON.stringify(name)}`);
    const form = tokens.at(-1);
    equal(form[0], '\\u000c', 'a form feed');
    clean(faults);
  },

  async keyboard(browser) {
    const { page, faults } = await open(browser);
    const focus = () => page.evaluate(() => {
      const e = document.activeElement;
      return { tag: e.className || e.id || e.tagName, outline: getComputedStyle(e).outlineStyle };
    });
    await page.keyboard.press('Tab');
    equal((await focus()).tag, 'skip', 'the first stop');
    await page.keyboard.press('Enter');
    await page.evaluate(() => document.activeElement.blur());
    await page.locator('.top .token[aria-checked="true"]').focus();
    await page.keyboard.press('Home');
    await page.keyboard.press('ArrowRight');
    equal((await address(page)).get('position'), '1', 'arrow keys in the text');
    const outline = (await focus()).outline;
    if (outline === 'none') fail('the token that has the focus shows it in no way');
    await page.keyboard.press(']');
    await page.keyboard.press('.');
    equal([(await address(page)).get('layer'), (await address(page)).get('head')], ['1', '1'], 'keys for layer and head');
    const { at } = await panel(page, 'attention', 'Who looks at whom');
    await at.locator('.heat-field').focus();
    if ((await focus()).outline === 'none') fail('the map that has the focus shows it in no way');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowRight');
    equal((await address(page)).get('position'), '2', 'arrow keys in a map');
    const told = await at.locator('.readout').first().innerText();
    if (!/^2 .* looks at 1 /.test(told)) fail(`the map tells ${told}`);
    const lens = await panel(page, 'lens', 'What each block');
    await lens.at.locator('td[tabindex="0"]').focus();
    await page.keyboard.press('ArrowUp');
    equal((await address(page)).get('layer'), '4', 'arrow keys in a table');
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press('?');
    await page.locator('dialog[open]').waitFor();
    await page.getByLabel('Keys without Ctrl').uncheck();
    await page.keyboard.press('Escape');
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press(']');
    equal((await address(page)).get('layer'), '4', 'a key that is switched off');
    // Keys act on what the page is now, however soon they come: here no frame passes between them.
    const layer = await page.evaluate(async () => {
      const press = async () => {
        dispatchEvent(new KeyboardEvent('keydown', { key: '[' }));
        for (let i = 0; i < 8; i++) await null;
        return new URLSearchParams(location.search).get('layer');
      };
      const box = document.querySelector('dialog input[type="checkbox"]');
      const off = [await press(), await press()];
      box.click();
      await null;
      const on = [await press(), await press()];
      box.click();
      await null;
      return [...off, ...on, await press()];
    });
    equal(layer, ['4', '4', '3', '2', '2'], 'keys that come at once');
    clean(faults);
  },

  async accessible(browser) {
    const busy = await open(browser, start, { colorScheme: 'dark' });
    await busy.page.route('**/api/attention*', () => {}); // which is never answered
    await busy.page.locator('#attention').evaluate((e) => e.scrollIntoView());
    await busy.page.locator('.panel[aria-busy="true"] .waiting').first().waitFor();
    await accessible(busy.page, 'while the device computes');
    await busy.context.close();
    const errors = await open(browser, '?off=zzz&sum=%2B&word=none&text=' + 'w+'.repeat(4000));
    await walk(errors.page);
    await accessible(errors.page, 'errors, and a text that is long');
    await errors.context.close();
    for (const [what, options] of [['light', {}], ['dark, on a phone', { colorScheme: 'dark', viewport: { width: 360, height: 780 } }]]) {
      const { page, context, faults } = await open(browser, start, options);
      await walk(page);
      await page.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = true; }));
      const twice = await page.evaluate(() => [...document.querySelectorAll('[id]')].map((e) => e.id).filter((id, i, all) => all.indexOf(id) !== i));
      equal(twice, [], 'ids that two elements have');
      // A table stands behind every picture.
      await eventually(async () => equal(
        await page.locator('.panel').evaluateAll((all) => all.filter((p) => p.querySelector('canvas, svg') && !p.querySelector('table')).map((p) => p.querySelector('h3').textContent)),
        [], 'pictures without a table',
      ));
      await accessible(page, what);
      clean(faults);
      await context.close();
    }
  },

  // No width makes the page scroll sideways. SCREENSHOTS names a folder that keeps how it looks.
  async widths(browser) {
    for (const width of [360, 1280, 2560]) {
      for (const colorScheme of process.env.SCREENSHOTS ? ['light', 'dark'] : ['light']) {
        const { page, context, faults } = await open(browser, start, { colorScheme, viewport: { width, height: width < 500 ? 780 : 1000 } });
        await walk(page);
        if (!process.env.SCREENSHOTS) await page.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = true; }));
        await page.waitForTimeout(200);
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (over > 0) fail(`at ${width} pixels the page is ${over} too wide`);
        if (process.env.SCREENSHOTS) {
          await page.evaluate(() => scrollTo({ top: 0, behavior: 'instant' }));
          await page.screenshot({ path: `${process.env.SCREENSHOTS}/page-${width}-${colorScheme}.png`, fullPage: true });
        }
        clean(faults);
        await context.close();
      }
    }
  },

  async hostile(browser) {
    const { page, faults } = await open(browser);
    const text = '<script>alert(1)</script><img src=x onerror=alert(2)>"\'&#0;\u202e';
    await type(page, text);
    const { at, answer } = await panel(page, 'tokens');
    equal(answer.result.text, text, 'the text that was read');
    equal(await at.locator('.token').count(), answer.result.pieces.length, 'tokens that are shown');
    await walk(page);
    equal(await page.locator('main script, main img').count(), 0, 'elements that came out of a text');
    await type(page, 'word '.repeat(20000));
    await page.locator('[data-view="tokens"]').evaluate((e) => e.scrollIntoView());
    const error = page.locator('[data-view="tokens"] .error');
    await error.waitFor();
    const line = await error.innerText();
    if (!/context holds/.test(line) || line.includes('\n')) fail(`a text that is too long: ${line}`);
    await type(page, 'A lady');
    await page.waitForFunction(() => document.querySelectorAll('.top .token').length === 2 || document.querySelectorAll('.top .token').length === 3);
    clean(expected(faults));
  },

  // An address that says what there is not shows what is nearest, or says so in place.
  async wrongAddress(browser) {
    const { page, faults } = await open(browser, '?layer=999&head=-7&neuron=1e9&token=99999999&position=77&temperature=nan&topp=9&off=zzz&shape=none&compare=gpu:7&other=%00');
    const { answer } = await panel(page, 'attention', 'Who looks at whom');
    equal([answer.result.heads[0].layer, answer.result.heads[0].head], [answer.result.layers - 1, 0], 'layer and head that are nearest');
    for (const view of ['lens', 'tally']) {
      const error = page.locator(`.panel[data-view="${view}"] .error`).first();
      await page.locator(`.panel[data-view="${view}"]`).last().evaluate((e) => e.scrollIntoView());
      if (view === 'lens') await page.locator('.panel[data-view="lens"]', { hasText: 'Without some parts' }).evaluate((e) => e.scrollIntoView());
      await error.waitFor();
    }
    clean(expected(faults));
  },

  // Nothing is computed that is not looked at.
  async economy(browser) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 700 } });
    const page = await context.newPage();
    const asked = [];
    page.on('request', (r) => r.url().includes('/api/') && asked.push(new URL(r.url()).pathname.replace('/api/', '')));
    await page.goto(base);
    await page.waitForSelector('main .chapter');
    await page.waitForTimeout(300);
    equal(asked.filter((a) => !['info', 'tokens'].includes(a)), [], 'asked for before anybody looks');
  },

  async exports(browser) {
    const { page } = await open(browser, start);
    const links = await page.locator('.exports a').evaluateAll((all) => all.map((a) => a.getAttribute('href')));
    if (links.length < 30) fail(`${links.length} links to save panels, expected 30 or more`);
    const types = { svg: 'image/svg+xml', csv: 'text/csv' };
    const seen = new Set();
    for (const link of links) {
      const [, view, ext = 'json'] = /^api\/(\w+)(?:\.(\w+))?(?:\?|$)/.exec(link) ?? fail(`a link to ${link}`);
      if (seen.has(view + ext)) continue;
      seen.add(view + ext);
      const answer = await fetch(base + link);
      const [type, text] = [answer.headers.get('content-type'), await answer.text()];
      const whole = { svg: /<svg[\s\S]*<\/svg>\s*$/, csv: /\n.+\n/, json: /^\{.*\}\n$/ }[ext];
      if (!answer.ok || !type.startsWith(types[ext] ?? 'application/json') || !whole.test(text)) fail(`${link}: ${answer.status} ${type}: ${text.slice(0, 200)}`);
    }
  },

  // A token a click, from the distribution that the sliders make; or running.
  async sample(browser) {
    const { page, faults } = await open(browser, '?temperature=0.7&topk=5');
    await ready(page, page.locator('[data-view="generate"]'), 'data-read');
    await page.locator('[data-view="generate"] .made strong', { hasText: 'linear' }).first().waitFor();
    const text = await page.locator('#text').inputValue();
    const read = Number(await page.locator('[data-view="generate"]').getAttribute('data-read'));
    const body = new URLSearchParams({ text, n: 1, temperature: 0.7, 'top-k': 5, 'top-p': 1, 'min-p': 0, seed: 1 + read, alternatives: 12 });
    const events = (await (await fetch(base + 'api/generate', { method: 'POST', body })).text()).split('\n').filter((l) => l.startsWith('data: ')).map((l) => JSON.parse(l.slice(6)));
    const token = events.find((e) => 'likeliest' in e);
    const at = page.locator('[data-view="generate"]');
    await eventually(async () => equal((await column(at, /^From what/, 'Model')).slice(0, token.likeliest.length), token.likeliest.map((c) => c.probability), 'probabilities of the model'));
    const kept = await column(at, /^From what/, 'To draw');
    equal(kept, token.kept.map((c) => c.probability), 'probabilities to draw');
    if (Math.abs(kept.reduce((a, b) => a + b, 0) - 1) > 1e-6) fail(`the five tokens that are kept have ${kept}`);
    await page.locator('#append').click();
    await page.waitForFunction((t) => new URLSearchParams(location.search).get('text') === t, text + token.delta);
    await page.waitForFunction((r) => document.querySelector('[data-view="generate"]').dataset.read === String(r + 1), read);
    await page.locator('#run').click();
    await page.waitForFunction((n) => document.querySelector('[data-view="generate"] .written').textContent.length > n + 40, text.length);
    await page.evaluate(() => {
      const run = document.querySelector('#run');
      if (run.textContent === 'Stop') run.click(); // else it has just ended
    });
    await page.waitForFunction((n) => (new URLSearchParams(location.search).get('text') ?? '').length > n + 40, text.length);
    await page.goBack();
    await page.waitForFunction((t) => document.querySelector('#text').value === t, text + token.delta);
    clean(expected(faults));
  },

  async learn(browser) {
    const { page, faults } = await open(browser);
    await page.locator('#learn').evaluate((e) => e.scrollIntoView());
    await page.locator('#steps').fill('50');
    await page.locator('#layers').fill('1');
    await page.locator('#teach').click();
    const at = page.locator('[data-view="train"][data-steps="50"]');
    await at.waitFor();
    const body = new URLSearchParams({ steps: 50, layers: 1 });
    const events = (await (await fetch(base + 'api/train', { method: 'POST', body })).text()).split('\n').filter((l) => l.startsWith('data: ')).map((l) => JSON.parse(l.slice(6)));
    const looks = events.filter((e) => 'sample' in e);
    await at.locator('details.more').evaluate((e) => { e.open = true; });
    await eventually(async () => equal(await column(at, /^Loss at each look/, 'Loss of text it does not see'), looks.map((l) => l.held_out_loss), 'losses of the looks'));
    await eventually(async () => equal(await column(at, /^The likeliest next/, 'Probability'), looks.at(-1).next.map((c) => c.probability), 'what follows the probe'));
    equal(await at.locator('pre.written').innerText(), looks.at(-1).sample, 'what it writes');
    await at.locator('#look').fill('0');
    await eventually(async () => equal(await column(at, /^The likeliest next/, 'Probability'), looks[0].next.map((c) => c.probability), 'what followed before'));
    clean(faults);
  },

  // A model without a tokenizer reads ids.
  async ids(browser) {
    const { page, faults } = await open(browser, '', { at: process.env.BASE_IDS });
    await walk(page);
    equal(await page.locator('.top .token').allInnerTexts(), ['0', '1', '2'], 'tokens');
    equal(await page.locator('.panel .error').allInnerTexts(), [], 'errors in panels');
    await page.locator('#text').fill('');
    await page.locator('#text').pressSequentially('5,17', { delay: 60 });
    await page.waitForFunction(() => document.querySelectorAll('.top .token').length === 2);
    equal(await page.locator('#text').inputValue(), '5,17', 'ids that were typed key by key');
    await ready(page, page.locator('[data-view="generate"]'), 'data-read');
    await page.waitForFunction(() => document.querySelector('[data-view="generate"]').dataset.read === '2');
    await page.locator('#append').click();
    await page.waitForFunction(() => document.querySelectorAll('.top .token').length === 3);
    clean(expected(faults)); // "5," is not ids yet
    // An address that has no more than a text works as well.
    const short = await open(browser, '?text=1,2,3,4', { at: process.env.BASE_IDS });
    await walk(short.page);
    equal(await short.page.locator('.panel .error').allInnerTexts(), [], 'errors in panels');
    equal(await short.page.locator('.top .token').count(), 4, 'tokens of the address');
    clean(short.faults);
  },

  // The sliders begin with what the model's files say of sampling, unless the address says something else.
  async ownSampling(browser) {
    for (const [query, want] of [['', ['0.25', '7', '1']], ['?temperature=1&topk=0&topp=0.5', ['1', '0', '0.5']]]) {
      const { page, faults } = await open(browser, query, { at: process.env.BASE_IDS });
      await ready(page, page.locator('[data-view="generate"]'), 'data-read');
      equal(await Promise.all(['#temperature', '#topk', '#topp'].map((id) => page.locator(id).inputValue())), want, `sliders at ${query}`);
      clean(faults);
    }
  },

  // Of what is typed fast the last counts.
  async typing(browser) {
    const { page, faults } = await open(browser);
    await page.locator('#text').fill('');
    await page.locator('#text').pressSequentially('A lady of large fortune', { delay: 15 });
    await ready(page, page.locator('[data-view="tokens"]'), 'data-asked');
    await page.waitForFunction(() => [...document.querySelectorAll('.top .token')].map((t) => t.textContent.replaceAll('·', ' ')).join('') === 'A lady of large fortune');
    equal((await panel(page, 'tokens')).answer.result.text, 'A lady of large fortune', 'the text of the panel');
    equal(await page.locator('.panel .error').count(), 0, 'errors in panels');
    clean(expected(faults));
  },

  async compare(browser) {
    const { page, faults } = await open(browser);
    const { at, asked } = await panel(page, 'next', 'What may come next');
    await at.locator('footer details').last().evaluate((e) => { e.open = true; });
    const other = at.getByRole('switch').first();
    const which = (await at.locator('.switch').first().innerText()).replace('Compare with ', '').trim();
    await other.check();
    await at.locator('.compared').waitFor();
    const { compared } = await (await fetch(base + asked + '&compare=' + which)).json();
    const shown = await at.locator('.compared data').evaluateAll((all) => all.map((e) => Number(e.getAttribute('value'))));
    equal(shown, [compared.largest, compared.here, compared.there], 'the comparison');
    if (!(compared.largest > 0)) fail('the two devices give the same: there is nothing to compare');
    await at.locator('.compared details').evaluate((e) => { e.open = true; });
    const there = compared.result.positions.flatMap((p) => p.top.map((c) => c.score));
    await eventually(async () => {
      const column2 = await column(at, /^Values of/, 'There, cpu').catch(() => []);
      if (!column2.includes(compared.there) || !there.some((score) => column2.includes(score))) fail(`the values of the other device are not shown: ${column2}`);
    });
    const [ours, theirs, differences] = [await column(at, /^Values of/, 'Here, cpu'), await column(at, /^Values of/, 'There, cpu'), await column(at, /^Values of/, 'Difference')];
    equal(differences, ours.map((v, i) => v - theirs[i]), 'differences');
    equal([ours[0], theirs[0]], [compared.here, compared.there], 'those that differ most');
    equal((await address(page)).get('compare'), which, 'the device in the address');
    await accessible(page, 'a comparison');
    clean(faults);
  },

  async theme(browser) {
    const { page } = await open(browser, '', { colorScheme: 'light' });
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    await page.getByRole('button', { name: /^Colours/ }).click();
    if ((await ground()) === light) fail('dark colours are those of light');
    await page.reload();
    await settle(page);
    if ((await ground()) === light) fail('the choice of colours is forgotten');
  },
};
