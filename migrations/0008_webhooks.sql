-- Webhooks, what came to them, and what may be reached from here.

CREATE TABLE webhooks (
    id               uuid PRIMARY KEY,
    workspace_id     uuid NOT NULL REFERENCES workspaces,
    event_id         uuid NOT NULL REFERENCES events ON DELETE CASCADE,
    hook             text COLLATE "C" NOT NULL UNIQUE, -- the part of the address that nobody can guess
    name             text NOT NULL,
    style            text NOT NULL CHECK (style IN ('hmac', 'github', 'stripe', 'slack', 'key')),
    header           text NOT NULL DEFAULT '',
    timestamp_header text NOT NULL DEFAULT '',
    window_seconds   integer NOT NULL,
    once_header      text NOT NULL DEFAULT '',
    headers          text[] NOT NULL DEFAULT '{}', -- given to the job
    allow            text[] NOT NULL DEFAULT '{}', -- addresses and ranges; none = all
    wait_seconds     integer NOT NULL DEFAULT 0,
    rate_per_minute  integer NOT NULL,
    enabled          boolean NOT NULL DEFAULT true,
    changed_by       text NOT NULL DEFAULT '', -- a person's or a token's name as it was
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhooks_by_event ON webhooks (event_id);
CREATE UNIQUE INDEX webhooks_name ON webhooks (workspace_id, lower(name));

-- One counts for ever; one that was replaced until it expires.
CREATE TABLE webhook_secrets (
    id           uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    webhook_id   uuid NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    data_key     integer NOT NULL,
    sealed       bytea NOT NULL, -- AES-256-GCM, bound to the workspace and the id
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    FOREIGN KEY (workspace_id, data_key) REFERENCES data_keys -- so that no key goes that seals something
);
CREATE INDEX webhook_secrets_by_webhook ON webhook_secrets (webhook_id);
CREATE INDEX webhook_secrets_by_key ON webhook_secrets (workspace_id, data_key);

-- Requests as they came: many, so without a foreign key that would lock the
-- webhook's row for each. They go with their webhook, or when they are old.
CREATE TABLE webhook_deliveries (
    id           uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    webhook_id   uuid NOT NULL,
    verdict      text NOT NULL CHECK (verdict IN ('ACCEPTED', 'DUPLICATE', 'ANSWERED', 'REFUSED')),
    verified     boolean NOT NULL,
    reason       text NOT NULL DEFAULT '',
    status       integer NOT NULL, -- of the answer
    address      text NOT NULL,
    content_type text NOT NULL DEFAULT '',
    headers      json NOT NULL DEFAULT '[]',
    body         bytea, -- its beginning
    size         integer NOT NULL DEFAULT 0, -- of all of it
    job_id       uuid,
    replay_of    uuid,
    by_name      text NOT NULL DEFAULT '' -- who sent it from the page
);
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id, id DESC);

-- Signatures and names of requests that have a job: one that comes again gets
-- the same job.
CREATE TABLE webhook_seen (
    webhook_id   uuid NOT NULL,
    key          bytea NOT NULL, -- SHA-256 of what was seen
    workspace_id uuid NOT NULL,
    request      bytea NOT NULL, -- SHA-256 of the body: another one may not have the same name
    job_id       uuid NOT NULL,
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (webhook_id, key)
);
CREATE INDEX webhook_seen_by_expiry ON webhook_seen (expires_at);

CREATE FUNCTION cronium_forget_webhook() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM webhook_deliveries WHERE webhook_id = OLD.id;
    DELETE FROM webhook_seen WHERE webhook_id = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER webhooks_forget AFTER DELETE ON webhooks FOR EACH ROW EXECUTE FUNCTION cronium_forget_webhook();

-- What outgoing requests of a workspace may reach beside the internet.
CREATE TABLE outbound_allow (
    workspace_id uuid PRIMARY KEY REFERENCES workspaces,
    entries      text[] NOT NULL,
    changed_by   text NOT NULL,
    changed_at   timestamptz NOT NULL DEFAULT now()
);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['webhooks', 'webhook_secrets', 'webhook_deliveries', 'webhook_seen', 'outbound_allow'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (cronium_visible(workspace_id)) WITH CHECK (cronium_visible(workspace_id))', t);
    END LOOP;
END $$;
