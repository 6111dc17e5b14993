// What goes on right now: the history once, then an event per second.
//
// All that the page knows comes from the JSON API (docs/api.md). Texts in it are
// those of whoever sends queries: they are set as text, never as markup.

import { layers, line } from './chart.js';
import { amount, bits, country, duration, exact, percent, seconds, total, words } from './format.js';
import { List } from './list.js';
import { WorldMap } from './map.js';

const KEPT = 600;
const ROWS = 10;
const COUNTRIES = 50;
const STALE = 5000;
const AGAIN = 4000;
// Types and codes that have a column change as traffic does.
const RELOAD = 60000;
// Lists that most have no use for, and the tables that they need.
const OPTIONAL = { asn: 'geoip', zone: null, network: 'networks', customer: 'customers' };
const CODES = {
  NOERROR: 'good',
  NXDOMAIN: 'c2',
  SERVFAIL: 'bad',
  REFUSED: 'c3',
  FORMERR: 'c6',
  NOTIMP: 'c5',
  other: 'rest',
};

const byId = (id) => document.getElementById(id);
const panels = [...document.querySelectorAll('.panel[data-of]')];

const page = {
  history: null,
  chosen: null,
  source: null,
  last: 0,
  trouble: '',
  colors: new Map(),
  lists: new Map(),
  map: null,
};

// The filter is in the address, so that it can be sent to others.
function readHash() {
  const parts = new URLSearchParams(location.hash.slice(1)).get('filter');
  const at = parts?.indexOf(':') ?? -1;
  const known = at > 0 && panels.some((panel) => panel.dataset.of === parts.slice(0, at));
  return known ? { of: parts.slice(0, at), value: parts.slice(at + 1) } : null;
}

function choose(of, value) {
  const again = page.chosen?.of === of && page.chosen?.value === value;
  const filter = new URLSearchParams({ filter: `${of}:${value}` });
  const url = again ? location.pathname + location.search : `#${filter}`;
  history.pushState(null, '', url);
  filterChanged();
}

function filterChanged() {
  page.chosen = readHash();
  byId('filter').hidden = page.chosen === null;
  if (page.chosen) {
    const { of, value } = page.chosen;
    const title = byId(`title-${of}`).textContent;
    byId('filter-text').textContent = `${of === 'country' ? country(value) : value} (${title})`;
  }
  listen();
}

function listen() {
  page.source?.close();
  const query = new URLSearchParams({
    top: panels.map((panel) => panel.dataset.of).join(),
    limit: String(COUNTRIES),
  });
  if (page.chosen) {
    query.set('filter', `${page.chosen.of}:${page.chosen.value}`);
  }
  const source = new EventSource(`/api/v1/events?${query}`);
  page.source = source;
  source.addEventListener('view', (event) => seen(JSON.parse(event.data)));
  source.addEventListener('error', () => {
    page.trouble = 'no connection';
    // Refused rather than interrupted: the browser does not come back by itself.
    if (source.readyState === EventSource.CLOSED && page.source === source) {
      page.trouble = 'refused';
      setTimeout(() => page.source === source && listen(), AGAIN);
    }
    state();
  });
}

async function loadHistory() {
  const answer = await fetch('/api/v1/history');
  if (answer.ok) {
    page.history = await answer.json();
  }
}

function append(point) {
  const { time, series, qtype, rcode } = page.history;
  if (time.length > 0 && point.time <= time[time.length - 1]) {
    return;
  }
  const before = time.length;
  time.push(point.time);
  for (const [name, column] of Object.entries(series)) {
    column.push(point[name] ?? null);
  }
  for (const [columns, values] of [
    [qtype, point.qtype],
    [rcode, point.rcode],
  ]) {
    for (const name of Object.keys(values)) {
      columns[name] ??= new Array(before).fill(0);
    }
    for (const [name, column] of Object.entries(columns)) {
      column.push(values[name] ?? 0);
    }
  }
  const all = [time, ...[series, qtype, rcode].flatMap((columns) => Object.values(columns))];
  while (time.length > KEPT) {
    all.forEach((column) => column.shift());
  }
}

