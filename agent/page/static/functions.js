// Functions: how each one does, and one of them alone.
import { badge, empty, facts, h, link, mark, panel, table } from './dom.js';
import { chart, niceBytes, spark } from './chart.js';
import { at, bytes, count, digest, micros, now, num, rate, when } from './format.js';
import { changed, state } from './state.js';
import { logList, logReader } from './logs.js';

export function functions(name) {
  return name ? one(name) : all();
}

const appOf = (name) => (state.status.sync.apps ?? []).find((a) => a.name === name.split('/')[0]);

// standing is how a function is, in one word.
export function standing(f) {
  const app = appOf(f.name);
  if (f.stateless) return ['bad', 'waits for its state'];
  if (f.breaker) return ['bad', 'stopped'];
  if (f.retrying) return ['warn', 'retrying'];
  if (app?.state === 'probation') return ['note', 'probation'];
  return ['ok', 'runs'];
}

// tries says what a stopped function tries next, and when.
function tries(f) {
  if (new Date(f.breaker.retry_at ?? 0) > now()) return ['One event tries ', when(f.breaker.retry_at), '.'];
  return f.queued + f.inbox ? 'One event tries now.' : 'The next event tries.';
}

function all() {
  let text = '';
  const columns = [
    { title: 'Function', wide: true, of: (f) => link(f.name, `#/functions/${f.name}`, { 'data-row': '' }) },
    { title: 'State', of: (f) => badge(...standing(f)) },
    { title: 'Last hour', of: (f) => spark(`Runs of ${f.name} a minute`, state.history?.functions?.[f.name]?.runs ?? []) },
    { title: 'Rate', num: true, of: (f) => rate(state.rates.get('fn:' + f.name)) },
    { title: 'p50', num: true, of: (f) => micros(f.p50_us) },
    { title: 'p99', num: true, of: (f) => micros(f.p99_us) },
    { title: 'Runs', num: true, of: (f) => num(f.invocations) },
    { title: 'Failed', num: true, of: (f) => (f.failures ? h('span', { class: 'bad' }, num(f.failures)) : '0') },
    { title: 'Waiting', num: true, of: (f) => num(f.queued + f.inbox) },
    { title: 'Memory', num: true, of: (f) => bytes(f.memory_bytes) },
    { title: 'Version', of: (f) => appOf(f.name)?.version ?? '' },
  ];
  return {
    title: 'Functions',
    draw() {
      const list = (state.status.functions ?? []).filter((f) => f.name.includes(text));
      const none = !(state.status.functions ?? []).length;
      return [
        h('div', { class: 'lead' }, h('h1', null, 'Functions'),
          !none && h('input', { type: 'search', 'data-filter': '', 'aria-label': 'Filter by name', placeholder: 'Filter by name ( / )', oninput: (e) => { text = e.target.value.trim(); changed(); } })),
        none ? empty('No function runs on this device.', 'Publish an app that is assigned to it: ', h('code', null, 'skerry publish app.yaml'), '. Then look at ', link('Deployments', '#/deployments'), '.')
          : list.length ? h('section', { class: 'panel flush' }, table('Functions', columns, list, (f) => f.name)) : empty('No function has that in its name.', 'Clear the filter to see all.'),
        list.filter((f) => f.breaker).map((f) => h('p', { key: f.name }, mark('bad'), ` ${f.name} is stopped: ${f.breaker.cause}. `, tries(f))),
      ];
    },
  };
}

function one(name) {
  const log = logReader(() => `v1/logs?follow=true&level=INFO&function=${encodeURIComponent(name)}`, 100);
  return {
    title: name,
    end: log.end,
    draw() {
      const f = (state.status.functions ?? []).find((x) => x.name === name);
      if (!f) return [h('h1', null, name), empty('No such function runs here.', link('All functions', '#/functions'), ' or ', link('what is deployed', '#/deployments'), '.')];
      const app = appOf(name);
      return [
        h('nav', { class: 'crumbs', 'aria-label': 'Where this is' }, link('Functions', '#/functions')),
        h('div', { class: 'lead' }, h('h1', null, name), badge(...standing(f)), h('div', { class: 'actions' }, link('Try it', `#/try?function=${encodeURIComponent(name)}`, { class: 'button' }), link('Its log', `#/logs?function=${encodeURIComponent(name)}`, { class: 'button' }), f.dead > 0 && link('Dead letters', `#/deadletters?function=${encodeURIComponent(name)}`, { class: 'button' }))),
        kept(f) ? h('div', { class: 'grid charts four' }, small(f)) : h('p', { class: 'muted' }, `There are charts of ${most} functions; this is none of them.`),
        h('div', { class: 'flow' }, errors(f, log.lines), denied(f), figures(f), version(f, app)),
        panel('Its log', { class: 'flush' }, logList(log.lines.slice(-30).reverse(), false) ?? empty('It has said nothing lately.', 'What it logs appears here at once.')),
      ];
    },
  };
}

