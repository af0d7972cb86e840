-- +goose Up

-- Times are unix microseconds UTC; 0 or NULL where nobody knows. Days are counted from 1970-01-01.
-- Every table carries its workspace and every look-up names it, so that workspaces never meet (R10).

CREATE TABLE workspace (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    time_zone    TEXT NOT NULL DEFAULT 'UTC',
    currency     TEXT NOT NULL DEFAULT '',
    config_hash  TEXT NOT NULL DEFAULT '',      -- of what settle works by
    figures_hash TEXT NOT NULL DEFAULT '',      -- of what figures and segments are made by
    settle_queued INTEGER NOT NULL DEFAULT 0,  -- a settle job is in the queue
    refresh_queued INTEGER NOT NULL DEFAULT 0, -- a refresh job is in the queue
    figures_dirty INTEGER NOT NULL DEFAULT 1,  -- something figures depend on changed since the last refresh
    facts_version INTEGER NOT NULL DEFAULT 0,  -- grows with every change of settled facts
    refreshed_on INTEGER,                      -- as-of day of the last refresh
    refreshed_at INTEGER,
    retired      INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE connection (
    id         INTEGER PRIMARY KEY,
    workspace  INTEGER NOT NULL REFERENCES workspace(id),
    name       TEXT NOT NULL,
    connector  TEXT NOT NULL,
    account    TEXT NOT NULL DEFAULT '',  -- the vendor's account id the connection is bound to
    pause_reason TEXT NOT NULL DEFAULT '', -- not empty: paused
    retired    INTEGER NOT NULL DEFAULT 0,
    UNIQUE (workspace, name)
) STRICT;

CREATE TABLE stream (
    id         INTEGER PRIMARY KEY,
    workspace  INTEGER NOT NULL REFERENCES workspace(id),
    connection INTEGER NOT NULL REFERENCES connection(id),
    name       TEXT NOT NULL,
    entity     TEXT NOT NULL,
    person_key INTEGER NOT NULL DEFAULT 0,
    virtual    INTEGER NOT NULL DEFAULT 0, -- only referred to, never read
    cursor     BLOB,
    snapshot   TEXT NOT NULL DEFAULT '',   -- the complete read under way
    first_complete_at INTEGER NOT NULL DEFAULT 0,
    last_complete_at  INTEGER NOT NULL DEFAULT 0,
    UNIQUE (workspace, connection, name)
) STRICT;

CREATE TABLE record (
    id         INTEGER PRIMARY KEY,
    workspace  INTEGER NOT NULL,
    stream     INTEGER NOT NULL REFERENCES stream(id),
    key        TEXT NOT NULL,
    deleted    INTEGER NOT NULL DEFAULT 0,
    updated_at INTEGER NOT NULL DEFAULT 0,
    sequence   INTEGER NOT NULL DEFAULT 0,
    hash       BLOB NOT NULL,
    data       BLOB,
    UNIQUE (workspace, stream, key)
) STRICT;

-- Records that the complete read under way has returned so far.
CREATE TABLE seen (
    workspace INTEGER NOT NULL,
    stream    INTEGER NOT NULL,
    record    INTEGER NOT NULL,
    PRIMARY KEY (workspace, stream, record)
) STRICT, WITHOUT ROWID;

CREATE TABLE dirty (
    workspace INTEGER NOT NULL,
    record    INTEGER NOT NULL,
    since     INTEGER NOT NULL,
    PRIMARY KEY (workspace, record)
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
    id         INTEGER PRIMARY KEY,
    workspace  INTEGER NOT NULL REFERENCES workspace(id),
    connection INTEGER NOT NULL REFERENCES connection(id),
    kind       TEXT NOT NULL,              -- read, activation
    subject    TEXT NOT NULL,              -- stream or activation id
    mode       TEXT NOT NULL DEFAULT '',
    trigger    TEXT NOT NULL DEFAULT '',   -- schedule, hand, retry, change
    state      TEXT NOT NULL,              -- pending, queued, running, waiting, done, failed, cancelled
    cause      TEXT NOT NULL DEFAULT '',
    cause_kind TEXT NOT NULL DEFAULT '',
    cancel     INTEGER NOT NULL DEFAULT 0,
    attempt    INTEGER NOT NULL DEFAULT 0,
    stalls     INTEGER NOT NULL DEFAULT 0,
    pages      INTEGER NOT NULL DEFAULT 0,
    read       INTEGER NOT NULL DEFAULT 0,
    stored     INTEGER NOT NULL DEFAULT 0,
    unchanged  INTEGER NOT NULL DEFAULT 0,
    deleted    INTEGER NOT NULL DEFAULT 0,
    absent     INTEGER NOT NULL DEFAULT 0,
    rejected   INTEGER NOT NULL DEFAULT 0,
    ignored    INTEGER NOT NULL DEFAULT 0,
    total      INTEGER NOT NULL DEFAULT 0,
    result     TEXT NOT NULL DEFAULT '{}', -- kind activation: counts by outcome and reason
    created_at INTEGER NOT NULL,
    started_at INTEGER NOT NULL DEFAULT 0,
    heartbeat_at INTEGER NOT NULL DEFAULT 0,
    wait_until INTEGER NOT NULL DEFAULT 0,
    finished_at INTEGER NOT NULL DEFAULT 0
) STRICT;

-- One active run per stream and activation.
CREATE UNIQUE INDEX run_active ON run (workspace, connection, kind, subject)
    WHERE state IN ('pending', 'queued', 'running', 'waiting');
CREATE INDEX run_by_workspace ON run (workspace, id);
CREATE INDEX run_pending ON run (state, connection) WHERE state IN ('pending', 'queued', 'running', 'waiting');

-- Who may use a connection. until = 0: the job is queued and the lease does not lapse.
CREATE TABLE lease (
    connection INTEGER PRIMARY KEY REFERENCES connection(id),
    workspace  INTEGER NOT NULL,
    run        INTEGER NOT NULL REFERENCES run(id),
    epoch      INTEGER NOT NULL,
    until      INTEGER NOT NULL
) STRICT;

-- Survives the lease, so that an epoch is never given twice.
CREATE TABLE lease_epoch (
    connection INTEGER PRIMARY KEY REFERENCES connection(id),
    epoch      INTEGER NOT NULL
) STRICT;

CREATE TABLE schedule (
    workspace INTEGER NOT NULL REFERENCES workspace(id),
    kind      TEXT NOT NULL,   -- sync, activation
    subject   TEXT NOT NULL,   -- connection name or activation id
    every     INTEGER NOT NULL, -- microseconds
    at        TEXT NOT NULL DEFAULT '', -- HH:MM in the workspace's zone, for whole days
    next_at   INTEGER NOT NULL,
    PRIMARY KEY (workspace, kind, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letter (
    id          INTEGER PRIMARY KEY,
    workspace   INTEGER NOT NULL REFERENCES workspace(id),
    stream      INTEGER NOT NULL REFERENCES stream(id),
    key         TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    origin      TEXT NOT NULL,  -- connector: raw is the source's form; hub: raw is the entity
    place       TEXT NOT NULL,
    rule        TEXT NOT NULL,
    message     TEXT NOT NULL,
    raw         BLOB,
    updated_at  INTEGER NOT NULL DEFAULT 0,
    sequence    INTEGER NOT NULL DEFAULT 0,
    run         INTEGER NOT NULL,
    state       TEXT NOT NULL,  -- open, retrying, resolved, dropped
    created_at  INTEGER NOT NULL,
    changed_at  INTEGER NOT NULL,
    UNIQUE (workspace, stream, fingerprint)
) STRICT;
CREATE INDEX dead_letter_open ON dead_letter (workspace, stream, key) WHERE state IN ('open', 'retrying');

-- A node is a record that stands for a person or company, or a reference to one that has not come (yet).
CREATE TABLE node (
    id        INTEGER PRIMARY KEY,
    workspace INTEGER NOT NULL,
    stream    INTEGER NOT NULL REFERENCES stream(id),
    key       TEXT NOT NULL,
    kind      TEXT NOT NULL,
    record    INTEGER,          -- the live record; NULL for a placeholder
    customer  INTEGER,
    quarantined INTEGER NOT NULL DEFAULT 0,
    UNIQUE (workspace, stream, key)
) STRICT;
CREATE INDEX node_by_customer ON node (workspace, customer);

CREATE TABLE identifier (
    workspace INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    namespace TEXT NOT NULL,
    value     TEXT NOT NULL,
    node      INTEGER NOT NULL REFERENCES node(id),
    strong    INTEGER NOT NULL,
    matches   INTEGER NOT NULL,  -- 0: an address only, never evidence
    PRIMARY KEY (workspace, kind, namespace, value, node)
) STRICT, WITHOUT ROWID;
CREATE INDEX identifier_by_node ON identifier (workspace, node);

CREATE TABLE customer (
    id        INTEGER PRIMARY KEY,
    workspace INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    anchor_stream INTEGER NOT NULL,
    anchor_key    TEXT NOT NULL,
    alias_of  INTEGER,           -- merged into another, for ever unless the split comes back
    retired   INTEGER NOT NULL DEFAULT 0,
    profile   TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX customer_by_alias ON customer (workspace, alias_of) WHERE alias_of IS NOT NULL;
CREATE INDEX customer_by_anchor ON customer (workspace, anchor_stream, anchor_key);

-- People who must be kept together or apart, by record, so that it survives re-syncs (R6).
CREATE TABLE identity_pin (
    workspace INTEGER NOT NULL, a_stream INTEGER NOT NULL, a_key TEXT NOT NULL, b_stream INTEGER NOT NULL, b_key TEXT NOT NULL,
    PRIMARY KEY (workspace, a_stream, a_key, b_stream, b_key)
) STRICT, WITHOUT ROWID;
CREATE TABLE identity_cut (
    workspace INTEGER NOT NULL, a_stream INTEGER NOT NULL, a_key TEXT NOT NULL, b_stream INTEGER NOT NULL, b_key TEXT NOT NULL,
    PRIMARY KEY (workspace, a_stream, a_key, b_stream, b_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE sale (
    record     INTEGER PRIMARY KEY REFERENCES record(id),
    workspace  INTEGER NOT NULL,
    stream     INTEGER NOT NULL,
    node       INTEGER REFERENCES node(id), -- NULL: a sale to nobody known
    ordered_at INTEGER NOT NULL DEFAULT 0,  -- 0: only the day is known
    ordered_on INTEGER NOT NULL,
    sequence   INTEGER NOT NULL,
    amount     INTEGER NOT NULL,
    currency   TEXT NOT NULL,
    base       INTEGER NOT NULL,            -- in the workspace's currency
    converted  INTEGER NOT NULL,
    channel    TEXT NOT NULL DEFAULT '',
    owner      TEXT NOT NULL DEFAULT '',
    city       TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX sale_by_workspace ON sale (workspace, stream);
CREATE INDEX sale_by_node ON sale (node);

CREATE TABLE refund (
    record      INTEGER PRIMARY KEY REFERENCES record(id),
    workspace   INTEGER NOT NULL,
    stream      INTEGER NOT NULL,
    node        INTEGER REFERENCES node(id),
    order_stream INTEGER,
    order_key   TEXT,
    refunded_on INTEGER NOT NULL,
    amount      INTEGER NOT NULL,
    currency    TEXT NOT NULL,
    base        INTEGER NOT NULL,
    converted   INTEGER NOT NULL
) STRICT;
CREATE INDEX refund_by_workspace ON refund (workspace, stream);
CREATE INDEX refund_by_node ON refund (node);

CREATE TABLE consent (
    record       INTEGER PRIMARY KEY REFERENCES record(id),
    workspace    INTEGER NOT NULL,
    stream       INTEGER NOT NULL,
    node         INTEGER REFERENCES node(id),
    email        TEXT NOT NULL DEFAULT '', -- normal form
    phone        TEXT NOT NULL DEFAULT '',
    channel      TEXT NOT NULL,
    purpose      TEXT NOT NULL,
    legal_entity TEXT NOT NULL DEFAULT '',
    state        TEXT NOT NULL,
    at           INTEGER NOT NULL DEFAULT 0,
    source       TEXT NOT NULL DEFAULT '',
    text_version TEXT NOT NULL DEFAULT '',
    list         TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX consent_by_node ON consent (node);
CREATE INDEX consent_by_email ON consent (workspace, email) WHERE email <> '';
CREATE INDEX consent_by_phone ON consent (workspace, phone) WHERE phone <> '';

-- Refusals that their record no longer holds, because it was changed or deleted: a refusal ends only by a permission
-- that consent's rules accept, never by the disappearance of its record (R4).
CREATE TABLE refusal (
    workspace    INTEGER NOT NULL,
    stream       INTEGER NOT NULL,
    key          TEXT NOT NULL,
    contact_stream INTEGER NOT NULL DEFAULT 0,
    contact_key  TEXT NOT NULL DEFAULT '',
    email        TEXT NOT NULL,
    phone        TEXT NOT NULL,
    channel      TEXT NOT NULL,
    purpose      TEXT NOT NULL,
    legal_entity TEXT NOT NULL,
    state        TEXT NOT NULL,
    at           INTEGER NOT NULL,
    source       TEXT NOT NULL,
    list         TEXT NOT NULL,
    PRIMARY KEY (workspace, stream, key, state, at, channel, purpose, email, phone, list)
) STRICT, WITHOUT ROWID;
CREATE INDEX refusal_by_contact ON refusal (workspace, contact_stream, contact_key) WHERE contact_key <> '';
CREATE INDEX refusal_by_email ON refusal (workspace, email) WHERE email <> '';
CREATE INDEX refusal_by_phone ON refusal (workspace, phone) WHERE phone <> '';

-- What a destination said of its members: opt-outs, complaints and bounces seen there. Never deleted by absence. A
-- refusal of one kind does not replace one of another; at 0, the tool does not say when, which never ends, outlasts
-- any time.
CREATE TABLE remote_consent (
    workspace  INTEGER NOT NULL,
    connection INTEGER NOT NULL REFERENCES connection(id),
    target     TEXT NOT NULL,
    channel    TEXT NOT NULL,
    address    TEXT NOT NULL, -- normal form, or 'key:CONNECTION/STREAM/KEY' where members are known by their record
    state      TEXT NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (workspace, connection, target, channel, address, state)
) STRICT, WITHOUT ROWID;
CREATE INDEX remote_consent_by_address ON remote_consent (workspace, address);

CREATE TABLE membership (
    workspace INTEGER NOT NULL,
    segment   TEXT NOT NULL,
    customer  INTEGER NOT NULL,
    entered_on INTEGER NOT NULL,
    baseline  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace, segment, customer)
) STRICT, WITHOUT ROWID;

CREATE TABLE membership_event (
    id        INTEGER PRIMARY KEY,
    workspace INTEGER NOT NULL,
    segment   TEXT NOT NULL,
    customer  INTEGER NOT NULL,
    event     TEXT NOT NULL,  -- entered, left
    on_day    INTEGER NOT NULL,
    at        INTEGER NOT NULL
) STRICT;
CREATE INDEX membership_event_by_segment ON membership_event (workspace, segment, id);

CREATE TABLE segment_state (
    workspace INTEGER NOT NULL,
    segment   TEXT NOT NULL,
    rule_hash TEXT NOT NULL,
    evaluated_on INTEGER NOT NULL,
    size      INTEGER NOT NULL,
    net_value INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace, segment)
) STRICT, WITHOUT ROWID;

CREATE TABLE figure (
    workspace INTEGER NOT NULL,
    id        TEXT NOT NULL,
    on_day    INTEGER NOT NULL,
    value     REAL,            -- for metrics only; money in major units
    PRIMARY KEY (workspace, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE activation_state (
    workspace  INTEGER NOT NULL,
    activation TEXT NOT NULL,
    approved_at INTEGER NOT NULL DEFAULT 0, -- the first push was approved
    approved_run INTEGER NOT NULL DEFAULT 0, -- a held plan was approved: adds and removals up to these counts
    approved_adds INTEGER NOT NULL DEFAULT 0,
    approved_removals INTEGER NOT NULL DEFAULT 0,
    held       TEXT NOT NULL DEFAULT '',    -- why it waits for a person
    held_run   INTEGER NOT NULL DEFAULT 0,  -- the run whose plan waits, with its counts
    held_adds  INTEGER NOT NULL DEFAULT 0,
    held_removals INTEGER NOT NULL DEFAULT 0,
    pause_reason TEXT NOT NULL DEFAULT '',
    target     TEXT NOT NULL DEFAULT '',    -- remote id, once known
    target_name TEXT NOT NULL DEFAULT '',   -- the name in the configuration that the id was found by
    readback_run INTEGER NOT NULL DEFAULT 0, -- the run that waits for the tool to prepare its members
    readback_cursor BLOB,
    first_done_at INTEGER NOT NULL DEFAULT 0, -- the first push that found something to do
    last_done_at INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace, activation)
) STRICT, WITHOUT ROWID;

-- An intent is written before the call and its result after it. state: intent, ok, accepted, rejected, retryable,
-- or superseded: its outcome was never learned, and a later push decided anew from what it found at the target.
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY,
    workspace  INTEGER NOT NULL,
    connection INTEGER NOT NULL REFERENCES connection(id),
    activation TEXT NOT NULL,
    run        INTEGER NOT NULL,
    target     TEXT NOT NULL,
    identity   TEXT NOT NULL,   -- remote identity: the normalised address or remote key
    customer   INTEGER NOT NULL,
    action     TEXT NOT NULL,   -- add, update, remove
    payload    TEXT NOT NULL,   -- traits and tags
    payload_hash TEXT NOT NULL,
    before     TEXT NOT NULL,   -- what was there before, for an undo
    reason     TEXT NOT NULL DEFAULT '',
    idempotency_key TEXT NOT NULL,
    state      TEXT NOT NULL,
    message    TEXT NOT NULL DEFAULT '',
    rule       TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    done_at    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX outbox_by_run ON outbox (workspace, run, id);
CREATE INDEX outbox_open ON outbox (workspace, activation) WHERE state IN ('intent', 'accepted');
CREATE INDEX outbox_rejected ON outbox (workspace, activation) WHERE state = 'rejected';
CREATE INDEX outbox_by_identity ON outbox (workspace, activation, identity, id);

-- What stands at a target because we put it there, by remote identity.
CREATE TABLE sent (
    workspace  INTEGER NOT NULL,
    connection INTEGER NOT NULL,
    target     TEXT NOT NULL,
    identity   TEXT NOT NULL,
    activation TEXT NOT NULL,
    customer   INTEGER NOT NULL,
    payload_hash TEXT NOT NULL,
    sent_at    INTEGER NOT NULL,
    gone_at    INTEGER NOT NULL DEFAULT 0, -- when it was first found that somebody there had removed them
    PRIMARY KEY (workspace, connection, target, identity)
) STRICT, WITHOUT ROWID;

-- +goose Down
SELECT 1;
