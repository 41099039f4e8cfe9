/* The page's own script: sorting, filtering, choosing, values at the pointer, zooming.

   What is chosen stands in the address behind the # sign, so that a view can be sent:
   stack=…&scenario=… (as often as there are some, where not all are shown), sort=TABLE.COLUMN.WAY,
   find=TABLE.WORDS, zoom=PICTURE.FROM.TO (shares of the width), at=SECTION.
   It computes no statistics: what it shows stands in the page. */
'use strict';
(() => {
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const made = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};
const drawn = (name, attributes) => {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const key in attributes) element.setAttribute(key, attributes[key]);
  return element;
};

/* Choice of stacks and scenarios */
const form = document.getElementById('choice');
const boxes = name => form ? all(`input[name="${name}"]`, form) : [];
const stacks = boxes('stack').map(box => box.value);
const scenarios = boxes('scenario').map(box => box.value);
const wanted = { stack: new Set(stacks), scenario: new Set(scenarios) };
const known = { stack: new Set(stacks), scenario: new Set(scenarios) };
const shows = (kind, name) => !known[kind].has(name) || wanted[kind].has(name);

/* Tables */
const tables = all('table').map(element => {
  const head = all('thead tr > *', element);
  const names = head.map(cell => cell.textContent.trim());
  return {
    element, head, names,
    body: element.tBodies[0],
    rows: all('tbody tr', element),
    texts: Number(element.dataset.names),
    stack: names.indexOf('stack'),
    scenario: names.findIndex(name => name === 'scenario' || name === 'neighbour'),
    sort: null,
    find: '',
  };
});
const byId = new Map(tables.map(table => [table.element.id, table]));
const cell = (row, place) => row.cells[place].textContent.trim();
const figure = text => {
  if (text.startsWith('~')) return 1;
  const found = text.replaceAll(',', '').match(/[-+]?\d+(\.\d+)?/);
  return found && !text.startsWith('overloaded') ? Number(found[0]) : NaN;
};
const compare = (table, place, way) => (one, other) => {
  const [a, b] = [cell(one, place), cell(other, place)];
  if (place < table.texts) return way * a.localeCompare(b, 'en', { numeric: true });
  const [x, y] = [figure(a), figure(b)];
  if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
  return way * (x - y);
};
const arrange = table => {
  const { sort, rows, body, element, head } = table;
  const order = sort ? [...rows].sort(compare(table, sort.place, sort.way)) : rows;
  body.append(...order);
  element.classList.toggle('sorted', sort !== null);
  head.forEach((th, place) => {
    if (sort && sort.place === place) {
      th.setAttribute('aria-sort', sort.way > 0 ? 'ascending' : 'descending');
    } else th.removeAttribute('aria-sort');
  });
};
const sift = table => {
  const words = table.find.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of table.rows) {
    const text = words.length ? row.textContent.toLowerCase() : '';
    const scenario = table.scenario < 0 ? '' : cell(row, table.scenario);
    const shown = words.every(word => text.includes(word))
      && (table.stack < 0 || shows('stack', cell(row, table.stack)))
      && shows('scenario', scenario)
      && (known.scenario.has(scenario) || shows('scenario', scenario.split('/')[0]));
    row.hidden = !shown;
    count += shown;
  }
  table.names.forEach((name, place) => {
    if (!known.stack.has(name)) return;
    for (const row of [table.head[place].parentElement, ...table.rows]) {
      row.cells[place].hidden = !wanted.stack.has(name);
    }
  });
  if (table.count) {
    table.count.textContent = count === table.rows.length ? '' : `${count} of ${table.rows.length} rows`;
  }
};
const LEAST_ROWS = 8;
for (const table of tables) {
  table.head.forEach((th, place) => {
    if (th.tagName !== 'TH') return;
    const button = made('button', { type: 'button' }, ...th.childNodes);
    button.addEventListener('click', () => {
      const first = place < table.texts ? 1 : -1;
      const { sort } = table;
      if (!sort || sort.place !== place) table.sort = { place, way: first };
      else table.sort = sort.way === first ? { place, way: -first } : null;
      arrange(table);
      remember();
    });
    th.append(button);
  });
  if (table.rows.length < LEAST_ROWS) continue;
  const title = document.getElementById(`${table.element.id}-title`).textContent;
  table.input = made('input', { type: 'search', size: 16, ariaLabel: `Rows with, in: ${title}` });
  table.count = made('span', { role: 'status' });
  table.input.addEventListener('input', () => {
    table.find = table.input.value;
    sift(table);
    remember();
  });
  const tools = made('div', { className: 'tools' }, made('label', {}, 'Rows with', table.input), table.count);
  table.element.parentElement.before(tools);
}

