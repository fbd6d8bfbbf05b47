-- What a project has set, by name: scrubbing, filters. No row means the defaults.
CREATE TABLE project_option (
    project_id BIGINT NOT NULL REFERENCES project (id),
    name       TEXT   NOT NULL,
    value      TEXT   NOT NULL,                    -- JSON
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, name)
) WITHOUT ROWID;
