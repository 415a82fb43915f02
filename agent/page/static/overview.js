// Overview: is it well, and what needs somebody first?
import { badge, empty, facts, h, link, mark, panel } from './dom.js';
import { bar, chart, niceBytes } from './chart.js';
import { bytes, clock, count, hms, micros, now, num, rate, span, when } from './format.js';
import { state } from './state.js';
import { attention } from './attention.js';

export function overview() {
  return { title: 'Overview', draw };
}

function draw() {
  const s = state.status, list = attention();
  return [
    h('div', { class: 'lead' }, h('h1', null, 'Overview'), well(list), h('p', { class: 'muted' }, `${s.version}, up ${span(now() - new Date(s.started))}, generation ${s.generation}`)),
    needs(list),
    h('div', { class: 'grid charts' }, charts()),
    h('div', { class: 'flow' }, health(), links(s), disk(s), apps(s), sources(s), totals(s)),
  ];
}

function well(list) {
  const bad = list.filter((a) => a.level === 'bad').length, warn = list.filter((a) => a.level === 'warn').length;
  if (bad) return badge('bad', count(bad, 'problem'));
  if (warn) return badge('warn', count(warn, 'warning'));
  return badge('ok', 'all is well');
}

const few = 10; // of what needs attention are shown at once

function needs(all) {
  if (!all.length) return h('section', { class: 'panel calm', 'aria-label': 'What needs attention' }, mark('ok'), ' Nothing needs you.');
  const more = all.length > few + 1 ? all.slice(few) : [];
  return panel('What needs attention', { class: 'needs' }, lines(all.slice(0, all.length - more.length)),
    more.length > 0 && h('details', null, h('summary', null, `and ${more.length} more`), lines(more)));
}

const lines = (list) => h('ul', null, list.map((a) => h('li', { class: a.level, key: a.text.replace(/[\d.]+/g, '') },
  mark(a.level), h('div', null, a.href ? link(a.text, a.href) : h('span', null, a.text), a.more && h('span', { class: 'muted' }, ` ${a.more}`)))));

const columns = (values) => values ?? [];

function charts() {
  const t = state.history ?? {}, each = t.every_s ?? 10, end = t.unix?.length ? t.unix.at(-1) * 1000 : now();
  const per = (list) => columns(list).map((n) => n / each);
  const lat = (list) => columns(list).map((n) => n || null);
  const live = (name, list) => ({ now: rate(state.rates.get(name) ?? (list?.length ? list.at(-1) / each : undefined)) });
  const of = (title, series, format, more) => chart({ title, series, every: each, end, format, ...more });
  return [
    of('Events', [{ name: 'events', values: per(t.events), kind: 'a' }, { name: 'runs', values: per(t.runs), kind: 'b' }], rate, live('events', t.events)),
    of('Latency', [{ name: 'p99', values: lat(t.p99_us), kind: 'b' }, { name: 'p50', values: lat(t.p50_us), kind: 'a' }], (us) => micros(Math.round(us)), { now: t.p50_us?.at(-1) ? `${micros(t.p50_us.at(-1))}, p99 ${micros(t.p99_us.at(-1))}` : '–' }),
    of('Failed runs', [{ name: 'failed runs', values: per(t.failures), kind: 'bad' }], rate, live('failures', t.failures)),
    of('Waiting on disk', [{ name: 'waiting', values: columns(t.waiting), kind: 'a' }], num, { now: num(state.status.store.records) }),
    of('Memory (RSS)', [{ name: 'memory', values: columns(t.rss_bytes), kind: 'a' }], bytes, { now: bytes(state.status.rss_bytes), round: niceBytes }),
    of('Sent up', [{ name: 'sent', values: per(t.bytes_up), kind: 'a' }], (n) => bytes(Math.round(n)) + '/s', { round: niceBytes }),
  ];
}