function seen(view) {
  const { summary, top } = view;
  page.last = performance.now();
  page.trouble = '';
  page.summary = summary;
  if (page.history && summary.now) {
    append(summary.now);
  }
  document.querySelector('.live').hidden = false;
  instance(summary.instance);
  health(summary);
  figures(summary);
  lists(top);
  itself(summary);
  state();
}

function instance({ node, site, version, attachments, uptime_seconds: uptime }) {
  const places = [...new Set(attachments.map((place) => place.interface))].join(', ');
  const parts = [node, site, places, `up ${duration(uptime)}`, version].filter((part) => part);
  set(byId('instance'), parts.join(' · '));
  document.title = `${node} · xdsc`;
}

const SEVERITIES = { critical: 'Critical', warning: 'Warning', notice: 'Note' };

// Touched only when it says something else: it is spoken.
function health({ findings, totals, now, stages }) {
  const box = byId('health');
  const key = JSON.stringify(findings.map(({ code, severity }) => [code, severity]));
  const lines = findings.length > 0 ? findings : [null];
  if (box.dataset.key !== key) {
    box.dataset.key = key;
    box.replaceChildren(...lines.map(finding));
  } else {
    // The same troubles with other numbers are not news.
    lines.forEach((one, index) => one && words(box.children[index].querySelector('.what'), one.message));
  }
  const lag = Math.max(...stages.map((stage) => stage.lag_seconds), 0);
  gauges([
    ['Lost', `${amount(now?.lost ?? 0)}/s`, `${exact(totals.lost)} in all`, totals.lost > 0],
    ['Sampled out', `${amount(now?.sampled_out ?? 0)}/s`, `${exact(totals.sampled_out)} in all`, false],
    ['Keeps', `1 in ${now?.sampling_interval ?? 1}`, 'records', (now?.sampling_interval ?? 1) > 1],
    ['Behind', seconds(lag), 'slowest stage', lag > 5],
    ['Unreadable', `${amount(now?.rejected ?? 0)}/s`, `${exact(totals.rejected)} in all`, false],
  ]);
}

function finding(one) {
  const made = document.createElement('p');
  made.className = `finding ${one?.severity ?? 'good'}`;
  const word = document.createElement('strong');
  word.textContent = one ? SEVERITIES[one.severity] : 'All is well';
  const what = document.createElement('span');
  what.className = 'what';
  words(what, one ? one.message : 'Nothing is lost or sampled, and xdsc keeps up.');
  made.append(word, ' ', what);
  if (one?.cure) {
    const cure = document.createElement('span');
    cure.className = 'cure';
    words(cure, one.cure);
    made.append(' ', cure);
  }
  return made;
}

function gauges(values) {
  const box = byId('gauges');
  values.forEach(([name, value, beside, bad], index) => {
    let pair = box.children[index];
    if (!pair) {
      pair = document.createElement('div');
      pair.append(document.createElement('dt'), document.createElement('dd'), document.createElement('dd'));
      pair.children[2].className = 'beside';
      box.append(pair);
    }
    pair.classList.toggle('bad', bad);
    set(pair.children[0], name);
    set(pair.children[1], value);
    set(pair.children[2], beside);
  });
}

