-- The kernel's tables, one set in each service's schema.

-- All that ever happened here. Never changed, never deleted. `data` is json, not jsonb: its bytes are what was sent.
CREATE TABLE events (
    seq     bigint GENERATED ALWAYS AS IDENTITY (CACHE 1),  -- order within a stream rests on CACHE 1
    stream  uuid NOT NULL,
    version int NOT NULL CHECK (version > 0),
    type    text NOT NULL,
    topic   text,                                            -- null: only this service needs it
    at      timestamptz NOT NULL,
    trace   text,
    data    json NOT NULL,
    PRIMARY KEY (stream, version)                            -- two writers of a stream: the later fails and decides again
);
CREATE UNIQUE INDEX events_seq ON events (seq);

-- What of it is not yet sent.
CREATE TABLE outbox (topic text, seq bigint, PRIMARY KEY (topic, seq))
    WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01);

-- How far each partition of our own topics is acknowledged: from here on a start asks the broker what it knows more than we do.
CREATE TABLE sent (topic text, partition int, next bigint NOT NULL, PRIMARY KEY (topic, partition)) WITH (fillfactor = 70);

-- How far each foreign stream is dealt with, the mark of that message, and from which number on it is parked.
CREATE TABLE seen (
    stream uuid, topic text, version int NOT NULL, mark bytea NOT NULL, parked_from int,
    PRIMARY KEY (stream, topic)
) WITH (fillfactor = 70);

-- How far each partition is read. Beside its effects, so that both come back together from a back-up.
CREATE TABLE cursor (topic text, partition int, next bigint NOT NULL, PRIMARY KEY (topic, partition)) WITH (fillfactor = 70);

-- Messages set aside, whole. `why` says who mends it: early, gap and blocked release themselves, the others wait for people.
CREATE TABLE parked (
    stream uuid, topic text, version int, mark bytea, partition int NOT NULL, "offset" bigint NOT NULL,
    type text NOT NULL, time timestamptz NOT NULL, headers json NOT NULL, key bytea, value bytea NOT NULL, fault text,
    why text NOT NULL, reason text NOT NULL, at timestamptz NOT NULL, tries int NOT NULL DEFAULT 0, again_at timestamptz NOT NULL,
    PRIMARY KEY (stream, topic, version, mark)
);
CREATE INDEX parked_again ON parked (again_at);

-- What an operator decided to pass over, and why.
CREATE TABLE skipped (
    stream uuid, topic text, version int, mark bytea, type text NOT NULL, reason text NOT NULL, skipped_because text NOT NULL,
    at timestamptz NOT NULL, PRIMARY KEY (stream, topic, version, mark)
);

-- Personal data, sealed with a key that lives in another database.
CREATE TABLE vault (person uuid PRIMARY KEY, sealed bytea NOT NULL, at timestamptz NOT NULL);
