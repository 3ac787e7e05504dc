"""Runs the code of a request in a child and reports what came of it.

stdin: one line of JSON {"code", "timeout", "output", "folder"}, then a tar of the
session's files. stdout: one line of JSON {"output", "error", "failed", "timeout",
"files", "left"}, then a tar of the files that are new or changed.
"""
import hashlib
import io
import json
import os
import resource
import select
import signal
import stat
import sys
import tarfile
import time

WORK = "/tmp/work"
OUT, ERR = "/tmp/.out", "/tmp/.err"


def walk(folder):
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if f != "__pycache__" and not f.startswith("."))
        for name in sorted(names):
            path = os.path.join(root, name)
            if not name.startswith(".") and stat.S_ISREG(os.lstat(path).st_mode):
                yield path, os.path.relpath(path, folder)


def digest(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        for part in iter(lambda: f.read(1 << 20), b""):
            h.update(part)
    return h.digest()


def tail(path, most):
    """The text of a file; of a long one the beginning and the end."""
    size = os.path.getsize(path)
    with open(path, "rb") as f:
        if size <= most:
            return f.read().decode("utf-8", "replace")
        head = f.read(most // 2).decode("utf-8", "replace")
        f.seek(size - most // 2)
        return head + "\n[... %d bytes left out ...]\n" % (size - most) + f.read().decode("utf-8", "replace")


def figures(before):
    """Saves figures that were drawn and not saved."""
    plot = sys.modules.get("matplotlib.pyplot")
    if plot is None or any(name.endswith((".png", ".pdf", ".svg", ".jpg")) and name not in before for _, name in walk(WORK)):
        return
    for number in plot.get_fignums():
        name = "figure-%d.png" % number
        plot.figure(number).savefig(name)
        print("Figure saved as " + name)


def child(code, before):
    """Runs the code as a notebook runs a cell."""
    import ast
    import traceback

    space = {"__name__": "__main__", "__builtins__": __builtins__}
    try:
        tree = ast.parse(code, "<code>")
        last = None
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            last = ast.Expression(tree.body.pop().value)
        exec(compile(tree, "<code>", "exec"), space)
        if last is not None:
            value = eval(compile(last, "<code>", "eval"), space)
            if value is not None:
                print(repr(value))
        figures(before)
        return 0
    except SystemExit as end:
        if end.code in (None, 0):
            figures(before)
            return 0
        if not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
            return 1
        return end.code & 255 or 1
    except BaseException:
        kind, value, trace = sys.exc_info()
        while trace is not None and trace.tb_frame.f_code.co_filename == "<string>":
            trace = trace.tb_next  # the frames of this program are nobody's business
        import linecache
        linecache.cache["<code>"] = (len(code), None, code.splitlines(True), "<code>")
        traceback.print_exception(kind, value, trace)
        return 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass


def main():
    answer = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    request = json.loads(sys.stdin.buffer.readline())
    os.makedirs(WORK, exist_ok=True)
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
        for entry in tar:  # made by the caller: names are checked there
            path = os.path.join(WORK, entry.name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(tar.extractfile(entry).read())
    os.chdir(WORK)
    before = {name: digest(path) for path, name in walk(WORK)}

    pid = os.fork()
    if pid == 0:
        os.setsid()
        answer.close()
        for path, fd in ((OUT, 1), (ERR, 2)):
            f = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
            os.dup2(f, fd)
            os.close(f)
        os.dup2(null, 0)
        sys.stdin = open(os.devnull)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="replace", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="replace", closefd=False)
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["folder"], request["folder"]))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.path.insert(0, WORK)
        os._exit(child(request["code"], before))

    end, timeout, status = time.monotonic() + request["timeout"], False, None
    pause = 0.001
    while status is None:
        done, got = os.waitpid(pid, os.WNOHANG)
        if done:
            status = got
        elif time.monotonic() > end:
            timeout = True
            os.killpg(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
        else:
            select.select([], [], [], pause)
            pause = min(pause * 1.5, 0.05)
    try:
        os.killpg(pid, signal.SIGKILL)  # what the code has started ends with it
    except ProcessLookupError:
        pass
    failed = status != 0
    error = tail(ERR, request["output"]) if os.path.exists(ERR) else ""
    if os.WIFSIGNALED(status) and not timeout:
        error += "\nThe code was ended by signal %d." % os.WTERMSIG(status)
    report = {
        "output": tail(OUT, request["output"]) if os.path.exists(OUT) else "",
        "error": error, "failed": failed, "timeout": timeout, "files": [], "left": [],
    }
    changed = []
    total = 0
    for path, name in walk(WORK):
        size = os.path.getsize(path)
        total += size
        report["files"].append(name)
        if before.get(name) == digest(path):
            continue
        if total > request["folder"] or len(report["files"]) > 1000:
            report["left"].append([name, size])
        else:
            changed.append((path, name))
    answer.write(json.dumps(report).encode() + b"\n")
    with tarfile.open(fileobj=answer, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for path, name in changed:
            entry = tarfile.TarInfo(name)
            with open(path, "rb") as f:
                data = f.read()
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    answer.flush()


main()
