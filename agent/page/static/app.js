// The frame: routes, keys, theme, who may see, and what to say when nobody answers.
import { button, empty, h, link, mark, patch } from './dom.js';
import { hms } from './format.js';
import { post } from './api.js';
import { ask, changed, listen, refresh, state } from './state.js';
import { dialog } from './ui.js';
import { attention } from './attention.js';
import { deadLetters } from './deadletters.js';
import { deployments } from './deployments.js';
import { events } from './events.js';
import { functions } from './functions.js';
import { login } from './login.js';
import { logs } from './logs.js';
import { outbox } from './outbox.js';
import { overview } from './overview.js';
import { tryOut } from './try.js';

// A view is made when somebody goes there: make(rest of the path, query) gives
// {title, draw(), end?, pause?}.
const pages = [
  { path: 'overview', name: 'Overview', key: 'o', make: overview, charts: true },
  { path: 'functions', name: 'Functions', key: 'f', make: functions, charts: true },
  { path: 'events', name: 'Events', key: 'e', make: events },
  { path: 'logs', name: 'Logs', key: 'l', make: logs },
  { path: 'deployments', name: 'Deployments', key: 'd', make: deployments },
  { path: 'outbox', name: 'Outbox', key: 'b', make: outbox },
  { path: 'deadletters', name: 'Dead letters', key: 'x', make: deadLetters },
  { path: 'try', name: 'Try', key: 't', make: tryOut },
];

const el = Object.fromEntries(['main', 'nav', 'menu', 'away', 'device', 'tools', 'skip'].map((id) => [id, document.getElementById(id)]));
let page = pages[0], view = null, came = false;

// plain takes percent signs out of a part of the address, as far as they are right.
function plain(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

// go shows what the address names.
function go() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  const [first, ...rest] = path.split('/').map(plain);
  const found = pages.find((p) => p.path === first);
  if (!found) {
    history.replaceState(null, '', '#/overview');
    return go();
  }
  view?.end?.();
  page = found;
  state.charts = Boolean(page.charts);
  view = page.make(rest.filter(Boolean).join('/'), new URLSearchParams(query));
  el.main.replaceChildren();
  menu(false);
  ask('history');
  draw();
  scrollTo(0, 0);
  if (came) el.main.focus({ preventScroll: true });
  came = true;
}

function draw() {
  if (!view) return; // a login is under way
  frame();
  if (state.login) {
    document.title = 'Log in · Skerry';
    patch(el.main, login(state.login.why, entered));
    return;
  }
  const alerts = attention().filter((a) => a.level === 'bad').length;
  document.title = `${alerts ? `(${alerts}) ` : ''}${view.title} · ${state.status?.device ?? 'Skerry'}`;
  if (!state.status) {
    patch(el.main, h('h1', null, view.title), state.away ? empty('There is nothing to show yet.', state.away.why, ' Is it running? On the device: ', h('code', null, 'skerry status')) : h('p', { class: 'muted' }, 'Asking the agent …'));
    return;
  }
  patch(el.main, view.draw());
}

// frame brings what is around the page up to date.
function frame() {
  const s = state.status;
  patch(el.device, s ? s.device : '');
  const counts = { deadletters: s?.store.dead, overview: s ? attention().filter((a) => a.level === 'bad' || a.level === 'warn').length : 0 };
  patch(el.nav, h('ul', null, pages.map((p) => h('li', null, link([p.name, counts[p.path] > 0 && [' ', h('span', { class: 'count' }, counts[p.path])]], `#/${p.path}`,
    { 'aria-current': p === page && !state.login ? 'page' : null, title: `Press g, then ${p.key}` })))));
  patch(el.tools, h('div', { class: 'tools' },
    h('span', { class: 'live' }, state.away ? [mark('bad'), ' away'] : document.hidden || state.login || !s ? '' : [mark('ok'), ' live', state.noWrite && ', for looking only']),
    button(`Theme: ${chosen()}`, theme, { title: 'System, light or dark', id: 'theme' }), !state.login && [button('Keys', help, { title: 'Press ?' }), button('Log out', leave)]));
  document.body.classList.toggle('gone', Boolean(state.away));
  patch(el.away, state.away && s && h('div', { class: 'banner' }, mark('bad'), h('span', null, h('strong', null, 'The agent is away.'), ` ${state.away.why} What you see is from ${hms(state.away.since)}; trying again by itself.`),
    button('Try now', refresh)));
}

