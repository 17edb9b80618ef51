-- What waits, in which order, and what bounds it.

-- How far the queues are, and the lanes (a workspace and a priority) that are
-- ahead of them: shared by the processes every few seconds (jobs/turns.go). A
-- row without a priority is a queue's clock and of no workspace.
CREATE TABLE queue_turns (
    queue        text NOT NULL,
    workspace_id uuid NOT NULL,
    priority     text NOT NULL,
    turn         bigint NOT NULL,
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (queue, workspace_id, priority)
);
ALTER TABLE queue_turns ENABLE ROW LEVEL SECURITY;
ALTER TABLE queue_turns FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON queue_turns USING (cronium_visible(workspace_id)) WITH CHECK (cronium_visible(workspace_id));

-- Limits of a workspace. Claims and ends of jobs lock the row.
CREATE TABLE workspace_limits (
    workspace_id uuid PRIMARY KEY REFERENCES workspaces,
    running      integer NOT NULL DEFAULT 0 CHECK (running >= 0),  -- jobs at once; 0 = no limit
    queued       integer NOT NULL DEFAULT 0 CHECK (queued >= 0),   -- jobs that wait, at most; 0 = no limit
    rate_count   integer NOT NULL DEFAULT 0 CHECK (rate_count >= 0),
    rate_seconds integer NOT NULL DEFAULT 0 CHECK (rate_seconds >= 0),
    mode         text NOT NULL DEFAULT 'OPEN' CHECK (mode IN ('OPEN', 'PAUSED', 'DRAINING')),
    changed_by   text NOT NULL DEFAULT '',
    changed_at   timestamptz NOT NULL DEFAULT now()
);

-- When the last start of an event, or in a workspace, has used up its share of
-- the rate's time (store/gates.go).
CREATE TABLE rates (
    workspace_id uuid NOT NULL,
    subject      uuid NOT NULL,
    due          timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, subject)
);

ALTER TABLE events
    ADD COLUMN rate_count   integer NOT NULL DEFAULT 0, -- of the current version, like concurrency
    ADD COLUMN rate_seconds integer NOT NULL DEFAULT 0;

ALTER TABLE jobs ADD COLUMN ahead integer NOT NULL DEFAULT 0; -- a person put it before others that wait

-- Those that run are counted by event and by workspace.
DROP INDEX jobs_active;
CREATE INDEX jobs_active ON jobs (workspace_id, event_id) WHERE status IN ('CLAIMED', 'RUNNING');
CREATE INDEX jobs_grouped ON jobs (workspace_id, group_key) WHERE group_key <> '' AND status IN ('CLAIMED', 'RUNNING');
CREATE INDEX jobs_alone ON jobs (workspace_id, source_id) WHERE alone AND status IN ('CLAIMED', 'RUNNING');
DROP INDEX jobs_waiting;
CREATE INDEX jobs_waiting ON jobs (workspace_id, waiting, event_id, id) WHERE waiting <> '';

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['workspace_limits', 'rates'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (cronium_visible(workspace_id)) WITH CHECK (cronium_visible(workspace_id))', t);
    END LOOP;
END $$;

-- The few that a person put first.
CREATE INDEX jobs_ahead ON jobs (workspace_id, ahead) WHERE ahead > 0 AND status = 'QUEUED';
