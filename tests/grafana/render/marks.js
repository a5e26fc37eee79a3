// Annotations on a time series: stretches where a query held, lines where a value names a time.

export function marksOf(document, answers, step) {
  return document.annotations.list.flatMap((annotation) => {
    const series = Object.values(answers[`annotation ${annotation.name}`] ?? {}).flat();
    return series.flatMap((one) => {
      const times = annotation.useValueForTime
        ? [...new Set(one.values.map(([, value]) => Number(value) / 1000))]
        : one.values.map(([seconds]) => seconds);
      return stretches(times, annotation.useValueForTime ? 0 : step).map(([from, to]) => ({
        color: annotation.iconColor,
        from: from * 1000,
        to: to * 1000,
      }));
    });
  });
}

// Times that follow closely on one another are one stretch.
function stretches(times, gap) {
  const found = [];
  for (const time of times) {
    const last = found.at(-1);
    if (last && time - last[1] <= gap) {
      last[1] = time;
    } else {
      found.push([time, time]);
    }
  }
  return found;
}

export function drawMarks(config, marks, theme) {
  config.addHook('draw', (plot) => {
    const { ctx, bbox } = plot;
    const at = (time) => plot.valToPos(time, 'x', true);
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const { color, from, to } of marks) {
      ctx.fillStyle = theme.visualization.getColorByName(color);
      ctx.globalAlpha = 0.1;
      ctx.fillRect(at(from), bbox.top, at(to) - at(from), bbox.height);
      ctx.globalAlpha = 0.9;
      ctx.fillRect(at(from), bbox.top, 1, bbox.height);
      ctx.fillRect(at(from) - 3, bbox.top + bbox.height - 5, Math.max(6, at(to) - at(from)), 5);
    }
    ctx.restore();
  });
}
