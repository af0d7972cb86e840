-- +goose Up

-- When and why a person decided it. 0: before this was kept.
ALTER TABLE identity_pin ADD COLUMN decided_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE identity_pin ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE identity_cut ADD COLUMN decided_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE identity_cut ADD COLUMN note TEXT NOT NULL DEFAULT '';
-- Which of the two was taken out of their customer, a or b: taking that back removes its cuts and no other's.
ALTER TABLE identity_cut ADD COLUMN taken TEXT NOT NULL DEFAULT '';

-- +goose Down
SELECT 1;
