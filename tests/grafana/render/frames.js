// Answers of Prometheus as the data frames that Grafana's data source makes of them.

import { FieldType } from '@grafana/data';

export function framesOf(target, series, stepMs) {
  if (target.format === 'table') {
    return [tableOf(target, series)];
  }
  return series.map((one) => lineOf(target, one, stepMs));
}

// A line: Time and Value, named by the legend.
function lineOf(target, series, stepMs) {
  const points = series.values ?? [series.value];
  const { __name__, ...labels } = series.metric;
  return {
    refId: target.refId,
    length: points.length,
    fields: [
      {
        name: 'Time',
        type: FieldType.time,
        values: points.map(([seconds]) => Math.round(seconds * 1000)),
        // What lies further apart is a gap.
        config: { interval: stepMs },
      },
      {
        name: 'Value',
        type: FieldType.number,
        values: points.map(([, value]) => number(value)),
        labels,
        config: { displayNameFromDS: legendOf(target.legendFormat, labels) },
      },
    ],
  };
}

// Rows: Time, the labels, and "Value #A".
function tableOf(target, series) {
  const labels = [...new Set(series.flatMap((one) => Object.keys(one.metric)))].sort();
  const column = (name, type, read) => ({ name, type, config: {}, values: series.map(read) });
  return {
    refId: target.refId,
    length: series.length,
    fields: [
      column('Time', FieldType.time, (one) => Math.round(one.value[0] * 1000)),
      ...labels.map((label) => column(label, FieldType.string, (one) => one.metric[label])),
      column(target.valueName, FieldType.number, (one) => number(one.value[1])),
    ],
  };
}

function number(text) {
  const value = { '+Inf': Infinity, '-Inf': -Infinity, NaN: null }[text];
  return value === undefined ? Number(text) : value;
}

function legendOf(format, labels) {
  if (format && format !== '__auto') {
    return format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? '');
  }
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
  return pairs.length ? `{${pairs.join(', ')}}` : 'Value';
}
