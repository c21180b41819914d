-- The chain of custody step by step, and what its audit finds.

CREATE TABLE trails (
    id uuid PRIMARY KEY,
    version int NOT NULL CHECK (version > 0),
    kind text NOT NULL CHECK (kind IN ('donation', 'consignment', 'device')),
    subject uuid NOT NULL,
    donation_id uuid NOT NULL,
    consignment_id uuid,
    reference text NOT NULL,
    named jsonb NOT NULL,
    steps jsonb NOT NULL,
    UNIQUE (kind, subject)
);
CREATE INDEX trails_donation ON trails (donation_id) INCLUDE (version);
CREATE INDEX trails_named ON trails USING gin (named);

CREATE TABLE accounts (
    id uuid PRIMARY KEY,
    version int NOT NULL CHECK (version > 0),
    donation_id uuid NOT NULL UNIQUE,
    reference text NOT NULL,
    state text NOT NULL CHECK (state IN ('holds', 'open', 'waiting', 'broken')),
    sums jsonb NOT NULL,
    noted jsonb NOT NULL,
    noted_at timestamptz NOT NULL
);

-- On which steps a donation was last judged, and when it is judged again. No event's: it only saves judging again.
CREATE TABLE judged (donation_id uuid PRIMARY KEY, facts text NOT NULL, again_at timestamptz NOT NULL);
