// The words of the page against those of the API, and its links against the runbooks.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { Exporter } from './exporter.mjs';

const ROOT = path.resolve(process.env.ROOT ?? '../..');
const read = (file) => import(pathToFileURL(path.join(ROOT, 'web', file)));

let exporter;
before(async () => {
  globalThis.document = { body: { dataset: { base: '' } } };
  exporter = await Exporter.started();
});
after(() => exporter?.end());

test('every word of the API has a text', async () => {
  const words = await read('words.js');
  const { components: { schemas } } = await exporter.get('openapi.json');
  const tables = {
    TradingState: words.STATES,
    HealthState: words.HEALTH,
    Severity: words.SEVERITY,
    Level: words.LEVEL,
    Figure: words.FIGURES,
    Missing: words.EVIDENCE,
    Attribution: words.ATTRIBUTION,
  };
  for (const [schema, table] of Object.entries(tables)) {
    assert.deepEqual(Object.keys(table).sort(), [...schemas[schema].enum].sort(), schema);
  }
});

test('every link leads to a section of the runbooks', async () => {
  const words = await read('words.js');
  const sections = readFileSync(path.join(ROOT, 'docs/runbooks.md'), 'utf8')
    .split('\n').filter((line) => line.startsWith('## ')).map((line) => line.slice(3).toLowerCase());
  const source = ['words.js', 'health.js', 'trading.js', 'drifts.js', 'execution.js']
    .map((file) => readFileSync(path.join(ROOT, 'web', file), 'utf8')).join('\n');
  const named = [...source.matchAll(/runbook(?:: |\()'(\w+)'/g)].map(([, section]) => section);
  for (const drift of [{ price_unknown: true }, { decided_by: 'reconcile_failed' }, { decided_by: 'value' }]) named.push(words.driftRunbook(drift));
  for (const component of [{ silent: true }, { status: 'degraded' }]) named.push(words.componentRunbook(component));
  assert.ok(named.length > 15, named.join());
  assert.deepEqual(named.filter((word) => !sections.includes(word)), []);
});

test('numbers keep what they are', async () => {
  const format = await read('format.js');
  const check = (found, expect) => assert.equal(found, expect);
  check(format.percent(0.7161), '71.6 %');
  check(format.percent(1), '100.0 %');
  check(format.bps(1.7076), '+1.71 bps');
  check(format.bps(-0.131), '−0.13 bps');
  check(format.bps(-0.001), '0.00 bps');
  check(format.seconds(0.4), '400 ms');
  check(format.seconds(4.408), '4.41 s');
  check(format.seconds(59.99), '60.0 s');
  check(format.seconds(10), '10 s');
  check(format.seconds(61), '1 min 1 s');
  check(format.seconds(90_000), '1 d 1 h');
  check(format.bytes(1536), '1.5 KiB');
  check(format.exact('0.000000000000000001'), '0.000000000000000001');
});
