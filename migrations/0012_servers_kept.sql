-- A change of a server names the version that it was made from, so that the
-- second of two administrators hears what the first one has changed.
ALTER TABLE servers
    ADD COLUMN version    integer NOT NULL DEFAULT 1,
    ADD COLUMN changed_by text NOT NULL DEFAULT ''; -- who saved that version

-- What the host was when the script began there (cronium.TargetHost): "what is
-- different" compares it also after the host has become another, or is gone.
ALTER TABLE job_targets ADD COLUMN host json;
