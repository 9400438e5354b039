-- +goose Up
-- A site that asks for a long pause stops all its sources; here people see it, and lift it. It is known by its
-- address, as its request budget is: the pause is of the server that answers there.
CREATE TABLE confluence_pauses (
    site      text PRIMARY KEY,
    since     timestamptz NOT NULL DEFAULT clock_timestamp(),
    until     timestamptz NOT NULL,
    why       text NOT NULL,
    lifted_at timestamptz
);
COMMENT ON TABLE confluence_pauses IS 'The last long pause that each site asked for';
COMMENT ON COLUMN confluence_pauses.site IS 'its address, in lower case';
COMMENT ON COLUMN confluence_pauses.since IS 'when the pause began';
COMMENT ON COLUMN confluence_pauses.until IS 'no call before it';
COMMENT ON COLUMN confluence_pauses.why IS 'the call that was answered with it';
COMMENT ON COLUMN confluence_pauses.lifted_at IS 'when somebody last lifted a pause of the site; not before since: this one';

-- +goose Down
SET LOCAL lock_timeout = '10s';
DROP TABLE confluence_pauses;
