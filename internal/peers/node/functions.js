// Serves functions with npm's Functions Framework on 127.0.0.1, as Cloud
// Functions does for Node.
// usage: NODE_PATH=…/node_modules node functions.js event|http
// Prints "listening ADDRESS", and "got JSON" for each call. The function fails
// when its data asks for that: {"outcome": "error"}.
'use strict';
const functions = require('@google-cloud/functions-framework');
const { getTestServer } = require('@google-cloud/functions-framework/testing');

const got = g => console.log('got ' + JSON.stringify(g));
const encoded = data => Buffer.from(JSON.stringify(data)).toString('base64');
const failWhenAsked = data => {
  if (data && data.outcome === 'error') throw new Error('refused');
};

functions.cloudEvent('event', e => {
  got({ id: e.id, source: e.source, type: e.type, subject: e.subject, time: e.time, data: encoded(e.data) });
  failWhenAsked(e.data);
});
functions.http('http', (req, res) => {
  got({ method: req.method, path: req.originalUrl, data: encoded(req.body) });
  failWhenAsked(req.body);
  res.json({ seen: req.body });
});

const server = getTestServer(process.argv[2]);
server.listen(0, '127.0.0.1', () => console.log('listening 127.0.0.1:' + server.address().port));
