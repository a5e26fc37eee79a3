// Tokens and users, other hosts, the prefix, and what the browser is allowed to do.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Visit, launch } from './browser.mjs';
import { Exporter, books, tokens } from './exporter.mjs';

const MINUTE_MS = 60_000;

const CONFIG = tokens({
  engine: ['ingest', 'halt'],
  broker: ['"ingest:broker"'],
  desk: ['read', 'metrics'],
  scraper: ['metrics'],
  chief: ['release'],
  guest: ['read'],
}).replace(/(name: guest.*)}/, '$1, accounts: [paper]}');

// The browser of somebody who types a token as the password.
function as(name) {
  return { httpCredentials: { username: 'anybody', password: `secret-${name}` } };
}

describe('with tokens', () => {
  let browser;
  let exporter;
  before(async () => {
    browser = await launch();
    exporter = await Exporter.started({ config: CONFIG, token: 'secret-engine' });
    const [local, broker] = books('paper', 'AAPL', '1', '1');
    await exporter.post([local]);
    await exporter.call('POST', 'api/v1/events', [broker], 'secret-broker');
    await exporter.halt('paper');
  });
  after(async () => {
    await browser?.close();
    await exporter?.end();
  });

  test('the browser asks for the password, and reads with it', async () => {
    assert.equal((await fetch(exporter.url)).status, 401);
    const visit = await Visit.to(browser, exporter.url, as('desk'));
    await visit.ready();
    await visit.says('#connection', 'live');
    await visit.says('#cards .hero', 'Trading is halted');
    await visit.end();
  });

  test('the page of an account reads with it, too', async () => {
    const visit = await Visit.to(browser, `${exporter.url}accounts/paper`, as('desk'));
    await visit.ready();
    await visit.says('#connection', 'live');
    await visit.says('#where', 'paper');
    await visit.says('#causes', 'by the test');
    await visit.says('#positions', 'AAPL');
    await visit.end();
  });

  test('a token that may not read is told so, and its page makes no noise', async () => {
    const visit = await Visit.to(browser, exporter.url, { ...as('scraper'), withClock: true });
    visit.expected.push(/403 \(Forbidden\)/);
    await visit.says('#cards .hero', 'the token needs the scope read');
    assert.doesNotMatch(await visit.text('main'), /paper/);
    // Refusals raise an alert.
    await visit.page.clock.runFor(MINUTE_MS);
    assert.ok(visit.errors.length <= 6, `${visit.errors.length} refusals`);
    await visit.end();
  });

  test('a token for one account sees this account alone', async () => {
    const visit = await Visit.to(browser, exporter.url, { ...as('guest'), withClock: true });
    visit.expected.push(/403 \(Forbidden\)/);
    await visit.ready();
    await visit.says('#connection', 'live');
    await visit.says('#causes', 'by the test');
    await visit.page.clock.runFor(MINUTE_MS);
    // Once for the permit of all accounts, once for the metrics.
    assert.ok(visit.errors.length <= 2, `${visit.errors}`);
    await visit.end();
  });

  test('a release needs a token that may release', async () => {
    const visit = await Visit.to(browser, exporter.url, as('desk'));
    visit.expected.push(/40[13] \((Unauthorized|Forbidden)\)/);
    await visit.ready();
    const release = async (token) => {
      await visit.page.fill('#token', token);
      await visit.page.click('dialog [type=submit]');
    };
    await visit.page.click('[data-release=paper]');
    await visit.page.fill('#actor', 'ann');
    await visit.page.fill('#reason', 'looked at');
    await visit.page.fill('#confirmation', 'paper');
    await visit.page.click('dialog [type=submit]');
    await visit.says('#refusal', 'Fill in: Token.');
    await release('secret-unknown');
    await visit.says('#refusal', '(unauthorized)');
    await release('secret-desk');
    await visit.says('#refusal', 'the token needs the scope release');
    await release('secret-chief');
    await visit.says('#said', 'Released: paper is now active');
    await visit.says('#audit', 'chief');
    assert.equal(await visit.page.locator('#token').count(), 0, 'the token is not kept');
    await visit.end();
  });
});

describe('the frame', () => {
  let browser;
  let exporter;
  before(async () => {
    browser = await launch();
    exporter = await Exporter.started({ prefix: '/desk/te' });
    await exporter.post(books('paper', 'AAPL', '100', '88'));
  });
  after(async () => {
    await browser?.close();
    await exporter?.end();
  });

  test('everything works below a prefix', async () => {
    const visit = await Visit.to(browser, new URL('/', exporter.url).href);
    assert.equal(visit.page.url(), exporter.url);
    await visit.ready();
    await visit.says('#connection', 'live');
    await visit.page.click('#accounts a');
    await visit.page.waitForURL(`${exporter.url}accounts/paper`);
    await visit.ready();
    await visit.says('#connection', 'live');
    await visit.picture('account');
    await visit.page.click('#drifts a.runbook');
    await visit.page.waitForURL(`${exporter.url}runbooks#positiondrift`);
    assert.equal(await visit.page.locator('#positiondrift').count(), 1);
    await visit.end();
  });

  test('the policy lets nothing run but our files', async () => {
    const answer = await fetch(exporter.url);
    const policy = answer.headers.get('content-security-policy');
    assert.doesNotMatch(policy, /unsafe|\*|data:/);
    for (const rule of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"]) {
      assert.ok(policy.includes(rule), policy);
    }
    const page = await answer.text();
    assert.doesNotMatch(page, /https?:\/\//);
    assert.doesNotMatch(page, / on\w+=| style=|<style|<script>/);
  });

  test('files are asked for again, and sent once', async () => {
    const url = `${exporter.url}web/main.js`;
    const first = await fetch(url);
    assert.equal(first.status, 200);
    assert.match(first.headers.get('content-type'), /^text\/javascript/);
    const again = await fetch(url, { headers: { 'if-none-match': first.headers.get('etag') } });
    assert.equal(again.status, 304);
    for (const name of ['shell.html', '..%2Fshell.html', 'nothing.js']) {
      assert.equal((await fetch(`${exporter.url}web/${name}`)).status, 404, name);
    }
  });
});
