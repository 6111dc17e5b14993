// A list of the most frequent values: rows that stay where they are while their
// numbers change, so that neither the eye nor the keyboard loses them.

import { amount, exact, total, words } from './format.js';

const UNITS = {
  queries: 'queries/s',
  responses: 'responses/s',
  messages: 'messages/s',
  bytes: 'octets/s',
  packets: 'packets/s',
};

// Not values of messages, so nothing to filter by.
const OWN = new Set(['other', 'retired', 'none']);

export class List {
  constructor(panel, { text, color, choose }) {
    this.panel = panel;
    this.of = panel.dataset.of;
    this.body = panel.querySelector('tbody');
    this.table = panel.querySelector('table');
    this.sum = panel.querySelector('.sum');
    this.note = panel.querySelector('.note');
    this.text = text ?? ((value) => value);
    this.color = color;
    this.choose = choose;
    this.rows = new Map();
  }

  show(top, chosen) {
    const unit = UNITS[top.counts] ?? '';
    this.sum.textContent = top.available ? `${amount(top.sum.rate)} ${unit}` : '';
    this.table.hidden = !top.available || top.rows.length === 0;
    const note = top.available && top.rows.length === 0 ? empty(top) : top.note;
    this.note.hidden = note === '';
    words(this.note, note);
    const most = Math.max(...top.rows.map((row) => row.rate ?? row.total), 0);
    const kept = new Map();
    const ordered = [];
    for (const row of top.rows) {
      const shown = this.rows.get(row.value) ?? this.row(row);
      this.fill(shown, row, most, chosen);
      kept.set(row.value, shown);
      ordered.push(shown.line);
    }
    this.rows = kept;
    if (top.other && top.other.total > 0 && !kept.has('other')) {
      ordered.push(this.rest(top.other, most));
    }
    this.arrange(ordered);
  }

  // Moves only what has to move: what has the focus keeps it.
  arrange(ordered) {
    ordered.forEach((line, index) => {
      const there = this.body.children[index];
      if (there === line) {
        return;
      }
      const focused = line.contains(document.activeElement) ? document.activeElement : null;
      this.body.insertBefore(line, there ?? null);
      focused?.focus({ preventScroll: true });
    });
    while (this.body.children.length > ordered.length) {
      this.body.lastChild.remove();
    }
  }

  row(row) {
    const made = line();
    const { name } = made;
    if (this.color) {
      made.swatch = document.createElement('span');
      name.append(made.swatch);
    }
    const text = document.createElement('span');
    text.className = 'text';
    const bdi = document.createElement('bdi');
    bdi.textContent = this.text(row.value);
    text.append(bdi);
    if (OWN.has(row.value)) {
      name.append(text);
    } else {
      made.button = document.createElement('button');
      made.button.type = 'button';
      made.button.append(text);
      made.button.title = row.value;
      made.button.addEventListener('click', () => this.choose(this.of, row.value));
      name.append(made.button);
    }
    if (row.detail) {
      const detail = document.createElement('bdi');
      detail.className = 'beside';
      detail.textContent = row.detail;
      (made.button ?? name).append(' ', detail);
    }
    return made;
  }

  fill(shown, row, most, chosen) {
    if (shown.swatch) {
      shown.swatch.className = `swatch ${this.color(row.value)}`;
    }
    shown.button?.setAttribute('aria-pressed', String(chosen === row.value));
    numbers(shown, row, most);
  }

  rest(other, most) {
    this.other ??= line();
    const { name } = this.other;
    if (name.childElementCount === 0) {
      if (this.color) {
        const swatch = document.createElement('span');
        swatch.className = `swatch ${this.color('other')}`;
        name.append(swatch);
      }
      const text = document.createElement('span');
      text.className = 'text muted';
      text.textContent = 'all others';
      name.append(text);
    }
    numbers(this.other, other, most);
    return this.other.line;
  }
}

function line() {
  const made = document.createElement('tr');
  const name = document.createElement('th');
  name.scope = 'row';
  const rate = document.createElement('td');
  const sum = document.createElement('td');
  rate.className = 'number';
  sum.className = 'number muted';
  made.append(name, rate, sum);
  return { line: made, name, rate, sum };
}

function numbers(shown, row, most) {
  shown.rate.textContent = amount(row.rate);
  shown.sum.textContent = total(row.total);
  shown.sum.title = exact(row.total);
  shown.line.dataset.total = row.total;
  const share = most > 0 ? Math.min((row.rate ?? row.total) / most, 1) : 0;
  shown.line.style.setProperty('--share', share.toFixed(3));
}

function empty(top) {
  return top.sum.total > 0
    ? 'Nothing of this was frequent enough for a row yet.'
    : 'Nothing was counted yet.';
}
