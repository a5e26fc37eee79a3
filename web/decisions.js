// The forms that halt and release. The page checks that the reader means it; the exporter decides.

import { Refusal, decide } from './api.js';
import { h, morph, name } from './dom.js';
import { plural, words } from './format.js';
import { STATES, tag } from './words.js';

// Who decided last in this tab. Tokens are never kept.
let actor = '';

function field(id, label, attributes, hint) {
  const described = hint && `${id}-hint`;
  return h('div', { class: 'field' },
    h('label', { for: id }, label),
    h('input', { id, name: id, autocomplete: 'off', spellcheck: 'false', 'aria-describedby': described, ...attributes }),
    hint && h('p', { class: 'note', id: described }, hint));
}

// Where tokens are configured, a decision needs one of its own: the password of the page is not taken.
function tokenField(scope) {
  if (document.body.dataset.tokens !== 'yes') return null;
  return field('token', 'Token', { type: 'password', required: true, autocomplete: 'off' },
    `One with the scope ${scope}. It is sent once, and not kept.`);
}

// Opens a form as a dialog. send(values) returns what to announce.
function ask({ title, intro, fields, verb, tone, send, done }) {
  const dialog = document.getElementById('dialog');
  morph(dialog, []);
  morph(dialog, [h('form', { novalidate: true, 'aria-labelledby': 'dialog-title' },
    h('h2', { id: 'dialog-title' }, title),
    intro,
    fields,
    h('p', { class: 'refusal', role: 'alert', id: 'refusal' }),
    h('p', { class: 'buttons' },
      h('button', { type: 'button', class: 'quiet', value: 'cancel', id: 'cancel' }, 'Cancel'),
      h('button', { type: 'submit', class: tone }, verb)))]);
  const form = dialog.firstElementChild;
  const refuse = (text) => morph(form.querySelector('#refusal'), [text]);
  form.querySelector('#cancel').addEventListener('click', () => dialog.close());
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    refuse('');
    const missing = [...form.elements].find((input) => input.required && input.value.trim() === '');
    if (missing) {
      missing.focus();
      return refuse(`Fill in: ${missing.labels[0].textContent}.`);
    }
    const values = Object.fromEntries(new FormData(form));
    const submit = form.querySelector('[type=submit]');
    submit.disabled = true;
    try {
      const said = await send(values, form);
      actor = values.actor;
      dialog.close();
      done(said);
    } catch (error) {
      refuse(error instanceof Refusal ? `Refused: ${error.message} (${error.code}).` : String(error.message));
      if (error instanceof Refusal) explain(error, form);
    } finally {
      submit.disabled = false;
    }
    return undefined;
  });
  dialog.onclose = () => morph(dialog, []);
  dialog.showModal();
  form.querySelector('input:not([type=hidden])')?.focus();
}

// What the reader can do about a refusal.
function explain(error, form) {
  if (error.code === 'cause_open') form.querySelector('#force-field').hidden = false;
  if (error.code === 'stale_epoch') {
    morph(form.querySelector('#refusal'), [form.querySelector('#refusal').textContent,
      ' Something happened after this form was opened: close it, and read the causes again.']);
  }
}

class Mistake extends Error {}

// latch: { account, epoch, causes }, as they are shown now: the release is about these and nothing newer.
export function askForRelease(latch, done) {
  const all = latch.account === '*';
  ask({
    title: ['Release ', all ? 'all accounts (*)' : name(latch.account)],
    intro: [
      h('p', {}, latch.causes.length === 1
        ? `This ends one cause, as of epoch ${latch.epoch}:`
        : `This ends all ${latch.causes.length} causes, as of epoch ${latch.epoch}:`),
      h('ul', { class: 'plain' }, latch.causes.slice(0, 5).map((cause) => h('li', {},
        tag(STATES, cause.state), ' ', words(cause.kind), ' ', cause.subject && name(cause.subject), h('span', { class: 'reason', dir: 'auto' }, cause.reason)))),
      latch.causes.length > 5 && h('p', { class: 'note' }, `and ${plural(latch.causes.length - 5, 'more cause')}`),
      !all && h('p', { class: 'note' }, 'A halt of all accounts (*) is released apart.'),
    ],
    fields: [
      field('actor', 'Your name', { required: true, value: actor, maxlength: '128' }),
      field('reason', 'Reason', { required: true, maxlength: '512' }, 'For the audit trail: what was wrong, and what was corrected.'),
      field('confirmation', ['Type ', h('bdi', { class: 'name' }, latch.account), ' to confirm'], { required: true }),
      tokenField('release'),
      h('div', { class: 'field check', id: 'force-field', hidden: true },
        h('input', { type: 'checkbox', id: 'force', name: 'force' }),
        h('label', { for: 'force' }, 'Release although the cause is still open. It halts again only if it grows, changes sign, or clears and comes back.')),
    ],
    verb: 'Release',
    tone: 'danger',
    done,
    send: async (values, form) => {
      if (values.confirmation !== latch.account) {
        form.querySelector('#confirmation').focus();
        throw new Mistake('Not sent: the confirmation is not the name of the account.');
      }
      const body = { account: latch.account, epoch: latch.epoch, actor: values.actor.trim(), reason: values.reason.trim() };
      if (values.force) body.force = true;
      const answer = await decide('halts/release', body, values.token);
      return `Released: ${answer.account} is now ${words(answer.state)}, epoch ${answer.epoch}.`;
    },
  });
}

// accounts: the names to choose from.
export function askForHalt(account, accounts, done) {
  const option = (value, text, selected) => h('option', { value, selected: value === selected }, text);
  ask({
    title: 'Halt trading',
    intro: h('p', {}, 'Engines learn of it at once. Only a release by a person ends it.'),
    fields: [
      h('div', { class: 'field' }, h('label', { for: 'account' }, 'Account'),
        h('select', { id: 'account', name: 'account' }, option('*', 'all accounts (*)', account), accounts.map((one) => option(one, one, account)))),
      h('div', { class: 'field' }, h('label', { for: 'state' }, 'State'),
        h('select', { id: 'state', name: 'state' }, option('halted', 'halted: no new orders', 'halted'), option('reducing', 'reducing: only orders that reduce a position', 'halted'))),
      field('actor', 'Your name', { required: true, value: actor, maxlength: '128' }),
      field('reason', 'Reason', { required: true, maxlength: '512' }),
      tokenField('halt'),
    ],
    verb: 'Halt',
    tone: 'danger',
    done,
    send: async ({ account: chosen, state, ...values }) => {
      const answer = await decide('halts', { account: chosen, state, actor: values.actor.trim(), reason: values.reason.trim() }, values.token);
      return `${answer.account} is now ${words(answer.state)}, epoch ${answer.epoch}.`;
    },
  });
}
