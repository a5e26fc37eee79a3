// Who did what: the audit trail, newest first.

import { h, name } from './dom.js';
import { count, time, words } from './format.js';
import { STATES, accountLink, tag } from './words.js';
import { card, instead, loading, paged, table } from './table.js';

const LINES = 10;

export function auditCard(store) {
  const rows = store.audit;
  if (rows == null) return card('audit', 'Audit trail', null, store.refusals.audit ? instead('', store.refusals.audit) : loading());
  const { shown, turner } = paged('audit lines', rows, LINES);
  const columns = [
    { title: 'When', main: true, class: 'when', cell: (row) => time(row.at) },
    { title: 'What', cell: (row) => [words(row.action), row.refused && [' ', h('span', { class: 'tag warn' }, h('span', { class: 'mark', 'aria-hidden': 'true' }, '✕'), `refused: ${words(row.refused)}`)]] },
    { title: 'Who', cell: (row) => [name(row.actor), row.token && row.token !== 'none' && h('span', { class: 'note' }, ' token ', name(row.token))] },
    { title: 'Account', cell: (row) => (row.account === '*' ? 'all (*)' : h('a', { href: accountLink(row.account) }, name(row.account))) },
    { title: 'Reason', class: 'wide', cell: (row) => h('span', { dir: 'auto' }, row.reason) },
    { title: 'Then', class: 'when', cell: (row) => [tag(STATES, row.state), h('span', { class: 'note' }, ` epoch ${count(row.epoch)}`)] },
  ];
  return card('audit', 'Audit trail', 'newest first',
    rows.length === 0
      ? instead('Nobody has decided anything yet.')
      : [table('Decisions, the newest first', columns, shown, (row) => JSON.stringify([row.sequence, row.action, row.account, row.reason])), turner]);
}
