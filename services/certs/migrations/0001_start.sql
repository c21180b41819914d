-- Custody of consignments and devices, certificates on their way and issued, and the public log. What must never break stands here too:
-- one certificate and one entry in the log for each consignment, one number for each certificate, one root for each size of the log.

CREATE TABLE custodies (
    id uuid PRIMARY KEY,
    version int NOT NULL CHECK (version > 0),
    consignment_id uuid NOT NULL UNIQUE,
    reference text,
    donation_id uuid,
    donation_reference text,
    refurbisher text,
    region text,
    postal_code text,
    donor jsonb NOT NULL,
    required_class text NOT NULL CHECK (required_class IN ('Clear', 'Purge', 'Destroy')),
    declared jsonb NOT NULL,
    counted bigint CHECK (counted >= 0),
    received_at timestamptz,
    ended text
);

CREATE TABLE held (
    id uuid PRIMARY KEY,
    version int NOT NULL CHECK (version > 0),
    device_id uuid,
    consignment_id uuid,
    donation_id uuid,
    refurbisher text,
    device_ref text NOT NULL,
    device_type text NOT NULL,
    maker text,
    model text,
    serial text,
    audited boolean NOT NULL,
    media jsonb NOT NULL,
    erasures jsonb NOT NULL,
    doubts jsonb NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('open', 'ready', 'scrapped')),
    category text,
    reason text
);
CREATE INDEX held_consignment ON held (consignment_id);

CREATE TABLE drafts (
    id uuid PRIMARY KEY,
    version int NOT NULL CHECK (version > 0),
    consignment_id uuid NOT NULL UNIQUE,
    donation_id uuid NOT NULL,
    refurbisher text NOT NULL,
    number text NOT NULL UNIQUE,
    issued_at timestamptz NOT NULL,
    salt text NOT NULL,
    statement_sha256 text NOT NULL,
    devices bigint NOT NULL,
    erased bigint NOT NULL,
    not_erased bigint NOT NULL,
    without_medium bigint NOT NULL,
    document_sha256 text,
    document_bytes bigint,
    leaf_index bigint UNIQUE CHECK (leaf_index >= 0),
    leaf_hash text,
    CHECK (devices = erased + not_erased + without_medium),
    CHECK ((leaf_index IS NULL) = (leaf_hash IS NULL) AND (leaf_index IS NULL) = (document_sha256 IS NULL))
);

CREATE TABLE certificates (
    id uuid PRIMARY KEY,
    version int NOT NULL CHECK (version > 0),
    consignment_id uuid NOT NULL UNIQUE,
    donation_id uuid NOT NULL,
    refurbisher text NOT NULL,
    number text NOT NULL UNIQUE,
    issued_at timestamptz NOT NULL,
    devices bigint NOT NULL,
    erased bigint NOT NULL,
    not_erased bigint NOT NULL,
    document_sha256 text NOT NULL UNIQUE,
    leaf_index bigint NOT NULL UNIQUE,
    leaf_hash text NOT NULL,
    superseded_by text,
    CHECK (erased >= 0 AND not_erased >= 0 AND erased + not_erased <= devices)
);

CREATE TABLE checkpoints (
    id uuid PRIMARY KEY,
    version int NOT NULL CHECK (version > 0),
    refurbisher text NOT NULL,
    size bigint NOT NULL UNIQUE CHECK (size > 0),
    root_hash text NOT NULL,
    note text NOT NULL
);

-- What each certificate says, as it is attached to it. No event's: too large for one, named by its hash in the event.
CREATE TABLE statements (sha256 text PRIMARY KEY, body bytea NOT NULL);

-- The log's tree: hashes of complete subtrees, which follow from the leaves in `drafts`.
CREATE TABLE nodes (level int, place bigint, hash bytea NOT NULL CHECK (length(hash) = 32), PRIMARY KEY (level, place));
