-- Who asked to be forgotten, beside the sealed data: a back-up of the keys that is put back must not bring them back.
CREATE TABLE forgotten (person uuid PRIMARY KEY, at timestamptz NOT NULL);

CREATE OR REPLACE FUNCTION only_grows() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% only grows', TG_TABLE_NAME USING ERRCODE = 'object_not_in_prerequisite_state'; END $$;

CREATE TRIGGER forgotten_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON forgotten FOR EACH STATEMENT EXECUTE FUNCTION only_grows();
