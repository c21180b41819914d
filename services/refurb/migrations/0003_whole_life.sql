-- A device may be lost and found, come back, be repaired under warranty; media leave it; a workshop has lots and pallets.
ALTER TABLE devices
    ADD COLUMN lot text,
    ADD COLUMN pallet text,
    ADD COLUMN waste_reference text,
    ADD COLUMN sold_at timestamptz,
    ADD COLUMN returns bigint NOT NULL DEFAULT 0,
    ADD COLUMN lost_reason text,
    ADD COLUMN fault text,
    ADD COLUMN removed jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN spent jsonb NOT NULL DEFAULT '[]',
    DROP CONSTRAINT devices_status_check,
    DROP CONSTRAINT devices_check3,
    ADD CONSTRAINT devices_status_check
        CHECK (status IN ('expected', 'received', 'ready', 'scrapped', 'sold', 'in_repair', 'lost')),
    ADD CONSTRAINT devices_check3 CHECK ((status IN ('sold', 'in_repair')) = (sale_id IS NOT NULL)),
    ADD CONSTRAINT devices_lost_check CHECK ((status = 'lost') = (lost_reason IS NOT NULL)),
    ADD CONSTRAINT devices_fault_check CHECK ((status = 'in_repair') = (fault IS NOT NULL));
-- The moment of sale of those sold before it was kept: from the event that said it.
UPDATE devices d SET sold_at = (e.data ->> 'sold_at')::timestamptz
FROM events e WHERE e.stream = d.id AND e.type = 'refurb.device_handed_over.v1' AND d.status = 'sold';
ALTER TABLE devices
    ALTER COLUMN returns DROP DEFAULT,
    ALTER COLUMN removed DROP DEFAULT,
    ALTER COLUMN spent DROP DEFAULT;
CREATE INDEX devices_by_lot ON devices (refurbisher, upper(lot)) WHERE lot IS NOT NULL;
CREATE INDEX devices_by_medium ON devices USING gin ((audit -> 'media') jsonb_path_ops);
CREATE INDEX devices_by_removed ON devices USING gin (removed jsonb_path_ops) WHERE removed <> '[]';

-- Who gave it: a company by its number and name, a person by an opaque id alone.
ALTER TABLE consignments
    ADD COLUMN donor text,
    ADD COLUMN donor_name text;
CREATE INDEX consignments_by_donor ON consignments (donor) WHERE donor IS NOT NULL;
