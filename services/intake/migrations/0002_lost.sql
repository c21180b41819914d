-- A refurbisher may lose a device, and say so.
ALTER TABLE devices
    DROP CONSTRAINT devices_status_check,
    ADD CONSTRAINT devices_status_check CHECK (status IN ('received', 'ready', 'scrapped', 'taken_back', 'lost'));
