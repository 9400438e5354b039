-- +goose Up
-- Every search reads the whole list of words that are not in the index yet, and the planner counts it: at the
-- server's limit of 4 MB it scans the table instead. The limit is the index's own, in kB, because a session behind
-- a pooler cannot set one.
SET LOCAL lock_timeout = '10s';
ALTER INDEX idx_confluence_chunk_words_words SET (gin_pending_list_limit = 1024);

-- +goose Down
SET LOCAL lock_timeout = '10s';
ALTER INDEX idx_confluence_chunk_words_words RESET (gin_pending_list_limit);
