-- Generated from the migrations by `python -m deploy.generate`: what Postgres has. For reading; it is never run.

CREATE FUNCTION only_grows() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION '% only grows', TG_TABLE_NAME USING ERRCODE = 'object_not_in_prerequisite_state'; END $$;

CREATE TABLE accounts (
    id uuid NOT NULL,
    version integer NOT NULL,
    donation_id uuid NOT NULL,
    reference text NOT NULL,
    state text NOT NULL,
    sums jsonb NOT NULL,
    noted jsonb NOT NULL,
    noted_at timestamp with time zone NOT NULL,
    CONSTRAINT accounts_state_check CHECK ((state = ANY (ARRAY['holds'::text, 'open'::text, 'waiting'::text, 'broken'::text]))),
    CONSTRAINT accounts_version_check CHECK ((version > 0))
);

CREATE TABLE certificates (
    id uuid NOT NULL,
    version integer NOT NULL,
    consignment_id uuid NOT NULL,
    donation_id uuid NOT NULL,
    refurbisher text NOT NULL,
    number text NOT NULL,
    issued_at timestamp with time zone NOT NULL,
    devices bigint NOT NULL,
    erased bigint NOT NULL,
    not_erased bigint NOT NULL,
    document_sha256 text NOT NULL,
    leaf_index bigint NOT NULL,
    leaf_hash text NOT NULL,
    superseded_by text,
    edition bigint NOT NULL,
    supersedes text,
    CONSTRAINT certificates_check CHECK (((erased >= 0) AND (not_erased >= 0) AND ((erased + not_erased) <= devices))),
    CONSTRAINT certificates_edition_check CHECK ((edition > 0)),
    CONSTRAINT certificates_edition_check1 CHECK (((edition = 1) = (supersedes IS NULL))),
    CONSTRAINT certificates_version_check CHECK ((version > 0))
);

CREATE TABLE checkpoints (
    id uuid NOT NULL,
    version integer NOT NULL,
    refurbisher text NOT NULL,
    size bigint NOT NULL,
    root_hash text NOT NULL,
    note text NOT NULL,
    CONSTRAINT checkpoints_size_check CHECK ((size > 0)),
    CONSTRAINT checkpoints_version_check CHECK ((version > 0))
);

CREATE TABLE compared (
    consignment_id uuid NOT NULL,
    facts text NOT NULL
);

