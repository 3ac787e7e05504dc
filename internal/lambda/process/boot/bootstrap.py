"""Runs a Python handler against the Lambda Runtime API.

One connection, one event at a time. A record of several lines is written with
carriage returns inside, so that it stays one log event.
"""
import importlib
import io
import json
import logging
import os
import socket
import sys
import time
import traceback

_HOST, _, _PORT = os.environ["AWS_LAMBDA_RUNTIME_API"].rpartition(":")
_BASE = "/2018-06-01/runtime/"


class _Api:
    """The four routes over one kept connection."""

    def __init__(self):
        self.sock = None

    def call(self, method, path, body=None, headers=()):
        if self.sock is None:
            self.sock = socket.create_connection((_HOST, int(_PORT)))
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.stream = self.sock.makefile("rb", 65536)
        head = [method, " ", _BASE, path, " HTTP/1.1\r\nHost: runtime\r\n"]
        for name, value in headers:
            head += [name, ": ", value, "\r\n"]
        if body is not None:
            head += ["Content-Type: application/json\r\nContent-Length: ", str(len(body)), "\r\n"]
        head.append("\r\n")
        try:
            self.sock.sendall("".join(head).encode("utf-8", "replace") + (body or b""))
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused early; the answer says why
        line = self.stream.readline()
        if not line:
            # The service has gone or closed the connection.
            self.sock = None
            raise ConnectionError("the runtime service does not answer")
        status = int(line.split(None, 2)[1])
        found = {}
        while True:
            line = self.stream.readline()
            if line in (b"\r\n", b"\n", b""):
                break
            name, _, value = line.partition(b":")
            found[name.lower()] = value.strip().decode("utf-8")
        data = self.stream.read(int(found.get(b"content-length", 0)))
        return status, found, data


class _Identity:
    def __init__(self, fields):
        self.cognito_identity_id = fields.get("cognitoIdentityId")
        self.cognito_identity_pool_id = fields.get("cognitoIdentityPoolId")

    def __repr__(self):
        return "CognitoIdentity([cognito_identity_id=%s,cognito_identity_pool_id=%s])" % (
            self.cognito_identity_id, self.cognito_identity_pool_id)


class _Client:
    NAMES = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")

    def __init__(self, fields):
        for name in self.NAMES:
            setattr(self, name, fields.get(name))


class _ClientContext:
    def __init__(self, fields):
        self.custom = fields.get("custom")
        self.env = fields.get("env")
        self.client = _Client(fields["client"]) if isinstance(fields.get("client"), dict) else None


