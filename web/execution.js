// How well orders are executed: figures of the window, symbols that stand out, anomalies.

import { h, name } from './dom.js';
import { ago, bps, count, none, orNone, percent, plural, seconds, words } from './format.js';
import { FIGURES, LEVEL, SEVERITY, accountLink, entry, runbook, tag } from './words.js';
import { sparkline } from './spark.js';
import { card, instead, loading, paged, table } from './table.js';
import { isOpen, worstFirst, worstSymbols } from './store.js';

const ANOMALIES = 12;

function tile(title, value, render, samples, course, worst) {
  return h('div', { class: worst ? `tile ${worst.tone}` : 'tile', 'data-key': title },
    h('dt', {}, title),
    h('dd', {},
      h('span', { class: 'figure' }, orNone(value, render)),
      worst && h('span', { class: `tag ${worst.tone}` }, h('span', { class: 'mark', 'aria-hidden': 'true' }, worst.mark), worst.word),
      sparkline(course, title),
      h('span', { class: 'note' }, samples)));
}

// The anomaly of the account as a whole in a figure.
function alarm(store, account, figure) {
  const found = (store.anomalies ?? []).find((row) => row.account === account && row.symbol == null && row.figure === figure);
  return found && { ...entry(LEVEL, found.severity), word: found.severity.toLowerCase() };
}

function tiles(store, account, { window }) {
  const course = store.courses.get(account) ?? [];
  const of = (key) => course.map((point) => point[key]);
  const expected = window.slippage.expected;
  const short = (value) => bps(value).replace(' bps', '');
  const range = (text) => (expected?.p50_bps == null ? text
    : `${text}; p50 ${short(expected.p50_bps)}, p95 ${short(expected.p95_bps)}, p99 ${short(expected.p99_bps)}`);
  return h('dl', { class: 'tiles' },
    tile('Fill ratio', window.fill_ratio, percent, `${plural(window.filled, 'order')} filled of ${count(window.samples)}`, of('fill_ratio'), alarm(store, account, 'fill_ratio')),
    tile('Slippage, mean', window.slippage_bps, bps, range(plural(window.slippage_samples, 'sample')), of('slippage_bps'), alarm(store, account, 'slippage_bps')),
    tile('Time to fill, mean', window.fill_time_seconds_mean, seconds, plural(window.fill_time_samples, 'sample'), of('fill_time'), alarm(store, account, 'fill_time_seconds')),
    tile('Rejected', window.rejection_ratio, percent, `${plural(window.rejected, 'order')} of ${count(window.samples)}`, of('rejection_ratio'), alarm(store, account, 'rejection_ratio')));
}

function details({ window, counters }) {
  const references = Object.entries(window.slippage);
  const columns = [
    { title: 'Slippage against', main: true, cell: ([reference]) => `${reference} price` },
    ...[['Mean', 'mean_bps'], ['By notional', 'weighted_bps'], ['p50', 'p50_bps'], ['p95', 'p95_bps'], ['p99', 'p99_bps'], ['Worst', 'worst_bps']]
      .map(([title, key]) => ({ title, class: 'num', cell: ([, row]) => orNone(row[key], bps) })),
    { title: 'Orders', class: 'num', cell: ([, row]) => count(row.samples) },
  ];
  const reasons = Object.entries(counters.rejections_by_reason ?? {}).filter(([, number]) => number > 0).sort((a, b) => b[1] - a[1]);
  const item = (title, ...value) => h('div', {}, h('dt', {}, title), h('dd', {}, value));
  const withSamples = (value, render, samples) => [orNone(value, render), h('span', { class: 'note' }, ` ${plural(samples, 'sample')}`)];
  return h('details', { class: 'more' },
    h('summary', {}, 'All figures of the window'),
    table('Slippage by reference price; positive is worse', columns, references, ([reference]) => reference),
    h('dl', { class: 'list' },
      item('Fill ratio without user cancels', withSamples(window.fill_ratio_ex_user_cancels, percent, window.fill_ratio_ex_user_cancels_samples)),
      item('Orders with at least one fill', withSamples(window.touch_ratio, percent, window.samples)),
      item('Time to acknowledge, mean', withSamples(window.ack_time_seconds_mean, seconds, window.ack_time_samples)),
      item('Time from acceptance to first fill, mean', withSamples(window.first_fill_time_seconds_mean, seconds, window.first_fill_time_samples)),
      item('Open orders', counters.open == null ? none() : count(counters.open)),
      item('Without any answer', counters.unacknowledged == null ? none() : count(counters.unacknowledged)),
      item('Rejections since the start', reasons.length === 0 ? 'none' : reasons.map(([reason, number]) => `${words(reason)} ${count(number)}`).join(', '))));
}

