// Lines and layers of ten minutes, drawn as SVG without a library.

const SVG = 'http://www.w3.org/2000/svg';
// What is shown at most, and at least: a line that has only begun can be seen, too.
const LONGEST = 600;
const SHORTEST = 120;

export function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  return made;
}

function span(times) {
  const seconds = times.length > 0 ? times[times.length - 1] - times[0] : 0;
  const minutes = Math.ceil(seconds / 60) * 60;
  return Math.min(Math.max(minutes, SHORTEST), LONGEST);
}

// Where a time stands: the newest is at the right edge, gaps stay gaps.
function scale(times, width) {
  const end = times[times.length - 1];
  const shown = span(times);
  return times.map((time) => width * (1 - (end - time) / shown));
}

// One line, with the area below it: `values` may have gaps.
export function line(svg, times, values) {
  const width = 200;
  const height = 36;
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  const most = Math.max(...values.map((value) => value ?? 0), 0);
  if (times.length < 2 || most === 0) {
    svg.replaceChildren(element('path', { class: 'base', d: `M0 ${height - 0.5}H${width}` }));
    return;
  }
  const across = scale(times, width);
  const runs = [];
  let run = null;
  values.forEach((value, index) => {
    if (value === null || value === undefined) {
      run = null;
      return;
    }
    if (run === null) {
      run = [];
      runs.push(run);
    }
    run.push([across[index], height - 1 - (height - 3) * (value / most)]);
  });
  const point = ([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`;
  const drawn = runs.filter((points) => points.length > 1);
  const lines = drawn.map((points) => `M${points.map(point).join('L')}`);
  const areas = drawn.map((points, index) => {
    const [from] = points[0];
    const [to] = points[points.length - 1];
    return `${lines[index]}L${to.toFixed(1)} ${height}L${from.toFixed(1)} ${height}z`;
  });
  svg.replaceChildren(
    element('path', { class: 'area', d: areas.join('') }),
    element('path', { class: 'stroke', d: lines.join('') }),
  );
}

// Layers upon each other, the first at the bottom.
export function layers(svg, times, columns, label) {
  // As wide as it is shown, so that letters have their size.
  const width = Math.max(svg.clientWidth, 200);
  const height = 120;
  svg.setAttribute('viewBox', `0 0 ${width} ${height + 16}`);
  const sums = times.map((_, index) =>
    columns.reduce((sum, column) => sum + (column.values[index] ?? 0), 0),
  );
  const top = ceiling(Math.max(...sums, 0));
  const across = scale(times, width);
  const down = (value) => height - (height - 12) * (value / top);
  const parts = [...grid(width, height, top, down, label, span(times))];
  let below = times.map(() => 0);
  for (const column of columns) {
    const above = below.map((value, index) => value + (column.values[index] ?? 0));
    if (times.length > 1 && column.values.some((value) => value > 0)) {
      parts.push(element('path', { class: `layer ${column.color}`, d: band(across, below, above, down) }));
    }
    below = above;
  }
  svg.replaceChildren(...parts);
}

function band(across, below, above, down) {
  const at = (values) => (x, index) => `${x.toFixed(1)} ${down(values[index]).toFixed(1)}`;
  const upper = across.map(at(above));
  const lower = across.map(at(below)).reverse();
  return `M${upper.join('L')}L${lower.join('L')}z`;
}

function* grid(width, height, top, down, label, seconds) {
  for (const share of [0, 0.5, 1]) {
    const y = down(top * share).toFixed(1);
    yield element('path', { class: 'base', d: `M0 ${y}H${width}` });
    if (share > 0) {
      const text = element('text', { class: 'tick', x: 2, y: Number(y) - 3 });
      text.textContent = label(top * share);
      yield text;
    }
  }
  for (const share of [1, 0.5, 0]) {
    const x = width * (1 - share);
    const anchor = share === 1 ? 'start' : share === 0 ? 'end' : 'middle';
    const text = element('text', { class: 'tick', x, y: height + 12, 'text-anchor': anchor });
    text.textContent = share === 0 ? 'now' : `−${(share * seconds) / 60} min`;
    yield text;
  }
}

// The next of 1, 2, 4, 6, 8, 10, ...
function ceiling(value) {
  if (value <= 0) {
    return 1;
  }
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= value) ?? value;
}
