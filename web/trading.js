// Whether trading is allowed, and why not: the first thing on the page.

import { h, name } from './dom.js';
import { ago, age, count, plural, time, words } from './format.js';
import { RANK, STATES, accountLink, entry, runbook, tag } from './words.js';
import { card, instead, loading, paged, table } from './table.js';
import { isOpen, worstFirst } from './store.js';

const ACCOUNTS = 15;
const CAUSES = 4;

// The state of the page: the worst of its accounts, and of the latch of all.
export function overallState(store) {
  const states = (store.accounts ?? []).map(({ state }) => state);
  for (const permit of store.permits.values()) states.push(permit.state);
  return states.reduce((worst, state) => (RANK[state] > RANK[worst] ? state : worst), 'active');
}

// The causes of every latch: [{ account, epoch, causes }], all accounts together first.
export function latches(store) {
  const found = new Map();
  for (const permit of store.permits.values()) {
    for (const cause of permit.causes) {
      const latch = found.get(cause.account) ?? { account: cause.account, epoch: cause.epoch, causes: new Map() };
      latch.epoch = Math.max(latch.epoch, cause.epoch);
      latch.causes.set(cause.id, cause);
      found.set(cause.account, latch);
    }
  }
  const rows = [...found.values()].map((latch) => ({ ...latch, causes: [...latch.causes.values()] }));
  const worst = (latch) => Math.max(...latch.causes.map(({ state }) => RANK[state]));
  return rows.sort((a, b) => (b.account === '*') - (a.account === '*') || worst(b) - worst(a) || a.account.localeCompare(b.account));
}

function headline(store, state) {
  const accounts = store.accounts ?? [];
  if (store.account) {
    return state === 'active' ? ['Trading is allowed'] : [entry(STATES, state).title];
  }
  if (accounts.length === 0 && state === 'active') return ['No account is known yet'];
  const same = accounts.filter((account) => account.state === state).length;
  if (state === 'active') return ['Trading is allowed', ` in ${accounts.length === 1 ? 'the one account' : `all ${plural(accounts.length, 'account')}`}`];
  const { title } = entry(STATES, state);
  if (accounts.length === 1 && same === 1) return [title, ' in ', name(accounts[0].account)];
  if (same === 0) return [title, ' for all accounts'];
  return [title, ` in ${count(same)} of ${plural(accounts.length, 'account')}`];
}

function facts(store) {
  const drifts = (store.drifts ?? []).filter(isOpen).length;
  const anomalies = store.anomalies?.length;
  const health = store.health?.status;
  const fact = (href, number, text, alarming) => h('li', {}, h('a', { href, class: alarming ? 'fact alarming' : 'fact' },
    h('strong', {}, number), ` ${text}`));
  return h('ul', { class: 'facts', 'aria-label': 'Summary' },
    store.drifts && fact('#drifts', count(drifts), drifts === 1 ? 'open drift' : 'open drifts', drifts > 0),
    anomalies != null && fact('#anomalies', count(anomalies), anomalies === 1 ? 'anomaly' : 'anomalies', anomalies > 0),
    health && fact('#components', words(health), 'system', health === 'unhealthy' || health === 'degraded'));
}

export function hero(store) {
  if (store.accounts == null) {
    const refusal = store.refusals.accounts;
    return h('section', { class: 'hero dim', 'aria-labelledby': 'hero-title' },
      h('h2', { id: 'hero-title' }, refusal ? 'The state is not shown' : 'Asking the exporter …'),
      refusal && h('p', {}, `${refusal.message} (${refusal.code})`));
  }
  const state = overallState(store);
  const known = entry(STATES, state);
  const [title, ...where] = headline(store, state);
  const empty = store.accounts.length === 0 && state === 'active';
  return h('section', { class: `hero ${empty ? 'dim' : known.tone}`, 'aria-labelledby': 'hero-title', 'data-state': state },
    h('div', { class: 'hero-row' },
      h('div', { class: 'hero-state' },
        h('p', { class: 'hero-word' }, h('span', { class: 'mark', 'aria-hidden': 'true' }, empty ? '○' : known.mark), empty ? 'no events' : state),
        h('h2', { id: 'hero-title' }, title, where.length > 0 && h('span', { class: 'where' }, where))),
      facts(store),
      h('p', { class: 'hero-do' },
        state !== 'active' && runbook(known.runbook),
        h('button', { type: 'button', class: 'quiet', 'data-halt': store.account ?? store.focus ?? '*' }, 'Halt …'))),
    empty && h('p', { class: 'hint' }, 'The exporter waits for the first event of an engine or a broker: ',
      h('a', { href: `${document.body.dataset.base}api/v1/docs` }, 'POST /api/v1/events'), '.'));
}

