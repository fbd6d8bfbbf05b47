-- Bodies too large for a job whose content is in the stores, by the key of the blob that they came in. The blob is deleted right
-- after; a job that runs again finds here why its body is gone. Rows go with those of `digested`.
CREATE TABLE spent_body (
    day      BIGINT NOT NULL,
    blob_key TEXT   NOT NULL PRIMARY KEY
) WITHOUT ROWID;
CREATE INDEX spent_body_by_day ON spent_body (day);
