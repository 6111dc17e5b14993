// Countries by the share of the queries that come from them. The table beside has
// the numbers; this is to look at, and to click at.

import { amount, country } from './format.js';
import { element } from './chart.js';

const STEPS = 5;

export class WorldMap {
  constructor(svg, choose) {
    this.svg = svg;
    this.choose = choose;
    this.shapes = new Map();
  }

  async load() {
    const answer = await fetch('/-/page/world.json');
    const world = await answer.json();
    this.svg.setAttribute('viewBox', `0 0 ${world.width} ${world.height}`);
    for (const [code, outline] of Object.entries(world.outlines)) {
      this.add(code, element('path', { d: outline }));
    }
    for (const [code, [x, y]] of Object.entries(world.dots)) {
      this.add(code, element('circle', { cx: x, cy: y, r: 4 }));
    }
  }

  add(code, shape) {
    const title = element('title', {});
    title.textContent = country(code);
    shape.append(title);
    shape.addEventListener('click', () => {
      if (shape.classList.contains('seen')) {
        this.choose('country', code);
      }
    });
    this.shapes.set(code, { shape, title });
    this.svg.append(shape);
  }

  // Each step is a factor: traffic is never even.
  show(rows, chosen) {
    const value = (row) => row.rate || 0;
    const most = Math.max(...rows.map(value), 0);
    const seen = new Map(rows.map((row) => [row.value, row]));
    for (const [code, { shape, title }] of this.shapes) {
      const row = seen.get(code);
      const share = row && most > 0 ? value(row) / most : 0;
      const step = share > 0 ? Math.max(1, STEPS + Math.ceil(Math.log(share) / Math.log(4))) : 0;
      let wanted = row ? `seen step-${step}` : '';
      wanted += chosen === code ? ' chosen' : '';
      if (shape.getAttribute('class') !== wanted) {
        shape.setAttribute('class', wanted);
      }
      if (row) {
        title.textContent = `${country(code)}: ${amount(row.rate)} queries/s`;
      }
    }
  }
}
