-- +goose Up
-- A node's set of layers is that of its parent and its own layer, so sets are made from the top down, each node once.
-- Before, every node looked its ancestors' layers up in those of all others, which took seconds for a thousand pages.
--
-- A node whose stored place is not where it is now is hidden until its place was written anew: its page still names
-- former ancestors, which its readers may no longer see.

SET LOCAL lock_timeout = '10s';

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION confluence_place_layers(of_source text, roots text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    nodes text[];
    sets  text[];
BEGIN
    -- A source that is being removed takes its tree with it.
    IF coalesce(cardinality(roots), 0) = 0 OR NOT EXISTS (SELECT FROM archon_sources s WHERE s.source_id = of_source) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('confluence tree:' || of_source, 0));
    WITH RECURSIVE asked AS MATERIALIZED (
        SELECT DISTINCT a.node_id FROM unnest(roots) AS a (node_id)
    ), affected (node_id) AS (
        SELECT node_id FROM asked
        UNION
        SELECT t.node_id FROM affected a JOIN confluence_tree t ON t.source_id = of_source AND t.parent_id = a.node_id
    ), above (start, parent_id, known, trace) AS (
        -- From those whose parent is not asked for too, up to the top. A chain that goes round ends.
        SELECT t.node_id, t.parent_id, t.access_known AND (t.kind IN ('page', 'blogpost') OR t.checked_run IS NOT NULL), ARRAY[t.node_id]
        FROM asked a JOIN confluence_tree t ON t.source_id = of_source AND t.node_id = a.node_id
        WHERE t.parent_id IS NULL OR t.parent_id NOT IN (SELECT node_id FROM asked)
        UNION ALL
        SELECT u.start, t.parent_id, u.known AND t.access_known AND (t.kind IN ('page', 'blogpost') OR t.checked_run IS NOT NULL), t.node_id || u.trace
        FROM above u JOIN confluence_tree t ON t.source_id = of_source AND t.node_id = u.parent_id
        WHERE u.known AND t.node_id <> ALL (u.trace)
    ), placed (node_id, path, layers) AS (
        SELECT u.start, '/' || array_to_string(u.trace, '/'), ARRAY(SELECT l.layer_id FROM confluence_layers l
            WHERE l.source_id = of_source AND l.object_kind = 'content' AND l.object_id = ANY (u.trace) ORDER BY 1)
        FROM above u WHERE u.known AND u.parent_id IS NULL
        UNION
        SELECT t.node_id, p.path || '/' || t.node_id,
            CASE WHEN l.layer_id IS NULL THEN p.layers ELSE ARRAY(SELECT id FROM unnest(p.layers || l.layer_id) AS id ORDER BY id) END
        FROM placed p JOIN confluence_tree t ON t.source_id = of_source AND t.parent_id = p.node_id
            AND t.access_known AND (t.kind IN ('page', 'blogpost') OR t.checked_run IS NOT NULL)
        LEFT JOIN confluence_layers l ON l.source_id = of_source AND l.object_kind = 'content' AND l.object_id = t.node_id
    ), shown AS (
        SELECT s.node_id, s.layers FROM placed s
        JOIN confluence_tree t ON t.source_id = of_source AND t.node_id = s.node_id AND (t.path IS NULL OR t.path = s.path)
        WHERE NOT EXISTS (SELECT FROM confluence_pages p
            WHERE p.page_id = s.node_id AND p.source_id = of_source AND NOT p.is_deleted AND p.path <> s.path)
    )
    SELECT array_agg(a.node_id), array_agg(s.layers::text) INTO nodes, sets FROM affected a LEFT JOIN shown s USING (node_id);

    INSERT INTO confluence_layer_sets (source_id, layers)
    SELECT of_source, p.layers::integer[] FROM (SELECT DISTINCT layers FROM unnest(sets) AS p (layers) WHERE layers IS NOT NULL) p
    WHERE NOT EXISTS (SELECT FROM confluence_layer_sets s WHERE s.source_id = of_source AND s.layers = p.layers::integer[])
    ON CONFLICT DO NOTHING;

    WITH named AS MATERIALIZED (
        SELECT p.layers, s.set_id FROM (SELECT DISTINCT layers FROM unnest(sets) AS p (layers)) p
        JOIN confluence_layer_sets s ON s.source_id = of_source AND s.layers = p.layers::integer[]
    )
    UPDATE confluence_tree t SET layer_set = n.set_id
    FROM unnest(nodes, sets) AS p (node_id, layers) LEFT JOIN named n USING (layers)
    WHERE t.source_id = of_source AND t.node_id = p.node_id AND t.layer_set IS DISTINCT FROM n.set_id;
END
$$;
-- +goose StatementEnd

-- Placing nodes updates them too, so this compares all of them, without a join: a plan that was made for few rows
-- would compare each with all others.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION confluence_tree_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM confluence_place_layers(source_id, array_agg(DISTINCT node_id)) FROM (
        (SELECT source_id, node_id, parent_id, kind, access_known, checked_run IS NULL FROM after
            EXCEPT SELECT source_id, node_id, parent_id, kind, access_known, checked_run IS NULL FROM before)
        UNION ALL
        (SELECT source_id, node_id, parent_id, kind, access_known, checked_run IS NULL FROM before
            EXCEPT SELECT source_id, node_id, parent_id, kind, access_known, checked_run IS NULL FROM after)
    ) changed GROUP BY source_id;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

COMMENT ON COLUMN confluence_tree.layer_set IS 'the set of the layers of the node and of its ancestors; null if one of them is unknown, or if the node has moved and its stored place is the former one';

-- +goose Down
SET LOCAL lock_timeout = '10s';
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION confluence_tree_moved() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE OR REPLACE FUNCTION confluence_place_layers(of_source text, roots text[]) RETURNS void LANGUAGE plpgsql AS $$
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
COMMENT ON COLUMN confluence_tree.layer_set IS 'the set of the layers of the node and of its ancestors; null if one of them is unknown';
