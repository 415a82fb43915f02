// Try: what would a function do with this event?
import { badge, button, empty, facts, field, h, link, mark } from './dom.js';
import { bytes, count, fromText, micros, num, text as textOf, toBytes } from './format.js';
import { post } from './api.js';
import { changed, refresh, state } from './state.js';
import { act, complain, confirm, payload } from './ui.js';

let given = null; // an event that somebody came with
let kept = {}; // what was typed last

// tryWith goes to the page with an event {subject, datacontenttype, data or data_base64},
// and a function if that is known.
export function tryWith(e, fn) {
  const raw = e.data_base64 !== undefined ? toBytes(e.data_base64) : null;
  const words = raw ? textOf(raw) : typeof e.data === 'string' && e.datacontenttype && !e.datacontenttype.includes('json') ? e.data : e.data === undefined ? '' : JSON.stringify(e.data, null, 2);
  given = { topic: e.subject ?? '', type: e.datacontenttype ?? '', text: words ?? e.data_base64, base64: words === null, ...(fn && { function: fn }) };
  location.hash = '#/try';
}

export function tryOut(_, query) {
  const v = { function: query.get('function') ?? kept.function ?? '', topic: query.get('topic') ?? kept.topic ?? '', type: kept.type ?? '', text: kept.text ?? '', base64: kept.base64 ?? false, ...given };
  given = null;
  let answer = null, busy = false;
  const asked = () => {
    const event = { subject: v.topic };
    if (v.type) event.contentType = v.type;
    if (v.base64) return { ...event, data_base64: v.text.trim() };
    try {
      return { ...event, data: JSON.parse(v.text) };
    } catch {
      return { ...event, data_base64: fromText(v.text) };
    }
  };
  const run = async (commit) => {
    if (!v.function || busy) return complain('Choose a function first.');
    if (commit && !await confirm('Run it for real?', [`The event is offered on ${v.topic || 'no topic'} as if it had just come: every trigger that matches runs, state changes, and what functions publish and send goes out.`], 'Run for real', true)) return null;
    busy = true;
    kept = { ...v };
    changed();
    try {
      answer = { commit, report: await post('v1/try', { function: v.function, event: asked(), commit }) };
    } catch (e) {
      answer = { commit, error: e.message };
    }
    busy = false;
    refresh();
    changed();
    return null;
  };
  const set = (name) => (e) => { v[name] = e.target.value; };
  return {
    title: 'Try',
    draw() {
      const names = (state.status.functions ?? []).map((f) => f.name);
      if (!names.length) return [h('h1', null, 'Try'), empty('No function runs on this device.', 'Publish an app first; see ', link('Deployments', '#/deployments'), '. Before that, on your own computer: ', h('code', null, 'skerry invoke'))];
      v.function ||= names[0];
      if (!names.includes(v.function)) names.push(v.function);
      return [
        h('h1', null, 'Try'),
        h('div', { class: 'grid two' },
          h('form', { class: 'panel', onsubmit: (e) => { e.preventDefault(); run(false); } },
            field('Function', h('select', { value: v.function, onchange: set('function') }, names.map((n) => h('option', { value: n, key: n }, n)))),
            field('Topic', h('input', { value: v.topic, 'data-filter': '', spellcheck: 'false', autocapitalize: 'off', placeholder: 'sensors/line-1/s1/temperature', oninput: set('topic') })),
            field('Content type', h('input', { value: v.type, spellcheck: 'false', placeholder: 'as its data says', oninput: set('type') })),
            field(v.base64 ? 'Data, in base64' : 'Data', h('textarea', { value: v.text, rows: 8, spellcheck: 'false', placeholder: '{"temperature": 95}', oninput: set('text') })),
            h('div', { class: 'actions' }, button(busy ? 'Running …' : 'Dry run', null, { type: 'submit', class: 'primary', disabled: busy }), act('For real …', () => run(true), { disabled: busy })),
            h('p', { class: 'muted' }, 'A dry run works on a copy of the state: nothing is kept, published or sent.')),
          h('section', { class: 'panel', 'aria-label': 'What it did', 'aria-live': 'polite' }, h('h2', null, 'What it did'), answer ? shown(answer) : h('p', { class: 'muted' }, 'The result stands here: what it would publish, send and keep, what it logs, and what it costs.'))),
      ];
    },
  };
}

const outcomes = { committed: 'ok', rejected: 'warn', retry: 'warn', failed: 'bad', stopped: 'bad', dead: 'bad', waiting: 'warn' };

function shown({ commit, error, report }) {
  if (error) return h('p', null, badge('bad', 'It was not tried'), ' ', error);
  if (!commit) return [h('p', { class: 'muted' }, 'A dry run: nothing was kept or sent.'), outcome(report)];
  const list = report.triggers ?? [];
  return [
    h('p', null, badge(list.length ? 'ok' : 'warn', list.length ? `${count(list.length, 'trigger')} took it` : 'No trigger took it'), ' ', h('span', { class: 'muted' }, list.length ? `as event ${report.event ?? ''}` : 'Nothing was done. Triggers take topics that they name; see the app.')),
    list.map((t) => h('section', null, h('h3', null, `${t.trigger}, of ${t.function}`), outcome(t))),
  ];
}

// outcome is one report as skerry invoke prints it.
function outcome(r) {
  const u = r.usage ?? {};
  const part = (title, list, each) => list?.length > 0 && h('section', null, h('h3', null, title), list.map(each));
  const sent = (p) => h('div', { class: 'effect' }, h('code', null, p.to), payload(p));
  return [
    h('p', null, badge(outcomes[r.outcome] ?? 'note', r.outcome), r.fault && ` ${r.fault}`, r.cause && ` ${r.cause}`, r.error && ` ${r.error}`),
    facts([['Time', u.run_ns && micros(Math.round(u.run_ns / 1000))], ['Fuel', u.fuel && num(u.fuel)], ['Memory', u.memory && bytes(u.memory)], ['Host calls', u.calls && num(u.calls)], ['Tries', r.attempts > 1 && num(r.attempts)]]),
    r.result && h('section', null, h('h3', null, 'Result'), payload(r.result)),
    part('Publishes', r.publishes, (p) => h('div', { class: 'effect' }, h('code', null, p.topic), h('span', { class: 'muted' }, ` QoS ${p.qos}${p.retain ? ', retained' : ''}`), payload(p))),
    part('Follow-ups', r.followups, sent),
    part('Events for functions', r.emits, sent),
    part('State', r.writes, (w) => h('div', { class: 'effect' }, h('code', null, w.key), h('span', { class: 'muted' }, w.deleted ? ' deleted' : w.ttl_s ? ` for ${count(w.ttl_s, 'second')}` : ''), !w.deleted && payload(w))),
    part('Log', [...(r.start_log ?? []), ...(r.log ?? [])], (l) => h('p', { class: 'line' }, h('span', { class: 'level' }, l.level), ' ', l.text)),
    part('Refused for want of a permission', u.refused, (x) => h('p', null, mark('warn'), ' ', h('code', null, x))),
    part('Notes', r.notes, (x) => h('p', { class: 'muted' }, x)),
    r.outcome === 'committed' && !['publishes', 'followups', 'emits', 'writes', 'result'].some((k) => [r[k]].flat().filter(Boolean).length) && h('p', { class: 'muted' }, 'It decided to do nothing.'),
  ];
}