// Theme: what the system says, unless somebody has chosen.
const themes = ['system', 'light', 'dark'];
function chosen() {
  try {
    return localStorage.getItem('skerry-theme') ?? 'system';
  } catch {
    return document.documentElement.dataset.theme ?? 'system'; // storage is forbidden here
  }
}
function theme() {
  const next = themes[(themes.indexOf(chosen()) + 1) % 3];
  try {
    localStorage.setItem('skerry-theme', next);
  } catch {
    // it is kept until the page is left
  }
  dress(next);
  changed();
}
function dress(name) {
  if (name === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
}

// entered goes on after a login.
function entered() {
  state.login = null;
  go();
  refresh();
}
async function leave() {
  try {
    await post('logout');
  } finally {
    state.login = { why: '' };
    view?.end?.();
    changed();
  }
}

function menu(open) {
  document.body.classList.toggle('menu', open);
  el.menu.setAttribute('aria-expanded', String(open));
}

function help() {
  const keys = [...pages.map((p) => [`g ${p.key}`, p.name]), ['/', 'To the filter'], ['Space', 'Pause or go on, where things are live'], ['↑ ↓', 'In lists: the one above or below'], ['Esc', 'Close a dialog; leave a field'], ['?', 'This list']];
  dialog('Keys', () => h('dl', { class: 'keys' }, keys.map(([k, what]) => h('div', null, h('dt', null, k.split(' ').map((one) => [h('kbd', null, one), ' '])), h('dd', null, what)))), { class: 'small' });
}

let going = 0; // when g was pressed
addEventListener('keydown', (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector('dialog[open]')) return;
  const writing = e.target.matches('input, textarea, select');
  if (writing) {
    if (e.key === 'Escape') el.main.focus();
    return;
  }
  const to = Date.now() - going < 1500 && pages.find((p) => p.key === e.key);
  going = 0;
  if (to) location.hash = `#/${to.path}`;
  else if (e.key === 'g') going = Date.now();
  else if (e.key === '?') help();
  else if (e.key === '/') el.main.querySelector('[data-filter]')?.focus();
  else if (e.key === ' ' && view?.pause && !e.target.matches('a, button, summary, pre')) view.pause();
  else if ((e.key === 'ArrowDown' || e.key === 'ArrowUp') && e.target.matches('[data-row]')) {
    const rows = [...el.main.querySelectorAll('[data-row]')];
    rows[rows.indexOf(e.target) + (e.key === 'ArrowDown' ? 1 : -1)]?.focus();
  } else return;
  e.preventDefault();
});
el.menu.onclick = () => menu(!document.body.classList.contains('menu'));
el.skip.onclick = (e) => {
  e.preventDefault(); // the address names a page
  el.main.focus();
};
addEventListener('hashchange', () => {
  if (!once()) go();
});

// once logs in with the token of the address that skerry page gives.
function once() {
  const token = location.hash.match(/^#token=(.+)$/)?.[1];
  if (!token) return false;
  history.replaceState(null, '', '#/overview');
  post('login', { token }).then(entered, (e) => {
    state.login = { why: `${e.message} For a new link: skerry page` };
    go(); // to the form
  });
  return true;
}

dress(chosen());
listen(draw);
if (!once()) {
  go();
  refresh();
}
setInterval(() => !document.hidden && view && changed(), 5000); // "4 min ago" goes on
