-- Generated from the migrations by `python -m deploy.generate`: what Postgres has. For reading; it is never run.

CREATE FUNCTION only_grows() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION '% only grows', TG_TABLE_NAME USING ERRCODE = 'object_not_in_prerequisite_state'; END $$;

CREATE TABLE certificates (
    id uuid NOT NULL,
    version integer NOT NULL,
    donation_id uuid NOT NULL,
    consignment_id uuid NOT NULL,
    number text NOT NULL,
    devices bigint NOT NULL,
    erased bigint NOT NULL,
    not_erased bigint NOT NULL,
    issued_at timestamp with time zone NOT NULL,
    replaced_by text,
    CONSTRAINT certificates_version_check CHECK ((version > 0))
);

CREATE TABLE consignments (
    id uuid NOT NULL,
    version integer NOT NULL,
    donation_id uuid NOT NULL,
    reference text NOT NULL,
    refurbisher text NOT NULL,
    distance_km bigint NOT NULL,
    load double precision NOT NULL,
    candidates bigint NOT NULL,
    reception_point text,
    replaces uuid,
    assigned_at timestamp with time zone NOT NULL,
    collection_date date,
    steps jsonb NOT NULL,
    ended text,
    ended_at timestamp with time zone,
    next_id uuid,
    CONSTRAINT consignments_version_check CHECK ((version > 0))
);

