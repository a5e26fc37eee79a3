// Values as text. Quantities, prices and amounts are exact decimals: they are shown as they were sent.

import { now } from './api.js';
import { h } from './dom.js';

export function none(text = 'no data') {
  return h('span', { class: 'none' }, text);
}

// A statistic with `render`, or "no data".
export function orNone(value, render) {
  return value == null ? none() : h('span', { title: `exactly ${value}` }, render(value));
}

export function exact(value) {
  return value == null ? none('none') : value;
}

export function percent(value) {
  return `${(value * 100).toFixed(1)} %`;
}

export function bps(value) {
  const text = value.toFixed(2);
  if (Number(text) === 0) return '0.00 bps';
  return `${value > 0 ? '+' : '−'}${text.replace('-', '')} bps`;
}

export function seconds(value) {
  if (value < 0) return `−${seconds(-value)}`;
  if (value < 0.9995) return `${(value * 1000).toFixed(0)} ms`;
  if (value < 60) return `${Number.isInteger(value) ? value : value.toFixed(value < 10 ? 2 : 1)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min ${Math.floor(value % 60)} s`;
  if (value < 86_400) return `${Math.floor(value / 3600)} h ${Math.floor((value % 3600) / 60)} min`;
  return `${Math.floor(value / 86_400)} d ${Math.floor((value % 86_400) / 3600)} h`;
}

// Ages are rounded: nobody reads the milliseconds of a ticking figure.
export function age(value) {
  if (value < 1) return 'just now';
  return `${value < 60 ? `${Math.floor(value)} s` : seconds(value)} ago`;
}

export function count(value) {
  return value.toLocaleString();
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

export function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let rest = value;
  for (; rest >= 1024 && unit < units.length - 1; unit += 1) rest /= 1024;
  return `${unit === 0 ? rest : rest.toFixed(1)} ${units[unit]}`;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const DATE = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

// A moment: the reader's clock, and UTC under the pointer.
export function time(text) {
  const at = new Date(text);
  const today = at.toDateString() === new Date(now()).toDateString();
  const local = today ? CLOCK.format(at) : `${DATE.format(at)}, ${CLOCK.format(at)}`;
  return h('time', { datetime: text, title: `${text.replace('T', ' ').replace('Z', '')} UTC` }, local);
}

export function secondsSince(text) {
  return Math.max(0, (now() - Date.parse(text)) / 1000);
}

export function ago(text) {
  return text == null ? none('never') : h('span', {}, age(secondsSince(text)));
}

// A word of a closed set, for people.
export function words(text) {
  return text.replaceAll('_', ' ');
}

export function sentence(text) {
  const plain = words(text);
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}
