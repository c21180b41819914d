CREATE TABLE counters (id uuid PRIMARY KEY, version int NOT NULL, cell text NOT NULL, total bigint NOT NULL CHECK (total <> 4242), causes jsonb NOT NULL);
CREATE TABLE replies (id uuid PRIMARY KEY, version int NOT NULL, cell text NOT NULL, code text);
