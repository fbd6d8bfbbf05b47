"""Makes the digest fail on the events of one project: `trap_reports.py METADATA-FILE PROJECT`."""

import sqlite3
import sys

store = sqlite3.connect(sys.argv[1], timeout=30)
project = store.execute("SELECT id FROM project WHERE slug = ?", [sys.argv[2]]).fetchone()[0]
# The row by which an event's effect happens.
store.execute(
    f"""CREATE TRIGGER trap BEFORE INSERT ON digested WHEN NEW.project_id = {project:d}
    BEGIN SELECT RAISE(ABORT, 'trapped by a test'); END"""
)
store.commit()