/* Pictures */
const svgs = all('.panel svg');
const number = (element, name) => (element.dataset[name] || '').split(' ').map(Number);
const closeUp = svg => {
  const [top, name, pitch, foot] = number(svg, 'rows');
  let y = top;
  for (const row of all('.row', svg)) {
    const dots = all('.dot', row);
    const shown = dots.filter(dot => !dot.dataset.s || wanted.stack.has(stacks[dot.dataset.s]));
    dots.forEach(dot => dot.toggleAttribute('hidden', !shown.includes(dot)));
    const visible = shown.length > 0 && shows('scenario', row.dataset.k);
    row.toggleAttribute('hidden', !visible);
    if (!visible) continue;
    row.setAttribute('transform', `translate(0 ${y})`);
    shown.forEach((dot, place) => dot.setAttribute('transform', `translate(0 ${name + pitch * place})`));
    y += name + pitch * shown.length + foot;
  }
  svg.setAttribute('viewBox', `0 0 360 ${Math.max(y, 1)}`);
  svg.parentElement.hidden = y === top;
};
/* A sentence that names what is hidden is hidden with it; a line says how many in this section are. */
const sentences = all('[data-about]').map(element => ({
  element,
  section: element.closest('section'),
  question: element.closest('.questions > li'),
  about: element.dataset.about.split(' ').map(name => [name[0], Number(name.slice(1))]),
}));
const scopes = new Map();
for (const { section } of sentences) {
  if (scopes.has(section)) continue;
  const line = made('p', { className: 'scope', hidden: true });
  if (!scopes.size) line.setAttribute('role', 'status');
  section.querySelector('h2').after(line);
  scopes.set(section, line);
}
const unanswered = new Map();
for (const { question } of sentences) {
  if (!question || unanswered.has(question)) continue;
  const words = made('span', { className: 'left-out', hidden: true }, ' The answer names what is hidden.');
  question.querySelector('strong').after(words);
  unanswered.set(question, words);
}
const isNamed = ([kind, place]) => kind === 's' ? shows('stack', stacks[place]) : shows('scenario', scenarios[place]);
const speak = () => {
  const left = new Map();
  for (const { element, section, about } of sentences) {
    element.hidden = !about.every(isNamed);
    if (element.hidden) left.set(section, (left.get(section) || 0) + 1);
  }
  scopes.forEach((line, section) => {
    const count = left.get(section) || 0;
    line.hidden = !count;
    line.textContent = count ? `Left out here: ${count === 1 ? '1 sentence that names' : `${count} sentences that name`} what is hidden.` : '';
  });
  unanswered.forEach((words, question) => {
    words.hidden = all('[data-answer]', question).some(line => !line.hidden);
  });
};
const show = () => {
  speak();
  for (const svg of svgs) {
    if (svg.classList.contains('rows')) closeUp(svg);
    for (const course of all('.course[data-s]', svg)) {
      course.toggleAttribute('hidden', !wanted.stack.has(stacks[course.dataset.s]));
    }
    const { k } = svg.parentElement.dataset;
    if (k) svg.parentElement.hidden = !shows('scenario', k);
  }
  for (const key of all('.keys li')) key.hidden = !shows('stack', key.textContent.trim());
  tables.forEach(sift);
  const chosen = document.getElementById('chosen');
  if (chosen) chosen.textContent = `(${wanted.scenario.size} of ${scenarios.length})`;
};

