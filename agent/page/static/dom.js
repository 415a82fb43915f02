// The document is built with h and brought up to date with patch. All text goes in as
// text nodes: nothing that the agent says can become markup.

const SVG = 'http://www.w3.org/2000/svg';
const vector = new Set(['svg', 'path', 'line', 'rect', 'circle', 'g']);

// h makes an element. Of props, on… are handlers, key names it among its siblings,
// value and checked are what it begins with, style is an object, keep leaves what it
// holds to its handlers; the rest are attributes. null, undefined and false leave one out.
export function h(tag, props, ...kids) {
  const el = vector.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  el.handlers = {};
  const later = {};
  for (const [name, v] of Object.entries(props ?? {})) {
    if (v === null || v === undefined || v === false) continue;
    if (name === 'key') el.key = String(v);
    else if (name === 'keep') el.keep = true;
    else if (name === 'value' && tag !== 'option' || name === 'checked') later[name] = v;
    else if (name.startsWith('on')) el.handlers[name] = el[name] = v;
    else if (name === 'style') for (const [k, text] of Object.entries(v)) el.style.setProperty(k, text);
    else el.setAttribute(name, v === true ? '' : v);
  }
  el.append(...nodes(kids));
  Object.assign(el, later); // a select has its options now
  return el;
}

// What turns the direction of text could make a topic look like another: it is shown as a dot.
const turning = /[\u202a-\u202e\u2066-\u2069]/g;

function nodes(kids) {
  return kids.flat(Infinity).filter((k) => k !== null && k !== undefined && k !== false)
    .map((k) => (k instanceof Node ? k : document.createTextNode(String(k).replace(turning, '·'))));
}

// patch makes el hold what kids are, and keeps what is there as far as it fits, and
// with it focus, selection and what somebody has typed.
export function patch(el, ...kids) {
  const next = nodes(kids);
  const wanted = new Set(next.map((n) => n.key).filter((k) => k !== undefined));
  const there = new Map();
  for (const c of [...el.childNodes]) {
    if (c.key === undefined) continue;
    if (!wanted.has(c.key)) c.remove();
    else if (there.has(c.key)) there.get(c.key).push(c); // some have the same, in their order
    else there.set(c.key, [c]);
  }
  let at = el.firstChild;
  for (const n of next) {
    const old = n.key === undefined ? at : there.get(n.key)?.shift();
    if (!old || old.key !== n.key || old.nodeName !== n.nodeName) {
      el.insertBefore(n, at);
      continue;
    }
    if (old === at) at = at.nextSibling;
    else el.insertBefore(old, at);
    sync(old, n);
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

// sync makes old look like n.
function sync(old, n) {
  if (n.keep) return;
  if (n.nodeType === Node.TEXT_NODE) {
    if (old.nodeValue !== n.nodeValue) old.nodeValue = n.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!n.hasAttribute(name) && !(name === 'open' && old.nodeName === 'DETAILS')) old.removeAttribute(name);
  }
  for (const { name, value } of n.attributes) {
    if (name === 'style') old.style.cssText = n.style.cssText;
    else if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const name of Object.keys(old.handlers ?? {})) if (!n.handlers[name]) old[name] = null;
  Object.assign(old, n.handlers);
  old.handlers = n.handlers;
  if (n.nodeName !== 'TEXTAREA') patch(old, ...n.childNodes);
}

export const button = (text, onclick, props) => h('button', { type: 'button', onclick, ...props }, text);
export const link = (text, href, props) => h('a', { href, ...props }, text);

// mark is a level as a sign, a word for those who hear it, and a colour.
const signs = { ok: ['●', 'good'], note: ['◆', 'note'], warn: ['▲', 'warning'], bad: ['■', 'problem'], off: ['○', 'off'] };
export const mark = (level) => h('span', { class: `mark ${level}` },
  h('span', { 'aria-hidden': 'true' }, signs[level][0]), h('span', { class: 'hear' }, signs[level][1]));
export const badge = (level, text) => h('span', { class: `badge ${level}` }, mark(level), ' ', text);

export const panel = (title, props, ...kids) => h('section', { class: `panel ${props?.class ?? ''}`, key: props?.key, 'aria-label': title },
  h('div', { class: 'head' }, h('h2', null, title), props?.tools), ...kids);

// empty says that there is nothing, and what to do next.
export const empty = (title, ...next) => h('div', { class: 'empty' }, h('p', null, h('strong', null, title)), h('p', null, next));

// table has columns [{title, of(row), num, wide, line}] and rows with a key each. On a
// phone each row becomes a card whose cells say their titles; wide ones, and those of
// line, have a line of their own.
export const table = (label, columns, rows, key) => h('table', { class: 'table', role: 'table', 'aria-label': label }, // roles: as cards it is a table all the same
  h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, columns.map((c) => h('th', { scope: 'col', role: 'columnheader', class: c.num && 'num' }, c.title)))),
  h('tbody', { role: 'rowgroup' }, rows.map((r) => h('tr', { role: 'row', key: key(r) }, columns.map((c) => {
    const v = c.of(r);
    const none = v === '' || v === null || v === undefined || v === false;
    return h('td', { role: 'cell', class: [c.num && 'num', c.wide && 'wide', c.line && 'line', none && 'none'].filter(Boolean).join(' ') || null, 'data-title': c.title || null }, v);
  })))));

// facts is a list of names and values; those without a value are left out.
export const facts = (list) => h('dl', { class: 'facts' }, list.filter(([, v]) => v !== null && v !== undefined && v !== '' && v !== false)
  .map(([k, ...v]) => h('div', null, h('dt', null, k), h('dd', null, v))));

export const field = (label, control, hint) => h('label', { class: 'field' }, h('span', null, label), control, hint && h('small', { class: 'muted' }, hint));
