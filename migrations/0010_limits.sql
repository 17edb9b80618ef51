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
