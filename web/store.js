// What the page knows, and when each part of it is asked for again.
//
// Parts are asked for when the stream says that they changed, and by the clock: rarely while the stream is
// open, every few seconds without it. While nobody answers, one small question is asked until somebody does.

import { Away, Refusal, get, getText } from './api.js';
import { RANK, SEVERITY, LEVEL, entry } from './words.js';

const POLL_MS = 5_000;
const RETRY_MS = 1_500;
// Between two answers to the same question, however many events arrive.
const SPACING_MS = 400;
// Accounts, components and symbols that are asked about one by one.
const ACCOUNTS_MAX = 10;
const COMPONENTS_MAX = 12;
const SYMBOLS_MAX = 10;
const AUDIT_LINES = 200;
// Points of a course: an hour of polling.
const POINTS_MAX = 720;

const SECOND = 1_000;
// A question that the token does not allow is asked rarely: refusals are counted, and raise an alert.
const FORBIDDEN_MS = 300 * SECOND;

// slow: the interval while the stream is open. on: the events after which the part is asked for at once.
const PARTS = {
  accounts: { slow: 5 * SECOND, on: ['states', 'halt', 'release', 'drift', 'reconcile', 'anomaly', 'reset'] },
  permits: { slow: 10 * SECOND, on: ['states', 'halt', 'release', 'reset'] },
  drifts: { slow: 15 * SECOND, on: ['drift', 'reconcile', 'reset'] },
  anomalies: { slow: 15 * SECOND, on: ['anomaly', 'reset'] },
  health: { slow: 5 * SECOND, on: ['health', 'reset'] },
  execution: { slow: 5 * SECOND, on: ['reset'] },
  symbols: { slow: 15 * SECOND, on: ['reset'] },
  positions: { slow: 15 * SECOND, on: ['drift', 'reconcile', 'reset'] },
  audit: { slow: 30 * SECOND, on: ['halt', 'release', 'reconcile', 'reset'] },
  histories: { slow: 60 * SECOND, poll: 60 * SECOND, on: ['health', 'reset'] },
  exporter: { slow: 60 * SECOND, poll: 60 * SECOND, on: [] },
};

export function worstFirst(accounts) {
  const drifts = (account) => account.open_drifts > 0;
  return [...accounts].sort((a, b) => RANK[b.state] - RANK[a.state]
    || drifts(b) - drifts(a)
    || b.anomalies - a.anomalies
    || a.account.localeCompare(b.account));
}

const OPEN = { reconciling: 3, open: 3, unconfirmed: 2, pending: 1 };

export function isOpen(drift) {
  return OPEN[drift.state] === 3;
}

function worstDrifts(drifts) {
  const severity = (drift) => (drift.severity ? entry(SEVERITY, drift.severity).rank : 0);
  return drifts
    .filter((drift) => drift.state in OPEN)
    .sort((a, b) => OPEN[b.state] - OPEN[a.state]
      || severity(b) - severity(a)
      || Number(b.value_drift ?? 0) - Number(a.value_drift ?? 0)
      || a.symbol.localeCompare(b.symbol));
}

// The symbols that stand out: by their open drifts, then by their anomalies.
export function worstSymbols(store) {
  const found = new Map();
  const add = (account, symbol, score) => {
    const key = JSON.stringify([account, symbol]);
    const row = found.get(key) ?? { key, account, symbol, score: 0 };
    row.score += score;
    found.set(key, row);
  };
  for (const drift of store.drifts ?? []) {
    if (isOpen(drift)) add(drift.account, drift.symbol, 100 * entry(SEVERITY, drift.severity ?? drift.worst_severity).rank);
  }
  for (const anomaly of store.anomalies ?? []) {
    if (anomaly.symbol != null) add(anomaly.account, anomaly.symbol, anomaly.severity === 'CRITICAL' ? 10 : 1);
  }
  return [...found.values()].sort((a, b) => b.score - a.score || a.symbol.localeCompare(b.symbol));
}

export class Store {
  accounts = null;
  drifts = null;
  anomalies = null;
  health = null;
  positions = null;
  audit = null;
  permits = new Map();
  executions = new Map();
  courses = new Map();
  symbols = new Map();
  histories = new Map();
  exporter = {};
  // The refusals of parts, by name.
  refusals = {};
  // Nobody answered the last question.
  away = false;
  // When the last answer came, on the clock of this browser.
  answeredAt = null;
  streaming = false;
  hidden = false;

