// Dead letters: what was given up, why, and the way back.
import { button, empty, facts, field, h, link, table } from './dom.js';
import { bytes, count, fromText, num, when } from './format.js';
import { post } from './api.js';
import { changed, state } from './state.js';
import { tryWith } from './try.js';
import { act, attempt, confirm, dialog, payload, words } from './ui.js';

const box = (action, body) => post(`v1/deadletters/${action}`, body);

// where says what the letter was on its way to.
const where = (l) => {
  const [kind, ...rest] = l.queue.split('/');
  return kind === 'inbox' ? `for ${rest.join('/')}` : kind === 'target' ? `for target ${rest[0]}` : `for broker ${rest[0]}`;
};

export function deadLetters(id, query) {
  let list = null, wrong = '', seen = '', timer, ended = false, fn = query.get('function') ?? '';
  const load = async () => {
    clearTimeout(timer);
    const s = state.status;
    const fresh = s ? `${s.store.dead} ${s.events.dead} ${s.started}` : '';
    try {
      if (!document.hidden && !state.login && (fresh !== seen || !list)) {
        list = ((await box('list', {})).letters ?? []).reverse();
        seen = fresh;
        wrong = '';
      }
    } catch (e) {
      wrong = e.status ? e.message : '';
    }
    if (ended) return;
    timer = setTimeout(load, 2000);
    changed();
  };
  const again = () => { seen = ''; return load(); };
  load();
  const redrive = async (f, what) => {
    if (await confirm(`Send ${what} back?`, 'They go to where they came from, as if they had just come, with all attempts before them.', 'Send back')) attempt(() => box('redrive', f), (out) => `${count(out.count, 'letter')} sent back`).then(again);
  };
  const drop = async (f, what) => {
    if (await confirm(`Drop ${what}?`, 'They are removed for good.', 'Drop', true)) attempt(() => box('drop', f), (out) => `${count(out.count, 'letter')} dropped`).then(again);
  };
  const open = (l) => letter(l, { redrive, drop, again });
  if (id) attempt(() => box('list', { ids: [Number(id)] })).then((out) => out?.letters && open(out.letters[0]));
  const columns = [
    { title: 'Id', of: (l) => button(String(l.id), () => open(l), { class: 'link', 'data-row': '', 'aria-label': `Letter ${l.id}` }) },
    { title: 'Why', wide: true, of: (l) => h('div', { class: 'brief' }, l.reason) },
    { title: 'Where to', line: true, of: where },
    { title: 'Function', wide: true, of: (l) => (l.function ? link(l.function, `#/functions/${l.function}`) : '') },
    { title: 'Topic', wide: true, of: (l) => h('div', { class: 'brief' }, l.topic) },
    { title: 'Tries', num: true, of: (l) => l.attempts || '' },
    { title: 'Event', of: (l) => when(l.time) },
    { title: 'Size', num: true, of: (l) => bytes(l.size) },
  ];
  return {
    title: 'Dead letters',
    end: () => { ended = true; clearTimeout(timer); },
    draw() {
      const names = [...new Set((list ?? []).map((l) => l.function).filter(Boolean)), ...(fn ? [fn] : [])].filter((n, i, a) => a.indexOf(n) === i).sort();
      const chosen = (list ?? []).filter((l) => !fn || l.function === fn);
      const some = fn ? { function: fn } : {}, what = fn ? `${count(chosen.length, 'letter')} of ${fn}` : `all ${num(chosen.length)}`;
      return [
        h('div', { class: 'lead' }, h('h1', null, 'Dead letters'), list?.length > 0 && h('div', { class: 'actions' },
          act(fn ? 'Send these back …' : 'Send all back …', () => redrive(some, what), { disabled: !chosen.length }), act(fn ? 'Drop these …' : 'Drop all …', () => drop(some, what), { disabled: !chosen.length }))),
        h('p', { class: 'muted' }, 'Events that a function failed on too often or rejected, and records that the far side refused for good. The box keeps 1,000, or 16 MiB; then the oldest go.'),
        wrong && h('p', { class: 'wrong', role: 'alert' }, wrong),
        names.length > 0 && h('div', { class: 'filters' }, field('Function', h('select', { value: fn, 'data-filter': '', onchange: (e) => { fn = e.target.value; history.replaceState(null, '', `#/deadletters${fn ? '?function=' + encodeURIComponent(fn) : ''}`); changed(); } }, h('option', { value: '' }, 'all'), names.map((n) => h('option', { value: n, key: n }, n))))),
        h('section', { class: 'panel flush', 'aria-label': 'Letters, the newest first' }, list === null ? h('p', { class: 'muted inset' }, 'Looking …') : chosen.length ? table('Dead letters', columns, chosen.slice(0, 100), (l) => l.id)
          : empty(list.length ? 'None of that function.' : 'Nothing was given up.', list.length ? 'Choose another function, or all.' : 'What fails for good comes here, with the reason.')),
        chosen.length > 100 && h('p', { class: 'muted' }, `The newest 100 of ${num(chosen.length)}.`),
      ];
    },
  };
}

// letter shows one with its data, which may be mended before it goes back.
async function letter(l, { drop, again }) {
  const out = await attempt(() => box('list', { ids: [l.id] }));
  if (!out) return again();
  const full = out.letters[0], b64 = full.data_base64 ?? '', before = words(b64);
  const answer = await dialog(`Letter ${l.id}`, (close) => {
    const area = before !== null && h('textarea', { value: before, rows: 6, spellcheck: 'false', 'aria-label': 'Data to send back' });
    return [
      h('p', { class: 'cause' }, l.reason),
      facts([['Where to', where(l)], ['Function', l.function], ['Trigger', l.trigger], ['Topic', l.topic], ['Tries', l.attempts], ['Event', h('code', null, l.event)], ['Time', when(l.time)], ['Content type', l.content_type]]),
      payload({ data_base64: b64 }, l.size),
      before !== null && h('details', null, h('summary', null, 'Mend the data before it goes back'), area, h('p', { class: 'muted' }, 'What it decides then gets ids of its own.')),
      h('div', { class: 'actions' }, act('Send back', () => close({ data: area && area.value !== before ? fromText(area.value) : null }), { class: 'primary' }), act('Drop …', () => close('drop'), { class: 'danger' }),
        full.queue.startsWith('inbox/') && button('Try with this event', () => { close(); tryWith({ subject: full.topic, datacontenttype: full.content_type, data_base64: b64 }, full.function); })),
    ];
  });
  if (answer === 'drop') return drop({ ids: [l.id] }, `letter ${l.id}`);
  if (answer) await attempt(() => box('redrive', { ids: [l.id], data: answer.data }), answer.data ? `Letter ${l.id} sent back with other data` : `Letter ${l.id} sent back`);
  return again();
}
