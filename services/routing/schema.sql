-- Generated from the migrations by `python -m deploy.generate`: what Postgres has. For reading; it is never run.

CREATE FUNCTION only_grows() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION '% only grows', TG_TABLE_NAME USING ERRCODE = 'object_not_in_prerequisite_state'; END $$;

CREATE TABLE consignments (
    id uuid NOT NULL,
    version integer NOT NULL,
    status text NOT NULL,
    reference text NOT NULL,
    donation_id uuid NOT NULL,
    refurbisher text NOT NULL,
    region text NOT NULL,
    postal_code text NOT NULL,
    donor jsonb NOT NULL,
    required_class text NOT NULL,
    declared jsonb NOT NULL,
    chosen jsonb NOT NULL,
    others jsonb NOT NULL,
    rules text NOT NULL,
    replaces uuid,
    reception_point text,
    collection_date date,
    failed_on date,
    failed_reason text,
    collected bigint,
    pallets bigint,
    received_at_point boolean NOT NULL,
    counted_at_point bigint,
    sent_on boolean NOT NULL,
    delivered bigint,
    refused_reason text,
    ended text,
    next_id uuid,
    next_refurbisher text,
    CONSTRAINT consignments_check CHECK (((NOT received_at_point) OR (reception_point IS NOT NULL))),
    CONSTRAINT consignments_check1 CHECK (((counted_at_point IS NULL) OR ((counted_at_point >= 0) AND received_at_point))),
    CONSTRAINT consignments_check2 CHECK (((NOT sent_on) OR (counted_at_point IS NOT NULL))),
    CONSTRAINT consignments_check3 CHECK (((status = 'ended'::text) = (ended IS NOT NULL))),
    CONSTRAINT consignments_collected_check CHECK ((collected >= 0)),
    CONSTRAINT consignments_delivered_check CHECK ((delivered >= 0)),
    CONSTRAINT consignments_ended_check CHECK ((ended = ANY (ARRAY['refused'::text, 'withdrawn'::text, 'reassigned'::text]))),
    CONSTRAINT consignments_pallets_check CHECK ((pallets >= 0)),
    CONSTRAINT consignments_status_check CHECK ((status = ANY (ARRAY['unknown'::text, 'assigned'::text, 'scheduled'::text, 'collected'::text, 'at_point'::text, 'counted_at_point'::text, 'sent_on'::text, 'delivered'::text, 'refused'::text, 'ended'::text])))
);

CREATE TABLE cursor (
    topic text NOT NULL,
    partition integer NOT NULL,
    next bigint NOT NULL
)
WITH (fillfactor='70');

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

CREATE TABLE refurbishers (
    id uuid NOT NULL,
    version integer NOT NULL,
    slug text NOT NULL,
    weekly_places jsonb NOT NULL,
    declared_at timestamp with time zone,
    held jsonb NOT NULL
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

CREATE TABLE vault (
    person uuid NOT NULL,
    sealed bytea NOT NULL,
    at timestamp with time zone NOT NULL
);

CREATE TABLE wishes (
    id uuid NOT NULL,
    version integer NOT NULL,
    status text NOT NULL,
    reference text NOT NULL,
    donor jsonb NOT NULL,
    region text NOT NULL,
    postal_code text NOT NULL,
    devices jsonb NOT NULL,
    required_class text NOT NULL,
    available_from date,
    by_point boolean NOT NULL,
    accepted_at timestamp with time zone,
    dropped text,
    parts jsonb NOT NULL,
    refused_by jsonb NOT NULL,
    open boolean NOT NULL,
    waits jsonb NOT NULL,
    waits_code text,
    waits_since timestamp with time zone,
    CONSTRAINT wishes_check CHECK (((NOT open) OR (status = 'accepted'::text))),
    CONSTRAINT wishes_check1 CHECK (((status = 'dropped'::text) = (dropped IS NOT NULL))),
    CONSTRAINT wishes_dropped_check CHECK ((dropped = ANY (ARRAY['declined'::text, 'withdrawn'::text]))),
    CONSTRAINT wishes_status_check CHECK ((status = ANY (ARRAY['unknown'::text, 'offered'::text, 'accepted'::text, 'dropped'::text])))
);

ALTER TABLE ONLY consignments
    ADD CONSTRAINT consignments_pkey PRIMARY KEY (id);

ALTER TABLE ONLY consignments
    ADD CONSTRAINT consignments_reference_key UNIQUE (reference);

ALTER TABLE ONLY cursor
    ADD CONSTRAINT cursor_pkey PRIMARY KEY (topic, partition);

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

ALTER TABLE ONLY refurbishers
    ADD CONSTRAINT refurbishers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY refurbishers
    ADD CONSTRAINT refurbishers_slug_key UNIQUE (slug);

ALTER TABLE ONLY seen
    ADD CONSTRAINT seen_pkey PRIMARY KEY (stream, topic);

ALTER TABLE ONLY sent
    ADD CONSTRAINT sent_pkey PRIMARY KEY (topic, partition);

ALTER TABLE ONLY skipped
    ADD CONSTRAINT skipped_pkey PRIMARY KEY (stream, topic, version, mark);

ALTER TABLE ONLY vault
    ADD CONSTRAINT vault_pkey PRIMARY KEY (person);

ALTER TABLE ONLY wishes
    ADD CONSTRAINT wishes_pkey PRIMARY KEY (id);

CREATE INDEX consignments_donation ON consignments USING btree (donation_id);

CREATE INDEX consignments_settled ON consignments USING btree (collection_date DESC NULLS LAST, reference) WHERE (status = ANY (ARRAY['delivered'::text, 'ended'::text]));

CREATE INDEX consignments_under_way ON consignments USING btree (status, collection_date) WHERE (status <> ALL (ARRAY['delivered'::text, 'ended'::text]));

CREATE UNIQUE INDEX events_seq ON events USING btree (seq);

CREATE INDEX parked_again ON parked USING btree (again_at);

CREATE INDEX wishes_dropped ON wishes USING btree (id) WHERE (status = 'dropped'::text);

CREATE INDEX wishes_open ON wishes USING btree (accepted_at, id) WHERE open;

CREATE TRIGGER forgotten_only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON forgotten FOR EACH STATEMENT EXECUTE FUNCTION only_grows();
