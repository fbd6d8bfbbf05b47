-- Options that people set while Vigie runs. The table of keys is in the binary; what it does not know is left alone.
CREATE TABLE runtime_option (
    name       TEXT   NOT NULL PRIMARY KEY,
    value      TEXT   NOT NULL,
    changed_at BIGINT NOT NULL,
    changed_by TEXT   NOT NULL,                    -- an email, or system
    channel    TEXT   NOT NULL                     -- cli, api, page
) WITHOUT ROWID;
