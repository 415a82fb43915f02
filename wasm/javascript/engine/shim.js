// shim.js - what JavaScript functions find around them, and the conventions
// they may be written in. It is compiled into the engine. host has the calls
// that engine.c makes for it alone; skerry is what authors are given.
(function (host, skerry, global) {
  "use strict";

  // ---- values as text ----

  const describe = (e) => (e.stack ? `${e}\n${e.stack}`.trimEnd() : `${e}`);

  function show(v) {
    if (typeof v === "string") return v;
    if (v instanceof Error) return describe(v);
    if (typeof v === "function") return `[Function: ${v.name || "anonymous"}]`;
    if (typeof v !== "object" || v === null) return typeof v === "bigint" ? `${v}n` : String(v);
    try {
      return JSON.stringify(v, (_, x) => (typeof x === "bigint" ? `${x}n` : x instanceof Error ? describe(x) : x));
    } catch {
      return String(v);
    }
  }

  function format(args) {
    let from = 0;
    let text = "";
    if (typeof args[0] === "string" && args.length > 1 && args[0].includes("%")) {
      from = 1;
      text = args[0].replace(/%[sdifjoOc%]/g, (m) => {
        if (m === "%%") return "%";
        if (from >= args.length) return m;
        const v = args[from++];
        if (m === "%c") return "";
        if (m === "%d" || m === "%f") return String(Number(v));
        return m === "%i" ? String(parseInt(v, 10)) : show(v);
      });
    }
    for (let i = from; i < args.length; i++) text += (i ? " " : "") + show(args[i]);
    return text;
  }

  const logger = (level) => (...args) => host.log(level, format(args));
  const [debug, info, warn, error] = [0, 1, 2, 3].map(logger);
  skerry.log = Object.assign((...args) => info(...args), { debug, info, warn, error });
  global.console = {
    debug, info, warn, error, log: info, trace: debug, dir: (v) => info(v),
    assert: (ok, ...args) => ok || error("Assertion failed:", ...args),
  };

  // ---- timers: run while the engine waits for a promise ----

  let timers = [];
  let lastTimer = 0;
  let idle = null; // set by a convention: settles the run when nothing is left to do

  function addTimer(fn, ms, args, repeat) {
    if (typeof fn !== "function") throw new TypeError("a timer needs a function");
    const every = Math.max(1, Number(ms) || 0);
    timers.push({ id: ++lastTimer, at: Date.now() + every, fn, args, every: repeat ? every : 0 });
    host.timers();
    return lastTimer;
  }
  function clearTimer(id) {
    timers = timers.filter((t) => t.id !== id);
  }
  Object.assign(global, {
    setTimeout: (fn, ms, ...args) => addTimer(fn, ms, args, false),
    setInterval: (fn, ms, ...args) => addTimer(fn, ms, args, true),
    setImmediate: (fn, ...args) => addTimer(fn, 0, args, false),
    clearTimeout: clearTimer,
    clearInterval: clearTimer,
    clearImmediate: clearTimer,
    queueMicrotask: (fn) => void Promise.resolve().then(fn),
  });

  // tick runs the timer that is due next, or what is to happen when there is
  // none; it tells whether it did anything.
  function tick() {
    if (!timers.length) {
      const f = idle;
      idle = null;
      if (f) f();
      return f !== null;
    }
    const t = timers.reduce((a, b) => (b.at < a.at ? b : a));
    const wait = t.at - Date.now();
    if (wait > 0) host.sleep(wait);
    if (t.every) t.at = Date.now() + t.every;
    else clearTimer(t.id);
    t.fn(...t.args);
    return true;
  }

  function clear() {
    const n = timers.length;
    timers = [];
    idle = null;
    if (n) warn(`${n === 1 ? "1 timer was" : `${n} timers were`} dropped: the run was over; await what they do`);
  }

  // ---- small pieces of the web and of Node.js ----

  const base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  function toBase64(bytes) {
    let s = "";
    for (let i = 0; i < bytes.length; i += 3) {
      const n = (bytes[i] << 16) | ((bytes[i + 1] || 0) << 8) | (bytes[i + 2] || 0);
      s += base64[n >> 18] + base64[(n >> 12) & 63];
      s += i + 1 < bytes.length ? base64[(n >> 6) & 63] : "=";
      s += i + 2 < bytes.length ? base64[n & 63] : "=";
    }
    return s;
  }
  function fromBase64(text) {
    const s = text.replace(/-/g, "+").replace(/_/g, "/").replace(/[\s=]/g, "");
    const out = new Uint8Array(Math.floor((s.length * 3) / 4));
    let bits = 0;
    let have = 0;
    let at = 0;
    for (const c of s) {
      const n = base64.indexOf(c);
      if (n < 0) throw new TypeError(`${JSON.stringify(c)} is no letter of base64`);
      bits = ((bits << 6) | n) & 0xffff;
      have += 6;
      if (have >= 8) out[at++] = (bits >> (have -= 8)) & 255;
    }
    return out;
  }
  const binary = (bytes) => Array.from(bytes, (b) => String.fromCharCode(b)).join("");
  const view = (v) => (ArrayBuffer.isView(v) ? new Uint8Array(v.buffer, v.byteOffset, v.byteLength) : new Uint8Array(v));

  class Buffer extends Uint8Array {
    static from(v, encoding = "utf8") {
      if (typeof v !== "string") return Buffer.of(...view(v));
      if (/^base64/.test(encoding)) return new Buffer(fromBase64(v).buffer);
      if (encoding === "hex") return Buffer.of(...(v.match(/../g) || []).map((h) => parseInt(h, 16)));
      if (encoding === "latin1" || encoding === "binary" || encoding === "ascii") return Buffer.of(...Array.from(v, (c) => c.charCodeAt(0) & 255));
      return new Buffer(host.utf8(v).buffer);
    }
    static alloc(n) { return new Buffer(n); }
    static isBuffer(v) { return v instanceof Buffer; }
    static byteLength(v, encoding) { return Buffer.from(v, encoding).length; }
    static concat(list) {
      const out = new Buffer(list.reduce((n, b) => n + b.length, 0));
      list.reduce((at, b) => (out.set(b, at), at + b.length), 0);
      return out;
    }
    toString(encoding = "utf8") {
      if (/^base64/.test(encoding)) {
        const s = toBase64(this);
        return encoding === "base64" ? s : s.replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
      }
      if (encoding === "hex") return Array.from(this, (b) => b.toString(16).padStart(2, "0")).join("");
      return encoding === "latin1" || encoding === "binary" ? binary(this) : host.text(this);
    }
    toJSON() { return { type: "Buffer", data: Array.from(this) }; }
  }

  global.Buffer = Buffer;
  global.TextEncoder = class TextEncoder { encode(s = "") { return host.utf8(String(s)); } };
  global.TextDecoder = class TextDecoder { decode(v) { return v === undefined ? "" : host.text(view(v)); } };
  global.btoa = (s) => toBase64(Buffer.from(String(s), "latin1"));
  global.atob = (s) => binary(fromBase64(String(s)));
  global.crypto = {
    getRandomValues(array) {
      view(array).set(host.random(array.byteLength));
      return array;
    },
    randomUUID() {
      const b = host.random(16);
      b[6] = (b[6] & 15) | 64;
      b[8] = (b[8] & 63) | 128;
      return Buffer.from(b).toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
    },
  };

  // process.env is the function's env, and what the conventions promise there.
  let place = {}; // variables of the convention, per event
  global.process = {
    env: new Proxy({}, { get: (_, k) => (typeof k === "string" ? (place[k] ?? skerry.config(k)) : undefined) }),
    nextTick: (fn, ...args) => queueMicrotask(() => fn(...args)),
    exit: (code) => { throw new Error(`process.exit(${code}) was called; throw an error to fail, return to commit`); },
    stdout: { write: (s) => info(String(s).trimEnd()) },
    stderr: { write: (s) => warn(String(s).trimEnd()) },
    cwd: () => "/", platform: "skerry", argv: ["skerry", "/function.js"], versions: {}, version: "",
  };
  global.global = global;
  global.skerry = skerry;

  // ---- outbound requests ----

  const isBytes = (v) => v instanceof ArrayBuffer || ArrayBuffer.isView(v);

  function parseAnswer(raw) {
    let end = 0;
    while (end < raw.length && !(raw[end] === 10 && raw[end + 1] === 10)) end++;
    const [status, ...lines] = host.text(raw, 0, end).split("\n");
    const headers = {};
    for (const line of lines) {
      const colon = line.indexOf(":");
      const name = line.slice(0, colon).toLowerCase();
      const value = line.slice(colon + 1).trim();
      headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
    }
    const body = raw.subarray(end + 2);
    return {
      status: Number(status), ok: status >= 200 && status < 300, headers, bytes: () => body,
      get body() { return host.text(body); },
      json: () => JSON.parse(host.text(body)),
    };
  }

  // http({method, url, headers, body}) waits for the answer.
  skerry.http = function http(options) {
    const { method = "GET", url, headers = {}, body } = typeof options === "string" ? { url: options } : options;
    let head = `${method.toUpperCase()} ${url}\n`;
    const isJSON = body !== undefined && typeof body !== "string" && !isBytes(body);
    if (isJSON && !Object.keys(headers).some((k) => /^content-type$/i.test(k))) head += "Content-Type: application/json\n";
    for (const [k, v] of Object.entries(headers)) head += `${k}: ${String(v).replace(/[\r\n]+/g, " ")}\n`;
    const bytes = body === undefined ? new Uint8Array(0) : isBytes(body) ? view(body) : host.utf8(isJSON ? JSON.stringify(body) : body);
    return parseAnswer(host.http(Buffer.concat([host.utf8(`${head}\n`), bytes])));
  };

  global.fetch = async function fetch(url, { method, headers, body } = {}) {
    const r = skerry.http({ url: String(url), method, headers, body });
    const get = (name) => r.headers[name.toLowerCase()] ?? null;
    return {
      status: r.status, ok: r.ok, url: String(url), headers: { get, has: (name) => get(name) !== null, entries: () => Object.entries(r.headers) },
      text: async () => r.body, json: async () => r.json(), arrayBuffer: async () => r.bytes().slice().buffer,
    };
  };

  // ---- modules ----

  const google = { registered: null };
  const register = (kind) => (name, fn) => { google.registered = { kind, fn: fn ?? name }; };
  const modules = {
    skerry,
    buffer: { Buffer },
    "@google-cloud/functions-framework": { http: register("http"), cloudEvent: register("cloudEvent") },
  };
  function require(name) {
    const found = modules[name.replace(/^node:/, "")];
    if (found) return found;
    const e = new Error(`cannot find module '${name}': a function is one file; bundle it first: npx esbuild handler.js --bundle --format=esm --outfile=bundle.js`);
    e.code = "MODULE_NOT_FOUND";
    throw e;
  }

  // ---- conventions: each makes (event) => result or promise of it ----

  const isThenable = (v) => v !== null && typeof v === "object" && typeof v.then === "function";
  const isObject = (v) => v !== null && typeof v === "object" && !isBytes(v);
  const shortName = (event) => event.function.slice(event.function.lastIndexOf("/") + 1);
  const asError = (e) => (e instanceof Error ? e : new Error(show(e)));
  // The native form: export default function (event, skerry).
  const native = (fn) => fn;

  // AWS Lambda: exports.handler = async (event, context) => value, or with callback.
  // The first of promise, callback and context.done says what the outcome is.
  class LambdaContext {
    callbackWaitsForEmptyEventLoop = true;
    #event;
    #start = Date.now();
    #settle;
    constructor(event, settle) {
      this.#event = event;
      this.#settle = settle;
    }
    get awsRequestId() { return this.#event.id; }
    get functionName() { return shortName(this.#event); }
    get functionVersion() { return "$LATEST"; }
    get invokedFunctionArn() { return `arn:aws:lambda:edge-local-1:000000000000:function:${this.functionName}`; }
    get memoryLimitInMB() { return String(Math.floor(host.limit(1) / 1048576)); }
    get logGroupName() { return `/aws/lambda/${this.functionName}`; }
    get logStreamName() { return this.functionName; }
    get clientContext() { return undefined; }
    get identity() { return undefined; }
    getRemainingTimeInMillis() { return Math.max(0, host.limit(0) - (Date.now() - this.#start)); }
    succeed(v) { this.#settle(null, v); }
    fail(e) { this.#settle(e ?? "failed"); }
    done(e, v) { this.#settle(e, v); }
  }

  function lambda(fn) {
    let warned = false;
    const toJSON = (v) => (v === undefined || v === null ? undefined : JSON.stringify(v));
    return (event) => new Promise((resolve, reject) => {
      const settle = (err, v) => (err ? reject(asError(err)) : resolve(toJSON(v)));
      let called = false;
      const context = new LambdaContext(event, settle);
      const value = fn(event.data, context, (err, v) => {
        if (called) return;
        called = true;
        if (context.callbackWaitsForEmptyEventLoop) idle = () => settle(err, v);
        else settle(err, v);
      });
      if (isThenable(value)) {
        value.then((v) => resolve(toJSON(v)), reject);
        return;
      }
      if (value !== undefined && fn.length < 3 && !warned) {
        warned = true;
        warn("the handler returned a value but is not async: as on Lambda it is ignored; declare it async");
      }
      idle ??= () => resolve();
    });
  }

  // Apache OpenWhisk: function main(params) returns an object.
  function openwhisk(fn) {
    return async (event) => {
      const data = event.data;
      place = {
        __OW_ACTION_NAME: `/_/${event.function}`, __OW_NAMESPACE: "_", __OW_ACTIVATION_ID: event.id,
        __OW_DEADLINE: String(Date.now() + host.limit(0)), __OW_API_HOST: "", __OW_API_KEY: "",
      };
      const v = await fn(isObject(data) ? data : data === null || data === "" ? {} : { payload: data });
      if (v !== undefined && typeof v !== "object") throw new Error("The action did not return a dictionary.");
      if (v?.error !== undefined) skerry.reject(show(v.error));
      return v;
    };
  }

  // Requests and answers of the conventions that speak HTTP.
  function requestOf(event) {
    const headers = {
      "content-type": event.contentType || (isObject(event.data) ? "application/json" : "text/plain"),
      "ce-specversion": "1.0", "ce-id": event.id, "ce-source": event.source, "ce-type": event.type,
      "ce-subject": event.subject, "ce-time": event.time.toISOString(),
    };
    const get = (name) => headers[name.toLowerCase()];
    return {
      method: "POST", url: "/", originalUrl: "/", path: "/", query: {}, params: {}, headers, get, header: get,
      body: event.data, get rawBody() { return Buffer.from(event.bytes()); },
    };
  }

  // answered turns an HTTP answer into the outcome of the run.
  function answered(status, body) {
    if (!(status >= 400)) return body ?? undefined;
    const text = `status ${status}${body === undefined ? "" : `: ${show(body)}`}`;
    if (status < 500 && status !== 408 && status !== 429) skerry.reject(text);
    throw new Error(text);
  }

  function responseInto(resolve, reject) {
    const headers = {};
    const send = (body) => {
      try {
        resolve(answered(res.statusCode, body));
      } catch (e) {
        reject(e);
      }
      return res;
    };
    const set = (name, value) => { headers[String(name).toLowerCase()] = value; return res; };
    let written = "";
    const res = {
      statusCode: 200, headers, set, header: set, setHeader: set, type: () => res, getHeader: (name) => headers[name.toLowerCase()],
      status: (code) => { res.statusCode = code; return res; },
      writeHead: (code, h) => { Object.entries(h || {}).forEach(([k, v]) => set(k, v)); return res.status(code); },
      write: (s) => { written += s; return true; },
      send, json: send, end: (s) => send(s ?? (written || undefined)),
      sendStatus: (code) => res.status(code).send(),
    };
    return res;
  }

  // withResponse calls fn(...before, req, res) and waits for the answer.
  const withResponse = (event, fn, ...before) => new Promise((resolve, reject) => {
    const v = fn(...before, requestOf(event), responseInto(resolve, reject));
    if (isThenable(v)) v.then(undefined, reject);
  });

  // Google: (cloudEvent), (req, res), and (data, context) of the first generation.
  const googleHTTP = (fn) => (event) => withResponse(event, fn);
  const googleEvent = (fn) => (event) => fn({
    specversion: "1.0", id: event.id, source: event.source, type: event.type, subject: event.subject,
    time: event.time.toISOString(), datacontenttype: event.contentType || undefined, data: event.data,
  });
  const googleBackground = (fn) => (event) => {
    const context = { eventId: event.id, eventType: event.type, timestamp: event.time.toISOString(), resource: event.subject };
    return fn.length < 3 ? fn(event.data, context) : new Promise((resolve, reject) => {
      fn(event.data, context, (err, v) => (err ? reject(asError(err)) : resolve(v)));
    });
  };
  function googleOf(fn) {
    const names = parametersOf(fn);
    if (/^(req|request)$/.test(names[0]) && names.length === 2) return googleHTTP(fn);
    return names.length > 1 ? googleBackground(fn) : googleEvent(fn);
  }

  // module.exports = function (context, …): Fission, Azure and webtask have one
  // context here, which has what each of them promises.
  function contextOf(event) {
    const request = requestOf(event);
    const secrets = new Proxy({}, { get: (_, k) => (typeof k === "string" ? skerry.secret(k) : undefined) });
    const meta = new Proxy({}, { get: (_, k) => (typeof k === "string" ? skerry.config(k) : undefined) });
    const data = event.data;
    return {
      request, req: request, res: undefined, body: data, data: isObject(data) ? { ...data } : {},
      query: {}, params: {}, headers: request.headers, secrets, meta,
      bindings: {}, bindingData: { topic: event.subject, invocationId: event.id }, invocationId: event.id,
      executionContext: { invocationId: event.id, functionName: shortName(event), functionDirectory: "/" },
      log: Object.assign((...args) => info(...args), { verbose: debug, info, warn, error, metric: info }),
    };
  }

  function outcomeOf(value, context) {
    const http = (v) => isObject(v) && typeof v.status === "number" && ("body" in v || "headers" in v || Object.keys(v).length === 1);
    if (http(value)) return answered(value.status, value.body);
    if (value !== undefined) return value;
    const res = context.res ?? context.bindings.res;
    if (res !== undefined) return isObject(res) ? answered(Number(res.status ?? res.statusCode ?? 200), res.body) : res;
    const outputs = Object.values(context.bindings);
    return outputs.length > 1 ? context.bindings : outputs[0];
  }

  const withContext = (fn, input) => (event) => new Promise((resolve, reject) => {
    const context = contextOf(event);
    const settle = (v) => {
      try {
        resolve(outcomeOf(v, context));
      } catch (e) {
        reject(e);
      }
    };
    context.done = (err, v) => (err ? reject(asError(err)) : settle(v));
    const v = fn(context, input === "request" ? context.req : event.data);
    if (isThenable(v)) v.then(settle, reject);
    else if (v !== undefined) settle(v);
    else idle ??= () => settle();
  });
  const azure = (fn) => withContext(fn, /^req/.test(parametersOf(fn)[1] ?? "") ? "request" : "data");
  const answerBack = (fn, kind) => (event) => new Promise((resolve, reject) => {
    const context = contextOf(event);
    const callback = (a, b) => {
      try {
        if (typeof a === "number" || kind === "fission") resolve(answered(a, b));
        else if (a) reject(asError(a));
        else resolve(b);
      } catch (e) {
        reject(e);
      }
    };
    const v = fn.length < 2 ? fn(callback) : fn(context, callback);
    if (isThenable(v)) v.then((x) => x !== undefined && resolve(outcomeOf(x, context)), reject);
  });
  const fission = (fn) => (fn.length > 1 ? answerBack(fn, "fission") : withContext(fn));
  const webtask = (fn) => (fn.length > 2 ? (event) => withResponse(event, fn, contextOf(event)) : answerBack(fn, "webtask"));

  // ---- which convention ----

  function parametersOf(fn) {
    const text = Function.prototype.toString.call(fn).replace(/\/\*[^]*?\*\/|\/\/.*$/gm, "");
    const bare = /^(?:async\s+)?([\w$]+)\s*=>/.exec(text);
    if (bare) return [bare[1]];
    const list = /\(([^)]*)\)/.exec(text)?.[1] ?? "";
    return list.split(",").map((s) => s.replace(/=[^]*/, "").trim()).filter(Boolean);
  }

  const isCallback = (name) => /^(cb|callback|done|next)$/i.test(name ?? "");

  function bareFunction(fn) {
    const names = parametersOf(fn);
    if (/^(event|ev|evt|e)$/.test(names[0])) return native(fn);
    if (/^req(uest)?$/.test(names[0]) && names.length === 2) return googleHTTP(fn);
    if (names.length === 3) return webtask(fn);
    return isCallback(names[names.length - 1]) ? answerBack(fn) : azure(fn);
  }

  const conventions = { skerry: native, lambda, openwhisk, fission, webtask, azure, google: googleOf };

  // choose makes the entry of what a source exports; main is a function of that
  // name at the top of a CommonJS file.
  function choose(exports, main, isModule) {
    const isFunction = (v) => typeof v === "function";
    exports ??= {};
    const byDefault = (isModule || exports.__esModule) && isFunction(exports.default) ? exports.default : undefined;
    const others = isObject(exports) ? Object.keys(exports).filter((k) => k !== "default" && isFunction(exports[k])) : [];
    const only = others.length === 1 ? exports[others[0]] : undefined;
    const bare = isFunction(exports) ? exports : undefined;
    const asMain = isFunction(exports.main) ? exports.main : main;
    if (exports.convention !== undefined) {
      const make = conventions[exports.convention];
      const fn = byDefault ?? exports.handler ?? asMain ?? bare ?? only;
      if (!make) throw new TypeError(`the convention ${show(exports.convention)} is not known; one of ${Object.keys(conventions).join(", ")} is`);
      if (!isFunction(fn)) throw new TypeError("the source names a convention but exports no function");
      return make(fn);
    }
    if (google.registered) return (google.registered.kind === "http" ? googleHTTP : googleEvent)(google.registered.fn);
    if (byDefault) return native(byDefault);
    if (isFunction(exports.handler)) return lambda(exports.handler);
    if (asMain) return openwhisk(asMain);
    if (bare) return bareFunction(bare);
    if (only) return googleOf(only);
    throw new TypeError(`the source exports no handler, ${exported(exports)}; write: export default function (event, skerry) { … }`);
  }

  // exported is "only a (number), b (function)", or "but a number" as a whole.
  function exported(exports) {
    if (!isObject(exports)) return `but a ${typeof exports}`;
    const names = Object.keys(exports);
    const shown = names.slice(0, 10).map((k) => `${k} (${typeof exports[k]})`).join(", ");
    return names.length ? `only ${shown}${names.length > 10 ? ", …" : ""}` : "and nothing else";
  }

  // ---- what is no JavaScript ----

  const typeScript = new RegExp([
    /[\w)\]}?] *: *(string|number|boolean|any|unknown|void|never|Record<|Array<|Promise<)/,
    /^[ \t]*(export +)?(declare +)?(interface|type|enum|const enum|namespace|abstract class) +\w+/,
    /^[ \t]*(import|export) +type\b/,
    /[\w)\]}] as +(const|any|unknown|string|number|[A-Z]\w*)\b/,
  ].map((r) => r.source).join("|"), "m");

  // unparsed adds to the SyntaxError of a source what its author may want to know.
  function unparsed(e, source) {
    if (!(e instanceof SyntaxError)) return e;
    e.message = e.message.replace(/''$/, "the end of the file") + " (the module was taken for JavaScript because it is text)";
    if (typeScript.test(source)) e.message += "; TypeScript must be built first: npx esbuild handler.ts --bundle --format=esm --outfile=handler.js";
    return e;
  }

  return { choose, require, tick, clear, unparsed };
});
