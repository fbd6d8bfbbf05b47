-- What waits in the spools of web processes while their broker is away: a row for each folder that holds something, written
-- by the process that has the folder's lock, with its counts of what it accepted and never after them. It goes when the
-- folder is empty.
CREATE TABLE spool (
    id        TEXT   NOT NULL PRIMARY KEY,         -- of the folder, whoever has it
    holder    TEXT   NOT NULL,                     -- `name@host (pid)` of the process
    folder    TEXT   NOT NULL,
    jobs      BIGINT NOT NULL CHECK (jobs > 0),
    bytes     BIGINT NOT NULL,
    oldest_at BIGINT,                              -- when the oldest of them was accepted
    heard_at  BIGINT NOT NULL
) WITHOUT ROWID;
