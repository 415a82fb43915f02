package javascript_test

import "testing"

func TestLambda(t *testing.T) {
	handler := func(body string) string { return "exports.handler = async (event, context) => {" + body + "}" }
	runExamples(t, []example{
		{name: "value", data: `{"n":2}`, source: handler(`return {n: event.n + 1}`), want: `{"n":3}`},
		{name: "ES module", data: `{"n":2}`, source: `export const handler = async ({ n }) => n`, want: `2`},
		{name: "text becomes JSON", source: handler(`return "abc"`), want: `"abc"`},
		{name: "nothing", source: handler(``), none: true},
		{name: "null", source: handler(`return null`), none: true},
		{name: "throw", source: handler(`throw new TypeError("bad")`), outcome: failing, want: "TypeError: bad\n    at "},
		{name: "reject with text", source: handler(`return Promise.reject("plain")`), outcome: failing, want: "plain"},
		{name: "reject with an object", source: handler(`return Promise.reject({code: 7})`), outcome: failing, want: `{"code":7}`},
		{name: "bigint", source: handler(`return 1n`), outcome: failing, want: "TypeError"},
		{name: "never settles", source: handler(`await new Promise(() => {})`), outcome: failing, want: "never settles"},
		{name: "callback", source: `exports.handler = (event, context, callback) => { setTimeout(() => callback(null, {ok: 1}), 5) }`, want: `{"ok":1}`},
		{name: "callback, error", source: `exports.handler = (event, context, callback) => callback(new Error("bad"))`, outcome: failing, want: "Error: bad"},
		{name: "callback, text as error", source: `exports.handler = (event, context, callback) => callback("bad")`, outcome: failing, want: "bad"},
		{name: "callback twice", source: `exports.handler = (event, context, callback) => { callback(null, 1); callback(null, 2) }`, want: "1"},
		{name: "callback waits for the loop", source: `exports.handler = (e, context, callback) => { callback(null, 1); setTimeout(() => skerry.publish("late", 1), 5) }`, want: "1", effects: "publish late 1 0"},
		{
			name: "callback does not wait", source: `exports.handler = (e, context, callback) => { context.callbackWaitsForEmptyEventLoop = false; callback(null, 1); setTimeout(() => skerry.publish("late", 1), 5) }`,
			want: "1", logs: "2 1 timer was dropped: the run was over; await what they do",
		},
		{name: "value and callback", source: `exports.handler = (e, c, callback) => { setTimeout(callback, 5, null, "late"); return 7 }`, want: `"late"`},
		{name: "neither", source: `exports.handler = (e, c, callback) => {}`, none: true},
		{name: "sync value", source: `exports.handler = () => 7`, none: true, logs: "2 the handler returned a value but is not async: as on Lambda it is ignored; declare it async"},
		{name: "succeed", source: `exports.handler = (e, context) => { context.succeed([1]) }`, want: "[1]"},
		{name: "fail", source: `exports.handler = (e, context) => { context.fail("broken") }`, outcome: failing, want: "broken"},
		{name: "done", source: `exports.handler = (e, context) => { context.done(null, "x") }`, want: `"x"`},
		{
			name: "context", source: handler(`return [context.awsRequestId, context.functionName, context.memoryLimitInMB, context.invokedFunctionArn, context.getRemainingTimeInMillis() > 0]`),
			want: `["e-1","alarm","16","arn:aws:lambda:edge-local-1:000000000000:function:alarm",true]`,
		},
		{name: "no JSON", data: "on", source: handler(`return event`), want: `"on"`},
		{name: "skerry beside it", data: "5", source: handler(`skerry.publish("a", event); await 0; return process.env.limit`), want: `"30"`, effects: "publish a 5 0"},
		{name: "rejecting", source: handler(`skerry.reject("no")`), outcome: reject, want: "no"},
	})
}

func TestOpenWhisk(t *testing.T) {
	runExamples(t, []example{
		{name: "main", data: `{"n":2}`, source: `function main(params) { return {n: params.n * 2} }`, want: `{"n":4}`},
		{name: "arrow", data: `{"n":2}`, source: `const main = ({ n }) => ({ n })`, want: `{"n":2}`},
		{name: "exports.main", data: `{"n":2}`, source: `exports.main = async (p) => p`, want: `{"n":2}`},
		{name: "export main", data: `{"n":2}`, source: `export async function main(p) { return p }`, want: `{"n":2}`},
		{name: "array", source: `function main() { return [1] }`, want: `[1]`},
		{name: "nothing", source: `function main() {}`, none: true},
		{name: "no dictionary", source: `function main() { return 7 }`, outcome: failing, want: "The action did not return a dictionary."},
		{name: "no object comes in", data: "21.5", source: `function main(p) { return p }`, want: `{"payload":21.5}`},
		{name: "null comes in", data: "null", source: `function main(p) { return p }`, want: `{}`},
		{name: "application error", source: `function main() { return {error: "no such press"} }`, outcome: reject, want: "no such press"},
		{name: "application error, object", source: `function main() { return Promise.resolve({error: {code: 1}}) }`, outcome: reject, want: `{"code":1}`},
		{name: "rejected", source: `function main() { return Promise.reject(new Error("down")) }`, outcome: failing, want: "Error: down"},
		{name: "throw", source: `function main() { throw new Error("boom") }`, outcome: failing, want: "Error: boom"},
		{
			name: "environment", source: `function main() { return [process.env.__OW_ACTION_NAME, process.env.__OW_ACTIVATION_ID, process.env.__OW_DEADLINE > Date.now(), process.env.limit] }`,
			want: `["/_/plant/alarm","e-1",true,"30"]`,
		},
	})
}

