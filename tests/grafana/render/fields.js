// Field options, overrides and transformations of a panel, applied by Grafana's own code.

import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  createTheme,
  FieldConfigOptionsRegistry,
  standardFieldConfigEditorRegistry,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';
import { firstValueFrom } from 'rxjs';

export const theme = createTheme({ colors: { mode: 'dark' } });

standardFieldConfigEditorRegistry.setInit(() => []);
// One of them goes by two names.
const transformers = new Map(Object.values(standardTransformers).map((one) => [one.id, one]));
standardTransformersRegistry.setInit(() =>
  [...transformers.values()].map((transformation) => ({
    id: transformation.id,
    name: transformation.name,
    transformation,
    editor: () => null,
  }))
);

// What the time series plugin of Grafana fills in where a panel says nothing.
const CUSTOM_DEFAULTS = {
  timeseries: {
    drawStyle: 'line',
    lineInterpolation: 'linear',
    lineWidth: 1,
    fillOpacity: 0,
    gradientMode: 'none',
    showPoints: 'auto',
    pointSize: 5,
    axisPlacement: 'auto',
    axisColorMode: 'text',
    scaleDistribution: { type: 'linear' },
    stacking: { mode: 'none', group: 'A' },
    thresholdsStyle: { mode: 'off' },
    barAlignment: 0,
    barWidthFactor: 0.6,
    spanNulls: false,
    hideFrom: { tooltip: false, viz: false, legend: false },
  },
  table: { align: 'auto', cellOptions: { type: 'auto' }, inspect: false },
};

// The options of a panel, with the plugin's defaults.
export function configOf(panel) {
  const { defaults, overrides } = panel.fieldConfig;
  const custom = { ...CUSTOM_DEFAULTS[panel.type], ...defaults.custom };
  const color = defaults.color ?? { mode: 'palette-classic' };
  const thresholds = defaults.thresholds ?? { mode: 'absolute', steps: [] };
  const steps = thresholds.steps.map((step) => ({ ...step, value: step.value ?? -Infinity }));
  return { defaults: { ...defaults, color, custom, thresholds: { ...thresholds, steps } }, overrides };
}

// Every option that this panel uses, as an item that takes its value as it stands.
function registryOf(config) {
  const registry = new FieldConfigOptionsRegistry();
  const custom = Object.keys(config.defaults.custom).map((key) => `custom.${key}`);
  const plain = Object.keys(config.defaults).filter((key) => key !== 'custom');
  const changed = config.overrides.flatMap((o) => o.properties.map((property) => property.id));
  registry.setInit(() =>
    [...new Set([...plain, ...custom, ...changed])].map((id) => ({
      id,
      name: id,
      path: id.replace(/^custom\./, ''),
      isCustom: id.startsWith('custom.'),
      editor: () => null,
      override: () => null,
      process: (value) => value,
      shouldApply: () => true,
    }))
  );
  return registry;
}

// The frames as a panel shows them.
export async function prepare(panel, frames) {
  const config = configOf(panel);
  const transformed = await firstValueFrom(transformDataFrame(panel.transformations ?? [], frames));
  const shown = applyFieldOverrides({
    data: transformed,
    fieldConfig: config,
    fieldConfigRegistry: registryOf(config),
    replaceVariables: (text) => text,
    theme,
    timeZone: 'utc',
  });
  cacheFieldDisplayNames(shown);
  return shown;
}
