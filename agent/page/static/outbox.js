// Outbox: what waits for the cloud, why, and what to do about it.
import { badge, button, empty, facts, field, h, link, mark, panel, table } from './dom.js';
import { bar } from './chart.js';
import { bytes, count, now, num, when } from './format.js';
import { post } from './api.js';
import { changed, state } from './state.js';
import { act, attempt, confirm, dialog, payload } from './ui.js';
import { budget } from './overview.js';

// standing is how a target is, in words.
function standing(t) {
  if (t.paused) return ['note', 'paused'];
  if (t.over_budget) return ['warn', 'over budget'];
  if (t.waiting && (t.breaker || new Date(t.retry_at ?? 0) > now() || t.last_error)) return ['warn', 'away'];
  if (t.waiting) return ['ok', 'sending'];
  return ['ok', 'nothing waits'];
}

const up = (action, body) => post(`v1/uplink/${action}`, body);

export function outbox(name) {
  let status = null, why = [], waiting = null, wrong = '', timer, ended = false, mark0 = '';
  const f = { priority: '', fn: '' };
  const filter = () => ({ limit: 50, ...(f.priority !== '' && { priority: Number(f.priority) }), ...(f.fn && { function: f.fn }) });
  const load = async () => {
    clearTimeout(timer);
    try {
      if (!document.hidden && !state.login) {
        status = (await up('status')).status;
        const t = status.targets?.find((x) => x.name === name);
        const fresh = JSON.stringify([t?.waiting, t?.dead, t?.delivered, f]);
        if (t && (fresh !== mark0 || !waiting)) {
          waiting = (await up('waiting', { target: name, filter: filter() })).waiting ?? [];
          mark0 = fresh;
        }
        if (t) why = (await up('why', { target: name })).why ?? [];
        wrong = '';
      }
    } catch (e) {
      wrong = e.status ? e.message : '';
    }
    if (ended) return;
    timer = setTimeout(load, 4000);
    changed();
  };
  load();
  const then = (p) => p.then(load);
  const acts = {
    retry: (t) => then(attempt(() => up('retry', { target: t.name }), `${t.name} is tried now`)),
    pause: async (t) => { if (await confirm(`Pause ${t.name}?`, 'Nothing is sent to it until somebody resumes it, over restarts too. What is for it waits on the disk.', 'Pause')) then(attempt(() => up('pause', { target: t.name }), `${t.name} is paused`)); },
    resume: (t) => then(attempt(() => up('resume', { target: t.name }), `${t.name} goes on`)),
    drop: async (t, chosen, words) => {
      if (await confirm(`Drop ${words}?`, 'They are removed for good and never reach the far side. What is under way at this moment may still arrive.', 'Drop', true)) then(attempt(() => up('drop', { target: t.name, filter: chosen }), (out) => `${count(out.count, 'record')} dropped`));
    },
  };
  return {
    title: name ? name : 'Outbox',
    end: () => { ended = true; clearTimeout(timer); },
    draw() {
      const oops = wrong && h('p', { class: 'wrong', role: 'alert' }, wrong);
      if (!status) return [h('h1', null, name || 'Outbox'), oops || h('p', { class: 'muted' }, 'Asking the agent …')];
      if (!name) return [h('h1', null, 'Outbox'), oops, all(status, acts)];
      const t = status.targets?.find((x) => x.name === name);
      if (!t) return [h('h1', null, name), empty('There is no such target.', link('All targets', '#/outbox'))];
      return [oops, one(t, why, waiting, f, acts, () => { waiting = null; load(); })];
    },
  };
}

const steer = (t, acts, first) => h('div', { class: 'actions' }, first, act('Retry now', () => acts.retry(t), { disabled: !t.waiting || t.paused }), t.paused ? act('Resume', () => acts.resume(t)) : act('Pause …', () => acts.pause(t)));

function all(s, acts) {
  const targets = s.targets ?? [];
  const disk = s.disk ?? {}, flash = s.flash ?? {};
  const per = (n) => (n > 0 && flash.written_bytes > 0 ? `${(flash.written_bytes / n).toFixed(1)} bytes` : null);
  return [
    targets.length ? h('div', { class: 'grid' }, targets.map((t) => card(t, acts))) : empty('No target is configured.', 'Functions that follow up in the cloud need one: name it under targets in the configuration.'),
    h('div', { class: 'grid' },
      panel('Links and budgets', null, (s.links ?? []).length ? s.links.map((l) => h('div', { key: l.name }, budget(l), takers(l))) : empty('No link has a budget.', 'Name links in the configuration to bound what goes up in a day or a month.')),
      panel('Disk and flash', null, disk.limit_bytes ? bar('What waits', disk.used_bytes / disk.limit_bytes, `${bytes(disk.used_bytes)} of ${bytes(disk.limit_bytes)}`) : null,
        h('p', { class: 'muted' }, disk.full === 'hold' ? 'When it is full, functions that send wait.' : 'When it is full, the least important and oldest goes.'), disk.note && h('p', null, mark('warn'), ' ', disk.note),
        facts([['Written to flash', flash.written_bytes >= 0 ? bytes(flash.written_bytes) : 'not known here'], ['For each byte that came', per(flash.accepted_bytes)], ['For each byte that went up', per(flash.delivered_bytes)]]))),
  ];
}

const takers = (l) => l.functions?.length > 0 && facts(l.functions.slice(0, 5).map((a) => [a.name, `${bytes(a.used)} today`]));

