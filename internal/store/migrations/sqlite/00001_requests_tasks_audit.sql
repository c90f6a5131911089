-- +goose Up

-- One row for each request. What is large and seldom changes stands in
-- request_body, so that a change of state does not rewrite it.
CREATE TABLE request (
    id          TEXT   NOT NULL PRIMARY KEY,
    num         BIGINT NOT NULL, -- the order of creation
    version     BIGINT NOT NULL,
    revision    BIGINT NOT NULL,
    state       TEXT   NOT NULL,
    caller_team TEXT   NOT NULL,
    caller_user TEXT   NOT NULL,
    channel     TEXT   NOT NULL,
    typed       TEXT   NOT NULL,
    command     TEXT   NOT NULL,
    tenant      TEXT   NOT NULL,
    reason      TEXT   NOT NULL,
    digest      TEXT   NOT NULL,
    policy      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    execute_by  BIGINT NOT NULL,
    ended_at    BIGINT NOT NULL, -- 0: not ended
    outcome     TEXT   NOT NULL,
    notice      TEXT   NOT NULL
);
CREATE INDEX request_num ON request (num);
CREATE INDEX request_ended ON request (ended_at);
CREATE INDEX request_open ON request (num)
    WHERE state NOT IN ('succeeded', 'partly succeeded', 'failed', 'denied', 'cancelled', 'expired');

CREATE TABLE request_body (
    request TEXT NOT NULL PRIMARY KEY REFERENCES request (id) ON DELETE CASCADE,
    args    TEXT NOT NULL,
    plan    TEXT NOT NULL,
    demands TEXT NOT NULL
);

CREATE TABLE decision (
    request       TEXT   NOT NULL REFERENCES request (id) ON DELETE CASCADE,
    n             BIGINT NOT NULL,
    kind          TEXT   NOT NULL,
    decider_team  TEXT   NOT NULL,
    decider_user  TEXT   NOT NULL,
    decided_at    BIGINT NOT NULL,
    version       BIGINT NOT NULL,
    digest        TEXT   NOT NULL,
    demands       TEXT   NOT NULL,
    PRIMARY KEY (request, n)
);

CREATE TABLE step (
    request    TEXT   NOT NULL REFERENCES request (id) ON DELETE CASCADE,
    n          BIGINT NOT NULL,
    state      TEXT   NOT NULL,
    sends      BIGINT NOT NULL,
    absent     BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    sent_at    BIGINT NOT NULL,
    answered   BIGINT NOT NULL,
    look_at    BIGINT NOT NULL,
    result     TEXT   NOT NULL,
    items      TEXT   NOT NULL,
    error      TEXT   NOT NULL,
    note       TEXT   NOT NULL,
    PRIMARY KEY (request, n)
);

CREATE TABLE card (
    request TEXT   NOT NULL REFERENCES request (id) ON DELETE CASCADE,
    n       BIGINT NOT NULL,
    channel TEXT   NOT NULL,
    ts      TEXT   NOT NULL,
    shown   BIGINT NOT NULL,
    PRIMARY KEY (request, n)
);

-- state is ready, running or done. again_at is when a task that was added
-- once more while it ran is due after that run; 0 when it was not.
CREATE TABLE task (
    key         TEXT   NOT NULL PRIMARY KEY,
    num         BIGINT NOT NULL, -- the order of addition
    kind        TEXT   NOT NULL,
    request     TEXT   NOT NULL,
    lane        TEXT   NOT NULL,
    body        TEXT   NOT NULL,
    once        BIGINT NOT NULL,
    state       TEXT   NOT NULL,
    run_at      BIGINT NOT NULL,
    again_at    BIGINT NOT NULL,
    attempt     BIGINT NOT NULL,
    token       BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    error       TEXT   NOT NULL,
    ended_at    BIGINT NOT NULL
);
CREATE INDEX task_num ON task (num);
CREATE INDEX task_due ON task (run_at, num) WHERE state <> 'done';
CREATE INDEX task_lane ON task (lane) WHERE state = 'running';
CREATE INDEX task_request ON task (request) WHERE state <> 'done';
CREATE INDEX task_done ON task (ended_at) WHERE state = 'done';

CREATE TABLE audit (
    seq        BIGINT NOT NULL PRIMARY KEY,
    at         TEXT   NOT NULL, -- as sealed: RFC 3339, UTC, milliseconds
    request    TEXT   NOT NULL,
    event      TEXT   NOT NULL,
    actor_team TEXT   NOT NULL,
    actor_user TEXT   NOT NULL,
    tenant     TEXT   NOT NULL,
    command    TEXT   NOT NULL,
    outcome    TEXT   NOT NULL,
    detail     TEXT   NOT NULL,
    policy     TEXT   NOT NULL,
    plan       TEXT   NOT NULL,
    prev       TEXT   NOT NULL,
    hash       TEXT   NOT NULL
);
CREATE INDEX audit_request ON audit (request);

CREATE TABLE audit_head (
    id   BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    seq  BIGINT NOT NULL,
    hash TEXT   NOT NULL
);
INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '');

-- The chain shows tampering; these keep the bot's own mistakes from being any.
-- The third also stops INSERT OR REPLACE, which deletes without a delete
-- trigger.

-- +goose StatementBegin
CREATE TRIGGER audit_keep_update BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'an audit record is never changed');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER audit_keep_delete BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'an audit record is never deleted');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER audit_only_append BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE seq >= NEW.seq)
BEGIN
    SELECT RAISE(ABORT, 'audit records are only appended');
END;
-- +goose StatementEnd
