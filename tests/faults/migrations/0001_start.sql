CREATE TABLE sightings (id uuid PRIMARY KEY, version int NOT NULL, topic text NOT NULL, stream uuid, times bigint NOT NULL);
