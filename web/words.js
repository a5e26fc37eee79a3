// The words of the API for people, with the section of the runbooks that each one is explained in.

import { base } from './api.js';
import { h } from './dom.js';
import { words } from './format.js';

export const STATES = {
  active: { tone: 'good', mark: '●', title: 'Trading is allowed', runbook: 'tradingreleased' },
  reducing: { tone: 'warn', mark: '◆', title: 'Trading only reduces positions', runbook: 'tradingreducing' },
  halted: { tone: 'bad', mark: '■', title: 'Trading is halted', runbook: 'tradinghalted' },
};

export const RANK = { active: 0, reducing: 1, halted: 2 };

export const HEALTH = {
  healthy: { tone: 'good', mark: '●', rank: 0 },
  unknown: { tone: 'warn', mark: '○', rank: 1 },
  degraded: { tone: 'warn', mark: '◆', rank: 2, runbook: 'componentdegraded' },
  unhealthy: { tone: 'bad', mark: '■', rank: 3, runbook: 'componentunhealthy' },
};

export const SEVERITY = {
  minor: { tone: 'dim', mark: '·', rank: 1 },
  moderate: { tone: 'warn', mark: '◆', rank: 2 },
  critical: { tone: 'bad', mark: '■', rank: 3 },
};

export const LEVEL = {
  WARNING: { tone: 'warn', mark: '◆', rank: 1 },
  CRITICAL: { tone: 'bad', mark: '■', rank: 2 },
};

// How the figure of an anomaly is shown, and its runbook.
export const FIGURES = {
  fill_ratio: { unit: 'ratio', runbook: 'fillratiolow', title: 'Fill ratio', beyond: 'below' },
  slippage_bps: { unit: 'bps', runbook: 'slippagehigh', title: 'Slippage', beyond: 'above' },
  fill_time_seconds: { unit: 'seconds', runbook: 'filltimehigh', title: 'Fill time', beyond: 'above' },
  rejection_ratio: { unit: 'ratio', runbook: 'rejectionratiohigh', title: 'Rejection ratio', beyond: 'above' },
  consecutive_rejections: { unit: 'count', runbook: 'rejectionsinarow', title: 'Rejections in a row', beyond: 'above' },
  unacknowledged_orders: { unit: 'count', runbook: 'ordersunacknowledged', title: 'Unacknowledged orders', beyond: 'above' },
  overfill: { unit: 'count', runbook: 'orderoverfilled', title: 'Filled beyond the order', beyond: 'above' },
  conflict: { unit: 'count', runbook: 'eventconflict', title: 'One id, two contents', beyond: 'above' },
  clock_skew: { unit: 'count', runbook: 'clockskew', title: 'Clock skew', beyond: 'above' },
  halt_of_unknown_account: { unit: 'count', runbook: 'haltofunknownaccount', title: 'Halt of an unknown account', beyond: 'above' },
};

export const EVIDENCE = {
  local_book_never_came: { title: 'the engine never sent its positions', runbook: 'positionbooknevercame' },
  broker_book_never_came: { title: 'the broker’s positions never came', runbook: 'positionbooknevercame' },
  book_stale: { title: 'a snapshot of positions is too old', runbook: 'positionsnapshotstale' },
  engine_silent: { title: 'the engine is silent', runbook: 'enginesilent' },
};

export const ATTRIBUTION = {
  engine_missed_fill: 'the engine missed a fill',
  external_or_unreported_trade: 'a trade outside the engine, or one that it did not report',
  unexplained: 'no side is known to be wrong',
};

const OTHER = { tone: 'dim', mark: '○', rank: 0 };

// The entry of a table. A later exporter may know more words than this page.
export function entry(table, word) {
  return Object.hasOwn(table, word) ? table[word] : { ...OTHER, title: words(String(word)) };
}

// A state as a coloured word with a shape of its own.
export function tag(table, word, text = words(word)) {
  const { tone, mark } = entry(table, word);
  return h('span', { class: `tag ${tone}` }, h('span', { class: 'mark', 'aria-hidden': 'true' }, mark), text);
}

export function runbook(section, text = 'Runbook') {
  return section && h('a', { class: 'runbook', href: `${base}runbooks#${section}` }, text);
}

export function driftRunbook(drift) {
  if (drift.price_unknown || drift.currency_unknown) return 'driftunvalued';
  return drift.decided_by?.startsWith('reconcile_') ? 'reconciliationfailed' : 'positiondrift';
}

export function componentRunbook(component) {
  return component.silent ? 'heartbeatsilent' : entry(HEALTH, component.status).runbook;
}

export function accountLink(account) {
  return `${base}accounts/${encodeURIComponent(account)}`;
}
