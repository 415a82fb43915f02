// What all pages do the same way: ask before doing, say what was done, show data.
import { badge, button, h } from './dom.js';
import { count, hex, pretty, text, toBytes } from './format.js';
import { refresh, state } from './state.js';

// say tells what was done; it goes by itself.
export function say(words) {
  const box = document.getElementById('said');
  const one = h('p', { class: 'toast' }, badge('ok', words));
  box.replaceChildren(one);
  setTimeout(() => one.remove(), 8000);
}

// complain tells what did not work, until it is read.
export function complain(words) {
  const box = document.getElementById('alerts');
  const one = h('p', { class: 'toast bad' }, badge('bad', words), ' ', button('Close', () => one.remove(), { 'aria-label': 'Close this message' }));
  box.replaceChildren(one);
}

// attempt does something and tells how it went.
export async function attempt(what, done) {
  try {
    const out = await what();
    if (done) say(typeof done === 'function' ? done(out) : done);
    await refresh();
    return out;
  } catch (e) {
    const some = e.answer?.count ? `${count(e.answer.count, 'one', 'of them')} done, then: ` : '';
    complain(some + e.message);
    return null;
  }
}

// dialog shows one; content(close) gives what is in it. The answer is what close is
// given, null when it is dismissed.
export function dialog(title, content, props) {
  return new Promise((answer) => {
    let said = null;
    const box = h('dialog', { 'aria-labelledby': 'dialog-title', ...props, onclose: () => { box.remove(); answer(said); } });
    const close = (v) => { said = v ?? null; box.close(); };
    box.append(h('div', { class: 'head' }, h('h2', { id: 'dialog-title' }, title), button('Close', () => close(), { class: 'plain' })), ...[content(close)].flat());
    document.body.append(box);
    box.showModal();
  });
}

// confirm asks whether to do what cannot be taken back, or what others notice.
export const confirm = (title, words, action, danger) => dialog(title, (close) => [
  ...[words].flat().map((w) => (typeof w === 'string' ? h('p', null, w) : w)),
  h('div', { class: 'actions' }, button(action, () => close(true), { class: danger ? 'danger' : 'primary' }), button('Cancel', () => close(), { autofocus: true })),
], { class: 'small' });

// act is a button for what changes something; where only looking is allowed it says so.
export const act = (words, onclick, props) => button(words, onclick, state.noWrite
  ? { ...props, disabled: true, title: 'This page may only look: page.write is false in the configuration' } : props);

// payload shows data in the form that says most, and lets one choose another.
// It takes {data}, {text} or {data_base64}.
export function payload(p, size) {
  const raw = p.data_base64 !== undefined ? toBytes(p.data_base64)
    : new TextEncoder().encode(p.text ?? (typeof p.data === 'string' ? p.data : p.data === undefined ? '' : JSON.stringify(p.data)));
  const words = text(raw), nicely = p.data !== undefined && typeof p.data !== 'string' ? JSON.stringify(p.data, null, 2) : words !== null && pretty(words);
  const forms = [['JSON', nicely], ['Text', words], ['Hex', raw.length ? hex(raw) : null]].filter(([, v]) => v !== null && v !== false && v !== '');
  if (!forms.length) return h('p', { class: 'muted' }, 'no data');
  const out = h('pre', { tabindex: 0, 'aria-label': 'Data' }, forms[0][1]);
  const pick = (i) => {
    out.textContent = forms[i][1];
    [...tabs.querySelectorAll('button[aria-pressed]')].forEach((b, j) => b.setAttribute('aria-pressed', String(i === j)));
  };
  const copy = button('Copy', async () => {
    try {
      await navigator.clipboard.writeText(out.textContent);
      copy.textContent = 'Copied';
    } catch {
      getSelection().selectAllChildren(out); // no clipboard over plain http: it is marked to be copied
    }
  }, { class: 'plain' });
  const tabs = h('div', { class: 'forms' }, forms.map(([name], i) => button(name, () => pick(i), { class: 'plain', 'aria-pressed': String(i === 0) })), copy,
    h('span', { class: 'muted' }, count(size ?? raw.length, 'byte')));
  return h('div', { class: 'payload', key: JSON.stringify(p).slice(0, 4000), keep: true }, tabs, out);
}

// words is data as it can be edited, null if it is no text.
export const words = (b64) => text(toBytes(b64));

// brief is data on one line.
export const brief = (p) => {
  if (p.data !== undefined) return typeof p.data === 'string' ? p.data : JSON.stringify(p.data);
  if (p.data_base64 === undefined) return '';
  const raw = toBytes(p.data_base64.slice(0, 400));
  return text(raw) ?? [...raw.slice(0, 60)].map((b) => b.toString(16).padStart(2, '0')).join(' ');
};
