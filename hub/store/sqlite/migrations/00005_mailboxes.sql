-- +goose Up

-- One mailbox has several spellings with some providers. What was refused under one holds under all (R4).
ALTER TABLE consent ADD COLUMN mailbox TEXT NOT NULL DEFAULT '';
ALTER TABLE refusal ADD COLUMN mailbox TEXT NOT NULL DEFAULT '';
ALTER TABLE remote_consent ADD COLUMN mailbox TEXT NOT NULL DEFAULT '';
UPDATE consent SET mailbox = email;
UPDATE refusal SET mailbox = email;
UPDATE remote_consent SET mailbox = address WHERE address LIKE '%@%';
CREATE INDEX consent_by_mailbox ON consent (workspace, mailbox) WHERE mailbox <> '';
CREATE INDEX refusal_by_mailbox ON refusal (workspace, mailbox) WHERE mailbox <> '';
CREATE INDEX remote_consent_by_mailbox ON remote_consent (workspace, mailbox) WHERE mailbox <> '';

-- The person's name as JSON: names speak against weak evidence.
ALTER TABLE node ADD COLUMN name TEXT NOT NULL DEFAULT '';

-- +goose Down
SELECT 1;
