// The status page: keeps the store up to date, and draws it.

import { enter } from './api.js';
import { auditCard } from './audit.js';
import { askForHalt, askForRelease } from './decisions.js';
import { h, morph, name } from './dom.js';
import { driftsCard, positionsCard } from './drifts.js';
import { anomaliesCard, executionCard, symbolsCard } from './execution.js';
import { componentsCard, exporterCard } from './health.js';
import { Store } from './store.js';
import { follow } from './stream.js';
import { setFilter, turn } from './table.js';
import { accountsCard, causesCard, hero, lastAnswer, latches, overallState } from './trading.js';
import { STATES, entry, tag } from './words.js';

const TICK_MS = 200;
// Ages are drawn again this often.
const REDRAW_MS = 1_000;

const element = (id) => document.getElementById(id);
// How long the outcome of a decision stays.
const SAID_MS = 20_000;
const account = document.body.dataset.account ?? null;

let pending = false;
const store = new Store(account, () => {
  if (pending) return;
  pending = true;
  requestAnimationFrame(draw);
});

function connection() {
  if (store.away) return [h('span', { class: 'tag bad' }, h('span', { class: 'mark', 'aria-hidden': 'true' }, '✕'), 'away')];
  if (store.answeredAt == null) return [h('span', { class: 'tag dim' }, 'connecting')];
  return store.streaming
    ? [tag(STATES, 'active', 'live')]
    : [h('span', { class: 'tag dim', title: 'The event stream is closed: asking every 5 seconds' }, h('span', { class: 'mark', 'aria-hidden': 'true' }, '○'), 'polling')];
}

function banner() {
  if (store.away) {
    return [h('p', {}, h('strong', {}, 'The exporter does not answer.'), ` The last answer came ${lastAnswer(store)}`,
      store.answeredAt != null && [' (', h('time', { datetime: new Date(store.answeredAt).toISOString() }, new Date(store.answeredAt).toLocaleTimeString()), ')'],
      '. What is shown below may be wrong by now. Engines do what their permit says when it expires.')];
  }
  const refusal = store.refusals.accounts;
  if (refusal && store.accounts != null) {
    return [h('p', {}, h('strong', {}, 'The exporter refuses to answer:'), ` ${refusal.message} (${refusal.code}).`,
      refusal.status === 401 && ' Load the page again to enter the token.')];
  }
  return [];
}

// Says a change of state once, for readers who do not see it.
let spoken = null;
function speak() {
  if (store.accounts == null) return;
  const states = new Map(store.accounts.map((one) => [one.account, one.state]));
  if (spoken != null) {
    const changed = [...states].filter(([one, state]) => (spoken.get(one) ?? 'active') !== state);
    if (changed.length > 0 && changed.length <= 3) announce(changed.map(([one, state]) => `${one} is now ${state}`).join(', '));
    if (changed.length > 3) announce(`the state of ${changed.length} accounts changed; the worst is ${overallState(store)}`);
  }
  spoken = states;
}

function announce(text) {
  morph(element('announcement'), [text]);
}

let wasAway = false;
function draw() {
  pending = false;
  if (store.accounts != null || store.refusals.accounts) element('summary')?.remove();
  morph(element('connection'), connection());
  const notice = banner();
  morph(element('banner'), notice);
  element('banner').hidden = notice.length === 0;
  document.body.classList.toggle('stale', store.away);
  if (store.away !== wasAway) {
    announce(store.away ? 'The exporter does not answer.' : 'The exporter answers again.');
    wasAway = store.away;
  }
  const root = element('cards');
  if (store.accounts == null && store.refusals.accounts) {
    morph(root, [hero(store)]);
    return;
  }
  if (store.accounts == null) return;
  const state = overallState(store);
  const where = account ?? 'trading-exporter';
  const title = store.away ? `away · ${where}` : state === 'active' ? where : `${entry(STATES, state).mark} ${state.toUpperCase()} · ${where}`;
  if (document.title !== title) document.title = title;
  morph(root, [
    hero(store),
    causesCard(store),
    driftsCard(store),
    accountsCard(store),
    executionCard(store),
    symbolsCard(store),
    anomaliesCard(store),
    h('div', { class: 'pair', 'data-key': 'pair' }, componentsCard(store), exporterCard(store)),
    positionsCard(store),
    auditCard(store),
  ]);
  speak();
}

let said = null;
function decided(text) {
  announce(text);
  morph(element('said'), [text]);
  element('said').hidden = false;
  clearTimeout(said);
  said = setTimeout(() => { element('said').hidden = true; }, SAID_MS);
  store.askAll();
  store.tick();
}

document.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (!button) return;
  const { page, step, release, halt } = button.dataset;
  if (page != null) {
    turn(page, step);
    draw();
  }
  if (release != null) {
    const latch = latches(store).find((one) => one.account === release);
    if (latch) askForRelease(latch, decided);
  }
  if (halt != null) askForHalt(halt, (store.accounts ?? []).map((one) => one.account), decided);
});

document.addEventListener('input', (event) => {
  const { filter } = event.target.dataset;
  if (filter == null) return;
  setFilter(filter, event.target.value);
  draw();
});

document.addEventListener('visibilitychange', () => {
  store.hidden = document.hidden;
  if (!document.hidden) store.askAll();
});

store.hidden = document.hidden;
if (account != null) morph(element('where'), [name(account)]);
await enter();
follow(
  (kind) => store.happened(kind),
  (isOpen) => {
    if (store.streaming === isOpen) return;
    store.streaming = isOpen;
    // What happened while it was closed was not heard.
    store.askAll();
  },
);
setInterval(() => store.tick(), TICK_MS);
setInterval(draw, REDRAW_MS);
store.tick();
