-- The outbox, and what became of each message on both sides. Releases that know 0001 only still
-- open this file: they go on accepting, and leave the outbox alone.

-- The inbox's half of a message's life; its states are `bus.life.Got`.
ALTER TABLE inbox ADD COLUMN state INTEGER NOT NULL DEFAULT 0;
ALTER TABLE inbox ADD COLUMN hops INTEGER NOT NULL DEFAULT 0;
ALTER TABLE inbox ADD COLUMN in_reply_to TEXT;
ALTER TABLE inbox ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE inbox ADD COLUMN leased_until REAL;         -- Unix seconds; NULL: never leased
ALTER TABLE inbox ADD COLUMN settled_at REAL;           -- Unix seconds: handled or dead
ALTER TABLE inbox ADD COLUMN reason TEXT;               -- why it is dead
-- What is not settled, in the order of handing out.
CREATE INDEX inbox_open ON inbox (lane, seq) WHERE state < 2;
CREATE INDEX inbox_reply ON inbox (in_reply_to) WHERE in_reply_to IS NOT NULL;
CREATE INDEX inbox_settled ON inbox (settled_at) WHERE state >= 2;

-- How far each stream of another daemon has come: everything up to `high` is here, was here, or
-- was given up by its sender.
CREATE TABLE stream (
    sender      TEXT NOT NULL,
    name        TEXT NOT NULL,
    high        INTEGER NOT NULL,
    at          REAL NOT NULL,              -- Unix seconds of the last step
    PRIMARY KEY (sender, name)
) WITHOUT ROWID;

-- Our own streams: one a start of the daemon, so that numbers given after a restored backup are
-- never taken for those given before it.
CREATE TABLE start (
    first       INTEGER PRIMARY KEY,        -- the first number (delivery.number) of this start
    stream      TEXT NOT NULL
);

-- What the local agent sent, byte for byte; an id and hops are put in where it gave none.
CREATE TABLE letter (
    number      INTEGER PRIMARY KEY,
    id          TEXT NOT NULL,
    accepted_at REAL NOT NULL,              -- Unix seconds
    body        BLOB NOT NULL
);
CREATE UNIQUE INDEX letter_id ON letter (id);

-- One row for each receiver of a letter. `number` is its place in the order of sending.
CREATE TABLE delivery (
    number      INTEGER PRIMARY KEY,
    letter      INTEGER NOT NULL,
    receiver    TEXT NOT NULL,
    lane        INTEGER NOT NULL,           -- 0 ordinary, 1 alert
    state       INTEGER NOT NULL DEFAULT 0, -- bus.life.Sent
    expires_at  REAL NOT NULL,              -- Unix seconds
    settled_at  REAL,                       -- Unix seconds: delivered or dead
    reason      TEXT                        -- why it is dead
);
CREATE INDEX delivery_letter ON delivery (letter);
CREATE INDEX delivery_waiting ON delivery (receiver, lane, number) WHERE state = 0;
CREATE INDEX delivery_expiry ON delivery (expires_at) WHERE state = 0;
CREATE INDEX delivery_settled ON delivery (settled_at) WHERE state IN (1, 3);
CREATE INDEX delivery_dead ON delivery (number) WHERE state = 2;
