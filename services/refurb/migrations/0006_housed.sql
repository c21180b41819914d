-- In which devices a medium ever was: only what ran there keeps others' reports out.
ALTER TABLE media ADD COLUMN housed jsonb NOT NULL DEFAULT '[]';
UPDATE media SET housed = known.ids FROM (
    SELECT stream, jsonb_agg(device ORDER BY first) AS ids FROM (
        SELECT stream, data -> 'place' ->> 'device_id' AS device, min(version) AS first FROM events
        WHERE type IN ('refurb.medium_named.v1', 'refurb.dispute_settled.v1')
        GROUP BY stream, device
    ) AS each GROUP BY stream
) AS known WHERE known.stream = media.id;
ALTER TABLE media ALTER COLUMN housed DROP DEFAULT;
