-- +goose Up
-- Who may see a page in Confluence. Each object that restricts (a site, a space, a page, a folder) is a
-- layer with its own principals. A node of a source's tree names the set of the content layers of itself
-- and of every ancestor. Sets are shared, so that neither a move nor a restriction writes a page or a chunk.
--
-- What is not known hides a page: a node whose own restriction nobody has read, or with an ancestor that
-- the tree does not have, has no set. docs/adr/0026-permissions-are-layers.md says why.

SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_spaces
    ADD COLUMN permissions text NOT NULL DEFAULT 'open' CHECK (permissions IN ('enforce', 'unrestricted-only', 'open')),
    ADD COLUMN permissions_max_age interval NOT NULL DEFAULT '24 hours' CHECK (permissions_max_age > '0'),
    ADD COLUMN access_read_at timestamptz,
    ADD COLUMN access_problem text NOT NULL DEFAULT '';

CREATE TABLE confluence_layers (
    layer_id    integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_id   text NOT NULL REFERENCES archon_sources (source_id) ON DELETE CASCADE,
    object_kind text NOT NULL CHECK (object_kind IN ('site', 'space', 'content')),
    object_id   text NOT NULL,
    unknown     text NOT NULL DEFAULT '',
    read_at     timestamptz NOT NULL,
    UNIQUE (source_id, object_kind, object_id)
);
CREATE TABLE confluence_layer_principals (
    layer_id     integer NOT NULL REFERENCES confluence_layers (layer_id) ON DELETE CASCADE,
    kind         text NOT NULL,
    principal_id text NOT NULL,
    PRIMARY KEY (layer_id, kind, principal_id)
);
CREATE INDEX idx_confluence_layer_principals_who ON confluence_layer_principals (principal_id, kind, layer_id);
CREATE TABLE confluence_groups (
    source_id text NOT NULL REFERENCES archon_sources (source_id) ON DELETE CASCADE,
    group_id  text NOT NULL,
    unknown   text NOT NULL DEFAULT '',
    read_at   timestamptz NOT NULL,
    PRIMARY KEY (source_id, group_id)
);
CREATE TABLE confluence_group_members (
    source_id  text NOT NULL,
    group_id   text NOT NULL,
    account_id text NOT NULL,
    PRIMARY KEY (source_id, group_id, account_id),
    FOREIGN KEY (source_id, group_id) REFERENCES confluence_groups (source_id, group_id) ON DELETE CASCADE
);
CREATE INDEX idx_confluence_group_members_account ON confluence_group_members (account_id);
CREATE TABLE confluence_layer_sets (
    set_id    integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_id text NOT NULL REFERENCES archon_sources (source_id) ON DELETE CASCADE,
    layers    integer[] NOT NULL,
    UNIQUE (source_id, layers)
);

ALTER TABLE confluence_tree
    ADD COLUMN access_known boolean NOT NULL DEFAULT false,
    ADD COLUMN layer_set integer;
CREATE INDEX idx_confluence_tree_layer_set ON confluence_tree (layer_set, source_id, node_id) WHERE kind IN ('page', 'blogpost');