const card = (t, acts) => panel(t.name, { key: t.name, tools: badge(...standing(t)) },
  facts([['Kind', t.kind], ['Waiting', h('strong', null, num(t.waiting)), t.waiting_bytes ? ` (${bytes(t.waiting_bytes)})` : ''], ['Oldest', t.oldest && when(t.oldest)], ['Tried again', new Date(t.retry_at ?? 0) > now() && when(t.retry_at)], ['Delivered', num(t.delivered)], ['Sent', bytes(t.bytes_up)], ['Retries', t.retries ? num(t.retries) : null], ['Given up', gone(t)], ['Link', t.link]]),
  priorities(t),
  (t.over_budget || t.last_error) && h('p', { class: 'cause' }, t.over_budget || t.last_error),
  steer(t, acts, link('Why, and what waits', `#/outbox/${encodeURIComponent(t.name)}`, { class: 'button', 'aria-label': `Why, and what waits for ${t.name}` })));

function gone(t) {
  const names = { expired: 'expired', evicted: 'evicted', replaced: 'replaced', over_budget: 'over budget', dropped: 'dropped', refused: 'refused' };
  return [...Object.entries(names).map(([k, words]) => t.drops?.[k] && `${num(t.drops[k])} ${words}`), t.dead && `${num(t.dead)} dead`].filter(Boolean).join(', ') || null;
}

// priorities shows how much waits of each.
function priorities(t) {
  const list = (t.by_priority ?? []).map((n, p) => [p, n]).filter(([, n]) => n).reverse();
  return list.length > 0 && h('ul', { class: 'priorities', 'aria-label': 'Waiting, by priority' }, list.map(([p, n]) => h('li', { key: p }, bar(`Priority ${p}`, n / t.waiting, num(n), 'note'))));
}

function one(t, why, waiting, f, acts, load) {
  const columns = [
    { title: 'Id', of: (w) => button(String(w.id), () => record(t, w, acts), { class: 'link', 'data-row': '' }) },
    { title: 'Priority', num: true, of: (w) => w.priority },
    { title: 'Function', wide: true, of: (w) => w.function ?? '' },
    { title: 'Key', wide: true, of: (w) => w.key ?? '' },
    { title: 'Event', of: (w) => when(w.time) },
    { title: 'Size', num: true, of: (w) => bytes(w.size) },
    { title: 'Expires', of: (w) => (w.expires ? (w.expires_in_ms ? when(new Date(now() + w.expires_in_ms).toISOString()) : 'yes') : '') },
  ];
  const chosen = { ...(f.priority !== '' && { priority: Number(f.priority) }), ...(f.fn && { function: f.fn }) };
  return [
    h('nav', { class: 'crumbs', 'aria-label': 'Where this is' }, link('Outbox', '#/outbox')),
    h('div', { class: 'lead' }, h('h1', null, t.name), badge(...standing(t)), steer(t, acts)),
    h('div', { class: 'grid two' }, panel('Why', null, h('ul', { class: 'why' }, why.map((w) => h('li', { key: w.replace(/\d/g, '') }, w)))),
      panel('Figures', null, facts([['Kind', t.kind], ['Waiting', `${num(t.waiting)}, ${bytes(t.waiting_bytes)}`], ['Oldest', t.oldest && when(t.oldest)], ['Delivered', num(t.delivered)], ['Sent', bytes(t.bytes_up)], ['Retries', num(t.retries)], ['Far side failed', t.fn_errors ? num(t.fn_errors) : null], ['Given up', gone(t)], ['Link', t.link]]), priorities(t))),
    panel('What waits, in the order in which it goes', { class: 'flush', tools: t.waiting > 0 && act('Drop these …', () => acts.drop(t, chosen, Object.keys(chosen).length ? 'all that these filters choose' : `all ${num(t.waiting)}`)) },
      h('div', { class: 'filters inset' },
        field('Priority', h('select', { onchange: (e) => { f.priority = e.target.value; load(); } }, h('option', { value: '' }, 'all'), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0].map((p) => h('option', { value: p }, String(p))))),
        field('Function', h('input', { type: 'search', 'data-filter': '', placeholder: 'app/function', onchange: (e) => { f.fn = e.target.value.trim(); load(); } }))),
      waiting === null ? h('p', { class: 'muted inset' }, 'Looking …') : waiting.length ? table('What waits', columns, waiting, (w) => w.id) : empty('Nothing waits.', t.waiting ? 'Other filters show the rest.' : 'What functions send to it goes at once.'),
      waiting?.length === 50 && h('p', { class: 'muted inset' }, `The first 50 of ${num(t.waiting)}.`)),
  ];
}

// record shows one with its data and what becomes of it.
async function record(t, w, acts) {
  const got = await attempt(async () => ({ full: (await up('waiting', { target: t.name, filter: { ids: [w.id] } })).waiting?.[0], why: (await up('why', { target: t.name, id: w.id })).why ?? [] }));
  if (!got?.full) return;
  const r = got.full;
  const answer = await dialog(`Record ${w.id}`, (close) => [
    h('ul', { class: 'why' }, got.why.map((x) => h('li', null, x))),
    facts([['Function', r.function], ['Trigger', r.trigger], ['Event', h('code', null, r.event)], ['Type', r.type], ['Content type', r.content_type], ['Priority', r.priority], ['Key', r.key], ['Keeps the latest', r.keep_latest && 'yes'], ['Time', when(r.time)]]),
    payload({ data_base64: r.data_base64 ?? '' }, r.size),
    h('div', { class: 'actions' }, act('Drop …', () => close('drop'), { class: 'danger' })),
  ]);
  if (answer === 'drop') acts.drop(t, { ids: [w.id] }, `record ${w.id}`);
}
