-- Metadata, first shape (release 0.1). Portable subset: BIGINT/INTEGER, DOUBLE, TEXT, BLOB; booleans are 0/1, times are
-- microseconds since the epoch, days and hours are counted from it, JSON is text. Ids are below 2^53 and never reused.

CREATE TABLE organization (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    slug       TEXT    NOT NULL UNIQUE,
    name       TEXT    NOT NULL,
    created_at BIGINT  NOT NULL
);

CREATE TABLE project (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id         BIGINT  NOT NULL REFERENCES organization (id),
    slug           TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    platform       TEXT,
    status         TEXT    NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled', 'deleted')),
    short_prefix   TEXT    NOT NULL,               -- SHOP in SHOP-1A
    next_short_no  BIGINT  NOT NULL DEFAULT 1,     -- 1A is this number in base 32 (Crockford)
    retention_days BIGINT,
    created_at     BIGINT  NOT NULL,
    first_event_at BIGINT,
    last_event_at  BIGINT,
    UNIQUE (org_id, slug),
    UNIQUE (org_id, short_prefix)
);

-- Old slugs keep leading to what they named.
CREATE TABLE slug_history (
    org_id     BIGINT NOT NULL,
    kind       TEXT   NOT NULL CHECK (kind IN ('organization', 'project')),
    slug       TEXT   NOT NULL,
    target_id  BIGINT NOT NULL,
    retired_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, kind, slug)
) WITHOUT ROWID;

CREATE TABLE project_key (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id     BIGINT  NOT NULL REFERENCES organization (id),
    project_id BIGINT  NOT NULL REFERENCES project (id),
    public_key TEXT    NOT NULL UNIQUE CHECK (length(public_key) = 32),
    secret_key TEXT    NOT NULL,
    label      TEXT    NOT NULL,
    status     TEXT    NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
    created_at BIGINT  NOT NULL
);
CREATE INDEX project_key_by_project ON project_key (project_id);

CREATE TABLE user_account (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    email         TEXT    NOT NULL UNIQUE,         -- lowercase
    name          TEXT    NOT NULL,
    password_hash TEXT,                            -- argon2id PHC text; null = cannot log in with a password
    is_superuser  BIGINT  NOT NULL DEFAULT 0,
    is_active     BIGINT  NOT NULL DEFAULT 1,
    created_at    BIGINT  NOT NULL,
    last_login_at BIGINT
);

CREATE TABLE membership (
    org_id     BIGINT NOT NULL REFERENCES organization (id),
    user_id    BIGINT NOT NULL REFERENCES user_account (id),
    role       TEXT   NOT NULL CHECK (role IN ('member', 'admin', 'manager', 'owner')),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, user_id)
) WITHOUT ROWID;
CREATE INDEX membership_by_user ON membership (user_id);

CREATE TABLE login_session (
    token_hash   BLOB   NOT NULL PRIMARY KEY,      -- SHA-256 of the cookie's token
    user_id      BIGINT NOT NULL REFERENCES user_account (id),
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    user_agent   TEXT   NOT NULL
) WITHOUT ROWID;
CREATE INDEX login_session_by_user ON login_session (user_id);
CREATE INDEX login_session_by_expiry ON login_session (expires_at);

CREATE TABLE api_token (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id      BIGINT  NOT NULL REFERENCES user_account (id),
    token_hash   BLOB    NOT NULL UNIQUE,          -- SHA-256 of the whole token text
    hint         TEXT    NOT NULL,                 -- the last four characters, to tell tokens apart
    scopes       TEXT    NOT NULL,                 -- separated by spaces
    created_at   BIGINT  NOT NULL,
    last_used_at BIGINT,
    revoked_at   BIGINT
);
CREATE INDEX api_token_by_user ON api_token (user_id);

