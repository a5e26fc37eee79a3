// Much, long and hostile data: bounded drawing, and text that stays text.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { PHONE, Visit, launch } from './browser.mjs';
import { Exporter, books, order } from './exporter.mjs';

const SYMBOLS = 500;
const ACCOUNTS = 50;
// More than this many elements would be a page that draws everything.
const ELEMENTS_MAX = 2_500;

const HOSTILE = [
  '<script>window.hacked=1</script>',
  '<img src=x onerror=window.hacked=1>',
  '"><svg onload=window.hacked=1>',
  '{{summary}}&amp;__proto__',
  'עברית-\u05d0\u05d1\u05d2/USDT',
  'constructor',
  'W'.repeat(128),
];

describe('much', () => {
  let browser;
  let exporter;
  before(async () => {
    browser = await launch();
    exporter = await Exporter.started();
    const symbol = (n) => `SYM${String(n).padStart(3, '0')}.XNAS`;
    const rows = (side) => Array.from({ length: SYMBOLS }, (_, n) => ({
      symbol: symbol(n), quantity: `${side === 'local' && n % 2 === 0 ? 3 * n + 1 : 2 * n}.000000000000000001`, market_price: '10',
    }));
    const list = (source) => ({ type: 'positions', account: 'large', source, positions: rows(source) });
    await exporter.post([list('local'), list('broker')]);
    await exporter.post(Array.from({ length: SYMBOLS }, (_, n) => order('large', symbol(n), `L-${n}`)).flat());
    for (let n = 0; n < ACCOUNTS; n += 1) {
      await exporter.post([
        ...books(`desk-${n}`, 'AAPL', '1', '1'),
        ...order(`desk-${n}`, 'AAPL', 'O-1'),
        { type: 'heartbeat', account: `desk-${n}`, component: 'engine', status: n % 7 === 3 ? 'degraded' : 'healthy', message: 'a message' },
      ]);
    }
    await exporter.halt('desk-42', 'the worst account leads');
  });
  after(async () => {
    await browser?.close();
    await exporter?.end();
  });

  async function check(url, name, options) {
    const visit = await Visit.to(browser, url, options);
    await visit.ready();
    const elements = await visit.page.evaluate(() => document.querySelectorAll('*').length);
    assert.ok(elements < ELEMENTS_MAX, `${elements} elements`);
    await visit.checkWidth();
    await visit.picture(name);
    return visit;
  }

  test('500 symbols are a few pages of a table', async () => {
    const visit = await check(`${exporter.url}accounts/large`, 'symbols');
    await visit.says('#positions', 'of 500');
    // A quantity is shown as it is, to the last digit.
    await visit.page.fill('[data-filter=positions]', 'sym499');
    await visit.page.waitForFunction(() => document.querySelectorAll('#positions tbody tr').length === 1);
    await visit.says('#positions tbody', '998.000000000000000001');
    await visit.page.fill('[data-filter=positions]', '');
    await visit.page.click('#drifts [data-step="1"]');
    await visit.says('#drifts .turner', '6–10 of');
    await visit.checkAccess();
    await visit.end();
    await (await check(`${exporter.url}accounts/large`, 'symbols-phone', { viewport: PHONE })).end();
  });

  test('50 accounts, the worst first', async () => {
    const visit = await check(exporter.url, 'accounts');
    const first = await visit.text('#accounts tbody tr:first-child th');
    const worst = (await exporter.get('accounts')).filter(({ state }) => state !== 'active').map(({ account }) => account);
    assert.ok(worst.includes(first), `${first} of ${worst}`);
    await visit.says('#accounts .turner', 'of 51');
    await visit.says('#causes', 'the worst account leads');
    await visit.end();
    await (await check(exporter.url, 'accounts-phone', { viewport: PHONE })).end();
  });

  test('events in a flood make few requests', async () => {
    const visit = await Visit.to(browser, exporter.url);
    await visit.ready();
    let asked = 0;
    visit.page.on('request', () => { asked += 1; });
    for (let n = 0; n < 60; n += 1) await exporter.halt('desk-1', `flood ${n}`);
    await visit.says('#audit tbody', 'flood 59');
    assert.ok(asked < 300, `${asked} requests`);
    await visit.end();
  });
});

describe('hostile', () => {
  let browser;
  let exporter;
  before(async () => {
    browser = await launch();
    exporter = await Exporter.started();
    for (const [n, name] of HOSTILE.entries()) {
      await exporter.post([
        ...books(name, name, '100', '1'),
        { type: 'heartbeat', account: name, component: name, status: 'unhealthy', message: `${name} \u202e fails` },
        ...order(name, name, `O-${n}`),
      ].filter((event) => event.type !== 'heartbeat' || n < HOSTILE.length));
      await exporter.halt(name, name, name.slice(0, 64));
    }
  });
  after(async () => {
    await browser?.close();
    await exporter?.end();
  });

  async function check(url, name, options) {
    const visit = await Visit.to(browser, url, options);
    await visit.ready();
    assert.equal(await visit.page.evaluate(() => window.hacked), undefined);
    assert.equal(await visit.page.locator('main img, main script').count(), 0);
    await visit.checkWidth();
    await visit.picture(name);
    return visit;
  }

  test('names are text', async () => {
    const visit = await check(exporter.url, 'hostile');
    const text = await visit.page.evaluate(() => document.querySelector('#cards').textContent);
    for (const name of HOSTILE.slice(0, 3)) assert.ok(text.includes(name), name);
    await visit.end();
    await (await check(exporter.url, 'hostile-phone', { viewport: PHONE })).end();
  });

  test('each has its page', async () => {
    for (const name of HOSTILE) {
      const visit = await Visit.to(browser, `${exporter.url}accounts/${encodeURIComponent(name)}`);
      await visit.ready();
      assert.equal(await visit.page.locator('#where').textContent(), name);
      assert.equal(await visit.page.evaluate(() => window.hacked), undefined);
      await visit.says('#causes', name);
      await visit.page.click('#causes [data-release]');
      await visit.page.fill('#actor', 'ann');
      await visit.page.fill('#reason', 'seen');
      await visit.page.fill('#confirmation', name);
      await visit.page.click('dialog [type=submit]');
      visit.expected.push(/409 \(Conflict\)/);
      await visit.says('#refusal', '(cause_open)');
      await visit.end();
    }
  });
});
