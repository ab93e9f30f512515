// Runs the checks in a browser, and writes a line of JSON for each: its name, and what is wrong, if anything.
import { checks } from './checks.mjs';
import { launch } from './browser.mjs';

const browser = await launch();
const only = process.env.ONLY;
for (const [name, check] of Object.entries(checks)) {
  if (only && only !== name) continue;
  let wrong = '';
  const began = performance.now();
  try {
    await check(browser);
  } catch (err) {
    wrong = String(err?.stack ?? err);
  }
  for (const context of browser.contexts()) await context.close();
  console.log(JSON.stringify({ name, wrong, seconds: (performance.now() - began) / 1000 }));
}
await browser.close();
