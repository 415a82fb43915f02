// Has npm's client of OpenWhisk send one request.
// usage: NODE_PATH=…/node_modules node openwhisk.js APIHOST KEY NAMESPACE trigger|action|blocking NAME PARAMS
'use strict';
const openwhisk = require('openwhisk');

const [apihost, key, namespace, what, name, params] = process.argv.slice(2);
const ow = openwhisk({ apihost, api_key: key, namespace });
const options = { name, params: JSON.parse(params) };
const request = what === 'trigger'
  ? ow.triggers.invoke(options)
  : ow.actions.invoke({ ...options, blocking: what === 'blocking' });
request.then(answer => console.log(JSON.stringify(answer)), err => {
  console.error(err.message);
  process.exitCode = 1;
});