/* Values at the pointer. Points of a line are read back from the axes, to three digits. */
const tip = made('div', { id: 'tip', hidden: true });
tip.setAttribute('aria-hidden', 'true');
document.body.append(tip);
const ring = drawn('circle', { class: 'ring', r: 5 });
const LEFT = 40, RIGHT = 346;
const digits = value => Number(value.toPrecision(3)).toLocaleString('en', { maximumFractionDigits: 9 });
const axisValue = ([low, high], kind, share) => {
  const at = low + share * (high - low);
  return kind === 'log' ? 10 ** at : kind === 'log2' ? 2 ** at : at;
};
const axis = (svg, name) => {
  const [kind, ...numbers] = svg.dataset[name].split(' ');
  return { kind, numbers: numbers.map(Number) };
};
const xText = (svg, x) => {
  const { kind, numbers } = axis(svg, 'x');
  const share = (x - LEFT) / (RIGHT - LEFT);
  if (kind !== 'nines') return `${digits(axisValue(numbers, kind, share))} ${svg.dataset.unit}`;
  if (share > 0.999) return 'max';
  return `p${Number((100 * (1 - 10 ** -axisValue(numbers, 'lin', share))).toFixed(2))}`;
};
const yText = (svg, y) => {
  const { kind, numbers: [low, high, foot, top] } = axis(svg, 'y');
  return digits(axisValue([low, high], kind, (foot - y) / (foot - top)));
};
const points = new WeakMap();
const pointsOf = course => {
  if (!points.has(course)) {
    const d = course.querySelector('.line').getAttribute('d');
    points.set(course, d.slice(1).split('L').map(pair => pair.split(' ').map(Number)));
  }
  return points.get(course);
};
const nearest = (svg, at) => {
  let best = null;
  const offer = (distance, text, x, y) => {
    if (!best || distance < best.distance) best = { distance, text, x, y };
  };
  if (svg.classList.contains('rows')) {
    const pitch = number(svg, 'rows')[2];
    for (const dot of all('.row:not([hidden]) > .dot:not([hidden])', svg)) {
      const down = [dot.parentElement, dot].reduce(
        (sum, group) => sum + Number(group.getAttribute('transform').match(/ ([-\d.]+)\)/)[1]), 0);
      offer(Math.abs(at.y - down - pitch / 2), dot.dataset.v, null, null);
    }
    return best;
  }
  const zoom = zooms.get(svg) || [0, 1];
  for (const course of all('.course:not([hidden])', svg)) {
    for (const [x, y] of pointsOf(course)) {
      const px = LEFT + ((x - LEFT) - zoom[0] * (RIGHT - LEFT)) / (zoom[1] - zoom[0]);
      if (px < LEFT - 1 || px > RIGHT + 1) continue;
      const stack = stacks[course.dataset.s] || '';
      offer(Math.hypot(px - at.x, y - at.y), () => `${stack}, ${xText(svg, x)}: ${yText(svg, y)}`, px, y);
    }
  }
  return best;
};
const place = (svg, event) =>
  new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
