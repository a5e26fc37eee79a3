// What drifted: open differences between the books, and all positions of one account.

import { h, name } from './dom.js';
import { ago, count, exact, none, plural, sentence, time, words } from './format.js';
import { ATTRIBUTION, SEVERITY, accountLink, driftRunbook, entry, runbook, tag } from './words.js';
import { card, filterBox, filtered, instead, loading, paged, table } from './table.js';
import { isOpen } from './store.js';

const DRIFTS = 5;
// A quantity of more digits is written smaller.
const DIGITS_MAX = 12;
const POSITIONS = 15;

// What the exporter does about a drift, in a sentence.
export function response(drift) {
  if (drift.acknowledged) return 'Acknowledged by a forced release.';
  switch (drift.state) {
    case 'pending': return 'Nothing yet: fills on their way may explain it.';
    case 'unconfirmed': return 'Nothing yet: the next comparison must confirm it.';
    case 'reconciling': return `The engine is asked to set its book to ${drift.broker_quantity} (attempt ${drift.attempts}, directive ${drift.directive_id}).`;
    default: break;
  }
  switch (drift.action) {
    case 'halt': return 'Trading was halted. A person corrects the book, then releases.';
    case 'alert': return 'An alert, and nothing else: a person decides.';
    case 'reconcile': return 'The engine will be asked to correct its book.';
    default: return sentence(drift.action);
  }
}

function snapshotAt(store, account, source) {
  return store.health?.books?.find((book) => book.account === account && book.source === source)?.snapshot_at;
}

function amount(value) {
  return h('span', { class: value.length > DIGITS_MAX ? 'quantity long' : 'quantity' }, value);
}

function book(title, quantity, price, note) {
  return h('div', { class: 'book' },
    h('dt', {}, title),
    h('dd', {},
      amount(quantity),
      h('span', { class: 'note' }, price != null && `at ${price}`, price != null && note != null && ' · ', note)));
}

function drift(store, row) {
  const read = (source) => {
    const seen = snapshotAt(store, row.account, source);
    return seen == null ? 'age unknown' : ['read ', ago(seen)];
  };
  const price = row.type === 'price_mismatch';
  const unvalued = row.price_unknown ? 'no price is known' : row.currency_unknown ? 'no exchange rate is known' : null;
  return h('li', { class: `drift ${isOpen(row) ? entry(SEVERITY, row.severity ?? '').tone : 'dim'}`, 'data-key': `${row.account} ${row.id}` },
    h('div', { class: 'drift-head' },
      h('h3', {}, name(row.symbol)),
      row.severity ? tag(SEVERITY, row.severity) : h('span', { class: 'tag dim' }, words(row.state)),
      h('span', {}, sentence(row.type)),
      row.severity && h('span', { class: 'note' }, words(row.state)),
      !store.account && h('a', { class: 'note', href: accountLink(row.account) }, name(row.account)),
      runbook(driftRunbook(row))),
    h('dl', { class: 'books' },
      book('Engine', row.local_quantity, row.local_price, row.ledger_stands_in ? 'the fills stand in' : read('local')),
      book('Broker', row.broker_quantity, row.broker_price, read('broker')),
      book('Sum of fills', row.ledger_quantity, null, row.ledger_basis === 'assumed_flat' ? 'assumed to start flat' : 'from an agreed start'),
      h('div', { class: 'book difference' },
        h('dt', {}, price ? 'Value of the difference' : 'Engine − broker'),
        h('dd', {},
          amount(price ? row.value_drift ?? none('unknown') : row.quantity_drift),
          h('span', { class: 'note' }, price ? 'prices differ' : row.value_drift != null ? `worth ${row.value_drift}` : unvalued ?? 'worth unknown')))),
    h('dl', { class: 'answers' },
      h('div', {}, h('dt', {}, 'Response'), h('dd', {}, response(row))),
      h('div', {}, h('dt', {}, 'Probably wrong'), h('dd', {}, sentence(ATTRIBUTION[row.attribution] ?? row.attribution), row.hint && `; ${words(row.hint)}`)),
      h('div', {}, h('dt', {}, 'Since'), h('dd', {}, time(row.opened_at ?? row.first_seen_at), `, ${plural(row.confirmations, 'comparison')}`,
        row.decided_by && `, judged by ${words(row.decided_by)}`))));
}

export function driftsCard(store) {
  const rows = store.drifts;
  if (rows == null) return card('drifts', 'Open drifts', null, store.refusals.drifts ? instead('', store.refusals.drifts) : loading());
  const open = rows.filter(isOpen).length;
  const waiting = rows.length - open;
  const { shown, turner } = paged('drifts', rows, DRIFTS);
  const note = [plural(open, 'open drift'), waiting > 0 && `${count(waiting)} not confirmed yet`].filter(Boolean).join(', ');
  const books = store.health?.books ?? [];
  const nothing = books.length === 0
    ? 'No book has been received yet, so nothing is compared.'
    : 'Engine and broker agree.';
  return card('drifts', 'Open drifts', note,
    rows.length === 0
      ? instead(store.health == null ? 'None.' : nothing)
      : h('ul', { class: 'drifts' }, shown.map((row) => drift(store, row))),
    turner);
}

// Rows whose books differ come first.
function differs(row) {
  return row.local_quantity != null && row.broker_quantity != null && Number(row.local_quantity) !== Number(row.broker_quantity);
}

export function positionsCard(store) {
  if (store.focus == null) return null;
  const rows = store.positions;
  if (rows == null) return card('positions', 'Positions', null, store.refusals.positions ? instead('', store.refusals.positions) : loading());
  const sorted = [...rows].sort((a, b) => differs(b) - differs(a) || a.symbol.localeCompare(b.symbol));
  const kept = filtered('positions', sorted, (row) => row.symbol);
  const { shown, turner } = paged('positions', kept, POSITIONS);
  const columns = [
    { title: 'Symbol', main: true, cell: (row) => name(row.symbol) },
    { title: 'Engine', class: 'num', cell: (row) => exact(row.local_quantity) },
    { title: 'Broker', class: 'num', cell: (row) => exact(row.broker_quantity) },
    { title: 'Sum of fills', class: 'num', cell: (row) => row.ledger_quantity },
    { title: 'Books', cell: (row) => (row.stale ? h('span', { class: 'tag warn' }, h('span', { class: 'mark', 'aria-hidden': 'true' }, '◆'), 'not judged')
      : differs(row) ? h('span', { class: 'tag bad' }, h('span', { class: 'mark', 'aria-hidden': 'true' }, '≠'), 'differ')
        : row.local_quantity == null || row.broker_quantity == null ? none('one side only') : h('span', { class: 'tag good' }, h('span', { class: 'mark', 'aria-hidden': 'true' }, '='), 'agree')) },
    { title: 'Pending', class: 'num', cell: (row) => (Number(row.pending_quantity) === 0 ? none('–') : row.pending_quantity) },
    { title: 'Engine’s list', class: 'num', cell: (row) => ago(row.local_snapshot_at) },
    { title: 'Broker’s list', class: 'num', cell: (row) => ago(row.broker_snapshot_at) },
  ];
  return card('positions', 'Positions', plural(rows.length, 'symbol'),
    rows.length > POSITIONS && filterBox('positions', 'Find a symbol'),
    rows.length === 0
      ? instead('No position has been reported yet.')
      : [table('The three books of each symbol, differences first', columns, shown, (row) => row.symbol), turner]);
}
