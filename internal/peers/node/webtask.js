// Serves a webtask with npm's webtask-runtime on 127.0.0.1, as webtask.io did.
// usage: NODE_PATH=…/node_modules node webtask.js
// Prints "listening ADDRESS", and "got JSON" for each request. The function
// fails, or throws, when its data asks for that: {"outcome": "error" | "throw"}.
'use strict';
const runtime = require('webtask-runtime');

function webtask(ctx, cb) {
  const data = Buffer.from(JSON.stringify(ctx.body || {})).toString('base64');
  const header = { Authorization: ctx.headers.authorization || '' };
  console.log('got ' + JSON.stringify({ path: ctx.headers['x-path'] || '', header, data }));
  if (ctx.body && ctx.body.outcome === 'throw') throw new Error('thrown');
  if (ctx.body && ctx.body.outcome === 'error') return cb(new Error('refused'));
  cb(null, { seen: ctx.body });
}

const server = runtime.createServer(webtask, { parseBody: runtime.PARSE_ALWAYS, logger: { info() {}, error() {} } });
server.listen(0, '127.0.0.1', () => console.log('listening 127.0.0.1:' + server.address().port));
