// A page that shows a whole dashboard: its grid, with what a real Prometheus answered.
// `window.draw(document, told)` draws one; it resolves when everything stands.

import { dateTime } from '@grafana/data';
import { GlobalStyles, PanelChrome, PanelContextProvider, ThemeContext } from '@grafana/ui';
import { createRoot } from 'react-dom/client';

import { prepare, theme } from './fields.js';
import { framesOf } from './frames.js';
import { marksOf } from './marks.js';
import { Visualization } from './panel.jsx';

const COLUMNS = 24;
const CELL = 30;
const GAP = 8;
const WIDTH = 1560;

// Panels tell each other of the cursor; here nobody moves it.
const stream = { pipe: () => stream, subscribe: () => ({ unsubscribe() {} }) };
const SILENT = { publish() {}, getStream: () => stream };

function placed({ x, y, w, h }) {
  const column = (WIDTH + GAP) / COLUMNS;
  return {
    left: x * column,
    top: y * (CELL + GAP),
    width: w * column - GAP,
    height: h * (CELL + GAP) - GAP,
  };
}

function Board({ document, shown, range, marks }) {
  const bottom = Math.max(...document.panels.map(({ gridPos: at }) => at.y + at.h));
  return (
    <div id={document.uid} style={{ width: WIDTH + 2 * GAP, padding: GAP }}>
      <h1>{document.title}</h1>
      <div style={{ position: 'relative', height: bottom * (CELL + GAP) }}>
        {document.panels.map((panel) => {
          const place = placed(panel.gridPos);
          return (
            <div
              key={panel.id}
              data-kind={panel.type}
              data-title={panel.title}
              style={{ position: 'absolute', ...place }}
            >
              {panel.type === 'row' ? (
                <h2>{panel.title}</h2>
              ) : (
                <PanelChrome title={panel.title} width={place.width} height={place.height}>
                  {(width, height) => (
                    <Visualization
                      {...{ panel, range, width, height }}
                      frames={shown[panel.id]}
                      marks={marks}
                    />
                  )}
                </PanelChrome>
              )}
            </div>
          );
        })}
      </div>
    </div>
  );
}

async function framesFor(document, answers, stepMs) {
  const shown = {};
  for (const panel of document.panels.filter(({ type }) => type !== 'row')) {
    const named = (target) => ({
      ...target,
      valueName: panel.targets.length > 1 ? `Value #${target.refId}` : 'Value',
    });
    const frames = panel.targets.flatMap((target) =>
      framesOf(named(target), answers[panel.title][target.refId] ?? [], stepMs)
    );
    shown[panel.id] = await prepare(panel, frames);
  }
  return shown;
}

const root = createRoot(window.document.getElementById('root'));

window.draw = async (document, told) => {
  const [from, to] = [told.from * 1000, told.to * 1000];
  const times = { from: dateTime(from), to: dateTime(to) };
  const range = { from, to, time: { ...times, raw: times } };
  const answers = told.answers[document.uid];
  const shown = await framesFor(document, answers, told.step * 1000);
  const marks = marksOf(document, answers, told.step);
  const context = { eventsScope: 'page', eventBus: SILENT, sync: () => 0 };
  root.render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PanelContextProvider value={context}>
        <Board key={document.uid} {...{ document, shown, range, marks }} />
      </PanelContextProvider>
    </ThemeContext.Provider>
  );
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
};
