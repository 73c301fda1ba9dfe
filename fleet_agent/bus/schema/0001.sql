-- The inbox: what was accepted, byte for byte, in the order of its arrival.
--
-- A row is also the memory that makes a repeat a duplicate, so it outlives its handling; (sender,
-- id) is the sender's word or, where it gave none, ours.
CREATE TABLE inbox (
    seq         INTEGER PRIMARY KEY,
    sender      TEXT NOT NULL,
    id          TEXT NOT NULL,
    lane        INTEGER NOT NULL,           -- 0 ordinary, 1 alert
    received_at REAL NOT NULL,              -- Unix seconds
    body        BLOB NOT NULL
);

CREATE UNIQUE INDEX inbox_id ON inbox (sender, id);
