-- Permissions of superusers and the audit log (release 0.1).

-- The names are a closed list in `ops`; a row that a later release wrote allows nothing here.
CREATE TABLE user_permission (
    user_id    BIGINT NOT NULL REFERENCES user_account (id),
    permission TEXT   NOT NULL CHECK (length(permission) BETWEEN 1 AND 32),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, permission)
) WITHOUT ROWID;

-- Superusers of before could do everything, and go on doing so.
INSERT INTO user_permission (user_id, permission, created_at)
SELECT u.id, p.name, u.created_at
FROM user_account u
CROSS JOIN (
    SELECT 'users.admin' AS name UNION ALL SELECT 'options.admin' UNION ALL SELECT 'projects.admin'
    UNION ALL SELECT 'queues.admin' UNION ALL SELECT 'broadcasts.admin') p
WHERE u.is_superuser = 1;

-- Who changed what, when and by which way. Texts, not references: an entry outlives the person and the object.
CREATE TABLE audit_entry (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         BIGINT  NOT NULL,
    actor      TEXT    NOT NULL,                   -- an email, or system:<task>
    actor_id   BIGINT,                             -- null = the system
    channel    TEXT    NOT NULL CHECK (channel IN ('page', 'api', 'cli', 'task')),
    request_id TEXT    NOT NULL,
    org_id     BIGINT,                             -- null = the installation
    action     TEXT    NOT NULL,                   -- permission.add, project.delete …
    target     TEXT    NOT NULL,                   -- what was acted on, in people's words
    detail     TEXT    NOT NULL DEFAULT ''
);
CREATE INDEX audit_entry_by_org ON audit_entry (org_id, id);