CREATE TABLE cursor (
    topic text NOT NULL,
    partition integer NOT NULL,
    next bigint NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE custodies (
    id uuid NOT NULL,
    version integer NOT NULL,
    consignment_id uuid NOT NULL,
    reference text,
    donation_id uuid,
    donation_reference text,
    refurbisher text,
    region text,
    postal_code text,
    donor jsonb NOT NULL,
    required_class text NOT NULL,
    declared jsonb NOT NULL,
    counted bigint,
    received_at timestamp with time zone,
    ended text,
    CONSTRAINT custodies_counted_check CHECK ((counted >= 0)),
    CONSTRAINT custodies_required_class_check CHECK ((required_class = ANY (ARRAY['Clear'::text, 'Purge'::text, 'Destroy'::text]))),
    CONSTRAINT custodies_version_check CHECK ((version > 0))
);

CREATE TABLE drafts (
    id uuid NOT NULL,
    version integer NOT NULL,
    consignment_id uuid NOT NULL,
    donation_id uuid NOT NULL,
    refurbisher text NOT NULL,
    number text NOT NULL,
    issued_at timestamp with time zone NOT NULL,
    salt text NOT NULL,
    statement_sha256 text NOT NULL,
    devices bigint NOT NULL,
    erased bigint NOT NULL,
    not_erased bigint NOT NULL,
    without_medium bigint NOT NULL,
    document_sha256 text,
    document_bytes bigint,
    leaf_index bigint,
    leaf_hash text,
    edition bigint NOT NULL,
    supersedes text,
    CONSTRAINT drafts_check CHECK ((devices = ((erased + not_erased) + without_medium))),
    CONSTRAINT drafts_check1 CHECK ((((leaf_index IS NULL) = (leaf_hash IS NULL)) AND ((leaf_index IS NULL) = (document_sha256 IS NULL)))),
    CONSTRAINT drafts_edition_check CHECK ((edition > 0)),
    CONSTRAINT drafts_edition_check1 CHECK (((edition = 1) = (supersedes IS NULL))),
    CONSTRAINT drafts_leaf_index_check CHECK ((leaf_index >= 0)),
    CONSTRAINT drafts_version_check CHECK ((version > 0))
);

CREATE TABLE drifts (
    id uuid NOT NULL,
    version integer NOT NULL,
    consignment_id uuid NOT NULL,
    number text NOT NULL,
    device_ref text NOT NULL,
    kind text,
    certified text,
    now text,
    noted_at timestamp with time zone,
    CONSTRAINT drifts_check CHECK (((kind IS NULL) = (noted_at IS NULL))),
    CONSTRAINT drifts_kind_check CHECK ((kind = ANY (ARRAY['late'::text, 'gone'::text, 'reopened'::text, 'verdict'::text, 'outcome'::text, 'media'::text, 'counted'::text, 'ended'::text]))),
    CONSTRAINT drifts_version_check CHECK ((version > 0))
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

CREATE TABLE held (
    id uuid NOT NULL,
    version integer NOT NULL,
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
    outcome text NOT NULL,
    category text,
    reason text,
    passed_on boolean NOT NULL,
    CONSTRAINT held_outcome_check CHECK ((outcome = ANY (ARRAY['open'::text, 'ready'::text, 'scrapped'::text, 'lost'::text]))),
    CONSTRAINT held_version_check CHECK ((version > 0))
);

CREATE TABLE judged (
    donation_id uuid NOT NULL,
    facts text NOT NULL,
    again_at timestamp with time zone NOT NULL
);

CREATE TABLE migrations (
    name text NOT NULL,
    sha256 text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE nodes (
    level integer NOT NULL,
    place bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT nodes_hash_check CHECK ((length(hash) = 32))
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

CREATE TABLE statements (
    sha256 text NOT NULL,
    body bytea NOT NULL
);

CREATE TABLE trails (
    id uuid NOT NULL,
    version integer NOT NULL,
    kind text NOT NULL,
    subject uuid NOT NULL,
    donation_id uuid NOT NULL,
    consignment_id uuid,
    reference text NOT NULL,
    named jsonb NOT NULL,
    steps jsonb NOT NULL,
    CONSTRAINT trails_kind_check CHECK ((kind = ANY (ARRAY['donation'::text, 'consignment'::text, 'device'::text]))),
    CONSTRAINT trails_version_check CHECK ((version > 0))
);

CREATE TABLE vault (
    person uuid NOT NULL,
    sealed bytea NOT NULL,
    at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY accounts
    ADD CONSTRAINT accounts_donation_id_key UNIQUE (donation_id);

ALTER TABLE ONLY accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY certificates
    ADD CONSTRAINT certificates_consignment_id_edition_key UNIQUE (consignment_id, edition);

ALTER TABLE ONLY certificates
    ADD CONSTRAINT certificates_document_sha256_key UNIQUE (document_sha256);

ALTER TABLE ONLY certificates
    ADD CONSTRAINT certificates_leaf_index_key UNIQUE (leaf_index);

ALTER TABLE ONLY certificates
    ADD CONSTRAINT certificates_number_key UNIQUE (number);

ALTER TABLE ONLY certificates
    ADD CONSTRAINT certificates_pkey PRIMARY KEY (id);

ALTER TABLE ONLY checkpoints
    ADD CONSTRAINT checkpoints_pkey PRIMARY KEY (id);

ALTER TABLE ONLY checkpoints
    ADD CONSTRAINT checkpoints_size_key UNIQUE (size);

ALTER TABLE ONLY compared
    ADD CONSTRAINT compared_pkey PRIMARY KEY (consignment_id);

ALTER TABLE ONLY cursor
    ADD CONSTRAINT cursor_pkey PRIMARY KEY (topic, partition);

ALTER TABLE ONLY custodies
    ADD CONSTRAINT custodies_consignment_id_key UNIQUE (consignment_id);

ALTER TABLE ONLY custodies
    ADD CONSTRAINT custodies_pkey PRIMARY KEY (id);

ALTER TABLE ONLY drafts
    ADD CONSTRAINT drafts_consignment_id_edition_key UNIQUE (consignment_id, edition);

ALTER TABLE ONLY drafts
    ADD CONSTRAINT drafts_leaf_index_key UNIQUE (leaf_index);

ALTER TABLE ONLY drafts
    ADD CONSTRAINT drafts_number_key UNIQUE (number);

ALTER TABLE ONLY drafts
    ADD CONSTRAINT drafts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY drifts
    ADD CONSTRAINT drifts_consignment_id_device_ref_key UNIQUE (consignment_id, device_ref);

ALTER TABLE ONLY drifts
    ADD CONSTRAINT drifts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY events
    ADD CONSTRAINT events_pkey PRIMARY KEY (stream, version);

ALTER TABLE ONLY forgotten
    ADD CONSTRAINT forgotten_pkey PRIMARY KEY (person);

ALTER TABLE ONLY held
    ADD CONSTRAINT held_pkey PRIMARY KEY (id);

ALTER TABLE ONLY judged
    ADD CONSTRAINT judged_pkey PRIMARY KEY (donation_id);

ALTER TABLE ONLY migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY nodes
    ADD CONSTRAINT nodes_pkey PRIMARY KEY (level, place);

ALTER TABLE ONLY outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (topic, seq);

ALTER TABLE ONLY parked
    ADD CONSTRAINT parked_pkey PRIMARY KEY (stream, topic, version, mark);

ALTER TABLE ONLY seen
    ADD CONSTRAINT seen_pkey PRIMARY KEY (stream, topic);

ALTER TABLE ONLY sent
    ADD CONSTRAINT sent_pkey PRIMARY KEY (topic, partition);

ALTER TABLE ONLY skipped
    ADD CONSTRAINT skipped_pkey PRIMARY KEY (stream, topic, version, mark);

ALTER TABLE ONLY statements
    ADD CONSTRAINT statements_pkey PRIMARY KEY (sha256);

ALTER TABLE ONLY trails
    ADD CONSTRAINT trails_kind_subject_key UNIQUE (kind, subject);

ALTER TABLE ONLY trails
    ADD CONSTRAINT trails_pkey PRIMARY KEY (id);

ALTER TABLE ONLY vault
    ADD CONSTRAINT vault_pkey PRIMARY KEY (person);

CREATE UNIQUE INDEX events_seq ON events USING btree (seq);

CREATE INDEX held_consignment ON held USING btree (consignment_id);

CREATE INDEX parked_again ON parked USING btree (again_at);

CREATE INDEX trails_donation ON trails USING btree (donation_id) INCLUDE (version);

CREATE INDEX trails_named ON trails USING gin (named);

CREATE TRIGGER forgotten_only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON forgotten FOR EACH STATEMENT EXECUTE FUNCTION only_grows();
