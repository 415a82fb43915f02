// Logs: what the agent and its functions say, as they say it.
import { button, empty, field, h, link, mark } from './dom.js';
import { at, num } from './format.js';
import { stream } from './api.js';
import { changed, state } from './state.js';

// logReader reads the log of the path that where() gives, the newest most lines.
export function logReader(where, most) {
  const r = { lines: [], missing: 0, passed: 0, paused: false, state: 'off', why: '' };
  let n = 0, last = 0;
  const seen = new Set();
  // The last line of a run comes up to 10 s late, so what may have been missed is older.
  const s = stream(() => where() + (last ? `&since=${new Date(last - 11000).toISOString()}` : ''), (raws) => {
    for (const raw of raws) {
      if (!raw || seen.has(raw)) continue; // told before the stream broke
      const l = JSON.parse(raw);
      if (l.missing) {
        r.missing += l.missing;
        continue;
      }
      seen.add(raw);
      if (seen.size > 2000) seen.delete(seen.values().next().value);
      last = Math.max(last, Date.parse(l.time));
      if (r.paused) r.passed++;
      else r.lines.push({ ...l, n: n++ });
    }
    if (r.lines.length > most) r.lines.splice(0, r.lines.length - most);
    changed();
  }, (what, why) => { r.state = what; r.why = why; changed(); });
  r.end = s.end;
  r.again = () => { r.lines = []; r.missing = r.passed = 0; last = 0; seen.clear(); s.again(); };
  return r;
}

const levels = { DEBUG: 'off', INFO: 'ok', WARN: 'warn', ERROR: 'bad' };
const short = (level) => level.split(/[+-]/)[0];

// logList shows lines, null if there are none.
export function logList(lines, names = true) {
  if (!lines.length) return null;
  return h('ol', { class: 'log' }, lines.map((l) => h('li', { key: l.n, class: levels[short(l.level)] ?? 'off' },
    at(l.time, true), h('span', { class: 'level' }, l.level), h('span', { class: 'what' },
      names && l.function && [link(l.function, `#/functions/${l.function}`), ' '],
      h('span', { class: l.said ? 'said' : null }, l.text),
      Object.entries(l.attrs ?? {}).map(([k, v]) => [' ', h('span', { class: 'attr' }, h('span', { class: 'muted' }, `${k}=`), v)]),
      l.event && !l.said && [' ', h('span', { class: 'attr' }, h('span', { class: 'muted' }, 'event='), l.event)],
      l.left_out ? h('em', { class: 'muted' }, ` … the last of ${num(l.left_out)} more`) : l.repeated ? h('em', { class: 'muted' }, ` … repeated ${num(l.repeated)} times`) : null))));
}

export function logs(_, query) {
  let level = query.get('level') ?? 'INFO', fn = query.get('function') ?? '', text = '';
  const r = logReader(() => `v1/logs?follow=true&level=${level}&function=${encodeURIComponent(fn)}`, 1000);
  const keep = () => {
    history.replaceState(null, '', `#/logs?level=${level}${fn ? '&function=' + encodeURIComponent(fn) : ''}`);
    r.again();
    changed();
  };
  const pause = () => {
    r.paused = !r.paused;
    r.passed = 0;
    if (!r.paused) r.again();
    changed();
  };
  return {
    title: 'Logs',
    pause,
    end: r.end,
    draw() {
      const names = (state.status.functions ?? []).map((f) => f.name);
      if (fn && !names.includes(fn)) names.push(fn);
      const lines = r.lines.filter((l) => !text || JSON.stringify(l).toLowerCase().includes(text)).slice(-200).reverse();
      return [
        h('div', { class: 'lead' }, h('h1', null, 'Logs'), live(r)),
        h('div', { class: 'filters' },
          field('Level', h('select', { value: level, onchange: (e) => { level = e.target.value; keep(); } }, [['DEBUG', 'debug and above'], ['INFO', 'info and above'], ['WARN', 'warnings and errors'], ['ERROR', 'errors']].map(([v, words]) => h('option', { value: v }, words)))),
          field('Function', h('select', { value: fn, onchange: (e) => { fn = e.target.value; keep(); } }, h('option', { value: '' }, 'all, and the agent'), names.map((n) => h('option', { value: n, key: n }, n)))),
          field('Text', h('input', { type: 'search', 'data-filter': '', placeholder: 'contains ( / )', oninput: (e) => { text = e.target.value.trim().toLowerCase(); changed(); } })),
          button(r.paused ? 'Go on' : 'Pause', pause, { class: 'pause', 'aria-pressed': String(r.paused) })),
        r.missing > 0 && h('p', { class: 'gap' }, mark('warn'), ` ${num(r.missing)} lines are missing: they came faster than this page reads.`),
        h('section', { class: 'panel flush', 'aria-label': 'Lines, the newest first' }, logList(lines) ?? empty(r.lines.length ? 'No line says that.' : 'Nothing has been logged at this level.', r.lines.length ? 'Clear the text to see all.' : 'Lower the level to see more; new lines appear at once.')),
      ];
    },
  };
}

// live says whether what is shown is live.
export const live = (r) => h('span', { class: 'state' }, r.paused ? [mark('note'), ` paused${r.passed ? `, ${num(r.passed)} more came` : ''}`]
  : r.state === 'on' ? [mark('ok'), ' live'] : [mark('bad'), ` not connected${r.why ? ': ' + r.why : ''}`]);
