-- What a sweep of retention has removed so far, written in the transactions in which it goes: whoever is killed, nothing that
-- went is untold, and nothing is told twice. The rows become the sweep's report when it ends, or when another finds it dead.
CREATE TABLE retention_tally (
    sweep_id   BIGINT NOT NULL,
    unit       TEXT   NOT NULL,                    -- of work, by its name
    model      TEXT   NOT NULL,
    project_id BIGINT NOT NULL,                    -- 0 = of no project
    row_count  BIGINT NOT NULL CHECK (row_count >= 0),
    byte_count BIGINT NOT NULL CHECK (byte_count >= 0),
    PRIMARY KEY (sweep_id, unit, model, project_id)
) WITHOUT ROWID;
