-- The ledger of a queue whose jobs travel through RabbitMQ (decision 0023). Times are microseconds.
CREATE TABLE queue_name (
    name TEXT NOT NULL PRIMARY KEY,
    is_shared BIGINT NOT NULL,
    is_paused BIGINT NOT NULL
);
CREATE TABLE queue_lane (
    name TEXT NOT NULL PRIMARY KEY,
    queue TEXT NOT NULL REFERENCES queue_name (name),
    seat BIGINT NOT NULL
);
-- A row for every job that lives. state: 1 being sent, 2 ready, 3 leased, 4 delayed, 5 parked, 6 ended (kept until its
-- message can no longer come). due_at: when a delayed job may start, when a lease ends.
CREATE TABLE queue_job (
    id TEXT NOT NULL PRIMARY KEY,
    tag TEXT NOT NULL,
    queue TEXT NOT NULL,
    lane TEXT NOT NULL,
    seat BIGINT NOT NULL,
    task TEXT NOT NULL,
    state BIGINT NOT NULL CHECK (state BETWEEN 1 AND 6),
    unique_key TEXT,
    fairness_key BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    deaths BIGINT NOT NULL,
    company_deaths BIGINT NOT NULL,
    enqueued_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    due_at BIGINT,
    lease BIGINT,
    session TEXT,
    is_doubtful BIGINT NOT NULL,
    CHECK (state <> 3 OR (lease IS NOT NULL AND session IS NOT NULL AND due_at IS NOT NULL)),
    CHECK (state <> 4 OR due_at IS NOT NULL),
    CHECK (state <> 6 OR unique_key IS NULL)
);
CREATE UNIQUE INDEX queue_job_unique ON queue_job (unique_key) WHERE unique_key IS NOT NULL;
CREATE INDEX queue_job_waits ON queue_job (state, due_at) WHERE state BETWEEN 3 AND 5;
CREATE INDEX queue_job_key ON queue_job (fairness_key) WHERE fairness_key <> 0;
-- Messages in our keeping: of delayed and parked jobs, and of leased ones that RabbitMQ holds no more.
CREATE TABLE queue_message (
    id TEXT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE queue_letter (
    id TEXT NOT NULL PRIMARY KEY,
    queue TEXT NOT NULL,
    lane TEXT NOT NULL,
    seat BIGINT NOT NULL,
    task TEXT NOT NULL,
    reason TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    deaths BIGINT NOT NULL,
    error TEXT NOT NULL,
    at BIGINT NOT NULL,
    enqueued_at BIGINT NOT NULL,
    body BLOB
);
CREATE INDEX queue_letter_at ON queue_letter (at);
CREATE TABLE queue_result (
    id TEXT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    document BLOB NOT NULL
);
CREATE INDEX queue_result_at ON queue_result (at);
CREATE TABLE queue_worker (
    name TEXT NOT NULL PRIMARY KEY,
    heard_at BIGINT NOT NULL,
    document TEXT NOT NULL
);
CREATE TABLE queue_cursor (
    entry TEXT NOT NULL PRIMARY KEY,
    scheduled_at BIGINT NOT NULL,
    document TEXT NOT NULL
);
-- Who holds leases and buffers: one row for each process. alone: the suspect that it runs with nothing beside it.
CREATE TABLE queue_session (
    name TEXT NOT NULL PRIMARY KEY,
    heard_at BIGINT NOT NULL,
    alone TEXT,
    buffered TEXT NOT NULL
);