func TestFission(t *testing.T) {
	runExamples(t, []example{
		{name: "answer", data: `{"n":2}`, source: `module.exports = async function (context) { return {status: 200, body: {got: context.request.body.n}} }`, want: `{"got":2}`},
		{name: "text", source: `module.exports = async (context) => ({status: 200, body: "hello\n"})`, want: "hello\n"},
		{name: "no argument", source: `module.exports = async function () { return {status: 200, body: "x", headers: {}} }`, want: "x"},
		{name: "no body", source: `module.exports = async function () { return {status: 204} }`, none: true},
		{name: "headers", source: `module.exports = async (context) => ({status: 200, body: [context.request.method, context.request.headers["ce-id"], context.request.headers["content-type"]]})`, want: `["POST","e-1","text/plain"]`},
		{name: "callback", source: `module.exports = function (context, callback) { setTimeout(() => callback(200, "later"), 5) }`, want: "later"},
		{name: "throw", source: `module.exports = async function (context) { throw new Error("bad") }`, outcome: failing, want: "Error: bad"},
		{name: "status 500", source: `module.exports = async function (context) { return {status: 500, body: "down"} }`, outcome: failing, want: "status 500: down"},
		{name: "status 400", source: `module.exports = async function (context) { return {status: 400, body: "unreadable"} }`, outcome: reject, want: "status 400: unreadable"},
		{name: "status 429", source: `module.exports = function (context, callback) { callback(429) }`, outcome: failing, want: "status 429"},
		{name: "named", data: `1`, source: `module.exports = (a, b) => b(200, a.request.body); module.exports.convention = "fission"`, want: "1"},
	})
}

func TestWebtask(t *testing.T) {
	runExamples(t, []example{
		{name: "callback alone", source: `module.exports = function (cb) { cb(null, {a: 1}) }`, want: `{"a":1}`},
		{name: "context", data: `{"n":2}`, source: `module.exports = function (ctx, cb) { cb(null, [ctx.data.n, ctx.body.n, ctx.secrets.token, ctx.meta.limit]) }`, want: `[2,2,"s3cret","30"]`},
		{name: "error", source: `module.exports = function (ctx, cb) { cb(new Error("bad")) }`, outcome: failing, want: "Error: bad"},
		{name: "error as text", source: `module.exports = (ctx, done) => done("bad")`, outcome: failing, want: "bad"},
		{name: "request and response", data: `{"n":2}`, source: `module.exports = function (context, req, res) { res.writeHead(200, {"Content-Type": "text/plain"}); res.write("n="); res.write(String(req.body.n)); res.end() }`, want: "n=2"},
		{name: "response with a status", source: `module.exports = function (context, req, res) { res.writeHead(422); res.end("no") }`, outcome: reject, want: "status 422: no"},
		{name: "never calls back", source: `module.exports = function (ctx, cb) {}`, outcome: failing, want: "never settles"},
		{name: "throw", source: `module.exports = function (ctx, cb) { throw new Error("bad") }`, outcome: failing, want: "Error: bad"},
		{name: "minified, named", data: "7", source: `module.exports = (e, t) => t(null, e.body); module.exports.convention = "webtask"`, want: "7"},
	})
}