// The figures of every account that is shown: one line each.
function lines(store) {
  const rows = worstFirst(store.accounts ?? []).filter(({ account }) => store.executions.has(account));
  const window = (row) => store.executions.get(row.account).window;
  const figure = (title, key, render, samples, course) => ({
    title,
    class: 'num',
    cell: (row) => [
      h('span', { class: 'with-spark' },
        sparkline((store.courses.get(row.account) ?? []).map((point) => point[course]), title),
        h('span', {}, orNone(window(row)[key], render), h('span', { class: 'note' }, ` of ${count(window(row)[samples])}`)))],
  });
  const columns = [
    { title: 'Account', main: true, cell: (row) => h('a', { href: accountLink(row.account) }, name(row.account)) },
    figure('Fill ratio', 'fill_ratio', percent, 'samples', 'fill_ratio'),
    figure('Slippage, mean', 'slippage_bps', bps, 'slippage_samples', 'slippage_bps'),
    figure('Time to fill', 'fill_time_seconds_mean', seconds, 'fill_time_samples', 'fill_time'),
    figure('Rejected', 'rejection_ratio', percent, 'samples', 'rejection_ratio'),
  ];
  return { rows, table: table('Execution by account', columns, rows, (row) => row.account) };
}

export function executionCard(store) {
  const refusal = store.refusals.execution;
  const account = store.focus;
  if (refusal) return card('execution', 'Execution', null, instead('', refusal));
  if (account != null) {
    const execution = store.executions.get(account);
    if (execution == null) return card('execution', 'Execution', null, loading());
    return card('execution', 'Execution', `window of ${plural(execution.window.samples, 'ended order')}`,
      tiles(store, account, execution), details(execution));
  }
  if (store.accounts == null) return card('execution', 'Execution', null, loading());
  const { rows, table: shown } = lines(store);
  const rest = store.accounts.length - rows.length;
  return card('execution', 'Execution', 'window of ended orders',
    rows.length === 0 ? instead('No order has ended yet.') : shown,
    rest > 0 && rows.length > 0 && h('p', { class: 'note' }, `The figures of ${plural(rest, 'more account')} are on the pages of the accounts.`));
}

export function symbolsCard(store) {
  if (store.drifts == null || store.anomalies == null) return null;
  const all = worstSymbols(store);
  const rows = all.filter(({ key }) => store.symbols.has(key));
  const window = (row) => store.symbols.get(row.key).window;
  const figure = (title, key, render) => ({ title, class: 'num', cell: (row) => orNone(window(row)[key], render) });
  const why = (row) => {
    const drift = store.drifts.find((one) => one.account === row.account && one.symbol === row.symbol && isOpen(one));
    const anomalies = store.anomalies.filter((one) => one.account === row.account && one.symbol === row.symbol);
    return [drift && tag(SEVERITY, drift.severity ?? 'minor', 'drift'), ' ',
      anomalies.map((one) => [tag(LEVEL, one.severity, entry(FIGURES, one.figure).title.toLowerCase()), ' '])];
  };
  const columns = [
    { title: 'Symbol', main: true, cell: (row) => [name(row.symbol), !store.account && store.focus == null && h('span', { class: 'note' }, ' ', name(row.account))] },
    { title: 'Why', class: 'wide', cell: why },
    figure('Fill ratio', 'fill_ratio', percent),
    figure('Slippage', 'slippage_bps', bps),
    figure('Time to fill', 'fill_time_seconds_mean', seconds),
    figure('Rejected', 'rejection_ratio', percent),
    { title: 'Orders', class: 'num', cell: (row) => count(window(row).samples) },
  ];
  const note = all.length > rows.length && rows.length > 0 ? `the worst ${rows.length} of ${count(all.length)}` : plural(all.length, 'symbol');
  return card('symbols', 'Symbols that stand out', note,
    all.length === 0 ? instead('No symbol has a drift or an anomaly.')
      : rows.length === 0 ? (store.refusals.symbols ? instead('', store.refusals.symbols) : loading())
        : table('Symbols with drifts or anomalies, the worst first', columns, rows, (row) => row.key));
}

const RENDER = { ratio: percent, bps, seconds, count };

export function anomaliesCard(store) {
  const rows = store.anomalies;
  if (rows == null) return card('anomalies', 'Anomalies', null, store.refusals.anomalies ? instead('', store.refusals.anomalies) : loading());
  const { shown, turner } = paged('anomalies', rows, ANOMALIES);
  const render = (row, value) => (RENDER[entry(FIGURES, row.figure).unit] ?? String)(value);
  const columns = [
    { title: 'Figure', main: true, cell: (row) => entry(FIGURES, row.figure).title },
    { title: 'Severity', cell: (row) => tag(LEVEL, row.severity, row.severity.toLowerCase()) },
    { title: 'About', cell: (row) => [row.symbol == null ? 'whole account' : name(row.symbol), store.focus == null && h('span', { class: 'note' }, ' ', name(row.account))] },
    { title: 'Value', class: 'num', cell: (row) => orNone(row.value, (value) => render(row, value)) },
    { title: 'Limit', class: 'num', cell: (row) => `${entry(FIGURES, row.figure).beyond ?? ''} ${render(row, row.threshold)}` },
    { title: 'Samples', class: 'num', cell: (row) => count(row.samples) },
    { title: 'Since', class: 'num', cell: (row) => ago(row.since) },
    { title: 'Help', cell: (row) => runbook(entry(FIGURES, row.figure).runbook) },
  ];
  const critical = rows.filter(({ severity }) => severity === 'CRITICAL').length;
  return card('anomalies', 'Anomalies', rows.length === 0 ? null : `${count(critical)} critical, ${plural(rows.length - critical, 'warning')}`,
    rows.length === 0
      ? instead('No figure is beyond its limit.')
      : [table('Open anomalies, the worst first', columns, shown, (row) => JSON.stringify([row.account, row.symbol, row.figure])), turner]);
}
