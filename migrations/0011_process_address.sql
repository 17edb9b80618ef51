-- How other server processes reach this one, for terminals and files on agents
-- that are connected to it; '' where they cannot.
ALTER TABLE processes ADD COLUMN address text NOT NULL DEFAULT '';