class LambdaContext:
    """What a handler gets beside its event."""

    def __init__(self, headers):
        self.aws_request_id = headers[b"lambda-runtime-aws-request-id"]
        self.invoked_function_arn = headers[b"lambda-runtime-invoked-function-arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.tenant_id = None
        self.client_context = None
        text = headers.get(b"lambda-runtime-client-context")
        if text:
            self.client_context = _ClientContext(json.loads(text))
        self.identity = _Identity(json.loads(headers.get(b"lambda-runtime-cognito-identity") or "{}"))
        self._epoch_deadline_time_in_ms = int(headers[b"lambda-runtime-deadline-ms"])

    def get_remaining_time_in_millis(self):
        return max(0, self._epoch_deadline_time_in_ms - int(time.time() * 1000))

    def log(self, message):
        sys.stdout.write(str(message))

    def __repr__(self):
        return "LambdaContext([aws_request_id=%s,log_group_name=%s,log_stream_name=%s,function_name=%s,memory_limit_in_mb=%s,function_version=%s,invoked_function_arn=%s])" % (
            self.aws_request_id, self.log_group_name, self.log_stream_name, self.function_name,
            self.memory_limit_in_mb, self.function_version, self.invoked_function_arn)


_request = ""


class _Filter(logging.Filter):
    def filter(self, record):
        record.aws_request_id = _request
        return True


class _Formatter(logging.Formatter):
    converter = time.gmtime


class LambdaLoggerHandler(logging.Handler):
    """Writes records in Lambda's form, each as one event."""

    def emit(self, record):
        try:
            text = self.format(record)
            _write(text)
        except Exception:
            self.handleError(record)


def _write(text):
    sys.stdout.write(text.rstrip("\n").replace("\n", "\r") + "\n")


def _set_logging():
    handler = LambdaLoggerHandler()
    handler.setFormatter(_Formatter(
        "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(_Filter())
    logging.getLogger().addHandler(handler)


class Fault(Exception):
    """An error that is the service's, with its own name."""

    def __init__(self, kind, message, trace=None):
        super().__init__(message)
        self.kind = kind
        self.trace = trace or []


def _describe(exc, skip):
    """Returns the error's type, message and stack without the frames of this file."""
    if isinstance(exc, Fault):
        return exc.kind, str(exc), exc.trace
    frames = traceback.extract_tb(exc.__traceback__)
    while skip and frames and frames[0].filename == __file__:
        frames = frames[1:]
    return type(exc).__name__, str(exc), traceback.format_list(list(frames))


def _report(api, path, exc):
    kind, message, trace = _describe(exc, True)
    text = "[ERROR] %s: %s" % (kind, message) if message else "[ERROR] %s" % kind
    if trace:
        text += "\nTraceback (most recent call last):\n" + "".join(trace)
    _write(text)
    body = json.dumps({"errorMessage": message, "errorType": kind, "requestId": _request, "stackTrace": trace})
    sys.stdout.flush()
    api.call("POST", path, body.encode("utf-8", "backslashreplace"),
             [("Lambda-Runtime-Function-Error-Type", kind.encode("ascii", "replace").decode())])


def _load(name):
    try:
        module, function = name.rsplit(".", 1)
    except ValueError as e:
        raise Fault("Runtime.MalformedHandlerName", "Bad handler '%s': %s" % (name, e)) from None
    try:
        loaded = importlib.import_module(module.replace("/", "."))
    except ImportError as e:
        raise Fault("Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module, e)) from None
    except SyntaxError as e:
        trace = ["  File \"%s\" Line %s\n    %s\n" % (e.filename, e.lineno, (e.text or "").rstrip("\n"))]
        raise Fault("Runtime.UserCodeSyntaxError", "Syntax error in module '%s': %s" % (module, e), trace) from None
    try:
        return getattr(loaded, function)
    except AttributeError:
        raise Fault("Runtime.HandlerNotFound", "Handler '%s' missing on module '%s'" % (function, module)) from None


def _plain(value):
    import decimal
    if isinstance(value, decimal.Decimal):
        return float(value)
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


def _run():
    global _request
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    sys.path.insert(1, "/opt/python")
    _set_logging()
    # The function sees its module, not this script, as what the program is about.
    sys.argv = [os.environ["_HANDLER"]]
    api = _Api()
    try:
        handler = _load(os.environ["_HANDLER"])
    except Exception as e:
        _report(api, "init/error", e)
        sys.exit(1)
    ascii_only = sys.version_info < (3, 12)
    while True:
        status, headers, data = api.call("GET", "invocation/next")
        if status != 200:
            raise ConnectionError("no next event: status %d" % status)
        _request = headers[b"lambda-runtime-aws-request-id"]
        trace = headers.get(b"lambda-runtime-trace-id")
        if trace:
            os.environ["_X_AMZN_TRACE_ID"] = trace
        try:
            try:
                event = json.loads(data)
            except ValueError as e:
                raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % e) from None
            result = handler(event, LambdaContext(headers))
            try:
                answer = json.dumps(result, default=_plain, ensure_ascii=ascii_only).encode("utf-8")
            except (TypeError, ValueError, RecursionError) as e:
                raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % e) from None
        except Exception as e:
            _report(api, "invocation/%s/error" % _request, e)
            continue
        sys.stdout.flush()
        api.call("POST", "invocation/%s/response" % _request, answer)


if __name__ == "__main__":
    _run()
