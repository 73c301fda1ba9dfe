-- The deploy queue and its history. Only fleet-deploy writes it. Times are Unix seconds.

CREATE TABLE deploy (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    state        TEXT NOT NULL
                 CHECK (state IN ('queued', 'running', 'verified', 'rolled_back', 'failed', 'superseded')),
    -- hook: a pushed tag; manual: fleet-agent deploy; rollback; check: a dry run
    kind         TEXT NOT NULL CHECK (kind IN ('hook', 'manual', 'rollback', 'check')),
    ref          TEXT NOT NULL,            -- full name (refs/tags/PROD), or what was asked for by hand
    hint         TEXT NOT NULL DEFAULT '', -- where the forge says the tag points
    "commit"     TEXT NOT NULL DEFAULT '', -- what the ref was peeled to at the start
    tag_object   TEXT NOT NULL DEFAULT '', -- what the ref named unpeeled
    nonce        TEXT NOT NULL DEFAULT '',
    requested_by TEXT NOT NULL DEFAULT '',
    source       TEXT NOT NULL DEFAULT '', -- forge, or the account at the socket
    fetch        INTEGER NOT NULL DEFAULT 1,
    back_to      INTEGER,                  -- a rollback: the deploy whose commit it returns to
    twin_of      INTEGER,                  -- not run, because that deploy already answered this push
    queued_at    REAL NOT NULL,
    started_at   REAL,
    executed_at  REAL,                     -- from here on nodes may be touched
    ended_at     REAL,
    ran          INTEGER NOT NULL DEFAULT 0, -- the pipeline was run to this end
    unsure       INTEGER NOT NULL DEFAULT 0, -- ended, and some node may run something else
    reason       TEXT NOT NULL DEFAULT '',
    result       TEXT NOT NULL DEFAULT '{}' -- JSON
);

CREATE INDEX deploy_state ON deploy (state, id);
CREATE INDEX deploy_ref ON deploy (ref, id);
-- The worker takes one at a time: two running deploys can't be.
CREATE UNIQUE INDEX deploy_one_running ON deploy (state) WHERE state = 'running';
-- Pushes of one tag fold into its queued entry.
CREATE UNIQUE INDEX deploy_one_queued_a_ref ON deploy (ref) WHERE state = 'queued' AND kind = 'hook';

CREATE TABLE delivery (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    forge       TEXT NOT NULL,
    event       TEXT NOT NULL,
    delivery    TEXT NOT NULL,             -- the forge's id; forges repeat them
    signed      INTEGER NOT NULL,          -- 0: only a claim
    ref         TEXT NOT NULL DEFAULT '',
    hint        TEXT NOT NULL DEFAULT '',
    twin        INTEGER NOT NULL DEFAULT 0, -- the second event of a push (create of Gitea and Forgejo)
    repository  TEXT NOT NULL DEFAULT '',
    pusher      TEXT NOT NULL DEFAULT '',
    received_at REAL NOT NULL,
    outcome     TEXT NOT NULL CHECK (outcome IN ('queued', 'folded', 'ignored', 'refused')),
    reason      TEXT NOT NULL DEFAULT '',
    deploy      INTEGER REFERENCES deploy (id),
    repeats     INTEGER NOT NULL DEFAULT 0
);

CREATE UNIQUE INDEX delivery_known ON delivery (forge, event, delivery) WHERE signed = 1;
CREATE INDEX delivery_deploy ON delivery (deploy);

CREATE TABLE move (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    deploy INTEGER NOT NULL REFERENCES deploy (id),
    at     REAL NOT NULL,
    "from" TEXT NOT NULL DEFAULT '',
    "to"   TEXT NOT NULL,
    why    TEXT NOT NULL DEFAULT ''
);

CREATE INDEX move_deploy ON move (deploy, id);
