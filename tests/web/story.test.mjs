// The night: a drift, a halt, a release, a restart, on one open page.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { PHONE, Visit, launch } from './browser.mjs';
import { Exporter, books, order, until } from './exporter.mjs';

// Generous, but far below the interval of polling: the stream must have told.
const STREAM_MS = 2_500;

describe('the night', () => {
  let browser;
  let exporter;
  let visit;
  before(async () => {
    browser = await launch();
    exporter = await Exporter.started();
  });
  after(async () => {
    await browser?.close();
    await exporter?.end();
  });

  test('before the first event there is no data, and nothing that looks like good news', async () => {
    visit = await Visit.to(browser, exporter.url);
    await visit.ready();
    await visit.says('#cards .hero', 'No account is known yet');
    const text = await visit.text('#cards');
    assert.doesNotMatch(text, /100 %|0\.0 %/);
    await visit.checkAccess();
    await visit.picture('empty');
  });

  test('an account appears, and figures without samples are no data', async () => {
    await exporter.post([...books('paper', 'AAPL', '100', '100'), { type: 'heartbeat', account: 'paper', component: 'engine' }]);
    await visit.says('#cards .hero', 'Trading is allowed in the one account', 12_000);
    await visit.page.waitForSelector('#execution .tile');
    const tiles = await visit.text('#execution .tiles');
    assert.equal(tiles.match(/no data/g).length, 4, tiles);
    await exporter.post([0, 1, 2, 3].flatMap((n) => order('paper', 'MSFT', `O-${n}`, n === 3 ? 'rejected' : 'filled')));
    await visit.says('#execution .tile:has-text("Fill ratio")', '75.0 %', 12_000);
    await visit.says('#execution .tile:has-text("Slippage")', '+2.00 bps');
    await visit.says('#execution .tile:has-text("Slippage")', '3 samples');
    await visit.says('#execution .tile:has-text("Rejected")', '25.0 %');
  });

  test('a drift and its halt appear by themselves', async (t) => {
    await visit.says('#connection', 'live');
    await visit.page.evaluate(() => { window.sameDocument = true; });
    const answer = await exporter.post(books('paper', 'AAPL', '100.10', '88.1'));
    const posted = performance.now();
    assert.equal(answer.states.paper, 'halted');
    await visit.page.waitForSelector('#cards .hero[data-state=halted]', { timeout: STREAM_MS });
    t.diagnostic(`the page shows the halt after ${Math.round(performance.now() - posted)} ms`);
    assert.equal(await visit.page.evaluate(() => window.sameDocument), true);
    await visit.says('#causes', 'CRITICAL drift 1 (quantity_mismatch) of AAPL');
    const drift = await visit.text('#drifts .drift');
    for (const part of ['AAPL', 'critical', '100.1', '88.1', '12', 'Trading was halted']) assert.ok(drift.includes(part), drift);
    assert.match(await visit.page.title(), /HALTED/);
    await visit.says('#announcement', 'paper is now halted');
    for (const [card, section] of [['.hero', 'tradinghalted'], ['#drifts', 'positiondrift']]) {
      const link = await visit.page.locator(`#cards ${card} a.runbook`).first().getAttribute('href');
      assert.equal(link, `runbooks#${section}`);
    }
    await visit.picture('light');
    await visit.page.emulateMedia({ colorScheme: 'dark' });
    await visit.picture('dark');
    await visit.checkAccess();
  });

  test('a release needs the name of the account', async () => {
    await visit.page.click('[data-release=paper]');
    await visit.page.fill('#actor', 'ann');
    await visit.page.fill('#reason', 'the book is corrected');
    await visit.page.fill('#confirmation', 'papers');
    await visit.page.click('dialog [type=submit]');
    await visit.says('#refusal', 'Not sent: the confirmation is not the name of the account.');
    assert.equal((await exporter.get('audit')).filter(({ action }) => action === 'release').length, 0);
    await visit.checkAccess();
    await visit.picture('release');
  });

  test('the exporter refuses an open cause and an old epoch, and the form says so', async () => {
    visit.expected.push(/409 \(Conflict\)/);
    await visit.page.fill('#confirmation', 'paper');
    await visit.page.click('dialog [type=submit]');
    await visit.says('#refusal', '(cause_open)');
    assert.ok(await visit.page.isVisible('#force'));
    await exporter.halt('paper', 'somebody else looks at it');
    await visit.says('#causes', 'somebody else looks at it', STREAM_MS);
    await visit.page.click('dialog [type=submit]');
    await visit.says('#refusal', '(stale_epoch)');
    await visit.says('#refusal', 'read the permit and decide again');
    await visit.page.keyboard.press('Escape');
    await visit.page.waitForSelector('dialog[open]', { state: 'detached' });
  });

  test('the right release is done, and is in the audit trail', async () => {
    await exporter.post(books('paper', 'AAPL', '88.1', '88.1'));
    await visit.says('#drifts', 'Engine and broker agree', STREAM_MS);
    // By the keyboard alone.
    await visit.page.focus('[data-release=paper]');
    await visit.page.keyboard.press('Enter');
    assert.equal(await visit.page.evaluate(() => document.activeElement.id), 'actor');
    for (const text of ['ann', 'corrected by hand', 'paper']) {
      await visit.page.keyboard.press('Control+A');
      await visit.page.keyboard.type(text);
      await visit.page.keyboard.press('Tab');
    }
    await visit.page.keyboard.press('Shift+Tab');
    await visit.page.keyboard.press('Enter');
    await visit.says('#said', 'Released: paper is now active');
    await visit.page.waitForSelector('#cards .hero[data-state=active]', { timeout: STREAM_MS });
    await visit.says('#audit tbody', 'corrected by hand');
    const release = (await exporter.get('audit')).findLast(({ action, refused }) => action === 'release' && refused == null);
    assert.deepEqual([release.actor, release.reason, release.state], ['ann', 'corrected by hand', 'active']);
    await visit.says('#audit tbody', 'refused: stale epoch');
  });

  test('a person halts from the page', async () => {
    await visit.page.click('[data-halt]');
    await visit.page.selectOption('#account', 'paper');
    await visit.page.selectOption('#state', 'reducing');
    await visit.page.click('dialog [type=submit]');
    await visit.says('#refusal', 'Fill in: Reason.');
    await visit.page.fill('#reason', 'maintenance');
    await visit.page.click('dialog [type=submit]');
    await visit.page.waitForSelector('#cards .hero[data-state=reducing]', { timeout: STREAM_MS });
    await visit.says('#causes', 'maintenance', STREAM_MS);
  });

  test('while the exporter is away the page says so and dims, and it recovers', async () => {
    visit.expected.push(/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_NETWORK|503 \(/);
    await exporter.stop();
    await visit.says('#banner', 'The exporter does not answer', 15_000);
    await visit.says('#banner', 'The last answer came');
    assert.ok(await visit.page.evaluate(() => document.body.classList.contains('stale')));
    await visit.says('#connection', 'away');
    assert.match(await visit.page.title(), /^away/);
    await visit.says('#cards .hero', 'reducing');
    await visit.picture('away');
    await exporter.start();
    await visit.page.waitForSelector('body:not(.stale)', { timeout: 15_000 });
    await visit.says('#connection', 'live', 15_000);
    await visit.page.waitForSelector('#banner', { state: 'hidden' });
    // It follows the stream of the new process.
    await exporter.halt('paper', 'after the restart');
    await visit.page.waitForSelector('#cards .hero[data-state=halted]', { timeout: STREAM_MS });
    await visit.end();
  });

  test('without a stream the page polls', async () => {
    const polling = await Visit.to(browser, 'about:blank');
    polling.expected.push(/ERR_FAILED/);
    await polling.context.route('**/api/v1/stream', (route) => route.abort());
    await polling.page.goto(exporter.url);
    await polling.ready();
    await polling.says('#connection', 'polling');
    await exporter.halt('paper', 'seen by polling');
    await polling.says('#causes', 'seen by polling', 12_000);
    polling.strangers = [];
    await polling.end();
  });

  test('without a script the page says the state', async () => {
    const plain = await Visit.to(browser, exporter.url, { javaScriptEnabled: false });
    await plain.says('#summary', 'Trading: halted');
    // The switch of the browser does not reach this element.
    assert.match(await (await fetch(exporter.url)).text(), /<noscript>.*need JavaScript/);
    await plain.picture('noscript');
    await plain.end();
  });

  test('a phone shows all of it without scrolling sideways', async () => {
    const phone = await Visit.to(browser, exporter.url, { viewport: PHONE });
    await phone.ready();
    await phone.checkWidth();
    await phone.checkAccess();
    await phone.picture('phone');
    await phone.page.click('[data-release=paper]');
    await phone.checkWidth();
    await phone.end();
  });

  test('the page of an account that nobody knows is refused', async () => {
    const answer = await fetch(`${exporter.url}accounts/papre`);
    assert.equal(answer.status, 404);
    assert.equal((await answer.json()).code, 'unknown_account');
    await until('an account page', async () => (await fetch(`${exporter.url}accounts/paper`)).status === 200);
  });
});
