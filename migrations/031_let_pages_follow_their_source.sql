-- +goose Up
-- A program that gives pages to another source, as the specification has the tables, knows no site: the
-- pages get that of the new source. Their content follows by its key.
SET LOCAL lock_timeout = '10s';
CREATE TRIGGER follow_source BEFORE UPDATE OF source_id ON confluence_pages
    FOR EACH ROW WHEN (NEW.source_id IS DISTINCT FROM OLD.source_id AND NEW.site_id = OLD.site_id)
    EXECUTE FUNCTION confluence_fill_page_site();

-- +goose Down
SET LOCAL lock_timeout = '10s';
DROP TRIGGER follow_source ON confluence_pages;