function figures({ totals, now }) {
  const point = now ?? {};
  const share = (part, whole) => (whole > 0 ? percent(part / whole) : '–');
  const show = (name, value, detail, column) => {
    const box = byId(`figure-${name}`);
    set(box.querySelector('.value'), value);
    set(box.querySelector('.detail'), detail);
    if (page.history) {
      line(box.querySelector('.line'), page.history.time, column(page.history.series));
    }
  };
  const sum = (a, b) => a.map((value, index) => (value ?? 0) + (b[index] ?? 0));
  show('queries', `${amount(point.queries)}/s`, `${total(totals.queries)} in all`, (s) => s.queries);
  show('responses', `${amount(point.responses)}/s`, `${total(totals.responses)} in all`, (s) => s.responses);
  show(
    'response-time',
    seconds(point.response_time_p50),
    `90 %: ${seconds(point.response_time_p90)}, 99 %: ${seconds(point.response_time_p99)}`,
    (s) => s.response_time_p50,
  );
  show('unanswered', `${amount(point.unanswered)}/s`, `${share(totals.unanswered, totals.queries)} of all`, (s) => s.unanswered);
  show(
    'traffic',
    bits((point.query_bytes ?? 0) + (point.response_bytes ?? 0)),
    `in ${bits(point.query_bytes ?? 0)}, out ${bits(point.response_bytes ?? 0)}`,
    (s) => sum(s.query_bytes, s.response_bytes),
  );
  show('truncated', `${amount(point.truncated)}/s`, `${share(totals.truncated, totals.responses)} of all`, (s) => s.truncated);
  show('tcp', `${amount(point.tcp_queries)}/s`, `${share(totals.tcp_queries, totals.queries)} of all`, (s) => s.tcp_queries);
  show('ipv6', `${amount(point.ipv6_queries)}/s`, `${share(totals.ipv6_queries, totals.queries)} of all`, (s) => s.ipv6_queries);
  byId('figure-queries').dataset.total = totals.queries;
  byId('figure-responses').dataset.total = totals.responses;
}

function lists(tops) {
  for (const top of tops) {
    const panel = byId(`panel-${top.of}`);
    if (!panel) {
      continue;
    }
    panel.hidden = !top.available && !isConfigured(top.of);
    const chosen = page.chosen?.of === top.of ? page.chosen.value : null;
    const { rows } = top;
    page.lists.get(top.of).show({ ...top, rows: rows.slice(0, ROWS), other: rest(top) }, chosen);
    panel.classList.toggle('without', !top.available);
    if (top.of === 'country') {
      page.map?.show(rows, chosen);
      panel.querySelector('.map').toggleAttribute('hidden', !top.available);
    }
  }
  charts();
}

function isConfigured(of) {
  return !(of in OPTIONAL) || page.summary.tables.some(({ table: name }) => name === OPTIONAL[of]);
}

// What the rows that are not shown have, with what has none.
function rest({ rows, other }) {
  if (!other) {
    return null;
  }
  return rows.slice(ROWS).reduce(
    (sum, row) => ({ total: sum.total + row.total, rate: (sum.rate ?? 0) + (row.rate ?? 0) }),
    other,
  );
}

function charts() {
  if (!page.history) {
    return;
  }
  for (const of of ['qtype', 'rcode']) {
    const columns = Object.entries(page.history[of]).map(([name, values]) => ({
      name,
      values,
      color: color(of, name),
      sum: values.reduce((a, b) => a + b, 0),
    }));
    columns.sort((a, b) => (a.name === 'other') - (b.name === 'other') || b.sum - a.sum);
    layers(byId(`panel-${of}`).querySelector('.chart'), page.history.time, columns, (value) => `${amount(value)}/s`);
  }
}

// A value keeps its colour while the page is open; there are eight for types.
function color(of, value) {
  if (of === 'rcode') {
    return CODES[value] ?? 'c8';
  }
  if (value === 'other') {
    return 'rest';
  }
  if (!page.colors.has(value)) {
    page.colors.set(value, `c${(page.colors.size % 8) + 1}`);
  }
  return page.history?.[of]?.[value] ? page.colors.get(value) : 'rest';
}

