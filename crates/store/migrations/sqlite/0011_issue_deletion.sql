-- Issues that people deleted, while something of them is left: their events and counters go in bounded steps.
CREATE TABLE issue_deletion (
    issue_id   INTEGER PRIMARY KEY,                -- of the issue that was
    project_id BIGINT  NOT NULL,
    deleted_at BIGINT  NOT NULL,                   -- what was received until then, and counted, is removed
    counters   TEXT    NOT NULL,                   -- JSON: the ids that its counters stand under
    days       TEXT    NOT NULL                    -- JSON: the days that hold its events
);

CREATE TABLE issue_deletion_group (
    project_id BIGINT NOT NULL,
    group_key  BIGINT NOT NULL,
    issue_id   BIGINT NOT NULL,
    deleted_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, group_key, issue_id)
) WITHOUT ROWID;
CREATE INDEX issue_deletion_group_by_issue ON issue_deletion_group (issue_id);

-- Events received before the deletion and counted after it: they are of the issue that came next, and stay.
CREATE TABLE issue_deletion_kept (
    project_id BIGINT NOT NULL,
    day        BIGINT NOT NULL,
    event_id   BLOB   NOT NULL CHECK (length(event_id) = 16),
    PRIMARY KEY (project_id, day, event_id)
) WITHOUT ROWID;

-- Events that are noted as removed, and whose rows are about to go.
CREATE TABLE issue_deletion_event (
    issue_id   BIGINT NOT NULL,
    day        BIGINT NOT NULL,
    project_id BIGINT NOT NULL,
    event_id   BLOB   NOT NULL CHECK (length(event_id) = 16),
    PRIMARY KEY (issue_id, day, event_id)
) WITHOUT ROWID;
