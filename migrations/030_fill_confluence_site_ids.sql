-- +goose Up
-- Programs that write pages as the specification has the tables, without a site, go on working: the
-- site is that of the page's source, and of the page for its content.

-- +goose StatementBegin
CREATE FUNCTION confluence_fill_page_site() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT site_id INTO NEW.site_id FROM confluence_spaces WHERE source_id = NEW.source_id;
    IF NOT FOUND THEN
        WITH made AS (INSERT INTO confluence_sites DEFAULT VALUES RETURNING site_id)
        INSERT INTO confluence_spaces (source_id, site_id) SELECT NEW.source_id, site_id FROM made
        RETURNING site_id INTO NEW.site_id;
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION confluence_fill_content_site() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT site_id INTO STRICT NEW.site_id FROM confluence_pages WHERE page_id = NEW.page_id;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER fill_site BEFORE INSERT ON confluence_pages
    FOR EACH ROW WHEN (NEW.site_id IS NULL) EXECUTE FUNCTION confluence_fill_page_site();
CREATE TRIGGER fill_site BEFORE INSERT ON confluence_page_content
    FOR EACH ROW WHEN (NEW.site_id IS NULL) EXECUTE FUNCTION confluence_fill_content_site();

-- +goose Down
DROP TRIGGER fill_site ON confluence_page_content;
DROP TRIGGER fill_site ON confluence_pages;
DROP FUNCTION confluence_fill_content_site, confluence_fill_page_site;
