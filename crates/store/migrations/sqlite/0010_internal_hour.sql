-- Vigie's own metrics: what grew in each hour, of all its processes together. Whoever writes removes what is old.
CREATE TABLE internal_hour (
    hour   BIGINT NOT NULL,
    series TEXT   NOT NULL,                        -- name{label="value"}
    count  BIGINT NOT NULL,
    sum    DOUBLE PRECISION NOT NULL,              -- of a histogram's samples, in its unit; else 0
    PRIMARY KEY (hour, series)
) WITHOUT ROWID;
