// A state timeline. @grafana/ui has none, so this draws the bars; texts and colours are Grafana's.

const ROW_MAX = 34;
const LABEL = 190;
const AXIS = 18;

export function Timeline({ frames, range, width, height, theme }) {
  const rows = frames.map((frame) => row(frame, range));
  const rowHeight = Math.min(ROW_MAX, (height - AXIS) / rows.length);
  const span = range.to - range.from;
  const x = (time) => ((time - range.from) / span) * (width - LABEL);
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => range.from + part * span);
  return (
    <div style={{ fontSize: Math.min(12, rowHeight - 2), position: 'relative', width, height }}>
      {rows.map(({ name, bars }, index) => (
        <div key={index} style={{ height: rowHeight, position: 'relative' }}>
          <div style={{ ...cut, width: LABEL - 8, textAlign: 'right', lineHeight: `${rowHeight}px` }}>
            {name}
          </div>
          {bars.map((bar) => (
            <div
              key={bar.from}
              className="bar"
              style={{
                ...cut,
                position: 'absolute',
                left: LABEL + x(bar.from),
                width: Math.max(1, x(bar.to) - x(bar.from)),
                top: rowHeight * 0.08,
                height: rowHeight * 0.84,
                lineHeight: `${rowHeight * 0.84}px`,
                background: bar.color,
                color: theme.colors.getContrastText(bar.color),
                textAlign: 'center',
              }}
            >
              {x(bar.to) - x(bar.from) > 7 * bar.text.length ? bar.text : ''}
            </div>
          ))}
        </div>
      ))}
      {ticks.map((time) => (
        <span key={time} style={{ ...tick, left: LABEL + x(time) - (time === range.to ? 50 : 0) }}>
          {new Date(time).toISOString().slice(11, 19)}
        </span>
      ))}
    </div>
  );
}

const cut = { overflow: 'hidden', textOverflow: 'ellipsis', whiteSpace: 'nowrap' };
const tick = { position: 'absolute', bottom: 0, fontSize: 10, opacity: 0.7 };

// Neighbours with one text are one bar; where points are missing, there is no bar.
function row(frame, range) {
  const [time, value] = frame.fields;
  const step = time.config.interval;
  const bars = [];
  time.values.forEach((from, index) => {
    const { text, color } = value.display(value.values[index]);
    const last = bars.at(-1);
    const to = Math.min(from + step, range.to);
    if (last && last.text === text && from - last.to <= step) {
      last.to = to;
    } else {
      bars.push({ from, to, text, color });
    }
  });
  return { name: value.config.displayNameFromDS, bars };
}
