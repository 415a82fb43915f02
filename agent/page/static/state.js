// What the page knows of the agent. It is asked while the page is seen.
import { get, on } from './api.js';
import { clock } from './format.js';

export const state = {
  status: null, // agent.Status
  history: null, // null: none yet
  health: null, // null: not told
  rates: new Map(), // a second, by name of a figure: events, runs, failures, fn:…
  away: null, // {since, why, next} while nobody answers
  noWrite: false, // only looking is allowed
  charts: false, // the page that is seen has some
  login: null, // {why}: somebody has to log in
};

const each = { status: 2000, history: 10000, health: 10000 };
const listeners = new Set();
let pending = false;

// changed has the page drawn again, once for all that changed.
export function changed() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    for (const f of listeners) f();
  });
}
export const listen = (f) => listeners.add(f);

on.date = (date, asked, heard) => {
  const skew = date + 500 - (asked + heard) / 2; // the agent's tells whole seconds
  clock.skew = Math.abs(skew) < 1500 ? 0 : !clock.known || Math.abs(skew - clock.skew) > 1500 ? skew : clock.skew;
  clock.known = true;
};
on.write = (said) => { state.noWrite = said === 'off'; };
on.login = () => {
  state.away = null; // who asks for a login is there
  state.login ??= { why: state.status ? 'Your login has ended.' : '' };
  changed();
};

const seen = []; // {at, counts by name}

// observe makes rates of the counts of the last ten seconds or so.
function observe(s) {
  const counts = new Map([['events', s.events.events], ['runs', s.events.invocations], ['failures', s.events.failures], ['start', s.started]]);
  for (const f of s.functions ?? []) {
    counts.set('fn:' + f.name, f.invocations);
    counts.set('fail:' + f.name, f.failures);
  }
  if (seen.length && seen.at(-1).counts.get('start') !== s.started) seen.length = 0;
  seen.push({ at: performance.now(), counts });
  while (seen.length > 6 || seen.length > 2 && seen.at(-1).at - seen[0].at > 20000) seen.shift();
  state.rates.clear();
  const first = seen[0], last = seen.at(-1), seconds = (last.at - first.at) / 1000;
  if (seconds < 0.5) return;
  for (const [name, n] of last.counts) {
    if (name !== 'start') state.rates.set(name, Math.max(0, n - (first.counts.get(name) ?? 0)) / seconds);
  }
}

const timers = {};
let pause = 1000;

// ask gets one of what is asked for again and again.
export async function ask(what) {
  clearTimeout(timers[what]);
  if (document.hidden || state.login || what === 'history' && !state.charts) return;
  let next = each[what];
  try {
    const got = await get(`v1/${what}`);
    if (what === 'status') {
      observe(got);
      if (state.away) for (const other of ['history', 'health']) ask(other);
      state.away = null;
      pause = 1000;
    }
    state[what] = got;
  } catch (e) {
    if (e.status === 404) {
      state[what] = null;
      next = 600000; // this agent does not tell
    } else if (what === 'status' && e.status !== 401) {
      pause = Math.min(10000, pause * 2);
      next = pause;
      state.away = { since: state.away?.since ?? Date.now(), why: e.message, next: Date.now() + next };
    }
  }
  if (document.hidden || state.login) return;
  clearTimeout(timers[what]);
  timers[what] = setTimeout(ask, next, what);
  changed();
}

// refresh asks at once.
export const refresh = () => Promise.all(Object.keys(each).map(ask));

document.addEventListener('visibilitychange', () => {
  seen.length = 0;
  if (document.hidden) for (const t of Object.values(timers)) clearTimeout(t);
  else refresh();
});
