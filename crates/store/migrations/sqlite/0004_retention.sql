-- What retention did: its sweeps, and events that are gone though their day is not.
ALTER TABLE event_day ADD COLUMN ended_at BIGINT;

-- One row a sweep. The id is also the fence: work of a sweep that is not the last one turns back.
CREATE TABLE retention_sweep (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    origin     TEXT    NOT NULL CHECK (origin IN ('command', 'schedule')),
    state      TEXT    NOT NULL CHECK (state IN ('running', 'done', 'incomplete', 'abandoned')),
    started_at BIGINT  NOT NULL,
    ended_at   BIGINT,
    report     TEXT    NOT NULL DEFAULT '{}'       -- JSON, `{"version":1, …}`
);

-- Events that were counted on a day that is open, and whose rows retention removed.
CREATE TABLE event_removal (
    day        BIGINT NOT NULL,
    project_id BIGINT NOT NULL,
    row_count  BIGINT NOT NULL,
    removed_at BIGINT NOT NULL,
    PRIMARY KEY (day, project_id)
) WITHOUT ROWID;
CREATE INDEX event_removal_by_project ON event_removal (project_id, removed_at);

CREATE INDEX group_day_by_day ON group_day (day, project_id);
CREATE INDEX receipt_by_day ON receipt (day, project_id);
CREATE INDEX attachment_by_day ON attachment (day, project_id);
CREATE INDEX attachment_by_blob ON attachment (blob_key);
