-- A certificate may be corrected by a later edition, which supersedes it.
ALTER TABLE drafts
    ADD COLUMN edition bigint NOT NULL DEFAULT 1 CHECK (edition > 0),
    ADD COLUMN supersedes text,
    DROP CONSTRAINT drafts_consignment_id_key,
    ADD CONSTRAINT drafts_consignment_id_edition_key UNIQUE (consignment_id, edition),
    ADD CONSTRAINT drafts_edition_check1 CHECK ((edition = 1) = (supersedes IS NULL));
ALTER TABLE certificates
    ADD COLUMN edition bigint NOT NULL DEFAULT 1 CHECK (edition > 0),
    ADD COLUMN supersedes text,
    DROP CONSTRAINT certificates_consignment_id_key,
    ADD CONSTRAINT certificates_consignment_id_edition_key UNIQUE (consignment_id, edition),
    ADD CONSTRAINT certificates_edition_check1 CHECK ((edition = 1) = (supersedes IS NULL));
ALTER TABLE drafts ALTER COLUMN edition DROP DEFAULT;
ALTER TABLE certificates ALTER COLUMN edition DROP DEFAULT;

-- What is said of a device after it was sold once does not concern who gave it.
ALTER TABLE held ADD COLUMN passed_on boolean NOT NULL DEFAULT false;
ALTER TABLE held ALTER COLUMN passed_on DROP DEFAULT;
