-- Accepted jobs that an operator took out of the queue: purged while they waited, or discarded as dead letters. They are
-- counted as dead in the transaction that writes the row, before they leave the queue; a run that comes after all finds them
-- here and has no effect. Rows go with those of `digested`.
CREATE TABLE withdrawn (
    day         BIGINT NOT NULL,                   -- of receipt
    project_id  BIGINT NOT NULL,
    event_id    BLOB   NOT NULL CHECK (length(event_id) = 16),
    received_at BIGINT NOT NULL,                   -- tells the job from another with the id
    PRIMARY KEY (day, project_id, event_id, received_at)
) WITHOUT ROWID;
