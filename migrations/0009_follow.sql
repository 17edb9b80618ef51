-- What follows a job: other events.

ALTER TABLE jobs ADD COLUMN follows boolean NOT NULL DEFAULT false; -- the version that it runs has actions

-- Ends of jobs that something follows. A row is stored by the
-- statement that makes the job final, whichever that is, and removed in the
-- transaction that stores what follows.
CREATE TABLE job_ends (
    job_id       uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    attempts     integer NOT NULL DEFAULT 0,
    due_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX job_ends_due ON job_ends (due_at);

CREATE FUNCTION cronium_job_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO job_ends (job_id, workspace_id) VALUES (NEW.id, NEW.workspace_id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER job_ended AFTER UPDATE OF result ON jobs FOR EACH ROW
WHEN (NEW.follows AND OLD.result = '' AND NEW.result <> '')
EXECUTE FUNCTION cronium_job_ended();

-- What followed a job, or why it did not.
CREATE TABLE follow_ups (
    job_id       uuid NOT NULL,
    number       integer NOT NULL, -- of the action in the version, from 0
    workspace_id uuid NOT NULL,
    reason       text NOT NULL,    -- the action's When
    event_id     uuid,             -- that was to run
    next_job     uuid,             -- that it fired
    note         text NOT NULL DEFAULT '', -- for a person: why nothing followed, or what was without a value
    at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, number)
);
CREATE INDEX follow_ups_by_next ON follow_ups (next_job) WHERE next_job IS NOT NULL;

-- Which events run after which, as their current versions say.
CREATE TABLE event_links (
    event_id     uuid NOT NULL REFERENCES events ON DELETE CASCADE,
    next_id      uuid NOT NULL REFERENCES events ON DELETE CASCADE,
    workspace_id uuid NOT NULL,
    PRIMARY KEY (event_id, next_id)
);
CREATE INDEX event_links_by_next ON event_links (next_id);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['job_ends', 'follow_ups', 'event_links'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (cronium_visible(workspace_id)) WITH CHECK (cronium_visible(workspace_id))', t);
    END LOOP;
END $$;
