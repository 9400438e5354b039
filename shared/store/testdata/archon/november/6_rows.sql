-- What Archon has crawled and what was uploaded to it.
INSERT INTO archon_sources (source_id, source_url, source_display_name, summary, total_word_count, title, metadata) VALUES
    ('web', 'https://docs.example.com', 'Example docs', 'About examples', 7, 'Example docs',
        '{"knowledge_type": "technical", "tags": ["go"], "source_type": "url", "update_frequency": 7, "original_url": "https://docs.example.com"}'),
    ('file_notes_pdf_1a2b', 'file://notes.pdf', 'notes.pdf', NULL, 3, 'notes.pdf', '{"knowledge_type": "business", "tags": [], "source_type": "file"}');
INSERT INTO archon_page_metadata (id, source_id, url, full_content, word_count, char_count, chunk_count, metadata) VALUES
    ('5d7e4e0e-0000-4000-8000-000000000000', 'web', 'https://docs.example.com/start', 'crawled words about harbours, more crawled words', 7, 48, 2,
        '{"knowledge_type": "technical", "crawl_type": "webpage", "page_type": "documentation", "tags": ["go"]}');
INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id, page_id, metadata, embedding_model, embedding_dimension) VALUES
    ('https://docs.example.com/start', 0, 'crawled words about harbours', 'web', '5d7e4e0e-0000-4000-8000-000000000000',
        '{"url": "https://docs.example.com/start", "source_id": "web", "page_id": "5d7e4e0e-0000-4000-8000-000000000000", "crawl_type": "webpage", "chunk_index": 0}', 'text-embedding-3-small', 1536),
    ('https://docs.example.com/start', 1, 'more crawled words', 'web', '5d7e4e0e-0000-4000-8000-000000000000',
        '{"url": "https://docs.example.com/start", "source_id": "web", "page_id": "5d7e4e0e-0000-4000-8000-000000000000", "crawl_type": "webpage", "chunk_index": 1}', NULL, NULL),
    ('file://notes.pdf', 0, 'uploaded words about keys', 'file_notes_pdf_1a2b', NULL,
        '{"url": "file://notes.pdf", "source_id": "file_notes_pdf_1a2b", "source_type": "file", "chunk_index": 0}', NULL, NULL);
INSERT INTO archon_code_examples (url, chunk_number, content, summary, source_id) VALUES
    ('https://docs.example.com/start', 0, 'fmt.Println("words")', 'prints words', 'web');
INSERT INTO archon_projects (title) VALUES ('Lighthouse');
