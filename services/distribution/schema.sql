-- Generated from the migrations by `python -m deploy.generate`: what Postgres has. For reading; it is never run.

CREATE FUNCTION only_grows() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION '% only grows', TG_TABLE_NAME USING ERRCODE = 'object_not_in_prerequisite_state'; END $$;

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

CREATE TABLE links (
    hash bytea NOT NULL,
    structure text NOT NULL,
    campaign text NOT NULL,
    made_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT links_hash_check CHECK ((length(hash) = 32))
);

CREATE TABLE migrations (
    name text NOT NULL,
    sha256 text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE needs (
    id uuid NOT NULL,
    version integer NOT NULL,
    status text NOT NULL,
    structure text NOT NULL,
    campaign text NOT NULL,
    region text NOT NULL,
    answer_by date,
    reminders bigint NOT NULL,
    wanted jsonb NOT NULL,
    met jsonb NOT NULL,
    unmet bigint NOT NULL,
    CONSTRAINT needs_region_check CHECK ((region <> ''::text)),
    CONSTRAINT needs_status_check CHECK ((status = ANY (ARRAY['asked'::text, 'expressed'::text]))),
    CONSTRAINT needs_unmet_check CHECK ((unmet >= 0))
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
    status text NOT NULL,
    sale_id uuid NOT NULL,
    device_id uuid NOT NULL,
    device_ref text NOT NULL,
    device_type text NOT NULL,
    category text NOT NULL,
    structure text NOT NULL,
    region text NOT NULL,
    refurbisher text NOT NULL,
    voucher_id uuid NOT NULL,
    donor_public boolean NOT NULL,
    price_cents bigint NOT NULL,
    list_price_cents bigint,
    ceiling_cents bigint,
    free_reason text,
    price_rules text NOT NULL,
    warranty_rules text NOT NULL,
    warranty_until date NOT NULL,
    sold_at timestamp with time zone NOT NULL,
    times bigint NOT NULL,
    training text,
    CONSTRAINT sales_free_has_reason CHECK (((price_cents > 0) OR (free_reason IS NOT NULL))),
    CONSTRAINT sales_price_cents_check CHECK ((price_cents >= 0)),
    CONSTRAINT sales_public_has_ceiling CHECK (((NOT donor_public) OR (ceiling_cents IS NOT NULL))),
    CONSTRAINT sales_region_check CHECK ((region <> ''::text)),
    CONSTRAINT sales_status_check CHECK ((status = 'sold'::text)),
    CONSTRAINT sales_training_check CHECK ((training = ANY (ARRAY['booked'::text, 'later'::text, 'declined'::text]))),
    CONSTRAINT sales_under_ceiling CHECK ((price_cents <= COALESCE(ceiling_cents, price_cents)))
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

CREATE TABLE stock (
    id uuid NOT NULL,
    version integer NOT NULL,
    status text NOT NULL,
    device_id uuid NOT NULL,
    region text NOT NULL,
    refurbisher text NOT NULL,
    device_ref text NOT NULL,
    device_type text NOT NULL,
    category text NOT NULL,
    donor_public boolean NOT NULL,
    consignment_id uuid NOT NULL,
    donation_id uuid NOT NULL,
    maker text,
    model text,
    ready_at timestamp with time zone,
    times bigint NOT NULL,
    structure text,
    structure_region text,
    need_id uuid,
    distance_km bigint,
    candidates bigint,
    reason text,
    owed_to uuid,
    sale_id uuid,
    CONSTRAINT stock_category_check CHECK ((category = ANY (ARRAY['PREMIUM'::text, 'A'::text, 'B'::text, 'C'::text, 'D'::text]))),
    CONSTRAINT stock_check CHECK ((((structure IS NOT NULL) AND (need_id IS NOT NULL)) OR (status = ANY (ARRAY['available'::text, 'withdrawn'::text])))),
    CONSTRAINT stock_check1 CHECK ((((sale_id IS NOT NULL) = (status = 'sold'::text)) OR (status = 'withdrawn'::text))),
    CONSTRAINT stock_region_check CHECK ((region <> ''::text)),
    CONSTRAINT stock_status_check CHECK ((status = ANY (ARRAY['available'::text, 'allotted'::text, 'shipped'::text, 'delivered'::text, 'sold'::text, 'withdrawn'::text]))),
    CONSTRAINT stock_times_check CHECK ((times >= 1))
);

CREATE TABLE vault (
    person uuid NOT NULL,
    sealed bytea NOT NULL,
    at timestamp with time zone NOT NULL
);

CREATE TABLE vouchers (
    id uuid NOT NULL,
    version integer NOT NULL,
    status text NOT NULL,
    structure text NOT NULL,
    region text NOT NULL,
    device_type text NOT NULL,
    expires date NOT NULL,
    sale_id uuid,
    spent_in text,
    spent_at timestamp with time zone,
    reason text,
    CONSTRAINT vouchers_check CHECK (((sale_id IS NOT NULL) = (status = 'spent'::text))),
    CONSTRAINT vouchers_region_check CHECK ((region <> ''::text)),
    CONSTRAINT vouchers_status_check CHECK ((status = ANY (ARRAY['issued'::text, 'spent'::text, 'revoked'::text])))
);

ALTER TABLE ONLY cursor
    ADD CONSTRAINT cursor_pkey PRIMARY KEY (topic, partition);

ALTER TABLE ONLY events
    ADD CONSTRAINT events_pkey PRIMARY KEY (stream, version);

ALTER TABLE ONLY forgotten
    ADD CONSTRAINT forgotten_pkey PRIMARY KEY (person);

ALTER TABLE ONLY links
    ADD CONSTRAINT links_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY needs
    ADD CONSTRAINT needs_campaign_structure_key UNIQUE (campaign, structure);

ALTER TABLE ONLY needs
    ADD CONSTRAINT needs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (topic, seq);

ALTER TABLE ONLY parked
    ADD CONSTRAINT parked_pkey PRIMARY KEY (stream, topic, version, mark);

ALTER TABLE ONLY sales
    ADD CONSTRAINT sales_device_id_times_key UNIQUE (device_id, times);

ALTER TABLE ONLY sales
    ADD CONSTRAINT sales_pkey PRIMARY KEY (id);

ALTER TABLE ONLY sales
    ADD CONSTRAINT sales_sale_id_key UNIQUE (sale_id);

ALTER TABLE ONLY sales
    ADD CONSTRAINT sales_voucher_id_key UNIQUE (voucher_id);

ALTER TABLE ONLY seen
    ADD CONSTRAINT seen_pkey PRIMARY KEY (stream, topic);

ALTER TABLE ONLY sent
    ADD CONSTRAINT sent_pkey PRIMARY KEY (topic, partition);

ALTER TABLE ONLY skipped
    ADD CONSTRAINT skipped_pkey PRIMARY KEY (stream, topic, version, mark);

ALTER TABLE ONLY stock
    ADD CONSTRAINT stock_device_id_key UNIQUE (device_id);

ALTER TABLE ONLY stock
    ADD CONSTRAINT stock_pkey PRIMARY KEY (id);

ALTER TABLE ONLY vault
    ADD CONSTRAINT vault_pkey PRIMARY KEY (person);

ALTER TABLE ONLY vouchers
    ADD CONSTRAINT vouchers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY vouchers
    ADD CONSTRAINT vouchers_sale_id_key UNIQUE (sale_id);

CREATE UNIQUE INDEX events_seq ON events USING btree (seq);

CREATE INDEX links_structure ON links USING btree (structure, campaign) WHERE (ended_at IS NULL);

CREATE INDEX needs_structure ON needs USING btree (structure);

CREATE INDEX needs_unmet ON needs USING btree (structure) WHERE (unmet > 0);

CREATE INDEX parked_again ON parked USING btree (again_at);

CREATE INDEX sales_structure ON sales USING btree (structure, sold_at);

CREATE INDEX stock_available ON stock USING btree (device_type, ready_at, id) WHERE (status = 'available'::text);

CREATE INDEX stock_owed ON stock USING btree (owed_to) WHERE (owed_to IS NOT NULL);

CREATE INDEX stock_ref ON stock USING btree (upper(device_ref));

CREATE INDEX stock_structure ON stock USING btree (structure, status);

CREATE INDEX vouchers_structure ON vouchers USING btree (structure, expires);

CREATE TRIGGER forgotten_only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON forgotten FOR EACH STATEMENT EXECUTE FUNCTION only_grows();
