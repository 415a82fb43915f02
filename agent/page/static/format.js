// Numbers and times for people.
import { h } from './dom.js';

const short = (n) => (Math.abs(n) >= 99.5 ? n.toFixed(0) : Math.abs(n) >= 9.95 ? n.toFixed(1) : n.toFixed(2)).replace(/\.0+$|(\.\d*[1-9])0+$/, '$1');

// num is 950, 1.2k, 3.4M.
export function num(n) {
  if (n === null || n === undefined || Number.isNaN(n)) return '–';
  for (const [size, letter] of [[1e9, 'G'], [1e6, 'M'], [1e4, 'k']]) {
    if (Math.abs(n) >= size) return short(n / Math.max(1000, size === 1e4 ? 1000 : size)) + letter;
  }
  return Number.isInteger(n) ? String(n) : short(n);
}

export function rate(n) {
  if (n === null || n === undefined || Number.isNaN(n)) return '–';
  if (n === 0) return '0/s';
  if (n < 0.1) return short(n * 60) + '/min';
  return (n >= 1000 ? short(n / 1000) + 'k' : short(n)) + '/s';
}

export function bytes(n) {
  if (n === null || n === undefined || n < 0) return '–';
  let i = 0;
  for (; n >= 1000 && i < 4; i++) n /= 1024;
  return `${i ? short(n) : n} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][i]}`;
}

export function micros(us) {
  if (!us) return '–';
  if (us < 1000) return `${us} µs`;
  if (us < 1e6) return `${short(us / 1000)} ms`;
  return span(us / 1000);
}

// span is a length of time, in milliseconds.
export function span(ms) {
  const s = Math.abs(ms) / 1000;
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 10) return `${short(Number(s.toFixed(1)))} s`;
  if (s < 99.5) return `${Math.round(s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 36 * 3600) return `${short(Number((s / 3600).toFixed(1)))} h`;
  return `${Math.round(s / 86400)} days`;
}

// The device's clock decides what is ago; it may differ from this computer's.
export const clock = { skew: 0, known: false };
export const now = () => Date.now() + clock.skew;

const two = (n, digits = 2) => String(n).padStart(digits, '0');

export const exact = (t) => {
  const d = new Date(t);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${hms(d)}`;
};
export const hms = (t) => {
  const d = new Date(t);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
};

export function ago(t) {
  const ms = new Date(t) - now();
  if (Math.abs(ms) < 1500) return 'now';
  return ms > 0 ? `in ${span(ms)}` : `${span(ms)} ago`;
}

// when is "4 min ago", with the exact time on asking.
export const when = (t) => (t ? h('time', { datetime: t, title: exact(t) }, ago(t)) : '');
// at is the time of day, with the date on asking.
export const at = (t, ms) => (t ? h('time', { datetime: t, title: exact(t) }, hms(t) + (ms ? '.' + two(new Date(t).getMilliseconds(), 3) : '')) : '');

export const count = (n, one, many = one + 's') => `${num(n)} ${n === 1 ? one : many}`;
export const digest = (d) => (d ? d.replace(/^sha256:/, '').slice(0, 12) : '');

// toBytes reads base64; fromText writes text as that.
export const toBytes = (b64) => Uint8Array.from(atob(b64 ?? ''), (c) => c.charCodeAt(0));
export const fromText = (text) => btoa(Array.from(new TextEncoder().encode(text), (b) => String.fromCharCode(b)).join(''));

// text is what bytes say in UTF-8, null if they are none.
export function text(data) {
  try {
    const s = new TextDecoder('utf-8', { fatal: true }).decode(data);
    return /[\u0000-\u0008\u000e-\u001f]/.test(s) ? null : s;
  } catch {
    return null;
  }
}

export function pretty(s) {
  try {
    return JSON.stringify(JSON.parse(s), null, 2);
  } catch {
    return null;
  }
}

export function hex(data, most = 4096) {
  const lines = [];
  for (let i = 0; i < Math.min(data.length, most); i += 16) {
    const row = [...data.slice(i, Math.min(i + 16, most))];
    const digits = row.map((b) => two(b.toString(16))).join(' ').padEnd(48);
    lines.push(`${two(i.toString(16), 4)}  ${digits} ${row.map((b) => (b > 31 && b < 127 ? String.fromCharCode(b) : '·')).join('')}`);
  }
  if (data.length > most) lines.push(`… ${data.length - most} bytes more`);
  return lines.join('\n');
}
