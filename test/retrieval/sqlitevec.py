# Searches with sqlite-vec and prints times and rows as JSON.
import json, os, sys, time
import apsw, sqlite_vec

cfg = json.load(sys.stdin)
dim, k = cfg["dim"], cfg["k"]


def read(name):
    with open(os.path.join(cfg["dir"], name), "rb") as f:
        return f.read()


rows, questions, percent = read("rows"), read("questions"), read("percent")
size = 4 * dim
db = apsw.Connection(os.path.join(cfg["dir"], "vec.db"))
db.enable_load_extension(True)
db.load_extension(sqlite_vec.loadable_path())
db.execute(f"create virtual table v using vec0(embedding float[{dim}] distance_metric=cosine, percent integer)")
begin = time.perf_counter_ns()
with db:
    db.executemany("insert into v(rowid, embedding, percent) values (?, ?, ?)",
                   ((i, rows[i * size:(i + 1) * size], percent[i]) for i in range(len(percent))))
build = time.perf_counter_ns() - begin


def ask(sql, asked):
    found, took = [], []
    list(db.execute(sql, (questions[:size], k)))  # warm
    for i in range(asked):
        begin = time.perf_counter_ns()
        got = list(db.execute(sql, (questions[i * size:(i + 1) * size], k)))
        took.append(time.perf_counter_ns() - begin)
        found.append([str(r[0]) for r in got])
    return found, took


n = len(questions) // size
where = "select rowid from v where embedding match ? and k = ?"
everything, took = ask(where, n)
few, less = ask(where + " and percent < 1", n)
version = list(db.execute("select vec_version()"))[0][0]
print(json.dumps({"version": version, "all": everything, "few": few, "took": took, "less": less, "build": build}))