function cause(row) {
  return h('li', { class: 'cause', 'data-key': row.id },
    h('p', { class: 'cause-line' },
      tag(STATES, row.state),
      h('strong', {}, words(row.kind)),
      row.subject && name(row.subject),
      row.count > 1 && h('span', { class: 'note' }, `stands for ${plural(row.count, 'cause')}`)),
    h('p', { class: 'reason', dir: 'auto' }, row.reason),
    h('p', { class: 'note' }, 'set by ', name(row.actor), ' at ', time(row.set_at), ', ', ago(row.set_at)));
}

function latch(row) {
  const all = row.account === '*';
  const { shown, turner } = paged(`causes of ${row.account}`, row.causes, CAUSES);
  return h('article', { class: 'latch', 'data-key': row.account },
    h('header', { class: 'latch-head' },
      h('h3', {}, all ? 'All accounts (*)' : h('a', { href: accountLink(row.account) }, name(row.account))),
      h('span', { class: 'note' }, `epoch ${row.epoch}`),
      h('button', { type: 'button', 'data-release': row.account }, 'Release …')),
    h('ul', { class: 'causes' }, shown.map(cause)),
    turner);
}

export function causesCard(store) {
  const rows = latches(store);
  const refusal = store.refusals.permits;
  if (rows.length === 0 && !refusal) return null;
  const causes = rows.reduce((sum, row) => sum + row.causes.length, 0);
  const barred = store.account ? 0 : store.accounts?.filter(({ state }) => state !== 'active').length ?? 0;
  const more = Math.max(0, barred - store.permits.size + (store.permits.has('*') ? 1 : 0));
  return card('causes', 'Why trading is stopped', rows.length > 0 ? plural(causes, 'cause') : null,
    refusal && instead('', refusal),
    h('div', { class: 'latches' }, rows.map(latch)),
    more > 0 && h('p', { class: 'note' }, `The causes of ${plural(more, 'more account')} are on the pages of the accounts.`));
}

export function accountsCard(store) {
  if (store.account) return null;
  if (store.accounts == null) return card('accounts', 'Accounts', null, store.refusals.accounts ? instead('', store.refusals.accounts) : loading());
  const { shown, turner } = paged('accounts', worstFirst(store.accounts), ACCOUNTS);
  const number = (key) => ({ class: 'num', cell: (row) => count(row[key]) });
  const alarm = (key) => ({ class: 'num', cell: (row) => h('span', { class: row[key] > 0 ? 'alarm' : '' }, count(row[key])) });
  const columns = [
    { title: 'Account', main: true, cell: (row) => h('a', { href: accountLink(row.account) }, name(row.account)) },
    { title: 'Trading', cell: (row) => tag(STATES, row.state) },
    { title: 'Open drifts', ...alarm('open_drifts') },
    { title: 'Anomalies', ...alarm('anomalies') },
    { title: 'Open orders', ...number('open_orders') },
    { title: 'Fills', ...number('fills') },
    { title: 'Symbols', ...number('symbols') },
    { title: 'Last event', class: 'num', cell: (row) => ago(row.last_event_at) },
  ];
  return card('accounts', 'Accounts', plural(store.accounts.length, 'account'),
    store.accounts.length === 0
      ? instead('No event has been received yet.')
      : [table('Accounts, the worst first', columns, shown, (row) => row.account), turner]);
}

export function lastAnswer(store) {
  return store.answeredAt == null ? 'never' : age((Date.now() - store.answeredAt) / 1000);
}
