-- What routing keeps: the wish of each donation, what each refurbisher can take and has, and consignments.

CREATE TABLE wishes (
    id uuid PRIMARY KEY,
    version int NOT NULL,
    status text NOT NULL CHECK (status IN ('unknown', 'offered', 'accepted', 'dropped')),
    reference text NOT NULL,
    donor jsonb NOT NULL,
    region text NOT NULL,
    postal_code text NOT NULL,
    devices jsonb NOT NULL,
    required_class text NOT NULL,
    available_from date,
    by_point boolean NOT NULL,
    accepted_at timestamptz,
    dropped text CHECK (dropped IN ('declined', 'withdrawn')),
    parts jsonb NOT NULL,
    refused_by jsonb NOT NULL,
    open boolean NOT NULL CHECK (NOT open OR status = 'accepted'),
    waits jsonb NOT NULL,
    waits_code text,
    waits_since timestamptz,
    CHECK ((status = 'dropped') = (dropped IS NOT NULL))
);
CREATE INDEX wishes_open ON wishes (accepted_at, id) WHERE open;
CREATE INDEX wishes_dropped ON wishes (id) WHERE status = 'dropped';

CREATE TABLE refurbishers (
    id uuid PRIMARY KEY,
    version int NOT NULL,
    slug text NOT NULL UNIQUE,
    weekly_places jsonb NOT NULL,
    declared_at timestamptz,
    held jsonb NOT NULL
);

CREATE TABLE consignments (
    id uuid PRIMARY KEY,
    version int NOT NULL,
    status text NOT NULL CHECK (status IN ('unknown', 'assigned', 'scheduled', 'collected', 'at_point', 'counted_at_point', 'sent_on',
                                           'delivered', 'refused', 'ended')),
    reference text NOT NULL UNIQUE,
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
    collected bigint CHECK (collected >= 0),
    pallets bigint CHECK (pallets >= 0),
    received_at_point boolean NOT NULL CHECK (NOT received_at_point OR reception_point IS NOT NULL),
    counted_at_point bigint CHECK (counted_at_point IS NULL OR (counted_at_point >= 0 AND received_at_point)),
    sent_on boolean NOT NULL CHECK (NOT sent_on OR counted_at_point IS NOT NULL),
    delivered bigint CHECK (delivered >= 0),
    refused_reason text,
    ended text CHECK (ended IN ('refused', 'withdrawn', 'reassigned')),
    next_id uuid,
    next_refurbisher text,
    CHECK ((status = 'ended') = (ended IS NOT NULL))
);
CREATE INDEX consignments_donation ON consignments (donation_id);
CREATE INDEX consignments_under_way ON consignments (status, collection_date) WHERE status NOT IN ('delivered', 'ended');
CREATE INDEX consignments_settled ON consignments (collection_date DESC NULLS LAST, reference) WHERE status IN ('delivered', 'ended');
