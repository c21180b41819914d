-- Where each medium is: one row a serial number, one device a row. And which runs on it served which device.
CREATE TABLE media (
    id uuid PRIMARY KEY,
    version int NOT NULL,
    serial text NOT NULL UNIQUE CHECK (serial <> ''),
    holder uuid,
    holder_ref text NOT NULL,
    refurbisher text NOT NULL,
    admitted jsonb NOT NULL,
    disputed jsonb NOT NULL,
    runs jsonb NOT NULL,
    CHECK ((holder IS NULL) = (holder_ref = '')),
    CHECK (holder IS NOT NULL OR disputed = '[]')
);
CREATE INDEX media_disputed ON media (id) WHERE disputed <> '[]';
