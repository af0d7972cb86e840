-- +goose Up

-- Whose facts changed, and at which version of the workspace's facts last. Everybody who keeps something made from
-- facts remembers the version it was made at and takes in those who changed since (R11). identity: the records that
-- make up the customer changed since the last refresh, so that what follows is no behaviour of theirs. Sales to nobody
-- known go by bins of records, which have negative numbers.
CREATE TABLE changed_customer (
    workspace INTEGER NOT NULL,
    customer  INTEGER NOT NULL,
    version   INTEGER NOT NULL,
    identity  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace, customer)
) STRICT, WITHOUT ROWID;
CREATE INDEX changed_customer_by_version ON changed_customer (workspace, version);

-- The ledger as columns, by chunk of customers; made from sale and refund, and made again when it cannot be read.
CREATE TABLE ledger_chunk (
    workspace INTEGER NOT NULL,
    chunk     INTEGER NOT NULL,
    data      BLOB NOT NULL,
    PRIMARY KEY (workspace, chunk)
) STRICT;

-- Ranks and RFM scores as they were frozen for the day, by chunk of customers.
CREATE TABLE score_chunk (
    workspace INTEGER NOT NULL,
    chunk     INTEGER NOT NULL,
    data      BLOB NOT NULL,
    PRIMARY KEY (workspace, chunk)
) STRICT;

ALTER TABLE workspace ADD COLUMN ledger_hash TEXT NOT NULL DEFAULT '';          -- of what the chunks were made by
ALTER TABLE workspace ADD COLUMN ledger_version INTEGER NOT NULL DEFAULT 0;     -- of the facts that all chunks have taken in
ALTER TABLE workspace ADD COLUMN ledger_writer INTEGER NOT NULL DEFAULT 0;      -- who writes the chunks: the last who began
ALTER TABLE workspace ADD COLUMN changes_from INTEGER NOT NULL DEFAULT 0;       -- changed_customer is complete above this version
ALTER TABLE workspace ADD COLUMN refreshed_version INTEGER NOT NULL DEFAULT -1; -- of the facts at the last refresh
ALTER TABLE workspace ADD COLUMN refreshed_hash TEXT NOT NULL DEFAULT '';       -- of the rules at the last refresh of everybody
ALTER TABLE workspace ADD COLUMN refreshed_customers INTEGER NOT NULL DEFAULT 0; -- how many the last refresh worked on
ALTER TABLE workspace ADD COLUMN refreshed_all INTEGER NOT NULL DEFAULT 0;      -- the last refresh worked on everybody
ALTER TABLE workspace ADD COLUMN moving_in INTEGER NOT NULL DEFAULT 1;          -- first syncs were not over at the last refresh

-- net: the member's net value, so that the segment's is kept by adding and subtracting. why: JSON of what the rule saw.
ALTER TABLE membership ADD COLUMN net INTEGER NOT NULL DEFAULT 0;
ALTER TABLE membership_event ADD COLUMN why TEXT NOT NULL DEFAULT '';
CREATE INDEX membership_by_customer ON membership (workspace, customer);
CREATE INDEX membership_event_by_customer ON membership_event (workspace, customer, id);

-- +goose Down
SELECT 1;