CREATE TABLE cursor (
    topic text NOT NULL,
    partition integer NOT NULL,
    next bigint NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE devices (
    id uuid NOT NULL,
    version integer NOT NULL,
    donation_id uuid NOT NULL,
    consignment_id uuid NOT NULL,
    device_type text NOT NULL,
    maker text,
    model text,
    status text NOT NULL,
    detail text NOT NULL,
    received_at timestamp with time zone NOT NULL,
    settled_at timestamp with time zone,
    device_ref text DEFAULT ''::text NOT NULL,
    CONSTRAINT devices_status_check CHECK ((status = ANY (ARRAY['received'::text, 'ready'::text, 'scrapped'::text, 'taken_back'::text, 'lost'::text]))),
    CONSTRAINT devices_version_check CHECK ((version > 0))
);

CREATE TABLE donations (
    id uuid NOT NULL,
    version integer NOT NULL,
    status text NOT NULL,
    reference text NOT NULL,
    donor jsonb NOT NULL,
    contact uuid NOT NULL,
    codes jsonb NOT NULL,
    region text NOT NULL,
    form text NOT NULL,
    source text NOT NULL,
    fingerprint text NOT NULL,
    offered_at timestamp with time zone,
    outcome text,
    reasons jsonb NOT NULL,
    conditions jsonb NOT NULL,
    rules text NOT NULL,
    decided_at timestamp with time zone,
    decided_by text,
    withdrawn_at timestamp with time zone,
    CONSTRAINT donations_check CHECK (((status <> 'accepted'::text) OR (outcome = ANY (ARRAY['accepted'::text, 'accepted_with_conditions'::text, 'reception_point'::text])))),
    CONSTRAINT donations_check1 CHECK (((status <> 'declined'::text) OR (outcome = ANY (ARRAY['recycling'::text, 'refused'::text])))),
    CONSTRAINT donations_decided_by_check CHECK ((decided_by = ANY (ARRAY['rules'::text, 'person'::text]))),
    CONSTRAINT donations_donor_check CHECK ((((donor ->> 'status'::text) <> 'person'::text) OR (((donor ->> 'person'::text) IS NOT NULL) AND ((donor ->> 'name'::text) IS NULL) AND ((donor ->> 'siren'::text) IS NULL) AND ((donor ->> 'siret'::text) IS NULL)))),
    CONSTRAINT donations_outcome_check CHECK ((outcome = ANY (ARRAY['accepted'::text, 'accepted_with_conditions'::text, 'reception_point'::text, 'recycling'::text, 'refused'::text]))),
    CONSTRAINT donations_reference_check CHECK ((reference ~ '^DON-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$'::text)),
    CONSTRAINT donations_region_check CHECK ((region <> ''::text)),
    CONSTRAINT donations_status_check CHECK ((status = ANY (ARRAY['offered'::text, 'accepted'::text, 'declined'::text, 'withdrawn'::text]))),
    CONSTRAINT donations_version_check CHECK ((version > 0))
);

CREATE TABLE drafts (
    token_sha256 bytea NOT NULL,
    body bytea,
    expires_at timestamp with time zone NOT NULL,
    donation_id uuid,
    CONSTRAINT drafts_check CHECK (((body IS NULL) = (donation_id IS NOT NULL))),
    CONSTRAINT drafts_token_sha256_check CHECK ((length(token_sha256) = 32))
);

CREATE TABLE events (
    seq bigint NOT NULL,
    stream uuid NOT NULL,
    version integer NOT NULL,
    type text NOT NULL,
    topic text,
    at timestamp with time zone NOT NULL,
    trace text,
    data json NOT NULL,
    CONSTRAINT events_version_check CHECK ((version > 0))
);

ALTER TABLE events ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME events_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE forgotten (
    person uuid NOT NULL,
    at timestamp with time zone NOT NULL
);

CREATE TABLE migrations (
    name text NOT NULL,
    sha256 text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE outbox (
    topic text NOT NULL,
    seq bigint NOT NULL
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0.01');

CREATE TABLE parked (
    stream uuid NOT NULL,
    topic text NOT NULL,
    version integer NOT NULL,
    mark bytea NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    type text NOT NULL,
    "time" timestamp with time zone NOT NULL,
    headers json NOT NULL,
    key bytea,
    value bytea NOT NULL,
    fault text,
    why text NOT NULL,
    reason text NOT NULL,
    at timestamp with time zone NOT NULL,
    tries integer DEFAULT 0 NOT NULL,
    again_at timestamp with time zone NOT NULL
);

CREATE TABLE sales (
    id uuid NOT NULL,
    version integer NOT NULL,
    donation_id uuid NOT NULL,
    device_id uuid NOT NULL,
    device_type text NOT NULL,
    category text NOT NULL,
    price_cents bigint NOT NULL,
    sold_at timestamp with time zone NOT NULL,
    CONSTRAINT sales_price_cents_check CHECK ((price_cents >= 0)),
    CONSTRAINT sales_version_check CHECK ((version > 0))
);

CREATE TABLE seen (
    stream uuid NOT NULL,
    topic text NOT NULL,
    version integer NOT NULL,
    mark bytea NOT NULL,
    parked_from integer
)
WITH (fillfactor='70');

CREATE TABLE sent (
    topic text NOT NULL,
    partition integer NOT NULL,
    next bigint NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE skipped (
    stream uuid NOT NULL,
    topic text NOT NULL,
    version integer NOT NULL,
    mark bytea NOT NULL,
    type text NOT NULL,
    reason text NOT NULL,
    skipped_because text NOT NULL,
    at timestamp with time zone NOT NULL
);

CREATE TABLE tracking_links (
    token_sha256 bytea NOT NULL,
    donation_id uuid NOT NULL,
    turn integer NOT NULL,
    made_at timestamp with time zone NOT NULL,
    CONSTRAINT tracking_links_token_sha256_check CHECK ((length(token_sha256) = 32))
);

CREATE TABLE vault (
    person uuid NOT NULL,
    sealed bytea NOT NULL,
    at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY certificates
    ADD CONSTRAINT certificates_number_key UNIQUE (number);

ALTER TABLE ONLY certificates
    ADD CONSTRAINT certificates_pkey PRIMARY KEY (id);

ALTER TABLE ONLY consignments
    ADD CONSTRAINT consignments_pkey PRIMARY KEY (id);

ALTER TABLE ONLY cursor
    ADD CONSTRAINT cursor_pkey PRIMARY KEY (topic, partition);

ALTER TABLE ONLY devices
    ADD CONSTRAINT devices_pkey PRIMARY KEY (id);

ALTER TABLE ONLY donations
    ADD CONSTRAINT donations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY drafts
    ADD CONSTRAINT drafts_pkey PRIMARY KEY (token_sha256);

ALTER TABLE ONLY events
    ADD CONSTRAINT events_pkey PRIMARY KEY (stream, version);

ALTER TABLE ONLY forgotten
    ADD CONSTRAINT forgotten_pkey PRIMARY KEY (person);

ALTER TABLE ONLY migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (topic, seq);

ALTER TABLE ONLY parked
    ADD CONSTRAINT parked_pkey PRIMARY KEY (stream, topic, version, mark);

ALTER TABLE ONLY sales
    ADD CONSTRAINT sales_pkey PRIMARY KEY (id);

ALTER TABLE ONLY seen
    ADD CONSTRAINT seen_pkey PRIMARY KEY (stream, topic);

ALTER TABLE ONLY sent
    ADD CONSTRAINT sent_pkey PRIMARY KEY (topic, partition);

ALTER TABLE ONLY skipped
    ADD CONSTRAINT skipped_pkey PRIMARY KEY (stream, topic, version, mark);

ALTER TABLE ONLY tracking_links
    ADD CONSTRAINT tracking_links_pkey PRIMARY KEY (token_sha256);

ALTER TABLE ONLY vault
    ADD CONSTRAINT vault_pkey PRIMARY KEY (person);

CREATE INDEX certificates_donation ON certificates USING btree (donation_id);

CREATE INDEX consignments_donation ON consignments USING btree (donation_id);

CREATE INDEX devices_donation ON devices USING btree (donation_id);

CREATE INDEX donations_latest ON donations USING btree (offered_at DESC, id);

CREATE INDEX donations_reference ON donations USING btree (reference);

CREATE INDEX drafts_expires ON drafts USING btree (expires_at);

CREATE UNIQUE INDEX events_seq ON events USING btree (seq);

CREATE INDEX parked_again ON parked USING btree (again_at);

CREATE INDEX sales_donation ON sales USING btree (donation_id);

CREATE INDEX tracking_links_donation ON tracking_links USING btree (donation_id);

CREATE TRIGGER forgotten_only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON forgotten FOR EACH STATEMENT EXECUTE FUNCTION only_grows();
