-- Sweeps of a third origin: the disk governor's.
CREATE TABLE retention_sweep_next (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    origin     TEXT    NOT NULL CHECK (origin IN ('command', 'schedule', 'governor')),
    state      TEXT    NOT NULL CHECK (state IN ('running', 'done', 'incomplete', 'abandoned')),
    started_at BIGINT  NOT NULL,
    ended_at   BIGINT,
    report     TEXT    NOT NULL DEFAULT '{}'       -- JSON, `{"version":1, …}`
);
INSERT INTO retention_sweep_next (id, origin, state, started_at, ended_at, report)
    SELECT id, origin, state, started_at, ended_at, report FROM retention_sweep;
DROP TABLE retention_sweep;
ALTER TABLE retention_sweep_next RENAME TO retention_sweep;
