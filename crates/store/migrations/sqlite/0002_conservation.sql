-- What the endpoints answered 200 to, counted by them: the second witness beside the digest's own counts.
CREATE TABLE accepted_hour (
    project_id BIGINT NOT NULL,
    hour       BIGINT NOT NULL,                    -- of receipt
    quantity   BIGINT NOT NULL,                    -- events
    PRIMARY KEY (hour, project_id)
) WITHOUT ROWID;

-- Pages sum the last hours over all projects.
CREATE INDEX outcome_by_hour ON outcome_hour (hour);
