-- Where ready devices are: on their way to a structure, or there.
CREATE TABLE whereabouts (
    id uuid PRIMARY KEY,
    version int NOT NULL,
    device_id uuid NOT NULL UNIQUE,
    step text NOT NULL CHECK (step IN ('workshop', 'shipped', 'delivered'))
);
