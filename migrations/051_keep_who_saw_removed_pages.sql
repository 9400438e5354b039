-- +goose Up
-- A page that is removed leaves the tree, which says who may see it. Those who could see it may know that it is gone.
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_removals ADD COLUMN layer_set integer;
CREATE INDEX idx_confluence_removals_layer_set ON confluence_removals (layer_set) WHERE layer_set IS NOT NULL;
COMMENT ON COLUMN confluence_removals.layer_set IS 'the set of the layers that it had; null if that was not known';

-- +goose Down
SET LOCAL lock_timeout = '10s';
ALTER TABLE confluence_removals DROP COLUMN layer_set;
