// Cards and tables: bounded, with the rest on further pages.

import { h } from './dom.js';
import { count, none } from './format.js';

// On a narrow screen a row is a block: fewer of them are a page.
const narrow = window.matchMedia('(max-width: 720px)');
const NARROW_ROWS_MAX = 5;

const pages = new Map();
const filters = new Map();

// A section of the page with its heading. note: text beside the heading.
export function card(id, title, note, ...content) {
  const heading = h('header', { class: 'card-head' },
    h('h2', { id: `${id}-title` }, title),
    note != null && h('p', { class: 'note' }, note));
  return h('section', { class: 'card', id, 'data-key': id, 'aria-labelledby': `${id}-title` }, heading, content);
}

// Text in place of a table without rows, or of a part that was refused.
export function instead(text, refusal) {
  if (refusal) return h('p', { class: 'refused' }, `Not shown: ${refusal.message} (${refusal.code}).`);
  return h('p', { class: 'empty' }, text);
}

export function loading() {
  return h('p', { class: 'empty' }, 'Asking the exporter …');
}

// columns: [{ title, cell(row), class, main }]. Narrow screens show a row as a block, each cell with its title.
export function table(label, columns, rows, keyOf) {
  return h('div', { class: 'scroll' },
    h('table', { 'aria-label': label },
      h('thead', {}, h('tr', {}, columns.map((column) => h('th', { scope: 'col', class: column.class }, column.title)))),
      h('tbody', {}, rows.map((row) => h('tr', { 'data-key': keyOf(row) },
        columns.map((column) => {
          const attributes = { class: column.class, 'data-title': column.title };
          return column.main
            ? h('th', { ...attributes, scope: 'row' }, column.cell(row))
            : h('td', attributes, h('div', { class: 'cell' }, column.cell(row) ?? none('none')));
        }))))));
}

// The rows of the current page, and the buttons to turn it.
export function paged(key, rows, rowsMax) {
  const size = narrow.matches ? Math.min(rowsMax, NARROW_ROWS_MAX) : rowsMax;
  const last = Math.max(0, Math.ceil(rows.length / size) - 1);
  const page = Math.min(pages.get(key) ?? 0, last);
  const from = page * size;
  const shown = rows.slice(from, from + size);
  if (last === 0) return { shown, turner: null };
  const button = (text, step, disabled) => h('button', {
    type: 'button', 'data-page': key, 'data-step': step, disabled, 'data-key': text,
  }, text);
  const turner = h('nav', { class: 'turner', 'aria-label': `Pages of ${key}` },
    button('Previous', -1, page === 0),
    h('span', {}, `${count(from + 1)}–${count(from + shown.length)} of ${count(rows.length)}`),
    button('Next', 1, page === last));
  return { shown, turner };
}

export function turn(key, step) {
  pages.set(key, Math.max(0, (pages.get(key) ?? 0) + Number(step)));
}

// A box that keeps the rows whose `text(row)` contains what the reader types.
export function filterBox(key, label) {
  return h('input', { type: 'search', class: 'filter', 'data-filter': key, 'aria-label': label, placeholder: label, autocomplete: 'off', spellcheck: 'false' });
}

export function setFilter(key, text) {
  filters.set(key, text.trim().toLowerCase());
  pages.delete(key);
}

export function filtered(key, rows, text) {
  const wanted = filters.get(key);
  return wanted ? rows.filter((row) => text(row).toLowerCase().includes(wanted)) : rows;
}