CREATE TABLE setting (
    key        TEXT   NOT NULL PRIMARY KEY,        -- runtime options and facts such as the public address
    value      TEXT   NOT NULL,
    updated_at BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE issue (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id        BIGINT  NOT NULL,
    project_id    BIGINT  NOT NULL REFERENCES project (id),
    short_no      BIGINT  NOT NULL,
    kind          TEXT    NOT NULL CHECK (kind IN ('error', 'default', 'csp')),
    title         TEXT    NOT NULL,
    culprit       TEXT    NOT NULL,
    metadata      TEXT    NOT NULL,                -- JSON: type, value, filename, function
    platform      TEXT    NOT NULL,
    logger        TEXT    NOT NULL,
    level         TEXT    NOT NULL CHECK (level IN ('debug', 'info', 'warning', 'error', 'fatal')),
    status        TEXT    NOT NULL DEFAULT 'unresolved' CHECK (status IN ('unresolved', 'resolved', 'ignored')),
    substatus     TEXT    NOT NULL DEFAULT 'new' CHECK (substatus IN ('new', 'ongoing', 'regressed', 'archived', 'resolved')),
    status_at     BIGINT  NOT NULL,                -- when status last changed
    is_unhandled  BIGINT  NOT NULL DEFAULT 0,
    first_seen    BIGINT  NOT NULL,
    last_seen     BIGINT  NOT NULL,
    event_count   BIGINT  NOT NULL,
    user_count    BIGINT  NOT NULL,
    first_release TEXT,
    last_release  TEXT,
    UNIQUE (project_id, short_no)
);
CREATE INDEX issue_by_last_seen ON issue (project_id, status, last_seen DESC, id DESC);
CREATE INDEX issue_by_first_seen ON issue (project_id, status, first_seen DESC, id DESC);
CREATE INDEX issue_by_events ON issue (project_id, status, event_count DESC, id DESC);
CREATE INDEX issue_by_users ON issue (project_id, status, user_count DESC, id DESC);

-- Which issue the events of a group belong to; merge and unmerge change these rows, never an event.
CREATE TABLE issue_group (
    project_id BIGINT NOT NULL,
    group_key  BIGINT NOT NULL,                    -- first 8 bytes of the hash, big endian, as event rows carry it
    hash       TEXT   NOT NULL,                    -- the whole hash, hexadecimal
    issue_id   BIGINT NOT NULL REFERENCES issue (id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, group_key)
) WITHOUT ROWID;
CREATE INDEX issue_group_by_issue ON issue_group (issue_id);

-- How many events of a group each day holds: tells which day partitions a page must open.
CREATE TABLE group_day (
    project_id  BIGINT NOT NULL,
    group_key   BIGINT NOT NULL,
    day         BIGINT NOT NULL,                   -- day of receipt
    event_count BIGINT NOT NULL,
    PRIMARY KEY (project_id, group_key, day)
) WITHOUT ROWID;

CREATE TABLE issue_environment (
    issue_id    BIGINT NOT NULL REFERENCES issue (id),
    environment TEXT   NOT NULL,                   -- '' = none given
    project_id  BIGINT NOT NULL,
    first_seen  BIGINT NOT NULL,
    last_seen   BIGINT NOT NULL,
    event_count BIGINT NOT NULL,
    PRIMARY KEY (issue_id, environment)
) WITHOUT ROWID;
CREATE INDEX issue_environment_by_last_seen ON issue_environment (project_id, environment, last_seen DESC, issue_id DESC);

CREATE TABLE issue_hour (
    issue_id    BIGINT NOT NULL,
    hour        BIGINT NOT NULL,                   -- of the event's own time
    environment TEXT   NOT NULL,
    event_count BIGINT NOT NULL,
    PRIMARY KEY (issue_id, hour, environment)
) WITHOUT ROWID;

CREATE TABLE issue_user (
    issue_id  BIGINT NOT NULL,
    user_hash BIGINT NOT NULL,                     -- 64-bit hash of `id:…`, `username:…`, `email:…` or `ip:…`
    PRIMARY KEY (issue_id, user_hash)
) WITHOUT ROWID;

CREATE TABLE issue_tag_key (
    issue_id    BIGINT NOT NULL,
    key         TEXT   NOT NULL,
    event_count BIGINT NOT NULL,                   -- events that carry the key: rows below plus `other`, exactly
    value_count BIGINT NOT NULL,                   -- values kept below, at most TAG_VALUES_MAX
    other_count BIGINT NOT NULL DEFAULT 0,         -- events whose value came after the bound
    PRIMARY KEY (issue_id, key)
) WITHOUT ROWID;

CREATE TABLE issue_tag (
    issue_id    BIGINT NOT NULL,
    key         TEXT   NOT NULL,
    value       TEXT   NOT NULL,
    event_count BIGINT NOT NULL,
    first_seen  BIGINT NOT NULL,
    last_seen   BIGINT NOT NULL,
    PRIMARY KEY (issue_id, key, value)
) WITHOUT ROWID;

CREATE TABLE issue_activity (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    issue_id BIGINT NOT NULL REFERENCES issue (id),
    kind     TEXT   NOT NULL,                      -- first_seen, set_resolved, set_unresolved, set_ignored, set_regression
    user_id  BIGINT,
    data     TEXT   NOT NULL DEFAULT '{}',
    at       BIGINT NOT NULL
);
CREATE INDEX issue_activity_by_issue ON issue_activity (issue_id, id);

CREATE TABLE project_environment (
    project_id BIGINT NOT NULL,
    name       TEXT   NOT NULL,
    first_seen BIGINT NOT NULL,
    PRIMARY KEY (project_id, name)
) WITHOUT ROWID;

CREATE TABLE project_release (
    project_id  BIGINT NOT NULL,
    version     TEXT   NOT NULL,
    first_seen  BIGINT NOT NULL,
    last_seen   BIGINT NOT NULL,
    event_count BIGINT NOT NULL,
    PRIMARY KEY (project_id, version)
) WITHOUT ROWID;

CREATE TABLE project_hour (
    project_id  BIGINT NOT NULL,
    hour        BIGINT NOT NULL,                   -- of receipt
    event_count BIGINT NOT NULL,
    PRIMARY KEY (project_id, hour)
) WITHOUT ROWID;

-- Every item's fate, by project, key, hour, category and reason (promise G8).
CREATE TABLE outcome_hour (
    project_id BIGINT NOT NULL,                    -- 0 = refused before a project was known
    key_id     BIGINT NOT NULL,                    -- 0 = no key known
    hour       BIGINT NOT NULL,
    category   TEXT   NOT NULL,                    -- data categories of the protocol: error, attachment …
    outcome    TEXT   NOT NULL CHECK (outcome IN ('accepted', 'stored', 'filtered', 'duplicate', 'expired', 'dead', 'not-kept', 'refused')),
    reason     TEXT   NOT NULL,
    quantity   BIGINT NOT NULL,
    PRIMARY KEY (project_id, hour, key_id, category, outcome, reason)
) WITHOUT ROWID;

-- The fence of the digest: an event id is counted once within its day of receipt and the day before.
CREATE TABLE digested (
    day        BIGINT NOT NULL,
    project_id BIGINT NOT NULL,
    event_id   BLOB   NOT NULL CHECK (length(event_id) = 16),
    received_at BIGINT NOT NULL,                   -- tells a second run of the same job from a second event with the id
    PRIMARY KEY (day, project_id, event_id)
) WITHOUT ROWID;

-- What became of an accepted envelope beyond "stored": one row for each remark.
CREATE TABLE receipt (
    day        BIGINT NOT NULL,
    project_id BIGINT NOT NULL,
    event_id   BLOB   NOT NULL CHECK (length(event_id) = 16),
    state      TEXT   NOT NULL CHECK (state IN ('filtered', 'duplicate', 'expired', 'dead', 'not-kept')),
    reason     TEXT   NOT NULL,
    quantity   BIGINT NOT NULL DEFAULT 1,
    at         BIGINT NOT NULL,
    PRIMARY KEY (project_id, event_id, day, state, reason)
) WITHOUT ROWID;

-- Day partitions of events. Ending a day bumps its generation: late writers see it and turn back.
CREATE TABLE event_day (
    day        BIGINT NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL,
    state      TEXT   NOT NULL CHECK (state IN ('open', 'ended')),
    created_at BIGINT NOT NULL
);

CREATE TABLE event_dictionary (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id   BIGINT  NOT NULL,
    bytes        BLOB    NOT NULL,
    sample_count BIGINT  NOT NULL,
    created_at   BIGINT  NOT NULL
);
CREATE INDEX event_dictionary_by_project ON event_dictionary (project_id, id);

CREATE TABLE attachment (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    day             BIGINT  NOT NULL,              -- of receipt
    project_id      BIGINT  NOT NULL,
    event_id        BLOB    NOT NULL CHECK (length(event_id) = 16),
    name            TEXT    NOT NULL,
    content_type    TEXT    NOT NULL,
    attachment_type TEXT    NOT NULL,
    size_bytes      BIGINT  NOT NULL,
    blob_key        TEXT    NOT NULL,              -- SHA-256 of the content, hexadecimal
    created_at      BIGINT  NOT NULL,
    UNIQUE (project_id, event_id, day, name, blob_key)
);

CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    task       TEXT    NOT NULL,
    payload    BLOB    NOT NULL,
    created_at BIGINT  NOT NULL
);
