-- Variables and secrets, who may read them, what scripts were answered.

CREATE TABLE variables (
    id           uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces,
    key          text COLLATE "C" NOT NULL,
    environment  text NOT NULL DEFAULT '', -- like prod; '' = those of all, unless one of the environment is there
    type         text NOT NULL CHECK (type IN ('STRING', 'NUMBER', 'BOOLEAN', 'JSON')),
    secret       boolean NOT NULL,
    description  text NOT NULL DEFAULT '',
    value        json,    -- of one that is no secret; json: jsonb refuses the escape of NUL
    data_key     integer, -- of a secret: the version of the key that seals it
    sealed       bytea,   -- of a secret: its JSON; AES-256-GCM, bound to the workspace and the id
    size         integer NOT NULL, -- bytes of the JSON
    all_events   boolean NOT NULL, -- each event may use it; false: those of variable_grants
    version      integer NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    updated_by   text NOT NULL DEFAULT '', -- a person's, a token's or an event's name as it was
    job_id       uuid, -- of the script that changed it last
    CHECK (secret = (sealed IS NOT NULL) AND secret = (data_key IS NOT NULL) AND secret = (value IS NULL)),
    FOREIGN KEY (workspace_id, data_key) REFERENCES data_keys -- so that no key goes that seals something
);
CREATE UNIQUE INDEX variables_key ON variables (workspace_id, key, environment);
CREATE INDEX variables_secret ON variables (workspace_id, data_key) WHERE secret;

CREATE TABLE variable_grants (
    variable_id  uuid NOT NULL REFERENCES variables ON DELETE CASCADE,
    event_id     uuid NOT NULL REFERENCES events ON DELETE CASCADE,
    workspace_id uuid NOT NULL,
    PRIMARY KEY (variable_id, event_id)
);
CREATE INDEX variable_grants_by_event ON variable_grants (event_id);

-- The latest versions of each, the present one too. A secret's have no value.
CREATE TABLE variable_changes (
    variable_id  uuid NOT NULL REFERENCES variables ON DELETE CASCADE,
    workspace_id uuid NOT NULL,
    version      integer NOT NULL,
    what         text NOT NULL, -- what was done, for a person: "created", "value"
    type         text NOT NULL,
    value        json, -- NULL: a secret's, or too long to be kept
    size         integer NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    by_name      text NOT NULL,
    job_id       uuid,
    PRIMARY KEY (variable_id, version)
);

-- Values that were secret until lately: scripts that were running then may have
-- read them, so they are masked until those have ended.
CREATE TABLE retired_secrets (
    variable_id  uuid NOT NULL,
    version      integer NOT NULL CHECK (version > 0),
    workspace_id uuid NOT NULL,
    data_key     integer NOT NULL,
    sealed       bytea NOT NULL,
    retired_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (variable_id, version),
    FOREIGN KEY (workspace_id, data_key) REFERENCES data_keys
);
CREATE INDEX retired_secrets_by_key ON retired_secrets (workspace_id, data_key);

-- The latest answers to calls that changed something, until their execution has
-- ended: one that comes again, after a reconnect, gets the same.
CREATE TABLE helper_calls (
    execution_id uuid NOT NULL,
    number       bigint NOT NULL,
    workspace_id uuid NOT NULL,
    answer       json NOT NULL,
    PRIMARY KEY (execution_id, number)
);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['variables', 'variable_grants', 'variable_changes', 'retired_secrets', 'helper_calls'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (cronium_visible(workspace_id)) WITH CHECK (cronium_visible(workspace_id))', t);
    END LOOP;
END $$;
