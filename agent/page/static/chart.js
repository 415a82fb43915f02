// Charts: the lines are SVG, axes and readings are text beside them.
import { h } from './dom.js';
import { hms } from './format.js';

const W = 300, H = 100;

// nice is the next round number above n.
function nice(n) {
  if (!(n > 0)) return 1;
  const p = 10 ** Math.floor(Math.log10(n));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((m) => m * p >= n * 0.999) * p;
}

// niceBytes is that in powers of two.
export function niceBytes(n) {
  let unit = 1;
  while (n / unit >= 1000) unit *= 1024;
  const m = nice(n / unit);
  return (m === 1000 ? 1024 : m) * unit;
}

// path draws values (null breaks the line); it is closed to the ground if filled.
function path(values, most, filled) {
  const x = (i) => (values.length < 2 ? W : (i / (values.length - 1)) * W);
  const y = (v) => H - (Math.min(v, most) / most) * (H - 3) - 1;
  let d = '', begun = -1;
  values.forEach((v, i) => {
    if (v === null) return;
    const fresh = i === 0 || values[i - 1] === null;
    if (fresh) begun = i;
    const lone = fresh && (i === values.length - 1 || values[i + 1] === null);
    if (filled && fresh) d += `M${x(i).toFixed(1)} ${H}L`;
    else d += fresh ? 'M' : 'L';
    d += `${x(i).toFixed(1)} ${y(v).toFixed(1)}`;
    if (lone) d += `h1.5`;
    if (filled && (i === values.length - 1 || values[i + 1] === null)) d += `V${H}H${x(begun).toFixed(1)}Z`;
  });
  return d;
}

// chart shows series [{name, values, kind}] that all end now, each value every
// seconds after the one before. kind is a class: a, b or bad; the first of several
// is drawn as an area. format makes text of a value.
export function chart({ title, series, every, end, format, round = nice, now, key }) {
  const length = Math.max(0, ...series.map((s) => s.values.length));
  const all = series.flatMap((s) => s.values).filter((v) => v !== null);
  const most = round(Math.max(0, ...all));
  const long = Math.round(Math.max(1, length - 1) * every / 60);
  const back = long >= 60 ? '1 h ago' : long ? `${long} min ago` : `${Math.max(1, length - 1) * every} s ago`;
  const told = series.map((s) => {
    const v = s.values.filter((x) => x !== null);
    if (!v.length) return `${s.name}: nothing yet`;
    const mean = v.reduce((a, b) => a + b, 0) / v.length;
    return `${s.name}: last ${format(v.at(-1))}, lowest ${format(Math.min(...v))}, highest ${format(Math.max(...v))}, mean ${format(mean)}`;
  });
  const alt = `${title}, from ${back} until now. ${told.join('. ')}.`;
  const read = (e) => point(e, { length, series, every, end, format });
  const enough = all.length > 0 && length > 1;
  return h('figure', { class: 'chart', key: key ?? title },
    h('figcaption', null, h('span', { class: 'title' }, title), h('span', { class: 'now' }, now ?? (all.length ? format(series[0].values.findLast((v) => v !== null)) : '–'))),
    h('div', { class: 'plot', onpointermove: enough ? read : null, onpointerleave: unpoint },
      h('span', { class: 'y top', 'aria-hidden': 'true' }, enough && format(most)), h('span', { class: 'y low', 'aria-hidden': 'true' }, enough && '0'),
      h('svg', { viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': alt },
        h('line', { class: 'grid', x1: 0, x2: W, y1: 2, y2: 2 }), h('line', { class: 'grid', x1: 0, x2: W, y1: H / 2, y2: H / 2 }), h('line', { class: 'grid', x1: 0, x2: W, y1: H - 1, y2: H - 1 }),
        enough && series.map((s, i) => [
          i === 0 && h('path', { class: `area ${s.kind}`, d: path(s.values, most, true) }),
          h('path', { class: `line ${s.kind}`, d: path(s.values, most) })])),
      !enough && h('span', { class: 'none' }, 'collecting the first figures'),
      h('div', { class: 'hover', keep: true, 'aria-hidden': 'true' }, h('i'), h('output'))),
    h('div', { class: 'x', 'aria-hidden': 'true' }, h('span', null, enough && back),
      h('span', { class: 'legend' }, series.length > 1 && series.map((s) => h('span', { class: `key ${s.kind}` }, s.name))), h('span', null, 'now')));
}

// point tells the values below the pointer.
function point(e, { length, series, every, end, format }) {
  const box = e.currentTarget.querySelector('svg').getBoundingClientRect();
  const part = Math.min(1, Math.max(0, (e.clientX - box.left) / box.width));
  const i = Math.round(part * (length - 1));
  const told = series.map((s) => `${series.length > 1 ? s.name + ' ' : ''}${s.values[i] === null || s.values[i] === undefined ? '–' : format(s.values[i])}`);
  const hover = e.currentTarget.querySelector('.hover');
  hover.lastChild.textContent = `${hms(end - (length - 1 - i) * every * 1000)}  ${told.join(', ')}`;
  hover.firstChild.style.left = `${box.left - e.currentTarget.getBoundingClientRect().left + (i / Math.max(1, length - 1)) * box.width}px`;
  hover.classList.add('on');
}

function unpoint(e) {
  e.currentTarget.querySelector('.hover').classList.remove('on');
}

// spark is a small line without axes; what it shows stands in words beside it.
export const spark = (label, values) => (values.length < 2 ? '' : h('svg', { class: 'spark', viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': `${label}, over ${values.length} minutes: lowest ${Math.min(...values)}, highest ${Math.max(...values)}` },
  h('path', { class: 'area a', d: path(values, nice(Math.max(...values)), true) }), h('path', { class: 'line a', d: path(values, nice(Math.max(...values))) })));

// bar shows how much of a limit is used, in words beside it.
export function bar(label, part, text, level) {
  const percent = Math.min(100, Math.max(0, part * 100));
  level ??= percent >= 100 ? 'bad' : percent >= 85 ? 'warn' : 'ok';
  return h('div', { class: 'bar', role: 'meter', 'aria-label': label, 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': Math.round(percent), 'aria-valuetext': text },
    h('div', { class: 'text' }, h('span', null, label), h('span', null, text)),
    h('div', { class: 'rail' }, h('div', { class: `fill ${level}`, style: { width: `${percent.toFixed(1)}%` } })));
}
