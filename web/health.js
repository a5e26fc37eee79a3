// Whether everything is alive: components, missing evidence, and the exporter itself.

import { h, name } from './dom.js';
import { age, ago, bytes, count, none, plural, seconds, time, words } from './format.js';
import { EVIDENCE, HEALTH, componentRunbook, entry, runbook, tag } from './words.js';
import { strip } from './spark.js';
import { card, instead, loading, paged, table } from './table.js';

const COMPONENTS = 12;

export function componentsCard(store) {
  const { health } = store;
  if (health == null) return card('components', 'Components', null, store.refusals.health ? instead('', store.refusals.health) : loading());
  const rank = (row) => entry(HEALTH, row.status).rank;
  const rows = [...health.components].sort((a, b) => rank(b) - rank(a) || b.critical - a.critical || a.component.localeCompare(b.component));
  const { shown, turner } = paged('components', rows, COMPONENTS);
  const columns = [
    { title: 'Component', main: true, cell: (row) => [name(row.component), h('span', { class: 'note' }, ' ', row.account === '*' ? 'probe' : store.focus == null && name(row.account), row.critical && ' critical')] },
    { title: 'State', cell: (row) => [tag(HEALTH, row.status), row.silent && h('span', { class: 'note' }, ' silent')] },
    { title: 'Last results', cell: (row) => {
      const results = store.histories.get(JSON.stringify([row.account, row.component]));
      return results == null ? none('–') : strip(results);
    } },
    { title: 'Last check', class: 'num', cell: (row) => ago(row.last_check_at) },
    { title: 'Took', class: 'num', cell: (row) => (row.latency_seconds == null ? none('–') : seconds(row.latency_seconds)) },
    { title: 'Message', class: 'wide', cell: (row) => [row.message ? h('span', { dir: 'auto' }, row.message) : none('–'), ' ', runbook(componentRunbook(row))] },
  ];
  return card('components', 'Components', ['system ', tag(HEALTH, health.status)],
    evidence(store),
    rows.length === 0
      ? instead('No component has reported yet, and no probe is configured.')
      : [table('Components, the worst first', columns, shown, (row) => JSON.stringify([row.account, row.component])), turner]);
}

function evidence(store) {
  const rows = store.health.missing_evidence;
  if (rows.length === 0) return null;
  const { shown, turner } = paged('missing evidence', rows, 6);
  return h('div', { class: 'missing' },
    h('h3', {}, 'Missing evidence'),
    h('ul', {}, shown.map((row) => h('li', { 'data-key': `${row.account} ${row.kind}` },
      name(row.account), `: ${entry(EVIDENCE, row.kind).title}, due since `, time(row.since), '. ', runbook(entry(EVIDENCE, row.kind).runbook)))),
    turner);
}

// One family of the exporter's metrics, added up; null if it is not there.
function sum(metrics, family) {
  const rows = metrics?.get(family);
  return rows == null ? null : rows.reduce((total, row) => total + row.value, 0);
}

function journal(metrics) {
  const mode = metrics.get('trading_exporter_journal_durability')?.find((row) => row.value === 1)?.labels.durability;
  const errors = sum(metrics, 'trading_exporter_journal_errors_total');
  const text = mode === 'memory' ? 'in memory: a restart forgets' : `${mode ?? 'unknown'}, ${bytes(sum(metrics, 'trading_exporter_journal_bytes') ?? 0)}`;
  return errors > 0
    ? [h('span', { class: 'alarm' }, `${text}; refused ${plural(errors, 'batch', 'batches')} `), runbook('journalfailing')]
    : [text];
}

function webhooks(metrics) {
  const pending = metrics.get('trading_exporter_webhook_pending') ?? [];
  if (pending.length === 0) return null;
  const paused = (metrics.get('trading_exporter_webhook_breaker_open') ?? []).filter((row) => row.value > 0);
  const lost = (metrics.get('trading_exporter_webhook_deliveries_total') ?? []).filter((row) => row.labels.outcome === 'dropped')
    .reduce((total, row) => total + row.value, 0);
  return [
    `${plural(pending.length, 'target')}, ${plural(sum(metrics, 'trading_exporter_webhook_pending'), 'message')} waiting. `,
    paused.length > 0 && [h('span', { class: 'alarm' }, `Paused: ${paused.map((row) => row.labels.sink).join(', ')}. `), runbook('webhookfailing'), ' '],
    lost > 0 && [h('span', { class: 'alarm' }, `${plural(lost, 'message')} given up. `), runbook('webhooklost')],
  ];
}

export function exporterCard(store) {
  const { ready, series, metrics } = store.exporter;
  const { version } = document.body.dataset;
  const started = sum(metrics, 'process_start_time_seconds');
  const permit = store.permits.get(store.account ?? '*') ?? [...store.permits.values()][0];
  const watchdog = permit?.health.watchdog_age_seconds;
  const item = (title, ...value) => h('div', { 'data-key': title }, h('dt', {}, title), h('dd', {}, value));
  const used = sum(metrics, 'trading_exporter_state_bytes');
  const limit = sum(metrics, 'trading_exporter_state_bytes_limit');
  return card('exporter', 'Exporter', `version ${version}`,
    h('dl', { class: 'list' },
      item('Ready', ready == null ? none('not asked yet')
        : ready.ok ? tag(HEALTH, 'healthy', 'ready')
          : [tag(HEALTH, 'unhealthy', 'not ready'), ' ', ready.detail]),
      item('Permits', store.refusals.permits ? [h('span', { class: 'alarm' }, store.refusals.permits.message)]
        : permit ? `valid for ${seconds(permit.valid_for_ms / 1000)}; then ${words(permit.on_expiry)}` : none()),
      item('Watchdog of Alertmanager', watchdog == null ? [none('none since the start'), ' ', runbook('alertpathdead')] : age(watchdog)),
      metrics && item('Journal', journal(metrics)),
      metrics && webhooks(metrics) && item('Webhooks', webhooks(metrics)),
      series && item('Series', `${count(series.series)} of at most ${count(series.series_max)}`),
      used != null && limit && item('Memory of the state', `${bytes(used)} of at most ${bytes(limit)}`),
      started != null && item('Started', ago(new Date(started * 1000).toISOString()))));
}
