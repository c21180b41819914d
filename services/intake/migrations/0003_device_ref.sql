-- A donor finds each device again on the certificate, which names it by its reference. Devices noted before have none here.
ALTER TABLE devices ADD COLUMN device_ref text NOT NULL DEFAULT '';
