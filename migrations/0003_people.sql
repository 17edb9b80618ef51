-- People: when they were here, sessions that are told apart and ended one by
-- one, links to set a password, and two more scopes of API tokens.

ALTER TABLE memberships ADD COLUMN seen_at timestamptz; -- in a browser, to ten minutes

-- A person without a password has password_hash '' and sets one by a link,
-- which an administrator hands over. It works once; a newer one replaces it.
CREATE TABLE password_links (
    user_id    uuid PRIMARY KEY REFERENCES users,
    hash       bytea NOT NULL UNIQUE, -- SHA-256 of the code
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);

ALTER TABLE api_tokens DROP CONSTRAINT api_tokens_scope_check;
ALTER TABLE api_tokens ADD CONSTRAINT api_tokens_scope_check CHECK (scope IN ('read', 'run', 'write', 'admin', 'metrics'));

-- Sessions as rows that can be read: everybody signs in anew.
DROP TABLE sessions;
CREATE TABLE sessions (
    id           uuid PRIMARY KEY,
    hash         bytea NOT NULL UNIQUE, -- SHA-256 of the cookie's value
    user_id      uuid NOT NULL REFERENCES users,
    workspace_id uuid NOT NULL REFERENCES workspaces,
    began_at     timestamptz NOT NULL DEFAULT now(),
    used_at      timestamptz NOT NULL DEFAULT now(), -- to ten minutes; it ends a week later
    ends_at      timestamptz NOT NULL, -- in any case
    address      text NOT NULL, -- from which the person signed in
    browser      text NOT NULL  -- in words
);
CREATE INDEX sessions_by_user ON sessions (user_id);
ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON sessions USING (cronium_visible(workspace_id)) WITH CHECK (cronium_visible(workspace_id));
