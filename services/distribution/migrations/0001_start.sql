-- The stock, what structures need, vouchers, sales. What must never break stands here as well as in the domain.

CREATE TABLE stock (
    id uuid PRIMARY KEY,
    version int NOT NULL,
    status text NOT NULL CHECK (status IN ('available', 'allotted', 'shipped', 'delivered', 'sold', 'withdrawn')),
    device_id uuid NOT NULL UNIQUE,
    region text NOT NULL CHECK (region <> ''),
    refurbisher text NOT NULL,
    device_ref text NOT NULL,
    device_type text NOT NULL,
    category text NOT NULL CHECK (category IN ('PREMIUM', 'A', 'B', 'C', 'D')),
    donor_public boolean NOT NULL,
    consignment_id uuid NOT NULL,
    donation_id uuid NOT NULL,
    maker text,
    model text,
    ready_at timestamptz,
    times bigint NOT NULL CHECK (times >= 1),
    structure text,
    structure_region text,
    need_id uuid,
    distance_km bigint,
    candidates bigint,
    reason text,
    owed_to uuid,
    sale_id uuid,
    CHECK (structure IS NOT NULL AND need_id IS NOT NULL OR status IN ('available', 'withdrawn')),
    CHECK ((sale_id IS NOT NULL) = (status = 'sold') OR status = 'withdrawn')
);
CREATE INDEX stock_available ON stock (device_type, ready_at, id) WHERE status = 'available';
CREATE INDEX stock_owed ON stock (owed_to) WHERE owed_to IS NOT NULL;
CREATE INDEX stock_structure ON stock (structure, status);
CREATE INDEX stock_ref ON stock (upper(device_ref));

CREATE TABLE needs (
    id uuid PRIMARY KEY,
    version int NOT NULL,
    status text NOT NULL CHECK (status IN ('asked', 'expressed')),
    structure text NOT NULL,
    campaign text NOT NULL,
    region text NOT NULL CHECK (region <> ''),
    answer_by date,
    reminders bigint NOT NULL,
    wanted jsonb NOT NULL,
    met jsonb NOT NULL,
    unmet bigint NOT NULL CHECK (unmet >= 0),
    UNIQUE (campaign, structure)
);
CREATE INDEX needs_unmet ON needs (structure) WHERE unmet > 0;
CREATE INDEX needs_structure ON needs (structure);

CREATE TABLE vouchers (
    id uuid PRIMARY KEY,
    version int NOT NULL,
    status text NOT NULL CHECK (status IN ('issued', 'spent', 'revoked')),
    structure text NOT NULL,
    region text NOT NULL CHECK (region <> ''),
    device_type text NOT NULL,
    expires date NOT NULL,
    sale_id uuid UNIQUE,
    spent_in text,
    spent_at timestamptz,
    reason text,
    CHECK ((sale_id IS NOT NULL) = (status = 'spent'))
);
CREATE INDEX vouchers_structure ON vouchers (structure, expires);

CREATE TABLE sales (
    id uuid PRIMARY KEY,
    version int NOT NULL,
    status text NOT NULL CHECK (status = 'sold'),
    sale_id uuid NOT NULL UNIQUE,
    device_id uuid NOT NULL,
    device_ref text NOT NULL,
    device_type text NOT NULL,
    category text NOT NULL,
    structure text NOT NULL,
    region text NOT NULL CHECK (region <> ''),
    refurbisher text NOT NULL,
    voucher_id uuid NOT NULL UNIQUE,
    donor_public boolean NOT NULL,
    price_cents bigint NOT NULL CHECK (price_cents >= 0),
    list_price_cents bigint,
    ceiling_cents bigint,
    free_reason text,
    price_rules text NOT NULL,
    warranty_rules text NOT NULL,
    warranty_until date NOT NULL,
    sold_at timestamptz NOT NULL,
    times bigint NOT NULL,
    training text CHECK (training IN ('booked', 'later', 'declined')),
    UNIQUE (device_id, times),
    CONSTRAINT sales_under_ceiling CHECK (price_cents <= coalesce(ceiling_cents, price_cents)),
    CONSTRAINT sales_public_has_ceiling CHECK (NOT donor_public OR ceiling_cents IS NOT NULL),
    CONSTRAINT sales_free_has_reason CHECK (price_cents > 0 OR free_reason IS NOT NULL)
);
CREATE INDEX sales_structure ON sales (structure, sold_at);

-- Secret links: who has one speaks for the structure. Only the SHA-256 of the secret is kept. No aggregate, and not published.
CREATE TABLE links (
    hash bytea PRIMARY KEY CHECK (length(hash) = 32),
    structure text NOT NULL,
    campaign text NOT NULL,
    made_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX links_structure ON links (structure, campaign) WHERE ended_at IS NULL;