-- Nodes and their descendants get the set of the layers from themselves to the top. The caller's tree lock
-- is taken here too: each statement sees what was committed before it, so the later of two writers sees
-- what both have written.
-- +goose StatementBegin
CREATE FUNCTION confluence_place_layers(of_source text, roots text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    nodes text[];
    sets  text[];
BEGIN
    -- A source that is being removed takes its tree with it.
    IF coalesce(cardinality(roots), 0) = 0 OR NOT EXISTS (SELECT FROM archon_sources s WHERE s.source_id = of_source) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('confluence tree:' || of_source, 0));
    WITH RECURSIVE affected (node_id) AS (
        SELECT unnest(roots)
        UNION
        SELECT t.node_id FROM affected a JOIN confluence_tree t ON t.source_id = of_source AND t.parent_id = a.node_id
    ), up (start, node_id, parent_id, known) AS (
        SELECT t.node_id, t.node_id, t.parent_id, t.access_known AND (t.kind IN ('page', 'blogpost') OR t.checked_run IS NOT NULL)
        FROM affected a JOIN confluence_tree t ON t.source_id = of_source AND t.node_id = a.node_id
        UNION
        SELECT u.start, t.node_id, t.parent_id, t.access_known AND (t.kind IN ('page', 'blogpost') OR t.checked_run IS NOT NULL)
        FROM up u JOIN confluence_tree t ON t.source_id = of_source AND t.node_id = u.parent_id
    ), counted (start, layer_id) AS (
        SELECT u.start, l.layer_id FROM up u
        JOIN confluence_layers l ON l.source_id = of_source AND l.object_kind = 'content' AND l.object_id = u.node_id
        UNION
        -- A page that has moved shows the titles of its former ancestors until Repath has written it.
        SELECT p.page_id, l.layer_id FROM affected a JOIN confluence_pages p ON p.page_id = a.node_id AND p.source_id = of_source
        JOIN confluence_layers l ON l.source_id = of_source AND l.object_kind = 'content' AND l.object_id = ANY (string_to_array(p.path, '/'))
    ), placed AS (
        -- A chain that does not end at the top has an ancestor that is missing, or goes round.
        SELECT u.start, CASE WHEN bool_and(u.known) AND bool_or(u.parent_id IS NULL)
            THEN ARRAY(SELECT c.layer_id FROM counted c WHERE c.start = u.start ORDER BY c.layer_id) END AS layers
        FROM up u GROUP BY u.start
    )
    SELECT array_agg(start), array_agg(layers::text) INTO nodes, sets FROM placed;

    INSERT INTO confluence_layer_sets (source_id, layers)
    SELECT DISTINCT of_source, p.layers::integer[] FROM unnest(sets) AS p (layers)
    WHERE p.layers IS NOT NULL AND NOT EXISTS (SELECT FROM confluence_layer_sets s WHERE s.source_id = of_source AND s.layers = p.layers::integer[])
    ON CONFLICT DO NOTHING;

    UPDATE confluence_tree t SET layer_set = s.set_id
    FROM unnest(nodes, sets) AS p (node_id, layers)
    LEFT JOIN confluence_layer_sets s ON s.source_id = of_source AND s.layers = p.layers::integer[]
    WHERE t.source_id = of_source AND t.node_id = p.node_id AND t.layer_set IS DISTINCT FROM s.set_id;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION confluence_tree_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM confluence_place_layers(source_id, array_agg(node_id)) FROM after GROUP BY source_id;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION confluence_tree_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM confluence_place_layers(source_id, array_agg(node_id)) FROM (
        SELECT n.source_id, n.node_id FROM after n LEFT JOIN before o USING (source_id, node_id)
        WHERE (n.parent_id, n.kind, n.access_known, n.checked_run IS NULL) IS DISTINCT FROM (o.parent_id, o.kind, o.access_known, o.checked_run IS NULL)
        UNION
        SELECT o.source_id, o.node_id FROM before o LEFT JOIN after n USING (source_id, node_id) WHERE n.node_id IS NULL
    ) changed GROUP BY source_id;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION confluence_tree_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM confluence_place_layers(source_id, array_agg(node_id)) FROM before GROUP BY source_id;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION confluence_layers_came() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM confluence_place_layers(source_id, array_agg(object_id)) FROM after WHERE object_kind = 'content' GROUP BY source_id;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION confluence_layers_went() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM confluence_place_layers(source_id, array_agg(object_id)) FROM before WHERE object_kind = 'content' GROUP BY source_id;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER place_added AFTER INSERT ON confluence_tree
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION confluence_tree_added();
CREATE TRIGGER place_moved AFTER UPDATE ON confluence_tree
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION confluence_tree_moved();
CREATE TRIGGER place_removed AFTER DELETE ON confluence_tree
    REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION confluence_tree_removed();
