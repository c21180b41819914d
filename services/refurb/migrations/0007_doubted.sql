-- An audit that was wrong about one medium still says which others are due. Those withdrawn before this lost theirs: nothing is ready on it.
ALTER TABLE devices
    ADD COLUMN doubted boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT devices_check2, -- a device may be out of the house when people learn that its one medium is in another
    ADD CONSTRAINT devices_check2 CHECK (status NOT IN ('ready', 'sold') OR jsonb_array_length(findings) >= 1 OR doubted),
    ADD CONSTRAINT devices_doubted_check CHECK (NOT (status = 'ready' AND doubted));
ALTER TABLE devices ALTER COLUMN doubted DROP DEFAULT;