func TestAzure(t *testing.T) {
	runExamples(t, []example{
		{
			name: "response", data: `{"n":2}`, source: `module.exports = async function (context, req) { context.log("got", req.body.n); context.res = {status: 200, body: {n: req.body.n}} }`,
			want: `{"n":2}`, logs: "1 got 2",
		},
		{name: "returned", source: `module.exports = async function (context, req) { return {status: 201, body: "made"} }`, want: "made"},
		{name: "message", data: `{"n":2}`, source: `module.exports = async function (context, message) { context.bindings.out = {n: message.n} }`, want: `{"n":2}`},
		{name: "several outputs", source: `module.exports = async function (context, item) { context.bindings.a = 1; context.bindings.b = "x" }`, want: `{"a":1,"b":"x"}`},
		{name: "value", source: `module.exports = async function (context, item) { return context.invocationId }`, want: "e-1"},
		{name: "done", source: `module.exports = function (context, item) { setTimeout(() => { context.bindings.out = "late"; context.done() }, 5) }`, want: "late"},
		{name: "done with an error", source: `module.exports = function (context, item) { context.done(new Error("bad")) }`, outcome: failing, want: "Error: bad"},
		{name: "done with a value", source: `module.exports = function (context, item) { context.done(null, 7) }`, want: "7"},
		{name: "refused", source: `module.exports = async function (context, req) { context.res = {status: 400, body: "no"} }`, outcome: reject, want: "status 400: no"},
		{name: "throw", source: `module.exports = async function (context, req) { throw new Error("bad") }`, outcome: failing, want: "Error: bad"},
		{name: "context", source: `module.exports = async function (context, item) { return [context.bindingData.topic, context.executionContext.functionName] }`, want: `["plant/7/temp","alarm"]`},
	})
}

func TestGoogle(t *testing.T) {
	runExamples(t, []example{
		{
			name: "CloudEvent", data: `{"n":2}`, source: `const functions = require("@google-cloud/functions-framework"); functions.cloudEvent("f", (ce) => [ce.specversion, ce.id, ce.source, ce.type, ce.subject, ce.time, ce.data.n])`,
			want: `["1.0","e-1","/gw7/mqtt/plant","io.skerry.mqtt","plant/7/temp","2025-10-09T08:53:20.000Z",2]`,
		},
		{
			name: "HTTP", data: `{"n":2}`, source: `import * as functions from "@google-cloud/functions-framework"; functions.http("f", (req, res) => { res.status(200).json({n: req.body.n, m: req.method, id: req.get("CE-ID")}) })`,
			want: `{"n":2,"m":"POST","id":"e-1"}`,
		},
		{name: "HTTP, refused", source: `exports.hello = (req, res) => res.status(404).send("no such press")`, outcome: reject, want: "status 404: no such press"},
		{name: "HTTP, busy", source: `exports.hello = (req, res) => { res.sendStatus(503) }`, outcome: failing, want: "status 503"},
		{name: "HTTP, async and throws", source: `exports.hello = async (req, res) => { throw new Error("bad") }`, outcome: failing, want: "Error: bad"},
		{name: "HTTP, silent", source: `exports.hello = (req, res) => {}`, outcome: failing, want: "never settles"},
		{name: "CloudEvent by name", data: "1", source: `exports.hello = async (cloudEvent) => { skerry.publish("a", cloudEvent.data) }`, none: true, effects: "publish a 1 0"},
		{name: "background", data: `{"n":2}`, source: `exports.hello = (data, context) => [data.n, context.eventId, context.resource]`, want: `[2,"e-1","plant/7/temp"]`},
		{name: "background with a callback", source: `exports.hello = (data, context, callback) => callback(new Error("bad"))`, outcome: failing, want: "Error: bad"},
	})
}

func TestChoice(t *testing.T) {
	runExamples(t, []example{
		{name: "default before handler", source: `export default () => "native"; export const handler = async () => "lambda"`, want: "native"},
		{name: "handler before main", source: `function main() { return {} } exports.handler = async () => 1`, want: "1"},
		{name: "compiled ES module", source: `Object.defineProperty(exports, "__esModule", {value: true}); exports.default = (event, skerry) => skerry === global.skerry`, want: "true"},
		{name: "bundled", data: "3", source: `var __defProp = Object.defineProperty; var x_exports = {}; for (var [n, get] of [["handler", () => handler]]) __defProp(x_exports, n, { get, enumerable: true });
			module.exports = ((mod) => { var to = __defProp({}, "__esModule", { value: true }); for (let k of Object.getOwnPropertyNames(mod)) __defProp(to, k, { get: () => mod[k], enumerable: true }); return to })(x_exports);
			var handler = async (event) => event + 1;`, want: "4"},
		{name: "bundled ES module", data: "3", source: `var h = (event) => event.data; export { h as default };`, want: "3"},
		{name: "native in CommonJS", data: "3", source: `module.exports = (event, skerry) => event.data`, want: "3"},
		{name: "request and response", source: `module.exports = (req, res) => res.send("x")`, want: "x"},
		{name: "named convention", data: "3", source: `export const convention = "lambda"; export default async (e) => e`, want: "3"},
		{name: "unknown convention", source: `exports.convention = "cobol"; exports.handler = () => 1`, outcome: refused, want: `cobol is not known; one of skerry, lambda`},
		{name: "several functions", source: `exports.a = () => 1; exports.b = () => 2`, outcome: refused, want: "exports no handler"},
		{name: "comments between parameters", source: `module.exports = function (/* the (context) */ ctx, // and
			cb) { cb(null, 1) }`, want: "1"},
	})
}
