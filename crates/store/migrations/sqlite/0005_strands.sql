-- Merged issues. What was one issue is a strand of the one it was merged into. It is counted apart, in the tables of
-- issues' counters, under its id negated: so it can be taken out again with exactly its counts.
CREATE TABLE issue_strand (
    id            INTEGER PRIMARY KEY,             -- id of the issue it was; an issue with strands is one of them itself
    issue_id      BIGINT  NOT NULL REFERENCES issue (id),
    merged_into   BIGINT,                          -- the strand it was merged into; null for the issue's own
    merged_at     BIGINT,
    merged_by     BIGINT,
    merged_count  BIGINT  NOT NULL DEFAULT 0,      -- its events when it was merged
    org_id        BIGINT  NOT NULL,
    project_id    BIGINT  NOT NULL REFERENCES project (id),
    short_no      BIGINT  NOT NULL,
    kind          TEXT    NOT NULL,
    title         TEXT    NOT NULL,
    culprit       TEXT    NOT NULL,
    metadata      TEXT    NOT NULL,
    platform      TEXT    NOT NULL,
    logger        TEXT    NOT NULL,
    level         TEXT    NOT NULL,
    status        TEXT    NOT NULL,                -- as it was when it was merged
    substatus     TEXT    NOT NULL,
    status_at     BIGINT  NOT NULL,
    is_unhandled  BIGINT  NOT NULL,
    first_seen    BIGINT  NOT NULL,
    last_seen     BIGINT  NOT NULL,
    event_count   BIGINT  NOT NULL,
    user_count    BIGINT  NOT NULL,
    first_release TEXT,
    last_release  TEXT,
    UNIQUE (project_id, short_no)
);
CREATE INDEX issue_strand_by_issue ON issue_strand (issue_id);

-- Null: the issue has no strands, and counts for all its groups.
ALTER TABLE issue_group ADD COLUMN strand_id BIGINT;
CREATE INDEX issue_group_by_strand ON issue_group (strand_id) WHERE strand_id IS NOT NULL;

-- Counters of strands, and the history of merged issues, belong to no row of `issue`: the two tables that referred to it
-- are made again without.
CREATE TABLE issue_environment_next (
    issue_id    BIGINT NOT NULL,
    environment TEXT   NOT NULL,                   -- '' = none given
    project_id  BIGINT NOT NULL,                   -- negated for a strand, so that no list finds it
    first_seen  BIGINT NOT NULL,
    last_seen   BIGINT NOT NULL,
    event_count BIGINT NOT NULL,
    PRIMARY KEY (issue_id, environment)
) WITHOUT ROWID;
INSERT INTO issue_environment_next (issue_id, environment, project_id, first_seen, last_seen, event_count)
    SELECT issue_id, environment, project_id, first_seen, last_seen, event_count FROM issue_environment;
DROP TABLE issue_environment;
ALTER TABLE issue_environment_next RENAME TO issue_environment;
CREATE INDEX issue_environment_by_last_seen ON issue_environment (project_id, environment, last_seen DESC, issue_id DESC);

CREATE TABLE issue_activity_next (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    issue_id BIGINT NOT NULL,
    kind     TEXT   NOT NULL,                      -- first_seen, set_…, merge, unmerge_source, unmerge_destination, import
    user_id  BIGINT,
    data     TEXT   NOT NULL DEFAULT '{}',
    at       BIGINT NOT NULL
);
INSERT INTO issue_activity_next (id, issue_id, kind, user_id, data, at)
    SELECT id, issue_id, kind, user_id, data, at FROM issue_activity;
DROP TABLE issue_activity;
ALTER TABLE issue_activity_next RENAME TO issue_activity;
CREATE INDEX issue_activity_by_issue ON issue_activity (issue_id, id);

-- Issues that were made by an import: the same file again, or its next part, finds them.
CREATE TABLE issue_import (
    project_id  BIGINT NOT NULL,
    source      TEXT   NOT NULL,                   -- the issue's name where it came from
    issue_id    BIGINT NOT NULL,
    imported_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, source)
) WITHOUT ROWID;
