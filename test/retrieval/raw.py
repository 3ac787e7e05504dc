# Serves the embedding model with the engine's own server and nothing of Outcrop: the
# measure of the adapter. The first line of standard input is the configuration, the
# end of standard input the order to stop.
import json, os, sys, threading

cfg = json.loads(sys.stdin.readline())
sys.path.insert(0, cfg["lib"])
import xllamacpp as x

p = x.CommonParams()
p.model.path, p.hostnames, p.embedding = cfg["model"], [cfg["socket"]], True
p.n_parallel, p.n_ctx = cfg["slots"], 512 * cfg["slots"]
p.n_ubatch, p.n_batch = cfg["width"], max(2048, cfg["width"])
p.ui, p.offline = False, True


def end_with_parent():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_parent, daemon=True).start()
server = x.Server(p)
threading.Event().wait()
