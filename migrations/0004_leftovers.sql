-- What deleted events and refused test runs leave, and the server's sweep removes.

-- An event that was deleted and whose jobs, executions and output are still
-- there. The server removes them piece by piece, and the row with the last.
CREATE TABLE deleted_events (
    id           uuid PRIMARY KEY, -- the event's
    workspace_id uuid NOT NULL,
    deleted_at   timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE deleted_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE deleted_events FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON deleted_events USING (cronium_visible(workspace_id)) WITH CHECK (cronium_visible(workspace_id));

-- Drafts (versions below zero) that no job names are looked for by their age.
CREATE INDEX event_drafts ON event_versions (created_at) WHERE number < 0;
CREATE INDEX jobs_by_draft ON jobs (event_id, version) WHERE version < 0;

-- Events that were deleted before this was noted.
SET LOCAL cronium.scope = 'system';
INSERT INTO deleted_events (id, workspace_id)
SELECT DISTINCT j.event_id, j.workspace_id FROM jobs j WHERE NOT EXISTS (SELECT FROM events e WHERE e.id = j.event_id);
