// Small drawings: the course of a figure, and the results of a component.

import { h } from './dom.js';
import { words } from './format.js';

const WIDTH = 120;
const HEIGHT = 28;
const RESULTS = 40;

// The course of a figure since the page was opened: [value or null, ...]. A gap stays a gap.
export function sparkline(values, label) {
  const first = values.findIndex((value) => value != null);
  const course = first < 0 ? [] : values.slice(first);
  const known = course.filter((value) => value != null);
  if (known.length < 2) return null;
  const low = Math.min(...known);
  const high = Math.max(...known);
  const x = (at) => ((at / (course.length - 1)) * (WIDTH - 6) + 3).toFixed(1);
  // A figure that did not change is a line in the middle.
  const y = (value) => (high === low ? HEIGHT / 2 : HEIGHT - 3 - ((value - low) / (high - low)) * (HEIGHT - 6)).toFixed(1);
  let path = '';
  let last = null;
  course.forEach((value, at) => {
    if (value != null) {
      path += `${last == null ? 'M' : 'L'}${x(at)} ${y(value)}`;
    }
    last = value;
  });
  return h(
    'svg',
    { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': `${label} since this page was opened`, preserveAspectRatio: 'none' },
    h('path', { d: path }),
  );
}

// The last results of a component, oldest first: a low bar passed, a high bar failed.
export function strip(results) {
  const shown = results.slice(-RESULTS);
  const failed = shown.filter((result) => !result.passed).length;
  const label = `${shown.length} last results, ${failed} failed`;
  return h(
    'svg',
    { class: 'strip', viewBox: `0 0 ${RESULTS * 4} 20`, role: 'img', 'aria-label': label },
    shown.map((result, at) => {
      const height = result.passed ? 8 : 20;
      const place = (RESULTS - shown.length + at) * 4;
      return h(
        'rect',
        { x: place, y: 20 - height, width: 3, height, class: result.passed ? 'passed' : 'failed' },
        h('title', {}, `${result.at}: ${result.passed ? 'passed' : 'failed'}, ${words(result.status)} ${result.message}`),
      );
    }),
  );
}
