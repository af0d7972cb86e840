-- +goose Up

-- One record may give several orders: a deal that is won again and again. Refunds, lines and rates come with it.
CREATE TABLE sale_by_part (
    record     INTEGER NOT NULL REFERENCES record(id),
    part       INTEGER NOT NULL DEFAULT 1,  -- from 1; the key of a later one is KEY#2 and so on
    workspace  INTEGER NOT NULL,
    stream     INTEGER NOT NULL,
    node       INTEGER REFERENCES node(id), -- NULL: a sale to nobody known
    ordered_at INTEGER NOT NULL DEFAULT 0,  -- 0: only the day is known
    ordered_on INTEGER NOT NULL,
    date_from  TEXT NOT NULL DEFAULT '',    -- fact of the source the date was taken from; of deals history, moved or closed
    sequence   INTEGER NOT NULL,
    amount     INTEGER NOT NULL,
    currency   TEXT NOT NULL,
    base       INTEGER NOT NULL,            -- in the workspace's currency
    converted  INTEGER NOT NULL,
    needs_rate INTEGER NOT NULL DEFAULT 0,  -- base depends on exchange rates
    channel    TEXT NOT NULL DEFAULT '',
    owner_stream INTEGER,
    owner      TEXT NOT NULL DEFAULT '',    -- key in owner_stream
    deal_stream INTEGER,                    -- the deal the owner is taken from
    deal_key   TEXT,
    city       TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (record, part)
) STRICT, WITHOUT ROWID;
INSERT INTO sale_by_part (record, workspace, stream, node, ordered_at, ordered_on, sequence, amount, currency, base, converted, channel, owner, city)
    SELECT record, workspace, stream, node, ordered_at, ordered_on, sequence, amount, currency, base, converted, channel, owner, city FROM sale ORDER BY record;
DROP TABLE sale;
ALTER TABLE sale_by_part RENAME TO sale;
CREATE INDEX sale_by_workspace ON sale (workspace, stream);
CREATE INDEX sale_by_node ON sale (node);
CREATE INDEX sale_by_rate ON sale (workspace, currency, ordered_on) WHERE needs_rate = 1;
CREATE INDEX sale_by_deal ON sale (workspace, deal_stream, deal_key) WHERE deal_key IS NOT NULL;

CREATE TABLE sale_line (
    record    INTEGER NOT NULL,
    part      INTEGER NOT NULL,
    n         INTEGER NOT NULL,  -- position in the order, from 1
    workspace INTEGER NOT NULL,
    sku       TEXT NOT NULL DEFAULT '',
    name      TEXT NOT NULL DEFAULT '',
    category  TEXT NOT NULL DEFAULT '',
    quantity  TEXT NOT NULL DEFAULT '', -- decimal
    amount    INTEGER,           -- of the whole line in minor units; NULL where the source does not say
    currency  TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (record, part, n)
) STRICT, WITHOUT ROWID;

ALTER TABLE refund ADD COLUMN needs_rate INTEGER NOT NULL DEFAULT 0;
ALTER TABLE refund ADD COLUMN rate_on INTEGER NOT NULL DEFAULT 0; -- day whose rate counts: the order's where it is known
ALTER TABLE refund ADD COLUMN idle INTEGER NOT NULL DEFAULT 0;    -- its order is none, so it takes nothing back
CREATE INDEX refund_by_order ON refund (workspace, order_stream, order_key) WHERE order_key IS NOT NULL;
CREATE INDEX refund_by_rate ON refund (workspace, currency, rate_on) WHERE needs_rate = 1;

CREATE TABLE rate (
    record    INTEGER PRIMARY KEY REFERENCES record(id),
    workspace INTEGER NOT NULL,
    on_day    INTEGER NOT NULL,
    from_currency TEXT NOT NULL,
    to_currency   TEXT NOT NULL,
    value     TEXT NOT NULL      -- decimal: what one unit of from costs in units of to
) STRICT;
CREATE INDEX rate_by_pair ON rate (workspace, from_currency, to_currency, on_day);

-- Who looked after a record from a moment on. Subject and owners are records of the same connection, by stream and key.
CREATE TABLE ownership (
    record    INTEGER PRIMARY KEY REFERENCES record(id),
    workspace INTEGER NOT NULL,
    subject_stream TEXT NOT NULL,
    subject_key    TEXT NOT NULL,
    before_stream  TEXT NOT NULL DEFAULT '', -- empty: nobody, or not known
    before_key     TEXT NOT NULL DEFAULT '',
    owner_stream   TEXT NOT NULL DEFAULT '',
    owner_key      TEXT NOT NULL DEFAULT '',
    at        INTEGER NOT NULL
) STRICT;
CREATE INDEX ownership_by_workspace ON ownership (workspace);

ALTER TABLE node ADD COLUMN anonymous INTEGER NOT NULL DEFAULT 0; -- stands for many people or nobody: has no customer

-- Deleting a node checks its foreign keys; without this it would walk over the identifiers of all workspaces.
CREATE INDEX identifier_of_node ON identifier (node);

-- +goose Down
SELECT 1;
