-- Leases: how the inbox hands messages out. Releases that know 0002 only still open this file: they
-- go on accepting, hand nothing out, and write no type; the next start of this one fills it in.

ALTER TABLE inbox ADD COLUMN type TEXT;                 -- NULL: written by a release before
ALTER TABLE inbox ADD COLUMN receipt TEXT;              -- of the newest lease
ALTER TABLE inbox ADD COLUMN not_before REAL;           -- Unix seconds; NULL: at once
ALTER TABLE inbox ADD COLUMN dead_at REAL;              -- Unix seconds; settled_at stays NULL then
-- 1: nobody can repeat it by its id, so that a crowded file may forget it early.
ALTER TABLE inbox ADD COLUMN forgettable INTEGER;

-- What is not settled, by pair and lane, in the order of handing out. The alerts of all come first.
CREATE INDEX inbox_pairs ON inbox (lane, sender, type, seq) WHERE state < 2;
CREATE INDEX inbox_untyped ON inbox (seq) WHERE state < 2 AND type IS NULL;
CREATE INDEX inbox_dead ON inbox (seq) WHERE state = 3;
DROP INDEX inbox_open;

-- How many messages are not settled, kept by who writes them: counting a full box takes long.
CREATE TABLE tally (box TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO tally VALUES ('inbox', -1);                 -- -1: not counted yet
