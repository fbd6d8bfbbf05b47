"""Searches a data directory for texts: every file's bytes, every row of every SQLite file, and what is compressed in
either, with the dictionaries that are stored there. Arguments: the directory, a file with a JSON list of texts. Its last
line is JSON: the texts that were found and where, and how much was searched."""

import gzip
import json
import os
import shutil
import sqlite3
import sys
import tempfile

import zstandard

FRAME, DICTIONARY, GZIP = b"\x28\xb5\x2f\xfd", b"\x37\xa4\x30\xec", b"\x1f\x8b"
folder, texts = sys.argv[1], json.load(open(sys.argv[2], encoding="utf-8"))
needles = [(text, text.encode()) for text in texts]
found, counts, dictionaries = {}, {"files": 0, "rows": 0, "decompressed": 0}, [None]


def look(data, where):
    for text, needle in needles:
        if needle in data:
            found.setdefault(text, []).append(where)
    for opened in decompressed(data):
        counts["decompressed"] += 1
        look(opened, where + " (decompressed)")


def decompressed(data):
    if data[:2] == GZIP:
        try:
            return [gzip.decompress(data)]
        except OSError:
            return []
    if data[:4] != FRAME:
        return []
    for dictionary in dictionaries:
        try:
            return [zstandard.ZstdDecompressor(dict_data=dictionary).decompress(data, max_output_size=64 << 20)]
        except zstandard.ZstdError:
            continue
    raise SystemExit("a frame that no dictionary opens")


def rows(path):
    # A copy with its log, so that nothing of the running server is touched.
    with tempfile.TemporaryDirectory() as copies:
        for end in ("", "-wal"):
            if os.path.exists(path + end):
                shutil.copy(path + end, os.path.join(copies, "copy.db" + end))
        db = sqlite3.connect(os.path.join(copies, "copy.db"))
        db.text_factory = bytes
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            table = table.decode()
            for row in db.execute(f'SELECT * FROM "{table}"'):
                yield table, [value for value in row if isinstance(value, bytes)]
        db.close()


def content(path):
    """Queue segments go away while they are looked for."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


paths = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]
paths = [path for path in paths if os.path.isfile(path)]
databases = [path for path in paths if content(path)[:16] == b"SQLite format 3\0"]
tables = [(os.path.relpath(path, folder), table, values) for path in databases for table, values in rows(path)]
for _, _, values in tables:
    dictionaries += [zstandard.ZstdCompressionDict(value) for value in values if value[:4] == DICTIONARY]
for path in paths:
    counts["files"] += 1
    look(content(path), os.path.relpath(path, folder))
for name, table, values in tables:
    counts["rows"] += 1
    for value in values:
        look(value, f"{name} {table}")
print(json.dumps({"found": found, "dictionaries": len(dictionaries) - 1, **counts}))
