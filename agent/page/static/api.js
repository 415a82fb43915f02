// The agent's API, /v1, as seen from the page.

export class Problem extends Error {
  constructor(text, status) {
    super(text);
    this.status = status; // of the answer; 0: nobody answered
  }
}

// What the page does when the agent wants to know who is there.
export const on = { login: () => {}, write: () => {}, date: () => {} };

// The key of the session, which the login gives. Browsers send the cookie to every port of
// this host; this they keep for the page alone.
let key;

function keyOf() {
  try {
    return localStorage.getItem('skerry-key') ?? key;
  } catch {
    return key; // nothing may be kept: a window of its own logs in of its own
  }
}

function keep(given) {
  key = given;
  try {
    localStorage.setItem('skerry-key', given);
  } catch {
    // it is kept for as long as the window is open
  }
}

async function answered(path, init) {
  let resp;
  const headers = keyOf() ? { ...init?.headers, 'Skerry-Key': keyOf() } : init?.headers;
  try {
    resp = await fetch(path, { credentials: 'same-origin', cache: 'no-store', ...init, headers });
  } catch {
    throw new Problem('The agent does not answer.', 0);
  }
  if (resp.headers.get('Skerry-Key')) keep(resp.headers.get('Skerry-Key'));
  if (resp.ok) return resp;
  const said = (await resp.text()).trim();
  let text = said;
  try {
    text = JSON.parse(said).error ?? said;
  } catch {
    // it is text
  }
  if (resp.status === 401 && path.startsWith('v1/')) on.login();
  const away = resp.status === 502 || resp.status === 504;
  throw new Problem(text || `The agent answered ${resp.status} ${resp.statusText}.`, away ? 0 : resp.status);
}

export async function get(path, init) {
  const asked = Date.now();
  const resp = await answered(path, { signal: AbortSignal.timeout(10000), ...init });
  const date = Date.parse(resp.headers.get('Date'));
  if (date) on.date(date, asked, Date.now());
  on.write(resp.headers.get('Skerry-Write'));
  try {
    return await resp.json();
  } catch {
    throw new Problem('The agent did not finish its answer.', 0);
  }
}

// post sends a body as JSON. An error in an answer that is else fine is thrown too,
// with the answer.
export async function post(path, body = {}, init) {
  const resp = await answered(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body), ...init });
  if (resp.status === 204) return {};
  const out = await resp.json();
  if (out.error && path.startsWith('v1/')) {
    const p = new Problem(out.error, resp.status);
    p.answer = out;
    throw p;
  }
  return out;
}

// stream reads lines of JSON from the path that where() gives, while the page is seen,
// and begins anew when the agent went away. each gets the raw lines that have come.
// state is told 'on', 'off' (an answer is waited for, with why) and 'hidden'.
export function stream(where, each, state) {
  let stop, ended = false, pause = 1000, timer;
  const begin = async () => {
    const abort = new AbortController();
    let heard = false;
    stop = () => abort.abort();
    try {
      const resp = await answered(where(), { signal: abort.signal });
      state('on');
      const reader = resp.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        heard = true;
        const lines = (rest + value).split('\n');
        rest = lines.pop();
        if (lines.length) each(lines);
      }
      throw new Problem('The agent has ended, or the connection to it.', 0);
    } catch (e) {
      if (abort.signal.aborted || ended) return;
      pause = heard ? 1000 : Math.min(10000, pause * 2);
      state('off', e.message);
      if (e.status === 401 || e.status === 400 || e.status === 403) return;
      timer = setTimeout(begin, pause);
    }
  };
  const look = () => {
    clearTimeout(timer);
    stop?.();
    if (document.hidden) state('hidden');
    else begin();
  };
  document.addEventListener('visibilitychange', look);
  look();
  return {
    again: look,
    end() {
      ended = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', look);
      stop?.();
    },
  };
}
