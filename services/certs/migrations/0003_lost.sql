-- A refurbisher may lose a device, and say so: the certificate then says it too.
ALTER TABLE held
    DROP CONSTRAINT held_outcome_check,
    ADD CONSTRAINT held_outcome_check CHECK (outcome IN ('open', 'ready', 'scrapped', 'lost'));
