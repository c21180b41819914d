-- Generated from the migrations by `python -m deploy.generate`: what Postgres has. For reading; it is never run.

CREATE FUNCTION only_grows() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION '% only grows', TG_TABLE_NAME USING ERRCODE = 'object_not_in_prerequisite_state'; END $$;

CREATE TABLE arrivals (
    id uuid NOT NULL,
    version integer NOT NULL,
    status text NOT NULL,
    refurbisher text NOT NULL,
    consignment_id uuid NOT NULL,
    counted bigint,
    reason text,
    CONSTRAINT arrivals_check CHECK (((status = 'received'::text) = (counted IS NOT NULL))),
    CONSTRAINT arrivals_counted_check CHECK ((counted >= 0))
);

CREATE TABLE capacities (
    id uuid NOT NULL,
    version integer NOT NULL,
    refurbisher text NOT NULL,
    weekly_places jsonb
);

CREATE TABLE consignments (
    id uuid NOT NULL,
    version integer NOT NULL,
    status text NOT NULL,
    consignment_id uuid,
    reference text NOT NULL,
    donation_id uuid,
    donation_reference text NOT NULL,
    refurbisher text NOT NULL,
    donor_public boolean NOT NULL,
    required_class text NOT NULL,
    declared jsonb,
    collection_date date,
    assigned_at timestamp with time zone,
    donor text,
    donor_name text,
    CONSTRAINT consignments_status_check CHECK ((status = ANY (ARRAY['unknown'::text, 'expected'::text, 'closed'::text])))
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
    status text NOT NULL,
    refurbisher text NOT NULL,
    region text NOT NULL,
    consignment_id uuid NOT NULL,
    donation_id uuid,
    device_ref text NOT NULL,
    device_type text,
    donor_public boolean NOT NULL,
    required_class text NOT NULL,
    maker text,
    model text,
    serial text,
    audit jsonb,
    evidence jsonb NOT NULL,
    findings jsonb NOT NULL,
    blocked text,
    category text,
    points bigint,
    grade_rules text,
    parts jsonb NOT NULL,
    scrap_reason text,
    sale_id uuid,
    held jsonb NOT NULL,
    assigned_at timestamp with time zone,
    lot text,
    pallet text,
    waste_reference text,
    sold_at timestamp with time zone,
    returns bigint NOT NULL,
    lost_reason text,
    fault text,
    removed jsonb NOT NULL,
    spent jsonb NOT NULL,
    doubted boolean NOT NULL,
    CONSTRAINT devices_check CHECK (((status <> ALL (ARRAY['ready'::text, 'sold'::text])) OR ((category IS NOT NULL) AND (blocked IS NULL) AND (jsonb_typeof(audit) = 'object'::text)))),
    CONSTRAINT devices_check1 CHECK (((status <> ALL (ARRAY['ready'::text, 'sold'::text])) OR (NOT jsonb_path_exists(findings, '$[*]?(@."accepted" == false)'::jsonpath)))),
    CONSTRAINT devices_check2 CHECK (((status <> ALL (ARRAY['ready'::text, 'sold'::text])) OR (jsonb_array_length(findings) >= 1) OR doubted)),
    CONSTRAINT devices_check3 CHECK (((status = ANY (ARRAY['sold'::text, 'in_repair'::text])) = (sale_id IS NOT NULL))),
    CONSTRAINT devices_check4 CHECK (((status = 'expected'::text) OR ((donation_id IS NOT NULL) AND (device_type IS NOT NULL) AND (device_ref <> ''::text)))),
    CONSTRAINT devices_doubted_check CHECK ((NOT ((status = 'ready'::text) AND doubted))),
    CONSTRAINT devices_fault_check CHECK (((status = 'in_repair'::text) = (fault IS NOT NULL))),
    CONSTRAINT devices_lost_check CHECK (((status = 'lost'::text) = (lost_reason IS NOT NULL))),
    CONSTRAINT devices_refurbisher_check CHECK ((refurbisher <> ''::text)),
    CONSTRAINT devices_status_check CHECK ((status = ANY (ARRAY['expected'::text, 'received'::text, 'ready'::text, 'scrapped'::text, 'sold'::text, 'in_repair'::text, 'lost'::text])))
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

CREATE TABLE evidence_uses (
    id uuid NOT NULL,
    version integer NOT NULL,
    device_id uuid NOT NULL
);

CREATE TABLE forgotten (
    person uuid NOT NULL,
    at timestamp with time zone NOT NULL
);

CREATE TABLE media (
    id uuid NOT NULL,
    version integer NOT NULL,
    serial text NOT NULL,
    holder uuid,
    holder_ref text NOT NULL,
    refurbisher text NOT NULL,
    admitted jsonb NOT NULL,
    disputed jsonb NOT NULL,
    runs jsonb NOT NULL,
    housed jsonb NOT NULL,
    CONSTRAINT media_check CHECK (((holder IS NULL) = (holder_ref = ''::text))),
    CONSTRAINT media_check1 CHECK (((holder IS NOT NULL) OR (disputed = '[]'::jsonb))),
    CONSTRAINT media_serial_check CHECK ((serial <> ''::text))
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

CREATE TABLE receipts (
    id uuid NOT NULL,
    version integer NOT NULL,
    outcome text NOT NULL,
    refurbisher text NOT NULL,
    report_id text,
    report_type text,
    device_ref text,
    content_sha256 text NOT NULL,
    faults jsonb NOT NULL,
    reused jsonb NOT NULL,
    CONSTRAINT receipts_check CHECK (((outcome = 'rejected'::text) = (jsonb_array_length(faults) > 0))),
    CONSTRAINT receipts_outcome_check CHECK ((outcome = ANY (ARRAY['accepted'::text, 'rejected'::text])))
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

CREATE TABLE whereabouts (
    id uuid NOT NULL,
    version integer NOT NULL,
    device_id uuid NOT NULL,
    step text NOT NULL,
    CONSTRAINT whereabouts_step_check CHECK ((step = ANY (ARRAY['workshop'::text, 'shipped'::text, 'delivered'::text])))
);

ALTER TABLE ONLY arrivals
    ADD CONSTRAINT arrivals_consignment_id_key UNIQUE (consignment_id);

ALTER TABLE ONLY arrivals
    ADD CONSTRAINT arrivals_pkey PRIMARY KEY (id);

ALTER TABLE ONLY capacities
    ADD CONSTRAINT capacities_pkey PRIMARY KEY (id);

ALTER TABLE ONLY capacities
    ADD CONSTRAINT capacities_refurbisher_key UNIQUE (refurbisher);

ALTER TABLE ONLY consignments
    ADD CONSTRAINT consignments_consignment_id_key UNIQUE (consignment_id);

ALTER TABLE ONLY consignments
    ADD CONSTRAINT consignments_pkey PRIMARY KEY (id);

ALTER TABLE ONLY cursor
    ADD CONSTRAINT cursor_pkey PRIMARY KEY (topic, partition);

ALTER TABLE ONLY devices
    ADD CONSTRAINT devices_pkey PRIMARY KEY (id);

ALTER TABLE ONLY events
    ADD CONSTRAINT events_pkey PRIMARY KEY (stream, version);

ALTER TABLE ONLY evidence_uses
    ADD CONSTRAINT evidence_uses_pkey PRIMARY KEY (id);

ALTER TABLE ONLY forgotten
    ADD CONSTRAINT forgotten_pkey PRIMARY KEY (person);

ALTER TABLE ONLY media
    ADD CONSTRAINT media_pkey PRIMARY KEY (id);

ALTER TABLE ONLY media
    ADD CONSTRAINT media_serial_key UNIQUE (serial);

ALTER TABLE ONLY migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (topic, seq);

ALTER TABLE ONLY parked
    ADD CONSTRAINT parked_pkey PRIMARY KEY (stream, topic, version, mark);

ALTER TABLE ONLY receipts
    ADD CONSTRAINT receipts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY seen
    ADD CONSTRAINT seen_pkey PRIMARY KEY (stream, topic);

ALTER TABLE ONLY sent
    ADD CONSTRAINT sent_pkey PRIMARY KEY (topic, partition);

ALTER TABLE ONLY skipped
    ADD CONSTRAINT skipped_pkey PRIMARY KEY (stream, topic, version, mark);

ALTER TABLE ONLY vault
    ADD CONSTRAINT vault_pkey PRIMARY KEY (person);

ALTER TABLE ONLY whereabouts
    ADD CONSTRAINT whereabouts_device_id_key UNIQUE (device_id);

ALTER TABLE ONLY whereabouts
    ADD CONSTRAINT whereabouts_pkey PRIMARY KEY (id);

CREATE INDEX consignments_by_donor ON consignments USING btree (donor) WHERE (donor IS NOT NULL);

CREATE INDEX consignments_by_refurbisher ON consignments USING btree (refurbisher, status);

CREATE INDEX devices_by_consignment ON devices USING btree (consignment_id);

CREATE INDEX devices_by_lot ON devices USING btree (refurbisher, upper(lot)) WHERE (lot IS NOT NULL);

CREATE INDEX devices_by_medium ON devices USING gin (((audit -> 'media'::text)) jsonb_path_ops);

CREATE INDEX devices_by_ref ON devices USING btree (upper(device_ref));

CREATE INDEX devices_by_removed ON devices USING gin (removed jsonb_path_ops) WHERE (removed <> '[]'::jsonb);

CREATE INDEX devices_by_serial ON devices USING btree (upper(serial));

CREATE INDEX devices_by_status ON devices USING btree (refurbisher, status);

CREATE UNIQUE INDEX devices_sold_once ON devices USING btree (sale_id) WHERE (sale_id IS NOT NULL);

CREATE INDEX events_receipts ON events USING btree (topic, seq) WHERE (type = ANY (ARRAY['refurb.report_accepted.v1'::text, 'refurb.report_rejected.v1'::text]));

CREATE UNIQUE INDEX events_seq ON events USING btree (seq);

CREATE INDEX media_disputed ON media USING btree (id) WHERE (disputed <> '[]'::jsonb);

CREATE INDEX parked_again ON parked USING btree (again_at);

CREATE INDEX receipts_by_refurbisher ON receipts USING btree (refurbisher, outcome);

CREATE TRIGGER forgotten_only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON forgotten FOR EACH STATEMENT EXECUTE FUNCTION only_grows();
