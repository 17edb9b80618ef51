-- Files that scripts keep with their runs, and what is left of them elsewhere. The
-- first two tables are partitioned as their executions are, so that retention drops
-- them together.

CREATE TABLE artifacts (
    execution_id uuid NOT NULL,
    id           uuid NOT NULL,
    workspace_id uuid NOT NULL,
    job_id       uuid NOT NULL,
    upload       text NOT NULL, -- the script's name for the sending, so that a part that comes twice is known
    name         text NOT NULL CHECK (name <> ''),
    size         bigint NOT NULL DEFAULT 0, -- bytes that have arrived
    hashing      bytea, -- state of the digest of these, while it arrives
    sha256       bytea, -- once all of it is there
    object       text NOT NULL DEFAULT '', -- its name in the object storage; '' = its parts are here
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (execution_id, id),
    UNIQUE (execution_id, upload),
    CHECK ((hashing IS NULL) <> (sha256 IS NULL))
) PARTITION BY RANGE (execution_id);
CREATE INDEX artifacts_by_job ON artifacts (job_id);
CREATE INDEX artifacts_arriving ON artifacts (execution_id) WHERE sha256 IS NULL;
CREATE INDEX artifacts_here ON artifacts (size) WHERE object = '' AND sha256 IS NOT NULL;

CREATE TABLE artifact_parts (
    execution_id uuid NOT NULL,
    artifact_id  uuid NOT NULL,
    start        bigint NOT NULL, -- offset of the first byte
    workspace_id uuid NOT NULL,
    data         bytea NOT NULL,
    PRIMARY KEY (execution_id, artifact_id, start)
) PARTITION BY RANGE (execution_id);
ALTER TABLE artifact_parts ALTER COLUMN data SET STORAGE EXTERNAL;

-- Objects that no artifact names any more, or not yet: written before the object
-- is, removed when the artifact names it or the object is gone.
CREATE TABLE artifact_leftovers (
    object       text PRIMARY KEY,
    workspace_id uuid NOT NULL,
    due          timestamptz NOT NULL -- not removed before: it may be on its way
);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['artifacts', 'artifact_parts', 'artifact_leftovers'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (cronium_visible(workspace_id)) WITH CHECK (cronium_visible(workspace_id))', t);
    END LOOP;
END $$;
