-- The spine: people, events, jobs, executions, output, server processes.
--
-- Row-level security. Every table of a tenant has workspace_id, and its policy
-- shows the rows of the workspace that the transaction has set, or all rows to
-- a connection whose scope is 'system' (workers and sweeps). FORCE makes the
-- policy hold for the table's owner too, which is the role the server uses.
-- With neither set, nothing is visible.

CREATE FUNCTION cronium_visible(workspace uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(current_setting('cronium.scope', true) = 'system', false)
    OR workspace = nullif(current_setting('cronium.workspace', true), '')::uuid;

-- People and the instance: not of one workspace.

CREATE TABLE settings (
    key   text PRIMARY KEY,
    value jsonb NOT NULL
);

CREATE TABLE workspaces (
    id         uuid PRIMARY KEY,
    slug       text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'),
    name       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
    id             uuid PRIMARY KEY,
    email          text NOT NULL UNIQUE CHECK (email = lower(email)),
    name           text NOT NULL,
    password_hash  text NOT NULL,
    instance_admin boolean NOT NULL DEFAULT false,
    session_epoch  integer NOT NULL DEFAULT 0, -- sessions of an earlier one have ended
    created_at     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sessions (
    token   text PRIMARY KEY, -- SHA-256 of the cookie's value
    data    bytea NOT NULL,
    expiry  timestamptz NOT NULL, -- when it ends unless used before
    ends_at timestamptz NOT NULL  -- when it ends in any case
);
CREATE INDEX sessions_by_expiry ON sessions (expiry);

CREATE TABLE login_failures (
    key           text PRIMARY KEY, -- "account:…" or "address:…"
    failures      integer NOT NULL,
    last_at       timestamptz NOT NULL,
    blocked_until timestamptz
);

-- Tables of a tenant.

CREATE TABLE memberships (
    workspace_id uuid NOT NULL REFERENCES workspaces,
    user_id      uuid NOT NULL REFERENCES users,
    role         text NOT NULL CHECK (role IN ('ADMIN', 'USER', 'VIEWER')),
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, user_id)
);
CREATE INDEX memberships_by_user ON memberships (user_id);

CREATE TABLE api_tokens (
    id           uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces,
    user_id      uuid NOT NULL REFERENCES users,
    name         text NOT NULL,
    prefix       text NOT NULL,
    hash         bytea NOT NULL UNIQUE, -- SHA-256 of the token
    scope        text NOT NULL CHECK (scope IN ('read', 'run', 'write')),
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz
);
CREATE INDEX api_tokens_by_user ON api_tokens (workspace_id, user_id, created_at DESC);

CREATE TABLE events (
    id           uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces,
    name         text NOT NULL,
    description  text NOT NULL DEFAULT '',
    type         text NOT NULL CHECK (type IN ('PYTHON', 'NODEJS', 'BASH')),
    status       text NOT NULL CHECK (status IN ('DRAFT', 'ACTIVE', 'PAUSED', 'ARCHIVED')),
    version      integer NOT NULL,
    concurrency  integer NOT NULL DEFAULT 0, -- of the current version: read when a job is claimed; 0 = no limit
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX events_name ON events (workspace_id, lower(name)) WHERE status <> 'ARCHIVED';
CREATE INDEX events_by_workspace ON events (workspace_id, id DESC);

-- A version with a number below zero is the content of a test run: a job names
-- it, the history does not show it.
CREATE TABLE event_versions (
    workspace_id uuid NOT NULL REFERENCES workspaces,
    event_id     uuid NOT NULL REFERENCES events ON DELETE CASCADE,
    number       integer NOT NULL CHECK (number <> 0),
    content      json NOT NULL, -- json: jsonb refuses the escape of NUL, which a script may hold
    target       text NOT NULL DEFAULT 'container', -- of the content, for lists: ->> too refuses a document with NUL
    note         text NOT NULL DEFAULT '',
    author_id    uuid NOT NULL,
    author_name  text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, number)
);

-- Jobs, executions and output grow without end. They are partitioned by the
-- time in their UUIDv7; partitions are made ahead by the server. There are no
-- foreign keys between them: retention drops whole partitions.

CREATE TABLE jobs (
    id            uuid NOT NULL PRIMARY KEY,
    workspace_id  uuid NOT NULL,
    event_id      uuid NOT NULL,
    version       integer NOT NULL,
    priority      text NOT NULL CHECK (priority IN ('LOW', 'NORMAL', 'HIGH', 'CRITICAL')),
    status        text NOT NULL CHECK (status IN ('QUEUED', 'CLAIMED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED')),
    result        text NOT NULL DEFAULT '' CHECK (result IN ('', 'SUCCESS', 'FAILURE', 'TIMEOUT', 'CANCELLED', 'PARTIAL')),
    trigger       text NOT NULL,
    triggered_by  text NOT NULL,
    rerun_of      uuid,
    input         json, -- json: jsonb refuses the escape of NUL
    output        json,
    condition     boolean,
    attempts      integer NOT NULL DEFAULT 0,
    next_attempt  timestamptz,
    waiting       text NOT NULL DEFAULT '' CHECK (waiting IN ('', 'concurrency')),
    error         text NOT NULL DEFAULT '',
    cancelled_at  timestamptz,
    cancelled_by  text NOT NULL DEFAULT '',
    claimed_at    timestamptz,
    started_at    timestamptz,
    finished_at   timestamptz,
    CHECK ((result <> '') = (status IN ('COMPLETED', 'FAILED', 'CANCELLED')))
) PARTITION BY RANGE (id);
CREATE INDEX jobs_by_workspace ON jobs (workspace_id, id DESC);
CREATE INDEX jobs_by_event ON jobs (event_id, id DESC);
-- A change of status writes every index whose condition names it, so there are
-- few, and a final job is in none of these.
CREATE INDEX jobs_queued ON jobs (workspace_id, id) WHERE status = 'QUEUED';
CREATE INDEX jobs_active ON jobs (event_id) WHERE status IN ('CLAIMED', 'RUNNING');
CREATE INDEX jobs_waiting ON jobs (event_id, id) WHERE waiting = 'concurrency';
CREATE INDEX jobs_failed ON jobs (workspace_id, id DESC) WHERE status IN ('FAILED', 'CANCELLED');

CREATE TABLE executions (
    id             uuid NOT NULL PRIMARY KEY,
    workspace_id   uuid NOT NULL,
    job_id         uuid NOT NULL,
    attempt        integer NOT NULL,
    target         text NOT NULL,
    target_ref     text NOT NULL DEFAULT '',
    status         text NOT NULL CHECK (status IN ('PENDING', 'RUNNING', 'SUCCESS', 'FAILURE', 'TIMEOUT', 'CANCELLED', 'LOST')),
    owner          uuid,
    exit_code      integer,
    signal         integer NOT NULL DEFAULT 0,
    out_of_memory  boolean NOT NULL DEFAULT false,
    error          text NOT NULL DEFAULT '',
    progress       text NOT NULL DEFAULT '', -- what is being waited for before the start, for a person
    started_at     timestamptz,
    finished_at    timestamptz,
    warm           boolean NOT NULL DEFAULT false,
    setup_us       bigint NOT NULL DEFAULT 0,
    run_us         bigint NOT NULL DEFAULT 0,
    cleanup_us     bigint NOT NULL DEFAULT 0,
    cpu_us         bigint NOT NULL DEFAULT 0,
    peak_memory    bigint NOT NULL DEFAULT 0,
    output_bytes   bigint NOT NULL DEFAULT 0, -- stored so far: the only offset at which more may be added
    output_lines   bigint NOT NULL DEFAULT 0, -- line feeds stored so far
    output_dropped bigint NOT NULL DEFAULT 0,
    output_blocks  integer NOT NULL DEFAULT 0,
    compacted      boolean NOT NULL DEFAULT false
) PARTITION BY RANGE (id);
CREATE INDEX executions_by_job ON executions (job_id, attempt);
CREATE INDEX executions_open ON executions (id) WHERE status IN ('PENDING', 'RUNNING');
CREATE INDEX executions_to_compact ON executions (id) WHERE NOT compacted AND output_blocks > 1 AND status NOT IN ('PENDING', 'RUNNING');

-- A block is a run of output records of both streams (format: store/block.go).
-- first_line and start only grow within an execution, so one index serves
-- both the viewer, which asks by line, and a follower, which asks by offset.
CREATE TABLE output (
    execution_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    first_line   bigint NOT NULL, -- line, from 0, that the first byte belongs to
    start        bigint NOT NULL, -- offset of the first byte in the whole output
    size         integer NOT NULL, -- bytes of output in it
    encoding     smallint NOT NULL, -- 0 plain, 1 zstd
    data         bytea NOT NULL,
    PRIMARY KEY (execution_id, first_line, start)
) PARTITION BY RANGE (execution_id);
ALTER TABLE output ALTER COLUMN data SET STORAGE EXTERNAL;

-- A run request that carries a key is accepted once.
CREATE TABLE idempotency_keys (
    workspace_id uuid NOT NULL REFERENCES workspaces,
    key          text NOT NULL,
    request      bytea NOT NULL, -- SHA-256 of what was asked
    job_id       uuid NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- Server processes and their leases. One row a process, renewed every 5 s.
CREATE TABLE processes (
    id          uuid PRIMARY KEY,
    hostname    text NOT NULL,
    pid         integer NOT NULL,
    version     text NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT now(),
    lease_until timestamptz NOT NULL
) WITH (fillfactor = 50);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['memberships', 'api_tokens', 'events', 'event_versions', 'jobs', 'executions', 'output', 'idempotency_keys'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (cronium_visible(workspace_id)) WITH CHECK (cronium_visible(workspace_id))', t);
    END LOOP;
END $$;
