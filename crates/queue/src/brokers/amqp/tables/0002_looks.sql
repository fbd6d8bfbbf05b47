-- Jobs that were revoked, for workers that start when nobody is there whom they could ask.
CREATE TABLE queue_revoked (
    id TEXT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL
);
CREATE INDEX queue_revoked_at ON queue_revoked (at);
-- A job that is tried again takes turns by the key it had.
ALTER TABLE queue_letter ADD COLUMN fairness_key BIGINT NOT NULL DEFAULT 0;
-- SQLite takes a partial index only where the query says the index's own words: "state = 4" does not lead it to one of
-- states 3 to 5, and every look at what is due read all jobs.
DROP INDEX queue_job_waits;
CREATE INDEX queue_job_leased ON queue_job (due_at) WHERE state = 3;
CREATE INDEX queue_job_delayed ON queue_job (due_at) WHERE state = 4;
CREATE INDEX queue_job_parked ON queue_job (task) WHERE state = 5;
