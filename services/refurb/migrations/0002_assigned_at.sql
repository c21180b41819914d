-- When routing assigned the consignment: an erasure that ended before proves nothing. Null in what was noted before.

ALTER TABLE consignments ADD COLUMN assigned_at timestamptz;
ALTER TABLE devices ADD COLUMN assigned_at timestamptz;
