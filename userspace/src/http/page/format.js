// Numbers and names as people read them: the same units everywhere, digits that
// stay in their columns, and no more of them than tell something.

const SPACE = '\u202f';
const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P'];

// 0, 0.05, 3.2, 46, 123, 1.23 k, 12.3 k, 123 k, 1.23 M
export function amount(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) {
    return '–';
  }
  let scaled = Math.abs(value);
  let prefix = 0;
  while (scaled >= 999.5 && prefix < PREFIXES.length - 1) {
    scaled /= 1000;
    prefix += 1;
  }
  const sign = value < 0 ? '−' : '';
  const unit = PREFIXES[prefix];
  return sign + digits(scaled, prefix > 0) + (unit === '' ? '' : SPACE + unit);
}

// Three that count; of small numbers, as many as there can be.
function digits(value, scaled) {
  if (value === 0) {
    return '0';
  }
  if (value >= 99.5) {
    return value.toFixed(0);
  }
  if (value >= 9.95) {
    return value.toFixed(scaled ? 1 : 0);
  }
  if (value >= 0.995) {
    return value.toFixed(scaled ? 2 : 1);
  }
  return value >= 0.01 ? value.toFixed(2) : '<0.01';
}

// All digits up to a million, three then.
export function total(value) {
  return value < 1e6 ? exact(value) : amount(value);
}

// 12 345 678
export function exact(value) {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, SPACE);
}

export function seconds(value) {
  if (value === null || value === undefined) {
    return '–';
  }
  const scales = [
    [1, 's'],
    [1e-3, 'ms'],
    [1e-6, 'µs'],
  ];
  if (value === 0) {
    return `0${SPACE}s`;
  }
  const [scale, unit] = scales.find(([least]) => value >= least * 0.9995) ?? [1e-6, 'µs'];
  return digits(value / scale, true) + SPACE + unit;
}

// Of octets: networks are told in bits.
export function bits(octets) {
  const text = amount(octets * 8);
  return text + (text.includes(SPACE) ? '' : SPACE) + 'bit/s';
}

export function percent(share) {
  if (share === null || !Number.isFinite(share)) {
    return '–';
  }
  const value = share * 100;
  return (value === 0 ? '0' : value < 0.1 ? '<0.1' : value.toFixed(value < 10 ? 1 : 0)) + SPACE + '%';
}

export function duration(value) {
  const units = [
    [86400, 'd'],
    [3600, 'h'],
    [60, 'min'],
  ];
  const [size, unit] = units.find(([least]) => value >= least) ?? [1, 's'];
  const rest = units[units.findIndex(([least]) => least === size) + 1];
  const whole = Math.floor(value / size);
  const more = rest && whole < 10 ? Math.floor((value % size) / rest[0]) : 0;
  return `${whole}${SPACE}${unit}` + (more > 0 ? ` ${more}${SPACE}${rest[1]}` : '');
}

const regions = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'none' });

// The name of a country's code; the code where it has none.
export function country(code) {
  if (code === '??') {
    return 'not known';
  }
  try {
    return /^[A-Z]{2}$/.test(code) ? (regions.of(code) ?? code) : code;
  } catch {
    return code;
  }
}

// What is between backticks is what one writes into a file.
export function words(node, text) {
  if (node.dataset.words === text) {
    return;
  }
  node.dataset.words = text;
  const parts = text.split('`').map((part, index) => {
    const made = index % 2 === 1 ? document.createElement('code') : new Text(part);
    made.textContent = part;
    return made;
  });
  node.replaceChildren(...parts);
}