// The agent keeps the last hour of so many functions.
const most = 32;
const kept = (f) => !state.history || f.name in state.history.functions || Object.keys(state.history.functions).length < most;

function small(f) {
  const t = state.history?.functions?.[f.name] ?? {}, end = now();
  const of = (title, values, format, more) => chart({ title, series: [{ name: title, values: values ?? [], kind: more.kind ?? 'a' }], every: 60, end, format, ...more });
  const per = (list) => (list ?? []).map((n) => n / 60);
  return [
    of('Runs', per(t.runs), rate, { now: rate(state.rates.get('fn:' + f.name)) }),
    of('Failed runs', per(t.failures), rate, { now: rate(state.rates.get('fail:' + f.name)), kind: 'bad' }),
    of('Waiting', t.waiting, num, { now: num(f.queued + f.inbox) }),
    of('Memory', (t.memory_kib ?? []).map((n) => n * 1024), bytes, { now: bytes(f.memory_bytes), round: niceBytes }),
  ];
}

const figures = (f) => panel('Figures', null, facts([
  ['p50 of a run', micros(f.p50_us)], ['p99 of a run', micros(f.p99_us)], ['Runs', num(f.invocations)], ['Failed', num(f.failures)], ['Given up', num(f.dead)],
  ['Fuel of a run', f.invocations ? num(Math.round(f.fuel / f.invocations)) : '–'], ['Workers', `${f.workers}, ${f.warm} warm`], ['In memory', num(f.queued)], ['On disk', num(f.inbox)],
  ['State kept', bytes(f.state_bytes)], ['Gathered', f.aside_bytes ? bytes(f.aside_bytes) : null], ['Held back by gates', f.gated ? num(f.gated) : null], ['Late', f.late ? num(f.late) : null],
  ['Repeated', f.conflicts ? num(f.conflicts) : null], ['Dropped', f.dropped ? num(f.dropped) : null], ['Conditions that failed', f.condition_errors ? num(f.condition_errors) : null],
]));

const version = (f, app) => panel('Version', null, facts([
  ['App', f.name.split('/')[0]], ['Version', app?.version], ['State', app && badge({ good: 'ok', probation: 'note', held: 'warn' }[app.state] ?? 'bad', app.state)], ['Since', app?.since && when(app.since)],
  ['Probation ends', app?.state === 'probation' && app.until ? when(app.until) : null], ['Before', app?.previous], ['Why', app?.reason], ['Generation', state.status.generation], ['Module', h('code', { title: f.digest }, digest(f.digest))],
  ['Since this version', `${count(f.release.invocations, 'run')}, ${num(f.release.failures)} failed`],
]));

function errors(f, lines) {
  const faults = Object.entries(f.faults ?? {});
  if (!f.breaker && !f.failures && !f.last_error && !f.stateless) return panel('Errors', null, h('p', null, mark('ok'), ' None since the agent started.'));
  return panel('Errors', null,
    f.stateless && h('p', null, mark('bad'), ` It does not run yet: ${f.stateless}`),
    f.breaker && h('p', null, mark('bad'), ` Stopped after ${count(f.breaker.failures, 'failure')} in a row: ${f.breaker.cause}. ${f.queued + f.inbox ? 'Its events wait on disk. ' : ''}`, tries(f)),
    f.last_error && h('p', null, h('span', { class: 'muted' }, 'Last: '), h('code', null, f.last_error)),
    h('ul', null, lines.filter((l, i) => l.attrs?.err && l.attrs.err !== f.last_error && lines.findLastIndex((m) => m.attrs?.err === l.attrs.err) === i).slice(-3).reverse().map((l) => h('li', { key: l.n }, at(l.time), ' ', h('code', null, l.attrs.err)))),
    facts([...faults.map(([kind, n]) => [`Of kind ${kind}`, num(n)]), ['Keys held back', f.retrying ? num(f.retrying) : null], ['Times stopped', f.opened ? num(f.opened) : null]]));
}

function denied(f) {
  if (!f.denied) return panel('Permissions', null, h('p', null, mark('ok'), ' It asked for nothing that it is not granted.'));
  return panel('Permissions', null, h('p', null, mark('warn'), ` ${count(f.denied, 'call')} refused. What it asked for, and where to grant it:`), h('ul', { class: 'plain' }, (f.refused ?? []).map((r) => h('li', null, h('code', null, r)))));
}
