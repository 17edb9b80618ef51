-- When events run by themselves, and what became of that.

CREATE TABLE schedules (
    id             uuid PRIMARY KEY,
    workspace_id   uuid NOT NULL REFERENCES workspaces,
    event_id       uuid NOT NULL REFERENCES events ON DELETE CASCADE,
    name           text NOT NULL DEFAULT '',
    kind           text NOT NULL CHECK (kind IN ('CRON', 'INTERVAL', 'ONCE')),
    expression     text NOT NULL,
    zone           text NOT NULL,
    starts_at      timestamptz,
    ends_at        timestamptz,
    max_runs       integer NOT NULL DEFAULT 0, -- 0 = no limit
    missed         text NOT NULL CHECK (missed IN ('SKIP', 'ONCE', 'ALL')),
    missed_limit   integer NOT NULL DEFAULT 0, -- with ALL
    overlap        text NOT NULL CHECK (overlap IN ('ALLOW', 'SKIP', 'QUEUE', 'CANCEL')),
    jitter_seconds integer NOT NULL DEFAULT 0,
    input          json, -- json: jsonb refuses the escape of NUL
    paused         boolean NOT NULL DEFAULT false,
    anchor         timestamptz NOT NULL DEFAULT now(), -- intervals are counted from here
    runs           integer NOT NULL DEFAULT 0, -- jobs that it fired
    last_job       uuid,
    next_at        timestamptz, -- the next instant; NULL = there is none any more
    due_at         timestamptz, -- when that is fired: later by the jitter
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX schedules_due ON schedules (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX schedules_by_event ON schedules (event_id); -- each firing writes every index, so there are few

-- What became of each instant: the proof that none is fired twice. No foreign
-- keys, because rows come by the hundred thousand; they go with time.
CREATE TABLE schedule_instants (
    schedule_id  uuid NOT NULL,
    instant      timestamptz NOT NULL,
    workspace_id uuid NOT NULL,
    outcome      text NOT NULL CHECK (outcome IN ('FIRED', 'LATE', 'SKIPPED', 'MISSED')),
    job_id       uuid, -- of those that fired, and of a skip the job that was in the way
    last_instant timestamptz, -- of several that were missed together: the last one
    count        integer NOT NULL DEFAULT 1,
    reason       text NOT NULL DEFAULT '',
    at           timestamptz NOT NULL DEFAULT now(), -- when that was decided
    PRIMARY KEY (schedule_id, instant)
);
CREATE INDEX schedule_exceptions ON schedule_instants (workspace_id, instant) WHERE outcome <> 'FIRED';
CREATE INDEX schedule_instants_age ON schedule_instants USING brin (at); -- they come in the order of time

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['schedules', 'schedule_instants'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (cronium_visible(workspace_id)) WITH CHECK (cronium_visible(workspace_id))', t);
    END LOOP;
END $$;
