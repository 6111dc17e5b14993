// Looks at the page as people do, in a real browser.
//
//     node look.mjs TASK URL PACKAGES FOLDER
//
// `numbers` prints what the page shows as JSON; `behave` uses it, and fails where it
// does not behave; `stale` waits until it says that nothing comes any more. Pictures
// go to the folder.

import { strict as assert } from 'node:assert';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const [task, url, packages, folder] = process.argv.slice(2);
const require = createRequire(`${packages}/`);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const complaints = [];

async function open(browser, options = {}, hash = '') {
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, ...options });
  const page = await context.newPage();
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) {
      complaints.push(message.text());
    }
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(url)) {
      complaints.push(`a request to ${request.url()}`);
    }
  });
  await page.goto(url + hash);
  await page.waitForSelector('#state[data-state="live"]');
  await page.waitForFunction(() => document.querySelector('.panel[data-of="tld"] tbody tr'));
  return page;
}

async function numbers(page) {
  // Rates need two looks, and this one needs the newest.
  await page.waitForTimeout(2500);
  return page.evaluate(() => {
    const total = (id) => Number(document.getElementById(id).dataset.total);
    const lists = {};
    for (const panel of document.querySelectorAll('.panel[data-of]')) {
      const rows = [...panel.querySelectorAll('tbody tr')];
      lists[panel.dataset.of] = Object.fromEntries(
        rows.map((row) => [
          row.querySelector('.text').textContent,
          [Number(row.dataset.total), row.children[2].textContent],
        ]),
      );
    }
    const shown = (id) => document.querySelector(`#${id} .detail`).textContent;
    return {
      queries: total('figure-queries'),
      responses: total('figure-responses'),
      shown: [shown('figure-queries'), shown('figure-responses')],
      lists,
    };
  });
}

async function updates(page) {
  const before = await page.locator('#figure-queries').getAttribute('data-total');
  await page.waitForFunction(
    (total) => Number(document.getElementById('figure-queries').dataset.total) > total,
    Number(before),
    { timeout: 5000 },
  );
  assert.notEqual(await page.locator('#figure-queries .value').textContent(), '0/s');
}

async function filters(browser, page) {
  const row = page.locator('#panel-qtype').getByRole('button', { name: 'A', exact: true });
  await row.click();
  await page.waitForFunction(() => location.hash === '#filter=qtype%3AA');
  await page.waitForFunction(() => !document.getElementById('panel-qname').querySelector('.note').hidden);
  // What crosses types is shown, what does not says so, and how to have it.
  assert.ok(await page.locator('#panel-tld tbody tr').count());
  const note = await page.locator('#panel-qname .note').textContent();
  assert.match(note, /^No dataset crosses qname with qtype; for one, add a \[\[dataset\]\]/);
  assert.equal(await row.getAttribute('aria-pressed'), 'true');
  assert.match(await page.locator('#filter').textContent(), /Lists show A/);
  // Who is sent the address sees the same.
  const other = await open(browser, {}, '#filter=qtype%3AA');
  assert.match(await other.locator('#filter-text').textContent(), /^A /);
  await other.context().close();
  await page.goBack();
  await page.waitForFunction(() => document.getElementById('filter').hidden);
  await page.waitForFunction(() => document.getElementById('panel-qname').querySelector('.note').hidden);
  // By keyboard as well, and the focus stays where it was while rows move.
  await row.focus();
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => !document.getElementById('filter').hidden);
  await page.waitForTimeout(2200);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'A');
  await page.getByRole('button', { name: 'Show all' }).click();
  await page.waitForFunction(() => location.hash === '');
}

async function themes(page) {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const toggle = page.locator('#theme');
  const light = await ground();
  await toggle.click();
  assert.equal(await toggle.textContent(), 'Theme: light');
  assert.equal(await ground(), light);
  await toggle.click();
  assert.equal(await toggle.textContent(), 'Theme: dark');
  assert.notEqual(await ground(), light);
  await page.reload();
  assert.equal(await toggle.textContent(), 'Theme: dark', 'it is kept');
  await toggle.click();
  assert.equal(await ground(), light);
}

// No name is markup, whatever it is.
async function hostile(page) {
  const texts = await page.locator('#panel-qname .text').allTextContents();
  assert.ok(texts.some((text) => text.includes('<img')), `the hostile name is not shown: ${texts}`);
  assert.equal(await page.locator('main img, main script, main iframe').count(), 0);
}

async function accessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
  const said = serious.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((n) => n.html).slice(0, 3)}`);
  assert.deepEqual(said, [], `${what}: not accessible`);
}

async function looks(browser) {
  for (const [what, width, colorScheme] of [
    ['light', 1440, 'light'],
    ['dark', 1440, 'dark'],
    ['phone', 360, 'light'],
  ]) {
    const page = await open(browser, { viewport: { width, height: 900 }, colorScheme });
    await page.waitForTimeout(1200);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= width, `${what}: ${wide} pixels wide`);
    await accessible(page, what);
    await page.screenshot({ path: `${folder}/page-${what}.png`, fullPage: true });
    await page.context().close();
  }
}

async function behave(browser) {
  const page = await open(browser);
  await updates(page);
  await hostile(page);
  await filters(browser, page);
  await themes(page);
  await page.context().close();
  await looks(browser);
}

async function stale(browser) {
  const page = await open(browser);
  console.log('live');
  await page.waitForSelector('#state[data-state="stale"]', { timeout: 20000 });
  const said = await page.locator('#state').textContent();
  assert.match(said, /^stale: nothing new for \d+/);
  // The lost connection is what the browser complains of.
  complaints.length = 0;
}

const browser = await chromium.launch({
  executablePath: process.env.XDSC_BROWSER ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
});
try {
  if (task === 'numbers') {
    console.log(JSON.stringify(await numbers(await open(browser))));
  } else if (task === 'behave') {
    await behave(browser);
  } else {
    await stale(browser);
  }
  assert.deepEqual(complaints, []);
} finally {
  await browser.close();
}
