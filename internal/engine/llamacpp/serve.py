# Serves one model with the extension module of xllamacpp. The first line of
# standard input is the configuration; the end of standard input is the order to
# stop, so that no server stays behind when its parent is gone.
import json, os, sys, threading

cfg = json.loads(sys.stdin.readline())
sys.path.insert(0, cfg["lib"])
import xllamacpp as x

p = x.CommonParams()
for name, value in cfg["params"].items():
    setattr(p, name, value)
p.model.path = cfg["model"]
if cfg.get("mmproj"):
    p.mmproj.path = cfg["mmproj"]
if cfg.get("threads"):
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = cfg["threads"]
if cfg.get("pooling"):
    p.pooling_type = getattr(x.llama_pooling_type, "LLAMA_POOLING_TYPE_" + cfg["pooling"])
if cfg.get("lora"):
    p.lora_adapters = [x.CommonAdapterLoraInfo(path, 0.0) for path in cfg["lora"]]
    p.lora_init_without_apply = True


def end_with_parent():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_parent, daemon=True).start()
server = x.Server(p)
print("listening on", server.listening_address, flush=True)
threading.Event().wait()
