// The real binary, and what is sent to it.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const BINARY = path.resolve(process.env.ROOT ?? '../..', 'target/debug/trading-exporter');
const START_MS = 30_000;

export const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// Waits until `condition()` is true or returns something.
export async function until(what, condition, limitMs = 10_000) {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await pause(20);
  }
}

export function tokens(scopes) {
  const lines = Object.entries(scopes).map(([name, list]) => {
    const sha256 = createHash('sha256').update(`secret-${name}`).digest('hex');
    return `- {name: ${name}, sha256: ${sha256}, scopes: [${list}]}`;
  });
  return `tokens:\n${lines.join('\n')}\n`;
}

export class Exporter {
  #child = null;
  #folder = mkdtempSync(path.join(tmpdir(), 'page-'));
  #output = '';
  port = 0;

  // config: text of the configuration. prefix: of every path. The journal is on disk, so it can be stopped and
  // started again.
  constructor({ config = '', prefix = '', token = null } = {}) {
    this.prefix = prefix;
    this.token = token;
    writeFileSync(path.join(this.#folder, 'exporter.yml'), config);
  }

  static async started(options) {
    const exporter = new Exporter(options);
    await exporter.start();
    return exporter;
  }

  async start() {
    this.#output = '';
    this.#child = spawn(BINARY, [
      `--config.file=${path.join(this.#folder, 'exporter.yml')}`,
      `--storage.path=${path.join(this.#folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${this.port}`,
      ...(this.prefix ? [`--web.route-prefix=${this.prefix}`] : []),
    ], { env: { NO_COLOR: '1' } });
    const keep = (bytes) => { this.#output += bytes; };
    this.#child.stdout.on('data', keep);
    this.#child.stderr.on('data', keep);
    const address = await until('the exporter listens', () => {
      if (this.#child.exitCode !== null) throw new Error(this.#output);
      return /listening.*address=127\.0\.0\.1:(\d+)/.exec(this.#output)?.[1];
    }, START_MS);
    this.port = Number(address);
  }

  async stop(signal = 'SIGTERM') {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => { child.once('exit', resolve); });
    child.kill(signal);
    await ended;
  }

  async end() {
    await this.stop('SIGKILL');
    rmSync(this.#folder, { recursive: true });
  }

  get url() {
    return `http://127.0.0.1:${this.port}${this.prefix}/`;
  }

  async call(method, place, body, token = this.token) {
    const headers = { 'content-type': 'application/json' };
    if (token) headers.authorization = `Bearer ${token}`;
    const answer = await fetch(this.url + place, { method, headers, body: body && JSON.stringify(body) });
    const value = await answer.json();
    if (!answer.ok) throw new Error(`${place}: ${answer.status} ${JSON.stringify(value)}`);
    return value;
  }

  get(place) {
    return this.call('GET', `api/v1/${place}`);
  }

  post(events) {
    return this.call('POST', 'api/v1/events', events);
  }

  halt(account, reason = 'by the test', actor = 'test') {
    return this.call('POST', 'api/v1/halts', { account, reason, actor });
  }
}

// Two books of one symbol, which differ or not.
export function books(account, symbol, local, broker, more = {}) {
  const list = (source, quantity, price) => ({
    type: 'positions', account, source, complete: true, positions: [{ symbol, quantity, ...price }], ...more,
  });
  return [list('local', local, {}), list('broker', broker, { market_price: '187.5' })];
}

// An order that was filled, with a slippage of 2 bps.
export function order(account, symbol, id, end = 'filled') {
  const common = { account, order_id: id, symbol, side: 'buy' };
  const submitted = { type: 'order_submitted', ...common, quantity: '10', expected_price: '100' };
  if (end === 'rejected') return [submitted, { type: 'order_rejected', ...common, reason: 'insufficient funds' }];
  return [submitted, { type: 'order_filled', ...common, fill_id: `${id}-1`, quantity: '10', price: '100.02' }];
}