  #due = Object.fromEntries(Object.keys(PARTS).map((part) => [part, 0]));
  #asked = {};
  #busy = new Set();
  // The states of the accounts in the last answer.
  #epochs = null;
  // The components in the last answer.
  #components = null;
  // Until when each part is not asked for, because the token does not allow it.
  #barredUntil = {};
  // Questions inside a part that the token does not allow.
  #forbidden = new Set();
  #onChange;

  // account: the one that the page is about, or null for all.
  constructor(account, onChange) {
    this.account = account;
    this.#onChange = onChange;
  }

  // The account that the figures are about: that of the page, or the only one.
  get focus() {
    return this.account ?? (this.accounts?.length === 1 ? this.accounts[0].account : null);
  }

  // Events of the stream.
  happened(kind) {
    for (const [part, { on }] of Object.entries(PARTS)) {
      if (on.includes(kind)) this.ask(part);
    }
    this.tick();
  }

  ask(part) {
    this.#due[part] = Math.min(this.#due[part], (this.#asked[part] ?? -SPACING_MS) + SPACING_MS);
  }

  askAll() {
    Object.keys(PARTS).forEach((part) => this.ask(part));
  }

  // Asks for what is due. Called several times a second.
  tick() {
    const at = performance.now();
    // Whoever may not read the accounts may read nothing else.
    const alone = this.away || this.accounts == null || this.#barredUntil.accounts > at;
    for (const part of alone ? ['accounts'] : Object.keys(PARTS)) {
      if (this.#due[part] > at || this.#barredUntil[part] > at || this.#busy.has(part)) continue;
      const { slow, poll = POLL_MS } = PARTS[part];
      const pause = this.hidden ? 30 * SECOND : this.streaming ? slow : poll;
      this.#due[part] = at + (this.away ? RETRY_MS : pause);
      this.#asked[part] = at;
      this.#load(part);
    }
  }

  async #load(part) {
    this.#busy.add(part);
    const wasAway = this.away;
    try {
      await this[`_${part}`]();
      delete this.refusals[part];
      delete this.#barredUntil[part];
      this.#answered();
    } catch (error) {
      if (error instanceof Refusal) {
        this.refusals[part] = error;
        if (isForbidden(error)) this.#barredUntil[part] = performance.now() + FORBIDDEN_MS;
        this.#answered();
      } else if (error instanceof Away) {
        this.away = true;
        this.#due.accounts = performance.now() + RETRY_MS;
      } else {
        throw error;
      }
    } finally {
      this.#busy.delete(part);
    }
    if (wasAway && !this.away) {
      this.askAll();
      this.tick();
    }
    this.#onChange();
  }

