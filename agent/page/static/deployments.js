// Deployments: what runs, since when, what changed, and the way back.
import { badge, empty, facts, h, link, mark, panel, table } from './dom.js';
import { bar } from './chart.js';
import { count, exact, now, num, span, when } from './format.js';
import { get, post } from './api.js';
import { changed, state } from './state.js';
import { act, attempt, confirm } from './ui.js';

const levels = { good: 'ok', probation: 'note', held: 'warn', 'rolled back': 'warn', failed: 'bad', quarantined: 'bad' };
const level = (s) => levels[s] ?? 'note';

export function deployments() {
  let list = null, why = '', timer, ended = false;
  const load = async () => {
    clearTimeout(timer);
    try {
      if (!document.hidden && !state.login) list = await get('v1/deployments');
      why = '';
    } catch (e) {
      why = e.status === 404 ? 'This agent keeps no history of deployments.' : e.message;
    }
    if (ended) return;
    timer = setTimeout(load, 5000);
    changed();
  };
  load();
  const look = () => attempt(() => post('v1/sync', {}), (out) => (out.status?.fleet ? `Looked: fleet ${out.status.fleet}, revision ${out.status.revision}` : 'Looked: nothing is published for this device yet')).then(load);
  const retry = async (a) => {
    if (await confirm(`Try ${a.name} ${a.wanted} again?`, 'It failed here before. If it fails again, the device goes back by itself.', 'Try again')) attempt(() => post('v1/sync', { retry: a.name }), `${a.name} is tried again`).then(load);
  };
  const back = async (a) => {
    if (await confirm(`Roll back ${a.name}?`, [`${a.name} goes back from ${a.version} to ${a.previous || 'the last version known to be good'}. ${a.version} is held on this device until the fleet publishes another, or somebody has it tried again.`], 'Roll back', true)) attempt(() => post('v1/deployments/rollback', { app: a.name }), `${a.name} goes back`).then(load);
  };
  return {
    title: 'Deployments',
    end: () => { ended = true; clearTimeout(timer); },
    draw() {
      const s = state.status.sync;
      return [
        h('div', { class: 'lead' }, h('h1', null, 'Deployments'), s.registry && h('div', { class: 'actions' }, act('Sync now', look))),
        h('div', { class: 'grid two' }, fleet(s), apps(s.apps ?? [], list, retry, back)),
        history(list, why),
      ];
    },
  };
}

const fleet = (s) => panel('Fleet', null, s.registry ? [
  s.error && h('p', { class: 'wrong' }, mark('warn'), ` ${s.error}`),
  facts([['Fleet', s.fleet || 'nothing is published yet'], ['Revision', s.revision || null], ['Registry', s.registry], ['Looked', s.checked ? when(s.checked) : 'not yet'], ['Signatures', s.verified ? badge('ok', 'verified') : badge('warn', 'not verified')],
    ['Signed', s.issued && when(s.issued)], ['Good until', s.expires && when(s.expires)], ['Keys', s.root ? `version ${s.root}` : null], ['Tried again', s.retry_at && when(s.retry_at)]]),
  (s.notes ?? []).map((n) => h('p', { class: 'muted' }, n)),
] : empty('No registry is configured.', 'Set registry.ref in the configuration of the device.'));

// What a person took back did not fail.
const stateOf = (a) => (a.taken_back ? 'rolled back' : a.state);

function apps(list, books, retry, back) {
  const allowed = books?.rollback;
  return panel('Apps on this device', null, list.length ? list.map((a) => {
    const last = books?.entries?.find((e) => e.app === a.name && e.from);
    const can = allowed ? allowed.includes(a.name) : Boolean(a.previous || last);
    return h('div', { class: 'app', key: a.name },
      h('div', { class: 'row' }, h('strong', null, a.name), h('span', null, a.version || 'does not run'), badge(level(stateOf(a)), stateOf(a)), a.since && h('span', { class: 'muted' }, when(a.since))),
      a.wanted && a.wanted !== a.version && h('p', null, `The fleet wants ${a.wanted}.`),
      a.reason && h('p', null, a.reason),
      a.state === 'probation' && a.until && probation(a),
      a.state !== 'probation' && a.until && h('p', { class: 'muted' }, 'Tried again ', when(a.until), '.'),
      h('div', { class: 'actions' }, ['failed', 'quarantined', 'held'].includes(a.state) && act('Try again …', () => retry(a)), can && act('Roll back …', () => back({ previous: last?.from, ...a }))));
  }) : empty('Nothing is assigned to this device.', 'Publish an app whose fleet document selects it: ', h('code', null, 'skerry publish app.yaml fleet.yaml')));
}

function probation(a) {
  const whole = new Date(a.until) - new Date(a.since), gone = now() - new Date(a.since), left = Math.max(0, whole - gone);
  return [bar('Probation', gone / whole, left ? `${span(left)} left` : 'ending', 'note'), a.progress && h('p', { class: 'muted' }, gate(a.progress)), h('p', { class: 'muted' }, a.previous ? `If it fails, the device goes back to ${a.previous}.` : 'Nothing ran before it: it runs on, should it fail.')];
}

// gate is how near the app is to failing or passing.
const gate = (g) => `${count(g.runs, 'run')} ${g.runs < g.min_runs ? `of at least ${num(g.min_runs)}` : 'of the function that ran least'}, ${g.error_percent} % failed where ${g.max_error_percent} % may.`;

// changes is what one entry says: why, the first change, and the rest on asking.
function changes(e) {
  const [first, ...rest] = e.what ?? [];
  return [first && h('div', null, first), e.reason && h('div', { class: first && 'muted' }, e.reason),
    rest.length > 0 && h('details', null, h('summary', null, count(rest.length, 'more change')), h('ul', { class: 'plain' }, rest.map((w) => h('li', null, w))))];
}

function history(list, why) {
  const entries = list?.entries ?? [];
  const columns = [
    { title: 'When', line: true, of: (e) => [h('div', null, e.time ? h('time', { datetime: e.time, title: 'by the device: ' + exact(e.time) }, when(e.time).textContent) : 'not known', e.unsure && h('span', { class: 'muted' }, ', clock not sure')), h('small', { class: 'muted' }, [e.revision && `revision ${e.revision}`, e.generation && `generation ${e.generation}`].filter(Boolean).join(', '))] },
    { title: 'App', wide: true, of: (e) => e.app },
    { title: 'Version', of: (e) => (e.from && e.to && e.from !== e.to ? `${e.from} → ${e.to}` : e.to || e.from || '') },
    { title: 'State', of: (e) => e.state && badge(level(e.state), e.state) },
    { title: 'What changed', wide: true, of: changes },
  ];
  return panel('History', { class: 'flush' }, why && h('p', { class: 'wrong inset' }, why), entries.length ? table('History of deployments', columns, entries, (e) => `${e.time} ${e.app} ${e.state} ${e.to} ${e.generation}`)
    : !why && empty(list ? 'Nothing has been deployed yet.' : 'Asking …', list && 'What takes over on this device is noted here, the last 100 changes. ', list && link('See what runs', '#/functions')));
}
