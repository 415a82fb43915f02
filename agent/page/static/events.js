// Events: what sources bring, as it comes.
import { badge, button, empty, facts, field, h, mark } from './dom.js';
import { at, count, num, rate } from './format.js';
import { stream } from './api.js';
import { changed, state } from './state.js';
import { brief, dialog, payload } from './ui.js';
import { live } from './logs.js';
import { tryWith } from './try.js';

const kept = 500, shown = 200;

export function events(_, query) {
  let topic = query.get('topic') ?? '', text = '', wrong = '', n = 0;
  let list = []; // {n, raw, e: parsed when it is drawn, gap}
  let due = null;
  const r = { paused: false, passed: 0, state: 'off', why: '', total: 0 };
  const soon = () => { due ??= setTimeout(() => { due = null; changed(); }, 200); };
  const s = stream(() => `v1/events?topic=${encodeURIComponent(topic)}`, (lines) => {
    for (const raw of lines) {
      if (!raw || raw.startsWith('{"skerry"')) continue;
      const gap = /^\{"at":[\d.]+,"gap":(\d+)\}$/.exec(raw);
      if (gap) add({ gap: Number(gap[1]), why: 'they came faster than this page reads' });
      else if (r.paused) r.passed++;
      else if (!text || raw.toLowerCase().includes(text)) add({ raw });
      if (!gap) r.total++;
    }
    soon();
  }, (what, why) => {
    if (what === 'on' && r.state === 'hidden') add({ why: 'nobody looked at this page' });
    if (what === 'on' && r.state === 'off' && n) add({ why: 'the agent was away' });
    r.state = what;
    r.why = wrong = what === 'off' ? why : '';
    changed();
  });
  function add(item) {
    if (item.gap && list[0]?.gap) {
      list[0].gap += item.gap;
      return;
    }
    list.unshift({ ...item, n: n++ });
    if (list.length > kept + 100) list.length = kept;
  }
  const parse = (item) => (item.e ??= JSON.parse(item.raw));
  const pause = () => {
    r.paused = !r.paused;
    if (!r.paused && r.passed) add({ gap: r.passed, why: 'the page was paused' });
    r.passed = 0;
    changed();
  };
  const listen = (e) => {
    e.preventDefault();
    topic = e.currentTarget.elements.topic.value.trim();
    history.replaceState(null, '', topic ? `#/events?topic=${encodeURIComponent(topic)}` : '#/events');
    list = [];
    r.total = 0;
    s.again();
    changed();
  };
  const row = (item) => {
    if (!item.raw) return h('li', { key: item.n, class: 'gap' }, mark('warn'), item.gap ? ` ${count(item.gap, 'event')} not shown: ${item.why}` : ` Events may be missing here: ${item.why}`);
    const e = parse(item);
    return h('li', { key: item.n }, h('button', { type: 'button', class: 'row', 'data-row': '', onclick: () => whole(e) },
      at(e.time, true), h('span', { class: 'topic' }, e.subject ?? ''), h('span', { class: 'data' }, brief(e)), h('span', { class: 'via muted' }, e.via ?? '', e.retained ? ', retained' : '')));
  };
  return {
    title: 'Events',
    pause,
    end: () => { s.end(); clearTimeout(due); },
    draw() {
      const seen = list.filter((i) => !text || !i.raw || i.raw.toLowerCase().includes(text)).slice(0, shown);
      return [
        h('div', { class: 'lead' }, h('h1', null, 'Events'), live(r), h('span', { class: 'muted' }, `${rate(state.rates.get('events'))} in all, ${num(r.total)} came here`)),
        h('form', { class: 'filters', onsubmit: listen },
          field('Topic filter', h('input', { name: 'topic', value: topic, placeholder: 'sensors/+/temperature, #', spellcheck: 'false', autocapitalize: 'off', onchange: (e) => e.target.form.requestSubmit() })),
          field('Text', h('input', { type: 'search', 'data-filter': '', placeholder: 'contains ( / )', oninput: (e) => { text = e.target.value.trim().toLowerCase(); changed(); } })),
          button(r.paused ? 'Go on' : 'Pause', pause, { class: 'pause', 'aria-pressed': String(r.paused) }),
          button('Clear', () => { list = []; changed(); })),
        wrong && h('p', { class: 'wrong', role: 'alert' }, wrong),
        h('section', { class: 'panel flush', 'aria-label': 'Events, the newest first' }, seen.length ? h('ol', { class: 'events' }, seen.map(row))
          : empty(list.length ? 'No event says that.' : 'Waiting for events.', list.length ? 'Clear the text to see all.' : topic ? 'Only topics that match the filter are shown; empty it to see all.' : 'Publish something to a broker of this device, or see on the overview whether its sources are connected.')),
        h('p', { class: 'muted' }, `The newest ${shown} are shown; nothing is kept. To keep them: `, h('code', null, 'skerry events record')),
      ];
    },
  };
}

// whole shows one event with all it has.
function whole(e) {
  dialog(e.subject || e.id, (close) => [
    facts([['Topic', e.subject], ['Time', at(e.time, true)], ['Id', h('code', null, e.id)], ['Type', e.type], ['Source', e.source], ['Content type', e.datacontenttype], ['Via', e.via], ['QoS', e.qos], ['Retained', e.retained && 'yes'], ['Trace', e.traceparent && h('code', null, e.traceparent)], ['Time not sure', e.unsure && badge('warn', 'nothing keeps the clock right')]]),
    payload(e),
    h('div', { class: 'actions' }, button('Try with this event', () => { close(); tryWith(e); }, { class: 'primary' })),
  ]);
}
