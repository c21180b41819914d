-- The states of refurb's aggregates: one column a field of the dataclass of the same name.

CREATE TABLE devices (
    id uuid PRIMARY KEY,
    version int NOT NULL,
    status text NOT NULL CHECK (status IN ('expected', 'received', 'ready', 'scrapped', 'sold')),
    refurbisher text NOT NULL CHECK (refurbisher <> ''),
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
    -- the rules that must never break, a second time
    CHECK (status NOT IN ('ready', 'sold') OR (category IS NOT NULL AND blocked IS NULL AND jsonb_typeof(audit) = 'object')),
    CHECK (status NOT IN ('ready', 'sold') OR NOT jsonb_path_exists(findings, '$[*] ? (@.accepted == false)')),
    CHECK (status NOT IN ('ready', 'sold') OR jsonb_array_length(findings) >= 1),
    CHECK ((status = 'sold') = (sale_id IS NOT NULL)),
    CHECK (status = 'expected' OR (donation_id IS NOT NULL AND device_type IS NOT NULL AND device_ref <> ''))
);
CREATE INDEX devices_by_status ON devices (refurbisher, status);
CREATE INDEX devices_by_consignment ON devices (consignment_id);
CREATE INDEX devices_by_ref ON devices (upper(device_ref));
CREATE INDEX devices_by_serial ON devices (upper(serial));
CREATE UNIQUE INDEX devices_sold_once ON devices (sale_id) WHERE sale_id IS NOT NULL;

CREATE TABLE arrivals (
    id uuid PRIMARY KEY,
    version int NOT NULL,
    status text NOT NULL,
    refurbisher text NOT NULL,
    consignment_id uuid NOT NULL UNIQUE,
    counted bigint CHECK (counted >= 0),
    reason text,
    CHECK ((status = 'received') = (counted IS NOT NULL))
);

CREATE TABLE capacities (
    id uuid PRIMARY KEY,
    version int NOT NULL,
    refurbisher text NOT NULL UNIQUE,
    weekly_places jsonb
);

CREATE TABLE receipts (
    id uuid PRIMARY KEY,
    version int NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('accepted', 'rejected')),
    refurbisher text NOT NULL,
    report_id text,
    report_type text,
    device_ref text,
    content_sha256 text NOT NULL,
    faults jsonb NOT NULL,
    reused jsonb NOT NULL,
    CHECK ((outcome = 'rejected') = (jsonb_array_length(faults) > 0))
);
CREATE INDEX receipts_by_refurbisher ON receipts (refurbisher, outcome);

CREATE TABLE consignments (
    id uuid PRIMARY KEY,
    version int NOT NULL,
    status text NOT NULL CHECK (status IN ('unknown', 'expected', 'closed')),
    consignment_id uuid UNIQUE,
    reference text NOT NULL,
    donation_id uuid,
    donation_reference text NOT NULL,
    refurbisher text NOT NULL,
    donor_public boolean NOT NULL,
    required_class text NOT NULL,
    declared jsonb,
    collection_date date
);
CREATE INDEX consignments_by_refurbisher ON consignments (refurbisher, status);

-- Which device a report, or one run that it tells of, served first.
CREATE TABLE evidence_uses (
    id uuid PRIMARY KEY,
    version int NOT NULL,
    device_id uuid NOT NULL
);

-- What a partner without Kafka asks for: its receipts, from a number on.
CREATE INDEX events_receipts ON events (topic, seq) WHERE type IN ('refurb.report_accepted.v1', 'refurb.report_rejected.v1');