const leave = () => { tip.hidden = true; ring.remove(); };
const point = event => {
  const svg = event.target.closest && event.target.closest('.panel svg');
  const best = svg && nearest(svg, place(svg, event));
  if (!best || best.distance > 40) return leave();
  tip.textContent = typeof best.text === 'function' ? best.text() : best.text;
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - width - 4))}px`;
  tip.style.top = `${event.clientY + 18 + height > innerHeight ? event.clientY - height - 8 : event.clientY + 18}px`;
  if (best.x === null) return ring.remove();
  ring.setAttribute('cx', best.x);
  ring.setAttribute('cy', best.y);
  svg.append(ring);
};
document.addEventListener('pointermove', point);
document.addEventListener('pointerdown', point);
document.addEventListener('scroll', leave, { passive: true });

/* Zooming along x: by dragging, or with the buttons below the picture */
const zooms = new Map();
const STEPS = [1, 2, 2.5, 5, 10];
const tools = new Map();
const zoomTo = (svg, from, to) => {
  const width = Math.min(1, Math.max(0.01, to - from));
  const start = Math.min(1 - width, Math.max(0, from));
  if (width === 1) zooms.delete(svg);
  else zooms.set(svg, [start, start + width]);
  const span = RIGHT - LEFT;
  for (const course of all('.course', svg)) {
    course.setAttribute('transform', `translate(${LEFT - (LEFT + start * span) / width} 0) scale(${1 / width} 1)`);
  }
  const { numbers: [low, high] } = axis(svg, 'x');
  const [first, last] = [start, start + width].map(share => low + share * (high - low));
  const unit = 10 ** Math.floor(Math.log10((last - first) / 4));
  const step = unit * STEPS.find(factor => unit * factor >= (last - first) / 4);
  all('.at', svg).forEach(element => element.remove());
  const [grid, y] = [[], Number(svg.getAttribute('viewBox').split(' ')[3])];
  const values = [];
  for (let value = Math.ceil(first / step) * step; value <= last; value += step) values.push(value);
  values.forEach((value, index) => {
    const x = LEFT + (value - first) / (last - first) * span;
    grid.push(`M${x} 8V${y - 22}`);
    const ends = index === values.length - 1;
    const label = drawn('text', { class: 'tick at', x: ends ? 360 : x, y: y - 7, 'text-anchor': ends ? 'end' : 'middle' });
    label.textContent = digits(value) + (ends ? ` ${svg.dataset.unit}` : '');
    svg.append(label);
  });
  svg.prepend(drawn('path', { class: 'grid at', d: grid.join('') }));
  tools.get(svg).forEach((button, index) => { button.disabled = index > 0 && !zooms.has(svg); });
};
svgs.filter(svg => svg.classList.contains('zoom')).forEach((svg, index) => {
  svg.id = `picture-${index + 1}`;
  const clip = drawn('clipPath', { id: `${svg.id}-inside` });
  clip.append(drawn('rect', { x: LEFT, y: 0, width: RIGHT - LEFT, height: 400 }));
  const group = drawn('g', { 'clip-path': `url(#${clip.id})` });
  group.append(...all('.course', svg));
  svg.append(clip, group);
  const title = svg.parentElement.querySelector('p').textContent;
  const button = (text, move) => {
    const element = made('button', { type: 'button', ariaLabel: `${text}: ${title}` }, text);
    element.addEventListener('click', () => {
      const [from, to] = zooms.get(svg) || [0, 1];
      zoomTo(svg, ...move(from, to, to - from));
      remember();
    });
    return element;
  };
  tools.set(svg, [
    button('Zoom in', (from, to, width) => [from + width / 4, to - width / 4]),
    button('Zoom out', (from, to, width) => [from - width / 2, to + width / 2]),
    button('Earlier', (from, to, width) => [from - width / 2, to - width / 2]),
    button('Later', (from, to, width) => [from + width / 2, to + width / 2]),
  ]);
  svg.after(made('div', { className: 'tools' }, ...tools.get(svg)));
  zoomTo(svg, 0, 1);
  let began = null;
  const sweep = drawn('rect', { class: 'sweep', y: 8, height: 170 });
  svg.addEventListener('pointerdown', event => { began = place(svg, event).x; });
  svg.addEventListener('pointermove', event => {
    if (began === null) return;
    const x = place(svg, event).x;
    sweep.setAttribute('x', Math.min(began, x));
    sweep.setAttribute('width', Math.abs(x - began));
    svg.append(sweep);
  });
  addEventListener('pointerup', event => {
    if (began === null) return;
    const ends = [began, place(svg, event).x].sort((a, b) => a - b);
    began = null;
    sweep.remove();
    if (ends[1] - ends[0] < 8) return;
    const [from, to] = zooms.get(svg) || [0, 1];
    zoomTo(svg, ...ends.map(x => from + (x - LEFT) / (RIGHT - LEFT) * (to - from)));
    remember();
  });
});