CREATE TRIGGER place_came AFTER INSERT ON confluence_layers
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION confluence_layers_came();
CREATE TRIGGER place_went AFTER DELETE ON confluence_layers
    REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION confluence_layers_went();

-- What a reader is let in to, of the given sources (null: all): sources without permissions as a whole
-- (set_id is null), and of the others the sets whose layers all admit the reader. The reader '' is nobody
-- in particular. Named are sources that an administrator opened to that reader: they need no space layer.
-- +goose StatementBegin
CREATE FUNCTION confluence_admitted(reader text, named text[], of_sources text[]) RETURNS TABLE (source_id text, set_id integer)
LANGUAGE sql STABLE AS $$
    WITH guarded AS (
        SELECT p.source_id, p.permissions, now() - p.permissions_max_age AS oldest FROM confluence_spaces p
        WHERE p.permissions <> 'open' AND (of_sources IS NULL OR p.source_id = ANY (of_sources))
            AND p.access_read_at >= now() - p.permissions_max_age
    ), mine AS (
        SELECT g.source_id, 'user' AS kind, reader AS principal_id FROM guarded g WHERE reader <> ''
        UNION ALL SELECT g.source_id, 'everyone', '' FROM guarded g
        UNION ALL SELECT g.source_id, 'group', m.group_id FROM guarded g
            JOIN confluence_group_members m ON m.source_id = g.source_id AND m.account_id = reader
            JOIN confluence_groups k ON k.source_id = m.source_id AND k.group_id = m.group_id AND k.unknown = '' AND k.read_at >= g.oldest
            WHERE reader <> ''
    ), admits AS MATERIALIZED (
        SELECT DISTINCT l.source_id, l.layer_id, l.object_kind FROM mine
        JOIN confluence_layer_principals p ON p.kind = mine.kind AND p.principal_id = mine.principal_id
        JOIN confluence_layers l ON l.layer_id = p.layer_id AND l.source_id = mine.source_id AND l.unknown = ''
        JOIN guarded g ON g.source_id = l.source_id AND l.read_at >= g.oldest
    ), entered AS (
        SELECT g.source_id, g.permissions, ARRAY(SELECT a.layer_id FROM admits a WHERE a.source_id = g.source_id AND a.object_kind = 'content') AS layers
        FROM guarded g
        WHERE reader = '' AND g.source_id = ANY (named)
        OR EXISTS (SELECT FROM admits a WHERE a.source_id = g.source_id AND a.object_kind = 'space')
        AND NOT EXISTS (
            SELECT FROM confluence_layers l WHERE l.source_id = g.source_id AND l.object_kind <> 'content'
            AND (reader <> '' OR l.object_kind = 'space') AND l.layer_id NOT IN (SELECT a.layer_id FROM admits a))
    )
    SELECT s.source_id, NULL::integer FROM archon_sources s LEFT JOIN confluence_spaces p USING (source_id)
    WHERE (of_sources IS NULL OR s.source_id = ANY (of_sources)) AND CASE WHEN p.source_id IS NULL
        THEN (s.metadata->>'source_type' = 'confluence' OR s.metadata ? 'sluice_system') IS NOT TRUE ELSE p.permissions = 'open' END
    UNION ALL
    SELECT e.source_id, s.set_id FROM entered e JOIN confluence_layer_sets s USING (source_id)
    WHERE CASE WHEN reader = '' OR e.permissions = 'unrestricted-only' THEN s.layers = '{}' ELSE s.layers <@ e.layers END
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION confluence_place_layers IS 'Gives nodes of a tree and their descendants the set of their layers';
COMMENT ON FUNCTION confluence_admitted IS 'What a reader is let in to: whole sources, and sets of layers';
COMMENT ON COLUMN confluence_spaces.permissions IS 'enforce: Confluence''s permissions decide who sees a page; unrestricted-only: as enforce, and no page with a restriction; open: every key of the source sees every page';
COMMENT ON COLUMN confluence_spaces.permissions_max_age IS 'what was read longer ago counts as unknown';
COMMENT ON COLUMN confluence_spaces.access_read_at IS 'when the last complete reading of permissions began; null before the first';
COMMENT ON COLUMN confluence_spaces.access_problem IS 'why the latest reading of permissions failed, as a code; empty if it did not';
COMMENT ON TABLE confluence_layers IS 'Objects that restrict who may read them and what is below them';
COMMENT ON COLUMN confluence_layers.layer_id IS 'a number of this database';
COMMENT ON COLUMN confluence_layers.source_id IS 'the source';
COMMENT ON COLUMN confluence_layers.object_kind IS 'site, space or content';
COMMENT ON COLUMN confluence_layers.object_id IS 'Confluence''s id of the space or content; empty for the site';
COMMENT ON COLUMN confluence_layers.unknown IS 'why it could not be read, as a code: it admits nobody; empty if it is known';
COMMENT ON COLUMN confluence_layers.read_at IS 'when it was read';
COMMENT ON TABLE confluence_layer_principals IS 'Whom each layer admits';
COMMENT ON COLUMN confluence_layer_principals.layer_id IS 'the layer';
COMMENT ON COLUMN confluence_layer_principals.kind IS 'user, group or everyone; others admit nobody';
COMMENT ON COLUMN confluence_layer_principals.principal_id IS 'account id or group id; empty for everyone';
COMMENT ON TABLE confluence_groups IS 'Groups that layers name';
COMMENT ON COLUMN confluence_groups.source_id IS 'the source whose layers name it';
COMMENT ON COLUMN confluence_groups.group_id IS 'Confluence''s id of the group';
COMMENT ON COLUMN confluence_groups.unknown IS 'why its members could not be read, as a code: it admits nobody; empty if they are known';
COMMENT ON COLUMN confluence_groups.read_at IS 'when its members were read';
COMMENT ON TABLE confluence_group_members IS 'Members of those groups';
COMMENT ON COLUMN confluence_group_members.source_id IS 'the source';
COMMENT ON COLUMN confluence_group_members.group_id IS 'the group';
COMMENT ON COLUMN confluence_group_members.account_id IS 'the member''s account id';
COMMENT ON TABLE confluence_layer_sets IS 'Sets of content layers that nodes of a tree have';
COMMENT ON COLUMN confluence_layer_sets.set_id IS 'a number of this database';
COMMENT ON COLUMN confluence_layer_sets.source_id IS 'the source';
COMMENT ON COLUMN confluence_layer_sets.layers IS 'ids of the layers, ascending; empty for content that nothing restricts';
COMMENT ON COLUMN confluence_tree.access_known IS 'whether the node''s own view restriction, or that it has none, has been read';
COMMENT ON COLUMN confluence_tree.layer_set IS 'the set of the layers of the node and of its ancestors; null if one of them is unknown';

-- +goose Down
SET LOCAL lock_timeout = '10s';
DROP TRIGGER place_added ON confluence_tree;
DROP TRIGGER place_moved ON confluence_tree;
DROP TRIGGER place_removed ON confluence_tree;
ALTER TABLE confluence_tree DROP COLUMN access_known, DROP COLUMN layer_set;
DROP FUNCTION confluence_admitted(text, text[], text[]);
DROP TABLE confluence_layer_sets, confluence_group_members, confluence_groups, confluence_layer_principals, confluence_layers;
DROP FUNCTION confluence_layers_came, confluence_layers_went, confluence_tree_added, confluence_tree_moved, confluence_tree_removed;
DROP FUNCTION confluence_place_layers(text, text[]);
ALTER TABLE confluence_spaces DROP COLUMN permissions, DROP COLUMN permissions_max_age, DROP COLUMN access_read_at, DROP COLUMN access_problem;