function health() {
  const checks = state.health?.checks ?? [];
  const off = Math.abs(clock.skew) > 60000;
  return panel('Health', null,
    checks.length ? h('ul', { class: 'checks' }, checks.map((c) => h('li', { key: c.name }, mark(c.ok ? 'ok' : c.stops ? 'bad' : 'warn'), h('strong', null, c.name), h('span', null, c.text)))) : h('p', { class: 'muted' }, state.status.store.error ? 'Commits fail.' : 'The store commits. More with: skerry doctor'),
    off && h('p', { class: 'warn' }, mark('warn'), ` The clock of the device shows ${hms(now())}, ${span(clock.skew)} ${clock.skew > 0 ? 'ahead of' : 'behind'} this computer's.`));
}

function links(s) {
  const list = s.links ?? [];
  return panel('Links and budgets', null, list.length ? list.map((l) => h('div', { key: l.name }, budget(l))) : empty('No link has a budget.', 'What goes up is not bounded. To bound it, name links in the configuration.'));
}

// budget is what a link has carried, of what it may.
export function budget(l) {
  const rows = [['today', l.day], ['this month', l.month]].map(([name, a]) => (a.limit
    ? bar(`${l.name}, ${name}`, a.used / a.limit, `${bytes(a.used)} of ${bytes(a.limit)}`)
    : h('p', { class: 'text muted' }, `${l.name}, ${name}: ${bytes(a.sent + a.received)}, no limit`)));
  return [rows, l.metered && h('p', { class: 'muted' }, l.counts ? 'It counts now' : 'It does not count now', l.changes_at && [', which changes ', when(l.changes_at)], '.'), l.note && h('p', { class: 'warn' }, mark('warn'), ' ', l.note)];
}

function disk(s) {
  return panel('Disk', null, s.store.quota_bytes ? bar('Store', s.store.journal_bytes / s.store.quota_bytes, `${bytes(s.store.journal_bytes)} of ${bytes(s.store.quota_bytes)}`) : null,
    facts([['Waiting', num(s.store.records)], ['Dead letters', num(s.store.dead)], ['Syncs', num(s.store.syncs)], ['Damaged', s.store.gaps ? num(s.store.gaps) : '0']]));
}

function sources(s) {
  const list = s.sources ?? [];
  return panel('Sources', null, list.length ? h('ul', { class: 'checks' }, list.map((x) => h('li', { key: x.kind + x.name }, mark(x.connected ? 'ok' : 'bad'), h('strong', null, x.name),
    h('span', null, `${x.kind}${x.connected ? '' : ', not connected'}`, x.inflight ? `, ${num(x.inflight)} under way` : '', x.note ? `: ${x.note}` : '')))) : empty('Nothing brings events.', 'Name a broker in the configuration.'));
}

function apps(s) {
  const list = s.sync.apps ?? [];
  return panel('Apps', { tools: link('Deployments', '#/deployments') }, list.length ? h('ul', { class: 'checks' }, list.map((a) => h('li', { key: a.name }, mark(a.taken_back ? 'note' : { good: 'ok', probation: 'note', held: 'warn' }[a.state] ?? 'bad'), h('strong', null, a.name), h('span', null, `${a.version || 'nothing runs'}, ${a.taken_back ? 'rolled back' : a.state}`))))
    : empty('Nothing is assigned to this device.', 'Publish an app with ', h('code', null, 'skerry publish'), '.'),
  h('p', { class: 'muted' }, s.sync.fleet ? `Fleet ${s.sync.fleet}, revision ${s.sync.revision}` : 'No fleet', s.sync.checked && [', looked ', when(s.sync.checked)], '.'));
}

function totals(s) {
  const e = s.events;
  return panel('Since the start', null, facts([['Events', num(e.events)], ['Runs', num(e.invocations)], ['Failed', num(e.failures)], ['Filtered', num(e.filtered)], ['Duplicates', num(e.duplicates)],
    ['Published', num(e.publishes)], ['Follow-ups', num(e.followups)], ['Given up', num(e.dead)]]));
}
