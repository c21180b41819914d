-- Where the facts have come to say something else than the certificate, device by device (device_ref is empty for the consignment itself).

CREATE TABLE drifts (
    id uuid PRIMARY KEY,
    version int NOT NULL CHECK (version > 0),
    consignment_id uuid NOT NULL,
    number text NOT NULL,
    device_ref text NOT NULL,
    kind text CHECK (kind IN ('late', 'gone', 'reopened', 'verdict', 'outcome', 'media', 'counted', 'ended')),
    certified text,
    now text,
    noted_at timestamptz,
    UNIQUE (consignment_id, device_ref),
    CHECK ((kind IS NULL) = (noted_at IS NULL))
);

-- Which state of a consignment's facts was last compared with its certificate. No event's: it only saves comparing again.
CREATE TABLE compared (consignment_id uuid PRIMARY KEY, facts text NOT NULL);
