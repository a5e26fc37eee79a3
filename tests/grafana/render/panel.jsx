// One panel, drawn with the components of Grafana.

import {
  applyNullInsertThreshold,
  FieldType,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
} from '@grafana/data';
import { BigValue, TimeSeries, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';

import { configOf, theme } from './fields.js';
import { drawMarks } from './marks.js';
import { Timeline } from './timeline.jsx';

export function Visualization({ panel, frames, range, marks, width, height }) {
  if (!frames.some((frame) => frame.fields.some((field) => field.type === FieldType.number))) {
    return <div className="no-data">No data</div>;
  }
  const Kind = KINDS[panel.type];
  return <Kind {...{ panel, frames, range, marks, width, height }} />;
}

function Stat({ panel, frames, width, height }) {
  const { options } = panel;
  const values = () =>
    getFieldDisplayValues({
      data: frames,
      fieldConfig: configOf(panel),
      reduceOptions: options.reduceOptions,
      replaceVariables: (text) => text,
      theme,
      timeZone: 'utc',
    });
  return (
    <VizRepeater
      getValues={values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, alignmentFactors, ...place }) => (
        <BigValue
          {...place}
          value={value.display}
          alignmentFactors={alignmentFactors}
          colorMode={options.colorMode}
          graphMode={options.graphMode}
          justifyMode={options.justifyMode}
          textMode={options.textMode}
          wideLayout={options.wideLayout}
          theme={theme}
        />
      )}
      source={frames}
      renderCounter={1}
      orientation={options.orientation ?? 'auto'}
      width={width}
      height={height}
      autoGrid
      itemSpacing={3}
    />
  );
}

function Lines({ panel, frames, range, marks, width, height }) {
  // As the panel of Grafana does: where points are missing, the line is broken.
  const gaps = { refFieldPseudoMin: range.from, refFieldPseudoMax: range.to };
  const broken = frames.map((frame) => applyNullInsertThreshold({ frame, ...gaps }));
  return (
    <TimeSeries
      frames={broken}
      timeRange={range.time}
      timeZone="utc"
      width={width}
      height={height}
      legend={panel.options.legend}
      options={panel.options}
    >
      {(config) => {
        drawMarks(config, marks, theme);
        return null;
      }}
    </TimeSeries>
  );
}

function Rows({ panel, frames, width, height }) {
  return (
    <TableNG
      data={frames[0]}
      width={width}
      height={height}
      initialSortBy={panel.options.sortBy}
      cellHeight={panel.options.cellHeight}
      fieldConfig={configOf(panel)}
      enableVirtualization={false}
    />
  );
}

function States({ frames, range, width, height }) {
  return <Timeline {...{ frames, width, height, theme }} range={range} />;
}

const KINDS = { stat: Stat, timeseries: Lines, table: Rows, 'state-timeline': States };