function itself({ accounts, rings, stages }) {
  const lost = ({ records }) =>
    (records.ring_full ?? 0) + (records.reentered ?? 0) + (records.unreadable ?? 0);
  table(
    'account',
    accounts.map((one) => [
      one.hook,
      ...[one.packets, one.dns, one.segments, one.not_dns, one.rejected, one.fragments].map(exact),
      exact(one.records.delivered ?? 0),
      exact(one.records.sampled_out ?? 0),
      exact(lost(one)),
    ]),
  );
  table(
    'rings',
    rings.map((ring) => [
      `${ring.hook}, CPU ${ring.cpu}`,
      String(ring.sampling_interval),
      percent(ring.fill_ratio),
      exact(ring.backlog),
      seconds(ring.lag_seconds),
      seconds(ring.max_lag_seconds),
      exact(ring.dropped),
    ]),
  );
  table(
    'stages',
    stages.map((one) => [one.stage, exact(one.backlog), seconds(one.lag_seconds), seconds(one.max_lag_seconds)]),
  );
}

function table(id, rows) {
  const body = byId(id).querySelector('tbody');
  while (body.children.length > rows.length) {
    body.lastChild.remove();
  }
  rows.forEach((cells, index) => {
    let row = body.children[index];
    if (!row) {
      row = document.createElement('tr');
      row.append(
        ...cells.map((_, column) => {
          const cell = document.createElement(column === 0 ? 'th' : 'td');
          if (column === 0) {
            cell.scope = 'row';
          } else {
            cell.className = 'number';
          }
          return cell;
        }),
      );
      body.append(row);
    }
    cells.forEach((text, column) => set(row.children[column], text));
  });
}

function state() {
  const age = performance.now() - page.last;
  const box = byId('state');
  let [name, text] = ['live', 'live'];
  if (page.last === 0) {
    [name, text] = page.trouble === '' ? ['none', 'connecting'] : ['stale', 'no connection'];
  } else if (page.trouble !== '' || age > STALE) {
    name = 'stale';
    text = `stale: nothing new for ${duration(Math.max(1, Math.round(age / 1000)))}`;
  }
  if (page.trouble === 'refused') {
    text += '; all places may be taken, trying again';
  }
  box.dataset.state = name;
  document.body.classList.toggle('stale', name === 'stale' && page.last > 0);
  set(box, text);
}

function set(node, text) {
  if (node.textContent !== text) {
    node.textContent = text;
  }
}

const THEMES = ['auto', 'light', 'dark'];

function theme(name) {
  const root = document.documentElement;
  if (name === 'auto') {
    delete root.dataset.theme;
  } else {
    root.dataset.theme = name;
  }
  set(byId('theme'), `Theme: ${name}`);
}

function startTheme() {
  let chosen = 'auto';
  try {
    const kept = localStorage.getItem('theme');
    chosen = THEMES.includes(kept) ? kept : 'auto';
  } catch {
    // Not allowed to keep anything.
  }
  theme(chosen);
  byId('theme').hidden = false;
  byId('theme').addEventListener('click', () => {
    chosen = THEMES[(THEMES.indexOf(chosen) + 1) % THEMES.length];
    theme(chosen);
    try {
      localStorage.setItem('theme', chosen);
    } catch {
      // It lasts as long as the page, then.
    }
  });
}

function start() {
  startTheme();
  for (const panel of panels) {
    const { of } = panel.dataset;
    const colored = of === 'qtype' || of === 'rcode';
    const list = new List(panel, {
      text: of === 'country' ? country : undefined,
      color: colored ? (value) => color(of, value) : undefined,
      choose,
    });
    page.lists.set(of, list);
  }
  const map = new WorldMap(document.querySelector('.map'), choose);
  map.load().then(() => {
    page.map = map;
  });
  byId('filter-clear').addEventListener('click', () => choose(page.chosen?.of, page.chosen?.value));
  addEventListener('hashchange', filterChanged);
  addEventListener('popstate', filterChanged);
  // A page that nobody sees costs nobody anything.
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      page.source?.close();
    } else {
      loadHistory().finally(listen);
    }
  });
  setInterval(state, 1000);
  setInterval(() => !document.hidden && loadHistory().catch(() => {}), RELOAD);
  loadHistory().catch(() => {}).finally(filterChanged);
}

start();
