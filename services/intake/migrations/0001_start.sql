-- Donations, what the others tell of them, drafts of the form, tracking links. No name, address or phone: those are in the vault.

CREATE TABLE donations (
    id uuid PRIMARY KEY,
    version int NOT NULL CHECK (version > 0),
    status text NOT NULL CHECK (status IN ('offered', 'accepted', 'declined', 'withdrawn')),
    reference text NOT NULL CHECK (reference ~ '^DON-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$'),
    donor jsonb NOT NULL,
    contact uuid NOT NULL,
    codes jsonb NOT NULL,
    region text NOT NULL CHECK (region <> ''),
    form text NOT NULL,
    source text NOT NULL,
    fingerprint text NOT NULL,
    offered_at timestamptz,
    outcome text CHECK (outcome IN ('accepted', 'accepted_with_conditions', 'reception_point', 'recycling', 'refused')),
    reasons jsonb NOT NULL,
    conditions jsonb NOT NULL,
    rules text NOT NULL,
    decided_at timestamptz,
    decided_by text CHECK (decided_by IN ('rules', 'person')),
    withdrawn_at timestamptz,
    CHECK (status <> 'accepted' OR outcome IN ('accepted', 'accepted_with_conditions', 'reception_point')),
    CHECK (status <> 'declined' OR outcome IN ('recycling', 'refused')),
    -- a natural person is an id here, nothing else
    CHECK (donor ->> 'status' <> 'person' OR (donor ->> 'person' IS NOT NULL AND donor ->> 'name' IS NULL AND donor ->> 'siren' IS NULL
                                              AND donor ->> 'siret' IS NULL))
);
CREATE INDEX donations_reference ON donations (reference);
CREATE INDEX donations_latest ON donations (offered_at DESC, id);

CREATE TABLE consignments (
    id uuid PRIMARY KEY,
    version int NOT NULL CHECK (version > 0),
    donation_id uuid NOT NULL,
    reference text NOT NULL,
    refurbisher text NOT NULL,
    distance_km bigint NOT NULL,
    load float8 NOT NULL,
    candidates bigint NOT NULL,
    reception_point text,
    replaces uuid,
    assigned_at timestamptz NOT NULL,
    collection_date date,
    steps jsonb NOT NULL,
    ended text,
    ended_at timestamptz,
    next_id uuid
);
CREATE INDEX consignments_donation ON consignments (donation_id);

CREATE TABLE devices (
    id uuid PRIMARY KEY,
    version int NOT NULL CHECK (version > 0),
    donation_id uuid NOT NULL,
    consignment_id uuid NOT NULL,
    device_type text NOT NULL,
    maker text,
    model text,
    status text NOT NULL CHECK (status IN ('received', 'ready', 'scrapped', 'taken_back')),
    detail text NOT NULL,
    received_at timestamptz NOT NULL,
    settled_at timestamptz
);
CREATE INDEX devices_donation ON devices (donation_id);

CREATE TABLE certificates (
    id uuid PRIMARY KEY,
    version int NOT NULL CHECK (version > 0),
    donation_id uuid NOT NULL,
    consignment_id uuid NOT NULL,
    number text NOT NULL UNIQUE,
    devices bigint NOT NULL,
    erased bigint NOT NULL,
    not_erased bigint NOT NULL,
    issued_at timestamptz NOT NULL,
    replaced_by text
);
CREATE INDEX certificates_donation ON certificates (donation_id);

CREATE TABLE sales (
    id uuid PRIMARY KEY,
    version int NOT NULL CHECK (version > 0),
    donation_id uuid NOT NULL,
    device_id uuid NOT NULL,
    device_type text NOT NULL,
    category text NOT NULL,
    price_cents bigint NOT NULL CHECK (price_cents >= 0),
    sold_at timestamptz NOT NULL
);
CREATE INDEX sales_donation ON sales (donation_id);

-- What a donor has typed so far, sealed with a key that only the draft's own address holds. Gone once sent or expired.
CREATE TABLE drafts (
    token_sha256 bytea PRIMARY KEY CHECK (length(token_sha256) = 32),
    body bytea,
    expires_at timestamptz NOT NULL,
    donation_id uuid,
    CHECK ((body IS NULL) = (donation_id IS NOT NULL))
);
CREATE INDEX drafts_expires ON drafts (expires_at);

-- Secret addresses of tracking pages: only their hash. `turn` counts how often the donor changed the address.
CREATE TABLE tracking_links (
    token_sha256 bytea PRIMARY KEY CHECK (length(token_sha256) = 32),
    donation_id uuid NOT NULL,
    turn int NOT NULL,
    made_at timestamptz NOT NULL
);
CREATE INDEX tracking_links_donation ON tracking_links (donation_id);
