// What a person should look at, worst first.
import { state } from './state.js';
import { bytes, count, hms, now, span } from './format.js';

const until = (t) => (new Date(t) > now() ? ` in ${span(new Date(t) - now())}` : ' now');
const fn = (name) => `#/functions/${name}`;

// Checks of the agent's health that are told below with more.
const told = new Set(['store', 'functions', 'sources', 'registry', 'link', 'budget']);

// attention is [{level, text, href, more}]: bad is broken, warn will be or loses
// something, note is good to know.
export function attention() {
  const s = state.status, list = [];
  if (!s) return list;
  const add = (level, text, href, more) => list.push({ level, text, href, more });
  if (s.store.error) add('bad', `Nothing can be kept: ${s.store.error}`, null, 'Sources wait, and nothing acknowledged is lost. See whether the disk is full or broken.');
  for (const c of state.health?.checks ?? []) if (!c.ok && !told.has(c.name)) add(c.stops ? 'bad' : 'warn', `The ${c.name}: ${c.text}`);
  sources(s, add);
  functions(s, add);
  targets(s, add);
  fleet(s, add);
  if (s.store.dead) add('warn', `${count(s.store.dead, 'dead letter')}: events or records that were given up`, '#/deadletters', 'Look why, then send them again or drop them.');
  if (s.events.dead_evicted) add('warn', `${count(s.events.dead_evicted, 'dead letter')} had to go because the box was full`, '#/deadletters');
  if (s.events.dropped) add('warn', `${count(s.events.dropped, 'event')} of QoS 0 found no room and ${s.events.dropped === 1 ? 'was' : 'were'} dropped`, '#/functions', 'Raise limits.queue, or send with QoS 1.');
  if (s.store.gaps) add('warn', `${count(s.store.gaps, 'damaged record')} on the disk ${s.store.gaps === 1 ? 'was' : 'were'} skipped`, null, 'The card or disk may be failing.');
  if (!state.health && s.store.quota_bytes && s.store.journal_bytes > 0.9 * s.store.quota_bytes) add('warn', `The store is nearly full: ${bytes(s.store.journal_bytes)} of ${bytes(s.store.quota_bytes)}`, '#/outbox');
  for (const l of s.links ?? []) for (const [name, a] of [['today', l.day], ['this month', l.month]]) {
    if (a.limit && a.used >= 0.9 * a.limit) add(a.used >= a.limit ? 'bad' : 'warn', `Link ${l.name} has used ${bytes(a.used)} of ${bytes(a.limit)} ${name}`, '#/outbox');
  }
  const rank = { bad: 0, warn: 1, note: 2 };
  return list.sort((a, b) => rank[a.level] - rank[b.level]);
}

function sources(s, add) {
  for (const src of s.sources ?? []) {
    if (!src.connected) add('bad', `Source ${src.name} is not connected${src.note ? ': ' + src.note : ''}`, null, 'Events from there wait where they are, or are lost if their sender does not keep them.');
  }
}

function functions(s, add) {
  for (const f of s.functions ?? []) {
    if (f.stateless) add('bad', `${f.name} does not run yet: ${f.stateless}`, fn(f.name));
    if (f.breaker) add('bad', `${f.name} is stopped: ${f.breaker.cause}`, fn(f.name), f.breaker.state === 'open' ? `Its events wait on disk; one tries${until(f.breaker.retry_at)}.` : f.queued + f.inbox ? 'One event tries now.' : 'The next event tries.');
    else if (f.retrying && !s.store.error) add('warn', `${f.name} failed on ${count(f.retrying, 'event')} and tries again${f.last_error ? ': ' + f.last_error : ''}`, fn(f.name));
    if (f.denied) add('warn', `${f.name} asked ${count(f.denied, 'time')} for what it is not granted`, fn(f.name), f.refused?.[0]);
  }
}

function targets(s, add) {
  for (const t of s.targets ?? []) {
    const href = t.kind === 'broker' ? null : `#/outbox/${encodeURIComponent(t.name)}`, waits = `${count(t.waiting, 'record waits', 'records wait')} for ${t.name}`;
    if (t.paused) add('note', `${t.name} is paused${t.waiting ? '; ' + waits : ''}`, href);
    else if (t.over_budget) add('warn', `${waits}: ${t.over_budget}`, href);
    else if ((t.breaker || new Date(t.retry_at ?? 0) > now()) && t.waiting) add('warn', `${waits}, which is away${t.last_error ? ': ' + t.last_error : ''}`, href, t.retry_at ? `Tried again${until(t.retry_at)}; nothing is lost meanwhile.` : null);
    for (const n of t.notes ?? []) add('note', `${t.name}: ${n}`, href);
  }
}

function fleet(s, add) {
  const levels = { failed: 'bad', quarantined: 'bad', held: 'warn' };
  const apps = s.sync.apps ?? [], fresh = apps.filter((a) => a.state === 'probation');
  for (const a of apps) {
    if (a.taken_back) add('note', `${a.name} ${a.wanted} was rolled back here: ${a.version} runs`, '#/deployments', 'Until the fleet publishes another version, or somebody has it tried again.');
    else if (levels[a.state]) add(levels[a.state], `${a.name} ${a.wanted || a.version}: ${a.state}${a.reason ? ', ' + a.reason : ''}`, '#/deployments', a.until ? `Tried again${until(a.until)}.` : null);
  }
  if (fresh.length) add('note', `On probation: ${fresh.map((a) => `${a.name} ${a.version}`).join(', ')}`, '#/deployments', `The last one ends${until(fresh.map((a) => a.until).sort().at(-1))}.`);
  if (!s.sync.registry) add('warn', 'No registry is configured: nothing will run', '#/deployments', 'Set registry.ref in the configuration of the device.');
  if (s.sync.error) add('warn', `The registry: ${s.sync.error}`, '#/deployments', 'What runs goes on.');
  if (s.sync.expires && new Date(s.sync.expires) - now() < 7 * 864e5) add('warn', `What the fleet published is signed until ${s.sync.expires.slice(0, 10)} ${hms(s.sync.expires)}`, '#/deployments', 'Functions run on; updates wait until somebody publishes again.');
  for (const n of s.sync.notes ?? []) add('note', n, '#/deployments');
}
