-- Servers and fleets: credentials, servers and how they are, agents that dial
-- in, and the targets of jobs that run on many.

-- A workspace's data keys, wrapped by the master key of the data directory or
-- the environment. What is sealed names the key's version; the newest seals.
CREATE TABLE data_keys (
    workspace_id uuid NOT NULL REFERENCES workspaces,
    version      integer NOT NULL,
    wrapped      bytea NOT NULL,
    master       text NOT NULL, -- fingerprint of the master key that wraps it
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, version)
);

CREATE TABLE credentials (
    id           uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces,
    kind         text NOT NULL CHECK (kind IN ('password', 'key')),
    data_key     integer NOT NULL, -- version
    sealed       bytea NOT NULL,   -- AES-256-GCM, bound to the workspace and the id
    hint         text NOT NULL DEFAULT '', -- what may be shown: a public key's type and fingerprint
    updated_at   timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (workspace_id, data_key) REFERENCES data_keys -- so that no key goes that seals something
);
CREATE INDEX credentials_by_workspace ON credentials (workspace_id, data_key);

CREATE TABLE servers (
    id             uuid PRIMARY KEY,
    workspace_id   uuid NOT NULL REFERENCES workspaces,
    name           text NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('ssh', 'agent')),
    description    text NOT NULL DEFAULT '',
    environment    text NOT NULL DEFAULT '',
    tags           jsonb NOT NULL DEFAULT '{}', -- of strings
    -- ssh
    address        text NOT NULL DEFAULT '',
    port           integer NOT NULL DEFAULT 22,
    login          text NOT NULL DEFAULT '',
    credential_id  uuid REFERENCES credentials,
    jumps          uuid[] NOT NULL DEFAULT '{}', -- servers to go through, the first one first
    host_key       bytea, -- pinned, in the wire format of SSH; NULL: not confirmed yet
    host_key_by    text NOT NULL DEFAULT '',
    host_key_at    timestamptz,
    offered_key    bytea, -- another one that the host showed: it is blocked until an administrator decides
    offered_at     timestamptz,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    archived_at    timestamptz
);
CREATE UNIQUE INDEX servers_name ON servers (workspace_id, lower(name)) WHERE archived_at IS NULL;
CREATE INDEX servers_by_workspace ON servers (workspace_id, id);
CREATE INDEX servers_by_tags ON servers USING gin (tags);
CREATE INDEX servers_by_credential ON servers (credential_id);

-- How a server is now. Written every few seconds in batches, so it is apart and
-- its rows have room.
CREATE TABLE server_states (
    server_id     uuid PRIMARY KEY REFERENCES servers ON DELETE CASCADE,
    workspace_id  uuid NOT NULL,
    state         text NOT NULL DEFAULT 'UNKNOWN' CHECK (state IN ('UNKNOWN', 'ONLINE', 'OFFLINE', 'BLOCKED')),
    since         timestamptz NOT NULL DEFAULT now(),
    error         text NOT NULL DEFAULT '', -- why it is OFFLINE or BLOCKED, for a person
    holder        uuid, -- the server process that is connected to it or watches it
    seen_at       timestamptz,
    latency_us    bigint NOT NULL DEFAULT 0,
    load1         real NOT NULL DEFAULT 0,
    cpus          integer NOT NULL DEFAULT 0,
    memory_total  bigint NOT NULL DEFAULT 0,
    memory_used   bigint NOT NULL DEFAULT 0,
    disk_total    bigint NOT NULL DEFAULT 0,
    disk_used     bigint NOT NULL DEFAULT 0,
    uptime_s      bigint NOT NULL DEFAULT 0,
    agent_version text NOT NULL DEFAULT '',
    update_error  text NOT NULL DEFAULT '', -- why its installed agent was not updated, for a person
    os            text NOT NULL DEFAULT '',
    arch          text NOT NULL DEFAULT '',
    platform      text NOT NULL DEFAULT '',
    clock_skew_ms bigint NOT NULL DEFAULT 0,
    address       text NOT NULL DEFAULT '' -- from where an installed agent dialled in
) WITH (fillfactor = 50);
CREATE INDEX server_states_by_holder ON server_states (holder);
CREATE INDEX server_states_by_workspace ON server_states (workspace_id, state);

-- A day of history, one row for each server and five minutes.
CREATE TABLE server_samples (
    server_id    uuid NOT NULL REFERENCES servers ON DELETE CASCADE,
    workspace_id uuid NOT NULL,
    at           timestamptz NOT NULL, -- start of the five minutes
    up           real NOT NULL,        -- share of the samples that found it online
    load1        real NOT NULL,
    memory       real NOT NULL,        -- share used
    disk         real NOT NULL,        -- share used
    latency_us   bigint NOT NULL,
    samples      integer NOT NULL,
    PRIMARY KEY (server_id, at)
) WITH (fillfactor = 70);
CREATE INDEX server_samples_by_age ON server_samples (at);

-- Agents that dial in. A code is good for one agent, or for as many as uses say.
CREATE TABLE agent_codes (
    id           uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces,
    hash         bytea NOT NULL UNIQUE, -- SHA-256 of the code
    name         text NOT NULL DEFAULT '', -- of the server to be; "" = the machine's own
    tags         jsonb NOT NULL DEFAULT '{}',
    environment  text NOT NULL DEFAULT '',
    server_id    uuid REFERENCES servers ON DELETE CASCADE, -- for an agent of a server that exists already
    uses         integer NOT NULL DEFAULT 1, -- left
    created_by   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL
);
CREATE INDEX agent_codes_by_workspace ON agent_codes (workspace_id, id);