  #answered() {
    this.away = false;
    this.answeredAt = Date.now();
  }

  get #scope() {
    return { account: this.account };
  }

  get #worst() {
    return this.account ? [this.account] : worstFirst(this.accounts ?? []).slice(0, ACCOUNTS_MAX).map(({ account }) => account);
  }

  async _accounts() {
    const first = this.accounts == null;
    const all = await get('accounts');
    this.accounts = this.account ? all.filter(({ account }) => account === this.account) : all;
    // Which permits are asked for depends on which accounts are stopped.
    const epochs = JSON.stringify(this.accounts.map(({ account, state, epoch }) => [account, state, epoch]));
    if (epochs !== this.#epochs) this.ask('permits');
    this.#epochs = epochs;
    // The other questions depend on which accounts there are.
    if (first) ['execution', 'positions'].forEach((part) => this.ask(part));
  }

  // Permits of the accounts that may not trade, and of all accounts together.
  async _permits() {
    const barred = worstFirst(this.accounts ?? []).filter(({ state }) => state !== 'active').slice(0, ACCOUNTS_MAX);
    const names = new Set(this.account ? [this.account] : ['*', ...barred.map(({ account }) => account)]);
    const permits = new Map();
    for (const account of names) {
      const ask = () => get('permit', { account });
      // A token for some accounts may not read the permit of all.
      const permit = account === '*' ? await this.#optional('*', ask) : await ask();
      if (permit != null) permits.set(account, permit);
    }
    this.permits = permits;
  }

  // An answer that the page can do without; null if it is refused.
  async #optional(question, ask) {
    if (this.#forbidden.has(question)) return null;
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (isForbidden(error)) this.#forbidden.add(question);
      return null;
    }
  }

  async _drifts() {
    this.drifts = worstDrifts(await get('drift', this.#scope));
    this.#askAboutNewSymbols();
  }

  async _anomalies() {
    const rank = (anomaly) => entry(LEVEL, anomaly.severity).rank;
    const found = await get('anomalies', this.#scope);
    this.anomalies = found.sort((a, b) => rank(b) - rank(a) || (a.symbol ?? '').localeCompare(b.symbol ?? ''));
    this.#askAboutNewSymbols();
  }

  #askAboutNewSymbols() {
    const isNew = ({ key }) => !this.symbols.has(key);
    if (worstSymbols(this).slice(0, SYMBOLS_MAX).some(isNew)) this.ask('symbols');
  }

  async _health() {
    this.health = await get('health', this.#scope);
    const components = JSON.stringify(this.health.components.map(({ account, component }) => [account, component]));
    if (components !== this.#components) this.ask('histories');
    this.#components = components;
  }

  async _execution() {
    const executions = new Map();
    for (const account of this.#worst) {
      const answer = await get('execution', { account });
      executions.set(account, answer);
      const { window } = answer;
      const course = this.courses.get(account) ?? [];
      course.push({
        fill_ratio: window.fill_ratio,
        slippage_bps: window.slippage_bps,
        fill_time: window.fill_time_seconds_mean,
        rejection_ratio: window.rejection_ratio,
      });
      this.courses.set(account, course.slice(-POINTS_MAX));
    }
    this.executions = executions;
  }

  async _symbols() {
    const symbols = new Map();
    for (const { key, account, symbol } of worstSymbols(this).slice(0, SYMBOLS_MAX)) {
      try {
        symbols.set(key, await get('execution', { account, symbol }));
      } catch (error) {
        // A symbol may have been retired since it was named.
        if (!(error instanceof Refusal && error.status === 404)) throw error;
      }
    }
    this.symbols = symbols;
  }

  async _positions() {
    const account = this.focus;
    this.positions = account == null ? null : await get('positions', { account });
  }

  async _audit() {
    const lines = await get('audit', { ...this.#scope, limit: AUDIT_LINES });
    this.audit = lines.reverse();
  }

  async _histories() {
    const rank = ({ status }) => ['healthy', 'unknown', 'degraded', 'unhealthy'].indexOf(status);
    const components = [...(this.health?.components ?? [])].sort((a, b) => rank(b) - rank(a));
    const histories = new Map();
    for (const { account, component } of components.slice(0, COMPONENTS_MAX)) {
      const path = `health/${encodeURIComponent(component)}/history`;
      try {
        histories.set(JSON.stringify([account, component]), await get(path, { account }));
      } catch (error) {
        if (!(error instanceof Refusal && error.status === 404)) throw error;
      }
    }
    this.histories = histories;
  }

  // The exporter itself. Whoever may not read its metrics sees less.
  async _exporter() {
    const exporter = { ready: null, series: null, metrics: null };
    try {
      await getText('-/ready');
      exporter.ready = { ok: true };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      exporter.ready = { ok: false, detail: error.message };
    }
    exporter.series = await this.#optional('series', () => get('status/cardinality'));
    const text = await this.#optional('metrics', () => getText('metrics'));
    exporter.metrics = text == null ? null : families(text);
    this.exporter = exporter;
  }
}

function isForbidden(refusal) {
  return refusal.status === 401 || refusal.status === 403;
}

// The families about the process, its journal and its webhooks: name -> [{ labels, value }].
function families(text) {
  const found = new Map();
  for (const line of text.split('\n')) {
    const match = /^(trading_exporter_(?:journal|webhook|state)_\w+|process_start_time_seconds)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!match || match[1].endsWith('_bucket')) continue;
    const rows = found.get(match[1]) ?? [];
    const labels = Object.fromEntries([...(match[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, value]) => [key, value]));
    rows.push({ labels, value: Number(match[3]) });
    found.set(match[1], rows);
  }
  return found;
}

