// Runs a Node handler against the Lambda Runtime API: one connection, one event at
// a time. A record of several lines is written with carriage returns inside, so
// that it stays one log event.
import net from "node:net";
import fs from "node:fs";
import path from "node:path";
import util from "node:util";
import { pathToFileURL } from "node:url";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const base = "/2018-06-01/runtime/";

// Api speaks the four routes over one kept connection.
class Api {
  #socket = null;
  #parts = [];
  #waiting = null;

  #connect() {
    const s = net.connect({ host, port: Number(port), noDelay: true });
    s.on("data", (d) => { this.#parts.push(d); this.#look(); });
    const end = (err) => {
      this.#socket = null;
      this.#waiting?.reject(err ?? new Error("the runtime service does not answer"));
      this.#waiting = null;
    };
    s.on("error", end);
    s.on("close", () => end());
    this.#socket = s;
    this.#parts = [];
  }

  #look() {
    if (!this.#waiting) return;
    const all = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
    this.#parts = [all];
    const at = all.indexOf("\r\n\r\n");
    if (at < 0) return;
    const lines = all.toString("utf8", 0, at).split("\r\n");
    const headers = {};
    for (const line of lines.slice(1)) {
      const i = line.indexOf(":");
      headers[line.slice(0, i).toLowerCase()] = line.slice(i + 1).trim();
    }
    const length = Number(headers["content-length"] ?? 0);
    if (all.length < at + 4 + length) return;
    const body = all.subarray(at + 4, at + 4 + length);
    this.#parts = all.length > at + 4 + length ? [all.subarray(at + 4 + length)] : [];
    const w = this.#waiting;
    this.#waiting = null;
    w.resolve({ status: Number(lines[0].split(" ")[1]), headers, body });
  }

  call(method, route, body, headers = {}) {
    return new Promise((resolve, reject) => {
      if (!this.#socket) this.#connect();
      this.#waiting = { resolve, reject };
      this.#socket.ref();
      let head = `${method} ${base}${route} HTTP/1.1\r\nHost: runtime\r\n`;
      for (const [k, v] of Object.entries(headers)) head += `${k}: ${v}\r\n`;
      if (body !== undefined) head += `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
      this.#socket.write(head + "\r\n" + (body ?? ""));
    });
  }

  // rest lets the event loop run empty while a handler works.
  rest() { this.#socket?.unref(); }
}

const api = new Api();
let request = "";

function write(text) {
  const line = text.replace(/\n$/, "").replaceAll("\n", "\r") + "\n";
  try {
    fs.writeSync(1, line);
  } catch (e) {
    if (e.code !== "EAGAIN") throw e;
    process.stdout.write(line);
  }
}

function record(level, args) {
  write(`${new Date().toISOString()}\t${request || "undefined"}\t${level}\t${util.format(...args)}`);
}

for (const [name, level] of [["log", "INFO"], ["info", "INFO"], ["warn", "WARN"], ["error", "ERROR"], ["debug", "DEBUG"], ["trace", "TRACE"]]) {
  console[name] = (...args) => record(level, args);
}

function describe(e) {
  if (util.types.isNativeError(e) || (e && typeof e === "object" && "name" in e && "message" in e && "stack" in e)) {
    return { errorType: String(e.name), errorMessage: String(e.message), trace: String(e.stack).split("\n") };
  }
  return { errorType: typeof e, errorMessage: e === undefined ? "undefined" : typeof e === "string" ? e : util.inspect(e), trace: [] };
}

// fields of an error that its maker has added are logged beside AWS's.
function logged(e, shape) {
  const extra = e && typeof e === "object" ? Object.fromEntries(Object.entries(e).filter(([k]) => !["name", "message", "stack"].includes(k))) : {};
  try {
    return JSON.stringify({ errorType: shape.errorType, errorMessage: shape.errorMessage, ...extra, stack: shape.trace });
  } catch {
    return JSON.stringify({ errorType: shape.errorType, errorMessage: shape.errorMessage, stack: shape.trace });
  }
}

async function report(route, e, what) {
  const shape = describe(e);
  record("ERROR", [`${what} \t${logged(e, shape)}`]);
  const kind = shape.errorType.replace(/[^\x21-\x7e]/g, "?").slice(0, 200) || "Error";
  await api.call("POST", route, JSON.stringify(shape), { "Lambda-Runtime-Function-Error-Type": kind });
}

class Fault extends Error {
  constructor(kind, message) {
    super(message);
    this.name = kind;
  }
}

async function load(handler) {
  const root = process.env.LAMBDA_TASK_ROOT;
  const slash = handler.lastIndexOf("/") + 1;
  const dot = handler.indexOf(".", slash);
  if (dot <= slash || dot === handler.length - 1 || handler.includes("..")) throw new Fault("Runtime.MalformedHandlerName", "Bad handler");
  const name = handler.slice(0, dot);
  const member = handler.slice(dot + 1);
  let file = null;
  for (const ext of ["", ".js", ".mjs", ".cjs"]) {
    const f = path.resolve(root, name + ext);
    if (fs.statSync(f, { throwIfNoEntry: false })?.isFile()) { file = f; break; }
  }
  if (!file) throw new Fault("Runtime.ImportModuleError", `Error: Cannot find module '${path.basename(name)}'`);
  let mod;
  try {
    mod = await import(pathToFileURL(file));
  } catch (e) {
    if (e instanceof SyntaxError) throw Object.assign(new Fault("Runtime.UserCodeSyntaxError", `SyntaxError: ${e.message}`), { stack: e.stack });
    if (e && (e.code === "MODULE_NOT_FOUND" || e.code === "ERR_MODULE_NOT_FOUND")) throw Object.assign(new Fault("Runtime.ImportModuleError", `Error: ${e.message}`), { stack: e.stack });
    throw e;
  }
  const pick = (from) => member.split(".").reduce((o, k) => (o == null ? undefined : o[k]), from);
  const f = pick(mod) ?? pick(mod.default);
  if (f === undefined) throw new Fault("Runtime.HandlerNotFound", `${handler} is undefined or not exported`);
  if (typeof f !== "function") throw new Fault("Runtime.HandlerNotFound", `${handler} is not a function`);
  return f;
}

function json(headers, name) {
  const text = headers[name];
  return text ? JSON.parse(text) : undefined;
}

// invoke runs the handler and waits for its promise, its callback, or, when it
// gives neither, for the event loop to run empty.
function invoke(handler, event, headers) {
  return new Promise((resolve, reject) => {
    let settled = false;
    const deadline = Number(headers["lambda-runtime-deadline-ms"]);
    const empty = () => done(null, null, true);
    const done = (err, result, now) => {
      if (settled) return;
      settled = true;
      const finish = () => {
        process.off("beforeExit", empty);
        err !== null && err !== undefined ? reject(err) : resolve(result);
      };
      if (now || !context.callbackWaitsForEmptyEventLoop || err) finish();
      else {
        process.off("beforeExit", empty);
        process.once("beforeExit", finish);
      }
    };
    const callback = (err, result) => done(err, result, false);
    const context = {
      callbackWaitsForEmptyEventLoop: true,
      functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
      functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
      memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
      logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
      logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
      awsRequestId: headers["lambda-runtime-aws-request-id"],
      invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
      clientContext: json(headers, "lambda-runtime-client-context"),
      identity: json(headers, "lambda-runtime-cognito-identity"),
      getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
      done: callback,
      succeed: (result) => callback(null, result),
      fail: (err) => callback(err ?? new Error("handled")),
    };
    process.on("beforeExit", empty);
    try {
      const r = handler(event, context, callback);
      if (r && typeof r.then === "function") r.then((v) => done(null, v, true), (e) => { if (!settled) { settled = true; process.off("beforeExit", empty); reject(e); } });
    } catch (e) {
      if (!settled) { settled = true; process.off("beforeExit", empty); reject(e); }
    }
  });
}

// fatal tells of an error that nobody caught and ends the process, as the state of
// the function is not known any more.
let fatal = async (e, what, code) => {
  fatal = () => {};
  try {
    await report(request ? `invocation/${request}/error` : "init/error", e, what);
  } finally {
    process.exit(code);
  }
};
process.on("uncaughtException", (e) => fatal(e, "Uncaught Exception", 129));
process.on("unhandledRejection", (reason) => {
  const e = new Fault("Runtime.UnhandledPromiseRejection", String(reason instanceof Error ? `${reason.name}: ${reason.message}` : reason));
  if (reason instanceof Error) e.stack = reason.stack;
  fatal(e, "Unhandled Promise Rejection", 128);
});

let handler;
try {
  handler = await load(process.env._HANDLER ?? "");
} catch (e) {
  await report("init/error", e, "Uncaught Exception");
  process.exit(1);
}
// Waiting inside an awaited loop would end with the event loop; steps called one
// after the other do not.
async function step() {
  const next = await api.call("GET", "invocation/next");
  if (next.status !== 200) throw new Error(`no next event: status ${next.status}`);
  request = next.headers["lambda-runtime-aws-request-id"];
  const id = request;
  if (next.headers["lambda-runtime-trace-id"]) process.env._X_AMZN_TRACE_ID = next.headers["lambda-runtime-trace-id"];
  let answer;
  try {
    api.rest();
    const result = await invoke(handler, JSON.parse(next.body.toString("utf8")), next.headers);
    try {
      answer = JSON.stringify(result === undefined ? null : result) ?? "null";
    } catch {
      throw new Fault("Runtime.MarshalError", "Unable to stringify response body");
    }
  } catch (e) {
    await report(`invocation/${id}/error`, e, "Invoke Error");
    request = "";
    setImmediate(step);
    return;
  }
  await api.call("POST", `invocation/${id}/response`, answer);
  request = "";
  setImmediate(step);
}
setImmediate(step);
