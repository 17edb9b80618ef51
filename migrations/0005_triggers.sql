-- What fires jobs beside people and tokens, and what jobs share a limit with.

ALTER TABLE jobs
    ADD COLUMN source_id   uuid,        -- the schedule, webhook or job that fired it
    ADD COLUMN fire_at     timestamptz, -- the instant of a schedule that it is for
    ADD COLUMN depth       integer NOT NULL DEFAULT 0, -- jobs before it in a chain of follow-ups
    ADD COLUMN group_key   text NOT NULL DEFAULT '',   -- jobs with the same key share a limit; '' = none
    ADD COLUMN group_limit integer NOT NULL DEFAULT 0, -- of them run at once
    ADD COLUMN alone       boolean NOT NULL DEFAULT false, -- one with the same source at a time
    DROP CONSTRAINT jobs_waiting_check,
    ADD CONSTRAINT jobs_waiting_check CHECK (waiting IN ('', 'concurrency', 'group', 'rate', 'overlap', 'quota', 'paused'));

ALTER TABLE events
    DROP CONSTRAINT events_type_check,
    ADD CONSTRAINT events_type_check CHECK (type IN ('PYTHON', 'NODEJS', 'BASH', 'HTTP_REQUEST', 'TOOL_ACTION'));