CREATE TABLE agent_keys (
    public_key   bytea PRIMARY KEY, -- Ed25519
    workspace_id uuid NOT NULL REFERENCES workspaces,
    server_id    uuid NOT NULL REFERENCES servers ON DELETE CASCADE,
    created_at   timestamptz NOT NULL DEFAULT now(),
    used_at      timestamptz, -- the last connection
    expires_at   timestamptz, -- an old one, once its successor has been used
    revoked_at   timestamptz,
    revoked_by   text NOT NULL DEFAULT ''
);
CREATE INDEX agent_keys_by_server ON agent_keys (server_id);

-- Jobs on servers. servers names them one by one when a run chose them itself
-- (the failed ones again); NULL: what the version says.
ALTER TABLE jobs ADD COLUMN servers uuid[];
ALTER TABLE jobs ADD COLUMN targets integer NOT NULL DEFAULT 0; -- how many; 0: it runs on this machine's engine, or is not resolved yet
ALTER TABLE jobs ADD COLUMN targets_succeeded integer NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN targets_failed integer NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN server_id uuid;
CREATE INDEX executions_by_server ON executions (server_id, id DESC) WHERE server_id IS NOT NULL;
CREATE INDEX executions_open_by_server ON executions (server_id) WHERE server_id IS NOT NULL AND status IN ('PENDING', 'RUNNING');

-- Where a version runs, when its target is servers: content's "on", which the
-- content's json cannot be asked for.
ALTER TABLE event_versions ADD COLUMN fleet jsonb;

-- The targets of one job. Claims and ends of targets lock their job's row.
CREATE TABLE job_targets (
    job_id       uuid NOT NULL,
    server_id    uuid NOT NULL,
    workspace_id uuid NOT NULL,
    position     integer NOT NULL, -- from 0, in the order of release
    kind         text NOT NULL CHECK (kind IN ('ssh', 'agent')),
    name         text NOT NULL, -- the server's when the job was resolved
    status       text NOT NULL CHECK (status IN ('WAITING', 'QUEUED', 'RUNNING', 'SUCCESS', 'FAILURE', 'TIMEOUT', 'CANCELLED', 'LOST', 'SKIPPED')),
    reason       text NOT NULL DEFAULT '', -- why it waits, was skipped or failed, for a person
    attempts     integer NOT NULL DEFAULT 0,
    next_attempt timestamptz,
    away_since   timestamptz, -- QUEUED: since when it could not be reached
    execution_id uuid, -- the latest
    exit_code    integer,
    output       json, -- what the script gave to output()
    condition    boolean, -- what it gave to setCondition()
    output_hash  bytea, -- SHA-256 of the latest execution's whole output: equal ones are shown together
    started_at   timestamptz,
    finished_at  timestamptz,
    PRIMARY KEY (job_id, server_id)
) PARTITION BY RANGE (job_id);
CREATE INDEX job_targets_by_server ON job_targets (server_id, job_id DESC);

-- Terminals: who, where, when, and what was on the screen (asciicast v2, sealed
-- in parts as it grows).
CREATE TABLE terminals (
    id           uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces,
    server_id    uuid, -- NULL: a container of an event's image
    event_id     uuid,
    target       text NOT NULL, -- the name of either, as it was
    target_ref   text NOT NULL DEFAULT '', -- the container
    user_id      uuid NOT NULL,
    user_name    text NOT NULL,
    address      text NOT NULL DEFAULT '', -- of the browser
    started_at   timestamptz NOT NULL DEFAULT now(),
    seen_at      timestamptz NOT NULL DEFAULT now(), -- when somebody was last connected to it
    holder       uuid, -- the connection that may add to the recording: the latest
    ended_at     timestamptz,
    ending       text NOT NULL DEFAULT '', -- how it ended, for a person
    bytes        bigint NOT NULL DEFAULT 0, -- of the shell's output, recorded so far: the only offset at which more may be added
    width        integer NOT NULL DEFAULT 80,
    height       integer NOT NULL DEFAULT 24
);
CREATE INDEX terminals_by_workspace ON terminals (workspace_id, id DESC);
CREATE INDEX terminals_by_server ON terminals (server_id, id DESC);
CREATE INDEX terminals_open ON terminals (seen_at) WHERE ended_at IS NULL;

CREATE TABLE terminal_parts (
    terminal_id  uuid NOT NULL REFERENCES terminals ON DELETE CASCADE,
    workspace_id uuid NOT NULL,
    number       integer NOT NULL, -- from 0
    data_key     integer NOT NULL,
    sealed       bytea NOT NULL,
    PRIMARY KEY (terminal_id, number),
    FOREIGN KEY (workspace_id, data_key) REFERENCES data_keys
);
CREATE INDEX terminal_parts_by_key ON terminal_parts (workspace_id, data_key);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['data_keys', 'credentials', 'servers', 'server_states', 'server_samples', 'agent_codes', 'agent_keys', 'job_targets', 'terminals', 'terminal_parts'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (cronium_visible(workspace_id)) WITH CHECK (cronium_visible(workspace_id))', t);
    END LOOP;
END $$;
