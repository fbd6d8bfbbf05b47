-- Who we are to the server, where a virtual host belongs to one installation: one row.
CREATE TABLE queue_installation (
    number BIGINT NOT NULL PRIMARY KEY CHECK (number = 1),
    id TEXT NOT NULL
);