/* The address */
let at = '';
const address = () => {
  const words = new URLSearchParams();
  for (const kind of ['stack', 'scenario']) {
    if (wanted[kind].size === known[kind].size) continue;
    if (wanted[kind].size === 0) words.append(kind, '');
    wanted[kind].forEach(name => words.append(kind, name));
  }
  for (const table of tables) {
    const { sort, find, element: { id } } = table;
    if (sort) words.append('sort', `${id}.${sort.place}.${sort.way > 0 ? 'up' : 'down'}`);
    if (find) words.append('find', `${id}.${find}`);
  }
  zooms.forEach(([from, to], svg) => words.append('zoom', `${svg.id} ${from.toFixed(3)} ${to.toFixed(3)}`));
  if (!words.size) return at ? `#${at}` : '#';
  if (at) words.append('at', at);
  return `#${words}`;
};
const remember = () => {
  const now = address();
  if (location.hash || now !== '#') history.replaceState(null, '', now);
  const link = document.getElementById('view');
  if (link) link.href = now === '#' ? '#answer' : now;
};
const scroll = () => {
  const section = at && document.getElementById(at);
  if (section) section.scrollIntoView();
};
const restore = () => {
  const text = location.hash.slice(1);
  const words = new URLSearchParams(text.includes('=') ? text : '');
  at = words.get('at') || '';
  for (const kind of ['stack', 'scenario']) {
    const given = words.has(kind) ? words.getAll(kind) : [...known[kind]];
    wanted[kind] = new Set(given.filter(name => known[kind].has(name)));
    boxes(kind).forEach(box => { box.checked = wanted[kind].has(box.value); });
  }
  for (const table of tables) Object.assign(table, { sort: null, find: '' });
  for (const given of words.getAll('sort')) {
    const [id, column, way] = given.split('.');
    const table = byId.get(id);
    if (table && table.names[column]) table.sort = { place: Number(column), way: way === 'up' ? 1 : -1 };
  }
  for (const given of words.getAll('find')) {
    const table = byId.get(given.split('.')[0]);
    if (table) table.find = given.slice(given.indexOf('.') + 1);
  }
  const open = table => {
    const details = table.element.closest('details');
    if (details) details.open = true;
  };
  for (const table of tables) {
    if (table.sort || table.find) open(table);
    if (table.input) table.input.value = table.find;
    arrange(table);
  }
  const given = new Map(words.getAll('zoom').map(text => [text.split(' ')[0], text.split(' ').slice(1).map(Number)]));
  for (const svg of tools.keys()) {
    const [from, to] = given.get(svg.id) || [0, 1];
    zoomTo(svg, from >= 0 ? from : 0, to <= 1 ? to : 1);
  }
  show();
  scroll();
};
addEventListener('hashchange', () => {
  const text = location.hash.slice(1);
  if (text.includes('=')) return restore();
  at = text;
  remember();
});
if (form) {
  const choose = () => {
    for (const kind of ['stack', 'scenario']) {
      wanted[kind] = new Set(boxes(kind).filter(box => box.checked).map(box => box.value));
    }
    show();
    remember();
  };
  form.hidden = false;
  form.addEventListener('change', choose);
  form.addEventListener('submit', event => event.preventDefault());
  form.addEventListener('reset', event => {
    event.preventDefault();
    history.replaceState(null, '', '#');
    restore();
    remember();
  });
  for (const [id, checked] of [['all', true], ['none', false]]) {
    const button = document.getElementById(id);
    if (button) button.addEventListener('click', () => {
      boxes('scenario').forEach(box => { box.checked = checked; });
      choose();
    });
  }
}
if (location.hash.includes('=')) restore();
else {
  at = location.hash.slice(1);
  show();
}
remember();

/* On paper everything is open */
let closed = [];
addEventListener('beforeprint', () => {
  closed = all('details:not([open])');
  closed.forEach(details => { details.open = true; });
});
addEventListener('afterprint', () => closed.forEach(details => { details.open = false; }));
})();
