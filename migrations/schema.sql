-- What a database of Sluice's own holds once every migration is applied. Written from such a
-- database by "make docs", for readers; it is never applied.
--
-- Beside an existing Archon the archon_* tables are Archon's own and stay as they are.
--
-- Left out is what depends on the server. Where it has pgvector, archon_crawled_pages has
-- embedding_384, embedding_768, embedding_1024, embedding_1536 and embedding_3072, all but the
-- last with an ivfflat index; where it has lz4, confluence_page_content.markdown is compressed
-- with it; where Archon's roles exist
-- (Supabase), confluence_guard() keeps its public roles away from Sluice's tables and rows.

CREATE TABLE archon_crawled_pages (
    id bigint DEFAULT nextval('archon_crawled_pages_id_seq'::regclass) NOT NULL,
    url character varying NOT NULL,
    chunk_number integer NOT NULL,
    content text NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    source_id text NOT NULL,
    llm_chat_model text,
    embedding_model text,
    embedding_dimension integer,
    content_search_vector tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, content)) STORED,
    created_at timestamp with time zone DEFAULT timezone('utc'::text, now()) NOT NULL
);

CREATE TABLE archon_migrations (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    version character varying(20) NOT NULL,
    migration_name character varying(255) NOT NULL,
    applied_at timestamp with time zone DEFAULT now(),
    checksum character varying(32)
);

CREATE TABLE archon_settings (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    key character varying(255) NOT NULL,
    value text,
    encrypted_value text,
    is_encrypted boolean DEFAULT false,
    category character varying(100),
    description text,
    created_at timestamp with time zone DEFAULT now(),
    updated_at timestamp with time zone DEFAULT now()
);

CREATE TABLE archon_sources (
    source_id text NOT NULL,
    source_url text,
    source_display_name text,
    summary text,
    total_word_count integer DEFAULT 0,
    title text,
    metadata jsonb DEFAULT '{}'::jsonb,
    created_at timestamp with time zone DEFAULT timezone('utc'::text, now()) NOT NULL,
    updated_at timestamp with time zone DEFAULT timezone('utc'::text, now()) NOT NULL
);

CREATE TABLE confluence_api_keys (
    key_id text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    sources text[] DEFAULT '{}'::text[] NOT NULL,
    hash text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone,
    account text DEFAULT ''::text NOT NULL,
    act_as boolean DEFAULT false NOT NULL
);

CREATE TABLE confluence_chunk_texts (
    chunk_id bigint NOT NULL,
    space_id integer NOT NULL,
    key uuid NOT NULL,
    copied boolean DEFAULT false NOT NULL
);

CREATE TABLE confluence_chunk_words (
    chunk_id bigint NOT NULL,
    source_id text NOT NULL,
    page_id text,
    place bigint NOT NULL,
    length integer NOT NULL,
    titles integer NOT NULL,
    words tsvector NOT NULL
);

CREATE TABLE confluence_console_sessions (
    session_hash bytea NOT NULL,
    key_id text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE confluence_group_members (
    source_id text NOT NULL,
    group_id text NOT NULL,
    account_id text NOT NULL
);

CREATE TABLE confluence_groups (
    source_id text NOT NULL,
    group_id text NOT NULL,
    unknown text DEFAULT ''::text NOT NULL,
    read_at timestamp with time zone NOT NULL
);

CREATE TABLE confluence_layer_principals (
    layer_id integer NOT NULL,
    kind text NOT NULL,
    principal_id text NOT NULL
);

CREATE TABLE confluence_layer_sets (
    set_id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    source_id text NOT NULL,
    layers integer[] NOT NULL
);

CREATE TABLE confluence_layers (
    layer_id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    source_id text NOT NULL,
    object_kind text NOT NULL,
    object_id text NOT NULL,
    unknown text DEFAULT ''::text NOT NULL,
    read_at timestamp with time zone NOT NULL
);

CREATE TABLE confluence_page_content (
    page_id text NOT NULL,
    url text NOT NULL,
    markdown text NOT NULL,
    losses jsonb DEFAULT '[]'::jsonb NOT NULL,
    headings jsonb DEFAULT '[]'::jsonb NOT NULL,
    includes jsonb DEFAULT '[]'::jsonb NOT NULL,
    pipeline_version integer NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    fetched_at timestamp with time zone,
    body_hash text,
    site_id integer NOT NULL,
    last_edit jsonb
);

CREATE TABLE confluence_pages (
    page_id text NOT NULL,
    source_id text NOT NULL,
    space_key text NOT NULL,
    title text NOT NULL,
    version integer NOT NULL,
    last_modified timestamp with time zone NOT NULL,
    is_deleted boolean DEFAULT false NOT NULL,
    path text NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    kind text DEFAULT 'page'::text NOT NULL,
    site_id integer NOT NULL
);

CREATE TABLE confluence_pauses (
    site text NOT NULL,
    since timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    until timestamp with time zone NOT NULL,
    why text NOT NULL,
    lifted_at timestamp with time zone
);

CREATE VIEW confluence_readable_chunks AS  SELECT c.id,
    c.source_id,
    (c.metadata ->> 'confluence_page_id'::text) AS page_id,
    c.url,
    c.chunk_number,
    c.content,
    c.metadata
   FROM archon_crawled_pages c
  WHERE ((NOT (c.metadata ? '_pending_deletion'::text)) AND (NOT (EXISTS ( SELECT
           FROM confluence_pages p
          WHERE ((p.source_id = c.source_id) AND (p.page_id = (c.metadata ->> 'confluence_page_id'::text)) AND p.is_deleted)))) AND ((c.source_id IN ( SELECT r.source_id
           FROM confluence_readable() r(source_id, set_id)
          WHERE (r.set_id IS NULL))) OR (EXISTS ( SELECT
           FROM confluence_tree t
          WHERE ((t.source_id = c.source_id) AND (t.node_id = (c.metadata ->> 'confluence_page_id'::text)) AND (t.layer_set IN ( SELECT r.set_id
                   FROM confluence_readable() r(source_id, set_id)
                  WHERE (r.set_id IS NOT NULL))))))));

CREATE VIEW confluence_readable_pages AS  SELECT p.page_id,
    p.source_id,
    p.kind,
    p.space_key,
    p.title,
    p.version,
    p.last_modified,
    p.path,
    c.url,
    p.metadata,
    c.markdown
   FROM (confluence_pages p
     LEFT JOIN confluence_page_content c USING (page_id, site_id))
  WHERE ((NOT p.is_deleted) AND ((p.source_id IN ( SELECT r.source_id
           FROM confluence_readable() r(source_id, set_id)
          WHERE (r.set_id IS NULL))) OR (EXISTS ( SELECT
           FROM confluence_tree t
          WHERE ((t.source_id = p.source_id) AND (t.node_id = p.page_id) AND (t.layer_set IN ( SELECT r.set_id
                   FROM confluence_readable() r(source_id, set_id)
                  WHERE (r.set_id IS NOT NULL))))))));

CREATE TABLE confluence_removals (
    page_id text NOT NULL,
    run_id text NOT NULL,
    source_id text NOT NULL,
    title text NOT NULL,
    reason text NOT NULL,
    removed_at timestamp with time zone DEFAULT now() NOT NULL,
    restored_at timestamp with time zone,
    purged_at timestamp with time zone,
    layer_set integer
);

CREATE TABLE confluence_schedules (
    source_id text NOT NULL,
    is_on boolean NOT NULL,
    every text DEFAULT ''::text NOT NULL,
    cron text DEFAULT ''::text NOT NULL,
    time_zone text DEFAULT ''::text NOT NULL,
    quiet_hours text DEFAULT ''::text NOT NULL,
    full_every text DEFAULT ''::text NOT NULL,
    next_at timestamp with time zone,
    full_after timestamp with time zone DEFAULT now() NOT NULL,
    look_token text DEFAULT ''::text NOT NULL,
    look_until timestamp with time zone,
    looked_at timestamp with time zone,
    look_result text DEFAULT ''::text NOT NULL,
    look_problem text DEFAULT ''::text NOT NULL,
    look_failures integer DEFAULT 0 NOT NULL,
    seen_until timestamp with time zone,
    changed_at timestamp with time zone,
    mended_at timestamp with time zone
);

CREATE TABLE confluence_search (
    one boolean DEFAULT true NOT NULL,
    language text NOT NULL
);

CREATE TABLE confluence_sites (
    site_id integer GENERATED BY DEFAULT AS IDENTITY NOT NULL,
    cloud_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE confluence_spaces (
    source_id text NOT NULL,
    site_id integer NOT NULL,
    space_id text,
    keys text[] DEFAULT '{}'::text[] NOT NULL,
    old_keys text[] DEFAULT '{}'::text[] NOT NULL,
    readdress jsonb DEFAULT '[]'::jsonb NOT NULL,
    permissions text DEFAULT 'open'::text NOT NULL,
    permissions_max_age interval DEFAULT '24:00:00'::interval NOT NULL,
    access_read_at timestamp with time zone,
    access_problem text DEFAULT ''::text NOT NULL,
    sweep_token text DEFAULT ''::text NOT NULL,
    sweep_until timestamp with time zone,
    sweep_tried_at timestamp with time zone,
    permissions_chosen boolean DEFAULT false NOT NULL
);

CREATE TABLE confluence_sync_pages (
    run_id text NOT NULL,
    page_id text NOT NULL,
    version integer NOT NULL,
    title text DEFAULT ''::text NOT NULL,
    status text DEFAULT 'current'::text NOT NULL,
    parent_id text,
    parent_kind text,
    outcome text,
    reason text,
    message text,
    stage text,
    attempts integer DEFAULT 0 NOT NULL,
    ended_at timestamp with time zone,
    labels text[],
    bytes integer,
    fetched_at timestamp with time zone,
    converted_at timestamp with time zone,
    kind text DEFAULT 'page'::text NOT NULL,
    version_at timestamp with time zone
);

CREATE TABLE confluence_sync_runs (
    run_id text NOT NULL,
    source_id text NOT NULL,
    requested_mode text NOT NULL,
    mode text NOT NULL,
    state text NOT NULL,
    approve_removals boolean DEFAULT false NOT NULL,
    requested_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    listing_started_at timestamp with time zone,
    listing_completed_at timestamp with time zone,
    listed integer,
    removal_candidates integer,
    removals_checked_at timestamp with time zone,
    sent_at timestamp with time zone,
    listing_until timestamp with time zone,
    attempt integer DEFAULT 1 NOT NULL,
    finished_at timestamp with time zone,
    code text,
    message text,
    approves_run text,
    decision text,
    decided_at timestamp with time zone,
    api_calls integer DEFAULT 0 NOT NULL,
    api_bytes bigint DEFAULT 0 NOT NULL,
    blog_posts boolean DEFAULT false NOT NULL,
    snapshot_seq bigint DEFAULT 0 NOT NULL,
    notes text[] DEFAULT '{}'::text[] NOT NULL,
    kinds text[] DEFAULT '{}'::text[] NOT NULL,
    only_pages text[],
    reason text DEFAULT 'asked'::text NOT NULL,
    marks text[],
    report jsonb
);

CREATE TABLE confluence_texts (
    space_id integer NOT NULL,
    key uuid NOT NULL,
    state text DEFAULT 'pending'::text NOT NULL,
    code text,
    tries integer DEFAULT 0 NOT NULL,
    tokens integer DEFAULT 0 NOT NULL,
    due_at timestamp with time zone DEFAULT now() NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE confluence_tokens (
    name text NOT NULL,
    stored_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone
);

CREATE TABLE confluence_tree (
    source_id text NOT NULL,
    node_id text NOT NULL,
    kind text NOT NULL,
    title text NOT NULL,
    parent_id text,
    parent_kind text,
    path text,
    checked_run text,
    trail text,
    stale boolean DEFAULT false NOT NULL,
    failed_run text,
    access_known boolean DEFAULT false NOT NULL,
    layer_set integer,
    left_out boolean DEFAULT false NOT NULL
);

CREATE TABLE confluence_unread_files (
    source_id text NOT NULL,
    page_id text NOT NULL,
    version integer NOT NULL,
    version_at timestamp with time zone,
    reader text NOT NULL,
    bounds text NOT NULL,
    skipped boolean NOT NULL,
    reason text NOT NULL,
    message text DEFAULT ''::text NOT NULL,
    times integer DEFAULT 1 NOT NULL
);

CREATE TABLE confluence_vector_spaces (
    space_id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    model text NOT NULL,
    dimensions integer NOT NULL,
    prefix_version integer NOT NULL,
    state text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    active_at timestamp with time zone
);

CREATE TABLE confluence_word_totals (
    source_id text NOT NULL,
    chunks bigint NOT NULL,
    length bigint NOT NULL
);

CREATE TABLE confluence_words (
    word text COLLATE "C" NOT NULL,
    chunks bigint NOT NULL
);

CREATE TABLE confluence_words_uncounted (
    id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    chunk_id bigint,
    source_id text,
    length integer,
    words tsvector
);

CREATE TABLE sluice_migrations (
    id integer GENERATED BY DEFAULT AS IDENTITY NOT NULL,
    version_id bigint NOT NULL,
    is_applied boolean NOT NULL,
    tstamp timestamp without time zone DEFAULT now() NOT NULL
);

ALTER TABLE archon_crawled_pages ADD CONSTRAINT archon_crawled_pages_pkey PRIMARY KEY (id);
ALTER TABLE archon_crawled_pages ADD CONSTRAINT archon_crawled_pages_url_chunk_number_key UNIQUE (url, chunk_number);
ALTER TABLE archon_crawled_pages ADD CONSTRAINT archon_crawled_pages_source_id_fkey FOREIGN KEY (source_id) REFERENCES archon_sources(source_id) ON DELETE CASCADE;
ALTER TABLE archon_migrations ADD CONSTRAINT archon_migrations_pkey PRIMARY KEY (id);
ALTER TABLE archon_migrations ADD CONSTRAINT archon_migrations_version_migration_name_key UNIQUE (version, migration_name);
ALTER TABLE archon_settings ADD CONSTRAINT archon_settings_pkey PRIMARY KEY (id);
ALTER TABLE archon_settings ADD CONSTRAINT archon_settings_key_key UNIQUE (key);
ALTER TABLE archon_sources ADD CONSTRAINT archon_sources_pkey PRIMARY KEY (source_id);
ALTER TABLE confluence_api_keys ADD CONSTRAINT confluence_api_keys_pkey PRIMARY KEY (key_id);
ALTER TABLE confluence_api_keys ADD CONSTRAINT confluence_api_keys_reader CHECK (((account = ''::text) OR (NOT act_as)));
ALTER TABLE confluence_api_keys ADD CONSTRAINT confluence_api_keys_role_check CHECK ((role = ANY (ARRAY['read'::text, 'operate'::text, 'admin'::text])));
ALTER TABLE confluence_chunk_texts ADD CONSTRAINT confluence_chunk_texts_pkey PRIMARY KEY (chunk_id, space_id) INCLUDE (key);
ALTER TABLE confluence_chunk_texts ADD CONSTRAINT confluence_chunk_texts_chunk_id_fkey FOREIGN KEY (chunk_id) REFERENCES archon_crawled_pages(id) ON DELETE CASCADE;
ALTER TABLE confluence_chunk_texts ADD CONSTRAINT confluence_chunk_texts_space_id_fkey FOREIGN KEY (space_id) REFERENCES confluence_vector_spaces(space_id) ON DELETE CASCADE;
ALTER TABLE confluence_chunk_words ADD CONSTRAINT confluence_chunk_words_pkey PRIMARY KEY (chunk_id);
ALTER TABLE confluence_chunk_words ADD CONSTRAINT confluence_chunk_words_chunk_id_fkey FOREIGN KEY (chunk_id) REFERENCES archon_crawled_pages(id) ON DELETE CASCADE;
ALTER TABLE confluence_console_sessions ADD CONSTRAINT confluence_console_sessions_pkey PRIMARY KEY (session_hash);
ALTER TABLE confluence_group_members ADD CONSTRAINT confluence_group_members_pkey PRIMARY KEY (source_id, group_id, account_id);
ALTER TABLE confluence_group_members ADD CONSTRAINT confluence_group_members_source_id_group_id_fkey FOREIGN KEY (source_id, group_id) REFERENCES confluence_groups(source_id, group_id) ON DELETE CASCADE;
ALTER TABLE confluence_groups ADD CONSTRAINT confluence_groups_pkey PRIMARY KEY (source_id, group_id);
ALTER TABLE confluence_groups ADD CONSTRAINT confluence_groups_source_id_fkey FOREIGN KEY (source_id) REFERENCES archon_sources(source_id) ON DELETE CASCADE;
ALTER TABLE confluence_layer_principals ADD CONSTRAINT confluence_layer_principals_pkey PRIMARY KEY (layer_id, kind, principal_id);
ALTER TABLE confluence_layer_principals ADD CONSTRAINT confluence_layer_principals_layer_id_fkey FOREIGN KEY (layer_id) REFERENCES confluence_layers(layer_id) ON DELETE CASCADE;
ALTER TABLE confluence_layer_sets ADD CONSTRAINT confluence_layer_sets_pkey PRIMARY KEY (set_id);
ALTER TABLE confluence_layer_sets ADD CONSTRAINT confluence_layer_sets_source_id_layers_key UNIQUE (source_id, layers);
ALTER TABLE confluence_layer_sets ADD CONSTRAINT confluence_layer_sets_source_id_fkey FOREIGN KEY (source_id) REFERENCES archon_sources(source_id) ON DELETE CASCADE;
ALTER TABLE confluence_layers ADD CONSTRAINT confluence_layers_pkey PRIMARY KEY (layer_id);
ALTER TABLE confluence_layers ADD CONSTRAINT confluence_layers_source_id_object_kind_object_id_key UNIQUE (source_id, object_kind, object_id);
ALTER TABLE confluence_layers ADD CONSTRAINT confluence_layers_object_kind_check CHECK ((object_kind = ANY (ARRAY['site'::text, 'space'::text, 'content'::text])));
ALTER TABLE confluence_layers ADD CONSTRAINT confluence_layers_source_id_fkey FOREIGN KEY (source_id) REFERENCES archon_sources(source_id) ON DELETE CASCADE;
ALTER TABLE confluence_page_content ADD CONSTRAINT confluence_page_content_pkey PRIMARY KEY (page_id, site_id);
ALTER TABLE confluence_page_content ADD CONSTRAINT confluence_page_content_page_id_site_id_fkey FOREIGN KEY (page_id, site_id) REFERENCES confluence_pages(page_id, site_id) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE confluence_pages ADD CONSTRAINT confluence_pages_pkey PRIMARY KEY (page_id, site_id);
ALTER TABLE confluence_pages ADD CONSTRAINT confluence_pages_site_id_fkey FOREIGN KEY (site_id) REFERENCES confluence_sites(site_id);
ALTER TABLE confluence_pages ADD CONSTRAINT confluence_pages_source_id_fkey FOREIGN KEY (source_id) REFERENCES archon_sources(source_id) ON DELETE CASCADE;
ALTER TABLE confluence_pauses ADD CONSTRAINT confluence_pauses_pkey PRIMARY KEY (site);
ALTER TABLE confluence_removals ADD CONSTRAINT confluence_removals_pkey PRIMARY KEY (page_id, run_id);
ALTER TABLE confluence_removals ADD CONSTRAINT confluence_removals_source_id_fkey FOREIGN KEY (source_id) REFERENCES archon_sources(source_id) ON DELETE CASCADE;
ALTER TABLE confluence_schedules ADD CONSTRAINT confluence_schedules_pkey PRIMARY KEY (source_id);
ALTER TABLE confluence_schedules ADD CONSTRAINT confluence_schedules_check CHECK (((NOT is_on) OR (next_at IS NOT NULL)));
ALTER TABLE confluence_schedules ADD CONSTRAINT confluence_schedules_source_id_fkey FOREIGN KEY (source_id) REFERENCES archon_sources(source_id) ON DELETE CASCADE;
ALTER TABLE confluence_search ADD CONSTRAINT confluence_search_pkey PRIMARY KEY (one);
ALTER TABLE confluence_search ADD CONSTRAINT confluence_search_one_check CHECK (one);
ALTER TABLE confluence_sites ADD CONSTRAINT confluence_sites_pkey PRIMARY KEY (site_id);
ALTER TABLE confluence_sites ADD CONSTRAINT confluence_sites_cloud_id_key UNIQUE (cloud_id);
ALTER TABLE confluence_spaces ADD CONSTRAINT confluence_spaces_pkey PRIMARY KEY (source_id);
ALTER TABLE confluence_spaces ADD CONSTRAINT confluence_spaces_site_id_space_id_key UNIQUE (site_id, space_id);
ALTER TABLE confluence_spaces ADD CONSTRAINT confluence_spaces_permissions_check CHECK ((permissions = ANY (ARRAY['enforce'::text, 'unrestricted-only'::text, 'open'::text])));
ALTER TABLE confluence_spaces ADD CONSTRAINT confluence_spaces_permissions_max_age_check CHECK ((permissions_max_age > '00:00:00'::interval));
ALTER TABLE confluence_spaces ADD CONSTRAINT confluence_spaces_site_id_fkey FOREIGN KEY (site_id) REFERENCES confluence_sites(site_id);
ALTER TABLE confluence_spaces ADD CONSTRAINT confluence_spaces_source_id_fkey FOREIGN KEY (source_id) REFERENCES archon_sources(source_id) ON DELETE CASCADE;
ALTER TABLE confluence_sync_pages ADD CONSTRAINT confluence_sync_pages_pkey PRIMARY KEY (run_id, page_id);
ALTER TABLE confluence_sync_pages ADD CONSTRAINT confluence_sync_pages_outcome_check CHECK ((outcome = ANY (ARRAY['created'::text, 'updated'::text, 'unchanged'::text, 'removed'::text, 'skipped'::text, 'failed'::text])));
ALTER TABLE confluence_sync_pages ADD CONSTRAINT confluence_sync_pages_run_id_fkey FOREIGN KEY (run_id) REFERENCES confluence_sync_runs(run_id) ON DELETE CASCADE;
ALTER TABLE confluence_sync_runs ADD CONSTRAINT confluence_sync_runs_pkey PRIMARY KEY (run_id);
ALTER TABLE confluence_sync_runs ADD CONSTRAINT confluence_sync_runs_decision_check CHECK ((decision = ANY (ARRAY['approved'::text, 'rejected'::text])));
ALTER TABLE confluence_sync_runs ADD CONSTRAINT confluence_sync_runs_mode_check CHECK ((mode = ANY (ARRAY['incremental'::text, 'full'::text])));
ALTER TABLE confluence_sync_runs ADD CONSTRAINT confluence_sync_runs_requested_mode_check CHECK ((requested_mode = ANY (ARRAY['incremental'::text, 'full'::text])));
ALTER TABLE confluence_sync_runs ADD CONSTRAINT confluence_sync_runs_state_check CHECK ((state = ANY (ARRAY['requested'::text, 'listing'::text, 'fetching'::text, 'finishing'::text, 'completed'::text, 'completed_with_failures'::text, 'held'::text, 'failed'::text, 'cancelled'::text])));
ALTER TABLE confluence_sync_runs ADD CONSTRAINT confluence_sync_runs_source_id_fkey FOREIGN KEY (source_id) REFERENCES archon_sources(source_id) ON DELETE CASCADE;
ALTER TABLE confluence_texts ADD CONSTRAINT confluence_texts_pkey PRIMARY KEY (space_id, key);
ALTER TABLE confluence_texts ADD CONSTRAINT confluence_texts_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'embedded'::text, 'failed'::text])));
ALTER TABLE confluence_texts ADD CONSTRAINT confluence_texts_space_id_fkey FOREIGN KEY (space_id) REFERENCES confluence_vector_spaces(space_id) ON DELETE CASCADE;
ALTER TABLE confluence_tokens ADD CONSTRAINT confluence_tokens_pkey PRIMARY KEY (name);
ALTER TABLE confluence_tree ADD CONSTRAINT confluence_tree_pkey PRIMARY KEY (source_id, node_id);
ALTER TABLE confluence_tree ADD CONSTRAINT confluence_tree_source_id_fkey FOREIGN KEY (source_id) REFERENCES archon_sources(source_id) ON DELETE CASCADE;
ALTER TABLE confluence_unread_files ADD CONSTRAINT confluence_unread_files_pkey PRIMARY KEY (source_id, page_id);
ALTER TABLE confluence_unread_files ADD CONSTRAINT confluence_unread_files_source_id_fkey FOREIGN KEY (source_id) REFERENCES archon_sources(source_id) ON DELETE CASCADE;
ALTER TABLE confluence_vector_spaces ADD CONSTRAINT confluence_vector_spaces_pkey PRIMARY KEY (space_id);
ALTER TABLE confluence_vector_spaces ADD CONSTRAINT confluence_vector_spaces_model_dimensions_prefix_version_key UNIQUE (model, dimensions, prefix_version);
ALTER TABLE confluence_vector_spaces ADD CONSTRAINT confluence_vector_spaces_dimensions_check CHECK (((dimensions >= 1) AND (dimensions <= 4000)));
ALTER TABLE confluence_vector_spaces ADD CONSTRAINT confluence_vector_spaces_state_check CHECK ((state = ANY (ARRAY['filling'::text, 'active'::text, 'retired'::text])));
ALTER TABLE confluence_word_totals ADD CONSTRAINT confluence_word_totals_pkey PRIMARY KEY (source_id);
ALTER TABLE confluence_words ADD CONSTRAINT confluence_words_pkey PRIMARY KEY (word);
ALTER TABLE confluence_words_uncounted ADD CONSTRAINT confluence_words_uncounted_pkey PRIMARY KEY (id);
ALTER TABLE sluice_migrations ADD CONSTRAINT sluice_migrations_pkey PRIMARY KEY (id);

CREATE INDEX idx_confluence_chunks_confluence_page_id ON public.archon_crawled_pages USING btree (((metadata ->> 'confluence_page_id'::text))) WHERE (metadata ? 'confluence_page_id'::text);
CREATE INDEX idx_confluence_chunks_internal_links ON public.archon_crawled_pages USING gin (((metadata -> 'internal_links'::text))) WHERE (metadata ? 'internal_links'::text);
CREATE INDEX idx_confluence_chunks_jira_issue_links ON public.archon_crawled_pages USING gin (((metadata -> 'jira_issue_links'::text))) WHERE (metadata ? 'jira_issue_links'::text);
CREATE INDEX idx_confluence_chunks_page_id ON public.archon_crawled_pages USING btree (((metadata ->> 'page_id'::text))) WHERE (metadata ? 'page_id'::text);
CREATE INDEX idx_confluence_chunks_source ON public.archon_crawled_pages USING btree (source_id);
CREATE INDEX idx_confluence_chunks_user_mentions ON public.archon_crawled_pages USING gin (((metadata -> 'user_mentions'::text))) WHERE (metadata ? 'user_mentions'::text);
CREATE INDEX idx_archon_sources_display_name ON public.archon_sources USING btree (source_display_name);
CREATE INDEX idx_archon_sources_knowledge_type ON public.archon_sources USING btree (((metadata ->> 'knowledge_type'::text)));
CREATE INDEX idx_archon_sources_metadata ON public.archon_sources USING gin (metadata);
CREATE INDEX idx_archon_sources_title ON public.archon_sources USING btree (title);
CREATE INDEX idx_archon_sources_url ON public.archon_sources USING btree (source_url);
CREATE INDEX idx_confluence_chunk_texts_key ON public.confluence_chunk_texts USING btree (space_id, key);
CREATE INDEX idx_confluence_chunk_words_of_page ON public.confluence_chunk_words USING btree (page_id) INCLUDE (chunk_id, place, source_id);
CREATE INDEX idx_confluence_chunk_words_place ON public.confluence_chunk_words USING btree (place);
CREATE INDEX idx_confluence_chunk_words_source ON public.confluence_chunk_words USING btree (source_id);
CREATE INDEX idx_confluence_chunk_words_words ON public.confluence_chunk_words USING gin (words) WITH (gin_pending_list_limit='1024');
CREATE INDEX idx_confluence_group_members_account ON public.confluence_group_members USING btree (account_id);
CREATE INDEX idx_confluence_layer_principals_who ON public.confluence_layer_principals USING btree (principal_id, kind, layer_id);
CREATE INDEX idx_confluence_page_content_includes ON public.confluence_page_content USING btree (page_id) WHERE (includes <> '[]'::jsonb);
CREATE INDEX idx_confluence_pages_file ON public.confluence_pages USING btree ((((metadata -> 'file'::text) ->> 'sha256'::text))) WHERE (kind = 'attachment'::text);
CREATE INDEX idx_confluence_pages_jira_issue_links ON public.confluence_pages USING gin (((metadata -> 'jira_issue_links'::text)));
CREATE INDEX idx_confluence_pages_labels ON public.confluence_pages USING gin (((metadata -> 'labels'::text)));
CREATE INDEX idx_confluence_pages_last_modified ON public.confluence_pages USING btree (last_modified);
CREATE INDEX idx_confluence_pages_path ON public.confluence_pages USING btree (path text_pattern_ops);
CREATE INDEX idx_confluence_pages_source ON public.confluence_pages USING btree (source_id) WHERE (is_deleted = false);
CREATE INDEX idx_confluence_pages_space ON public.confluence_pages USING btree (space_key);
CREATE INDEX idx_confluence_pages_user_mentions ON public.confluence_pages USING gin (((metadata -> 'user_mentions'::text)));
CREATE INDEX idx_confluence_removals_layer_set ON public.confluence_removals USING btree (layer_set) WHERE (layer_set IS NOT NULL);
CREATE INDEX idx_confluence_removals_open ON public.confluence_removals USING btree (source_id, page_id) WHERE ((restored_at IS NULL) AND (purged_at IS NULL));
CREATE INDEX idx_confluence_removals_source ON public.confluence_removals USING btree (source_id, removed_at DESC);
CREATE INDEX idx_confluence_schedules_next ON public.confluence_schedules USING btree (next_at) WHERE is_on;
CREATE INDEX idx_confluence_sync_pages_again ON public.confluence_sync_pages USING btree (page_id) WHERE ((outcome = 'failed'::text) OR ((outcome = 'skipped'::text) AND (reason = 'missing'::text)));
CREATE INDEX idx_confluence_sync_pages_pending ON public.confluence_sync_pages USING btree (run_id, page_id) WHERE (outcome IS NULL);
CREATE UNIQUE INDEX idx_confluence_sync_runs_open ON public.confluence_sync_runs USING btree (source_id) WHERE (state = ANY (ARRAY['listing'::text, 'fetching'::text, 'finishing'::text]));
CREATE INDEX idx_confluence_sync_runs_source ON public.confluence_sync_runs USING btree (source_id, requested_at DESC);
CREATE INDEX idx_confluence_texts_due ON public.confluence_texts USING btree (space_id, due_at) WHERE (state = 'pending'::text);
CREATE INDEX idx_confluence_tree_layer_set ON public.confluence_tree USING btree (layer_set, source_id, node_id) WHERE (kind = ANY (ARRAY['page'::text, 'blogpost'::text, 'comment'::text, 'attachment'::text]));
CREATE INDEX idx_confluence_tree_left_out ON public.confluence_tree USING btree (source_id) WHERE left_out;
CREATE INDEX idx_confluence_tree_parent ON public.confluence_tree USING btree (source_id, parent_id);
CREATE INDEX idx_confluence_tree_stale ON public.confluence_tree USING btree (source_id, node_id) WHERE stale;
CREATE INDEX idx_confluence_tree_title ON public.confluence_tree USING btree (source_id, title);
CREATE UNIQUE INDEX idx_confluence_vector_spaces_active ON public.confluence_vector_spaces USING btree (state) WHERE (state = 'active'::text);
CREATE INDEX idx_confluence_words_uncounted_chunk ON public.confluence_words_uncounted USING btree (chunk_id);

CREATE OR REPLACE FUNCTION public.confluence_admitted(reader text, named text[], of_sources text[])
 RETURNS TABLE(source_id text, set_id integer)
 LANGUAGE sql
 STABLE
AS $function$
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
$function$
;

CREATE OR REPLACE FUNCTION public.confluence_enable_policies(reader name)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
DECLARE
    home   regnamespace := (SELECT relnamespace FROM pg_class WHERE oid = 'confluence_pages'::regclass);
    policy name := 'confluence_reader_' || reader;
    free   text := format('SELECT r.source_id FROM %s.confluence_readable() r WHERE r.set_id IS NULL', home);
    t      record;
BEGIN
    -- Postgres would cut the names of policies, so that two roles had the same.
    IF octet_length('confluence_reader_' || reader::text || '_all') > 63 THEN
        RAISE EXCEPTION 'the name of the role % is too long: policies are named after it', reader
            USING HINT = 'use a role whose name has at most 41 bytes';
    END IF;
    IF EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = 'archon_crawled_pages'::regclass AND p.polname = policy) THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM pg_roles m WHERE pg_has_role(reader, m.oid, 'MEMBER') AND m.rolbypassrls) THEN
        RAISE EXCEPTION 'the role % passes row level security by, so policies would hide nothing from it', reader
            USING HINT = format('ALTER ROLE %I NOBYPASSRLS, and give it no role that has it', reader);
    END IF;
    -- With policies of its own, Archon's table keeps public roles out. Without, one that lets all rows through would outlast
    -- the day on which Archon adds them.
    IF EXISTS (SELECT FROM pg_roles WHERE rolname IN ('anon', 'authenticated'))
        AND NOT (SELECT relrowsecurity FROM pg_class WHERE oid = 'archon_crawled_pages'::regclass) THEN
        RAISE EXCEPTION 'the table archon_crawled_pages has no row level security, although the database has public roles'
            USING HINT = 'run Archon''s migrations, or use the views: confluence_enable_row_security';
    END IF;
    PERFORM confluence_enable_row_security(reader); -- it refuses roles that read the tables already
    FOR t IN
        SELECT c.oid::regclass AS name, c.relrowsecurity AS guarded, v.shown FROM (VALUES
            ('confluence_pages'::regclass, format('NOT is_deleted AND (source_id IN (%s)
                OR (source_id, page_id) IN (SELECT n.source_id, n.node_id FROM %s.confluence_readable_nodes() n))', free, home)),
            -- The policy of the pages applies in these two.
            ('confluence_page_content', format('EXISTS (SELECT FROM %s.confluence_pages p WHERE p.page_id = confluence_page_content.page_id
                AND p.site_id = confluence_page_content.site_id)', home)),
            ('archon_crawled_pages', format('NOT metadata ? ''_pending_deletion'' AND CASE WHEN metadata ? ''confluence_page_id''
                THEN EXISTS (SELECT FROM %s.confluence_pages p WHERE p.source_id = archon_crawled_pages.source_id
                    AND p.page_id = archon_crawled_pages.metadata->>''confluence_page_id'')
                ELSE source_id IN (%s) END', home, free))) AS v (oid, shown)
        JOIN pg_class c ON c.oid = v.oid
    LOOP
        EXECUTE format('CREATE POLICY %I ON %s AS RESTRICTIVE FOR ALL TO %I USING (%s)', policy, t.name, reader, t.shown);
        IF NOT t.guarded THEN
            EXECUTE format('CREATE POLICY confluence_others ON %s FOR ALL TO PUBLIC USING (true) WITH CHECK (true)', t.name);
            EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t.name);
        ELSIF NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = t.name AND p.polname = 'confluence_others') THEN
            EXECUTE format('CREATE POLICY %I ON %s FOR SELECT TO %I USING (true)', policy || '_all', t.name, reader);
        END IF;
        EXECUTE format('GRANT SELECT ON %s TO %I', t.name, reader);
    END LOOP;
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s.confluence_readable_nodes() TO %I', home, reader);
END
$function$
;

CREATE OR REPLACE FUNCTION public.confluence_enable_row_security(reader name)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
DECLARE
    home   regnamespace := (SELECT relnamespace FROM pg_class WHERE oid = 'confluence_pages'::regclass);
    behind text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = reader) THEN
        RAISE EXCEPTION 'there is no role %', reader USING HINT = format('CREATE ROLE %I LOGIN PASSWORD ''…''', reader);
    END IF;
    SELECT string_agg(c.relname, ', ' ORDER BY c.relname) INTO behind FROM pg_class c
    WHERE c.relnamespace = home AND c.relkind IN ('r', 'p')
        AND (c.relname ~ '^confluence_' OR c.relname IN ('archon_sources', 'archon_crawled_pages', 'archon_page_metadata', 'archon_settings'))
        AND EXISTS (SELECT FROM pg_roles m WHERE pg_has_role(reader, m.oid, 'MEMBER') -- also what it can become with SET ROLE
            AND (has_table_privilege(m.oid, c.oid, 'SELECT') OR has_any_column_privilege(m.oid, c.oid, 'SELECT')));
    IF behind IS NOT NULL THEN
        RAISE EXCEPTION 'the role % reads the tables themselves, so the views would hide nothing from it: %', reader, behind
            USING HINT = 'give it no right on Sluice''s and Archon''s tables, and no role that has one';
    END IF;
    IF EXISTS (SELECT FROM pg_roles m WHERE pg_has_role(reader, m.oid, 'MEMBER') AND has_schema_privilege(m.oid, home, 'CREATE')) THEN
        RAISE EXCEPTION 'the role % may create functions in the schema %, and so could take the place of those that decide', reader, home
            USING HINT = format('REVOKE CREATE ON SCHEMA %s FROM PUBLIC, %I', home, reader);
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %s TO %I', home, reader);
    EXECUTE format('GRANT SELECT ON %s.confluence_readable_pages, %s.confluence_readable_chunks TO %I', home, home, reader);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s.confluence_readable() TO %I', home, reader);
END
$function$
;

CREATE OR REPLACE FUNCTION public.confluence_fill_content_site()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    SELECT site_id INTO STRICT NEW.site_id FROM confluence_pages WHERE page_id = NEW.page_id;
    RETURN NEW;
END
$function$
;

CREATE OR REPLACE FUNCTION public.confluence_fill_page_site()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    SELECT site_id INTO NEW.site_id FROM confluence_spaces WHERE source_id = NEW.source_id;
    IF NOT FOUND THEN
        WITH made AS (INSERT INTO confluence_sites DEFAULT VALUES RETURNING site_id)
        INSERT INTO confluence_spaces (source_id, site_id) SELECT NEW.source_id, site_id FROM made
        RETURNING site_id INTO NEW.site_id;
    END IF;
    RETURN NEW;
END
$function$
;

CREATE OR REPLACE FUNCTION public.confluence_guard()
 RETURNS void
 LANGUAGE plpgsql
AS $function$
DECLARE
    home      oid := (SELECT relnamespace FROM pg_class WHERE oid = 'confluence_pages'::regclass);
    -- Roles belong to the server: they count where this database gives them anything, or has Supabase's functions.
    strangers text := (SELECT string_agg(quote_ident(rolname), ', ' ORDER BY rolname) FROM pg_roles r
        WHERE rolname IN ('anon', 'authenticated') AND (to_regprocedure('auth.role()') IS NOT NULL OR EXISTS (
            SELECT FROM pg_shdepend d JOIN pg_database b ON b.oid = d.dbid AND b.datname = current_database()
            WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid)));
    served    boolean := EXISTS (SELECT FROM pg_roles WHERE rolname = 'service_role');
    t         record;
BEGIN
    IF strangers IS NULL THEN
        RETURN;
    END IF;

    -- Tables that Sluice made: nobody but the owner and Archon's service role. Where Sluice came first,
    -- it made Archon's tables as well; they have no policy until an Archon gives them its own.
    FOR t IN
        SELECT c.oid::regclass AS name, c.relkind IN ('r', 'p') AS holds, c.relrowsecurity AS guarded,
            EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive) AS allows,
            EXISTS (SELECT FROM aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee WHERE r.rolname IN ('anon', 'authenticated')) AS granted
        FROM pg_class c
        WHERE c.relnamespace = home AND c.relkind IN ('r', 'p', 'v', 'm', 'S') AND (c.relname ~ '^(confluence_|sluice_migrations)'
            OR to_regclass('archon_code_examples') IS NULL AND coalesce(
                (SELECT a.oid FROM pg_depend d JOIN pg_class a ON a.oid = d.refobjid WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass
                    AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a' AND c.relkind = 'S'), c.oid)
                IN (to_regclass('archon_sources'), to_regclass('archon_crawled_pages'), to_regclass('archon_settings'), to_regclass('archon_migrations')))
    LOOP
        IF t.holds AND NOT t.guarded THEN
            EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t.name);
        END IF;
        IF t.holds AND NOT t.allows AND served THEN
            EXECUTE format('CREATE POLICY confluence_service_role ON %s FOR ALL TO service_role USING (true)', t.name);
        END IF;
        IF t.granted THEN
            EXECUTE format('REVOKE ALL ON %s FROM %s', t.name, strangers);
        END IF;
    END LOOP;

    -- Archon's tables: its policies stay, and a restrictive one takes Sluice's rows out of them.
    FOR t IN
        SELECT c.oid::regclass AS name, CASE c.relname
            WHEN 'archon_sources' THEN $q$(metadata->>'source_type' = 'confluence' OR metadata ? 'sluice_system') IS NOT TRUE$q$
            WHEN 'archon_settings' THEN $q$NOT (starts_with(key, 'confluence_') OR starts_with(key, 'sluice_'))$q$
            ELSE 'NOT confluence_keeps(source_id)' END AS condition
        FROM pg_class c
        WHERE c.relnamespace = home AND c.relkind IN ('r', 'p')
            AND c.relname IN ('archon_sources', 'archon_settings', 'archon_crawled_pages', 'archon_page_metadata', 'archon_code_examples')
            AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'confluence_rows')
    LOOP
        EXECUTE format('CREATE POLICY confluence_rows ON %s AS RESTRICTIVE FOR ALL TO %s USING (%s)', t.name, strangers, t.condition);
    END LOOP;
    -- The record of migrations may be read, as Archon lets it be. Who changes it keeps Sluice from starting.
    FOR t IN
        SELECT cmd, CASE cmd WHEN 'INSERT' THEN 'WITH CHECK' ELSE 'USING' END AS clause FROM unnest(ARRAY['INSERT', 'UPDATE', 'DELETE']) cmd
        WHERE NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = 'archon_migrations'::regclass AND p.polname = 'confluence_' || lower(cmd))
    LOOP
        EXECUTE format('CREATE POLICY %I ON archon_migrations AS RESTRICTIVE FOR %s TO %s %s (false)',
            'confluence_' || lower(t.cmd), t.cmd, strangers, t.clause);
    END LOOP;
END
$function$
;

CREATE OR REPLACE FUNCTION public.confluence_keeps(source text)
 RETURNS boolean
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'public', 'pg_temp'
AS $function$SELECT EXISTS (SELECT FROM archon_sources s WHERE s.source_id = source
            AND (s.metadata->>'source_type' = 'confluence' OR s.metadata ? 'sluice_system'))$function$
;

CREATE OR REPLACE FUNCTION public.confluence_layers_came()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    PERFORM confluence_place_layers(source_id, array_agg(object_id)) FROM after WHERE object_kind = 'content' GROUP BY source_id;
    RETURN NULL;
END
$function$
;

CREATE OR REPLACE FUNCTION public.confluence_layers_went()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    PERFORM confluence_place_layers(source_id, array_agg(object_id)) FROM before WHERE object_kind = 'content' GROUP BY source_id;
    RETURN NULL;
END
$function$
;

CREATE OR REPLACE FUNCTION public.confluence_place_layers(of_source text, roots text[])
 RETURNS void
 LANGUAGE plpgsql
AS $function$
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
$function$
;

CREATE OR REPLACE FUNCTION public.confluence_readable()
 RETURNS TABLE(source_id text, set_id integer)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'public', 'pg_temp'
AS $function$SELECT a.source_id, a.set_id FROM public.confluence_admitted(coalesce(current_setting('sluice.reader', true), ''), '{}'::text[], NULL::text[]) a$function$
;

CREATE OR REPLACE FUNCTION public.confluence_readable_nodes()
 RETURNS TABLE(source_id text, node_id text)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'public', 'pg_temp'
AS $function$SELECT t.source_id, t.node_id FROM public.confluence_tree t JOIN public.confluence_readable() r ON r.source_id = t.source_id AND r.set_id = t.layer_set$function$
;

CREATE OR REPLACE FUNCTION public.confluence_tree_added()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    PERFORM confluence_place_layers(source_id, array_agg(node_id)) FROM after GROUP BY source_id;
    RETURN NULL;
END
$function$
;

CREATE OR REPLACE FUNCTION public.confluence_tree_moved()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
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
$function$
;

CREATE OR REPLACE FUNCTION public.confluence_tree_removed()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    PERFORM confluence_place_layers(source_id, array_agg(node_id)) FROM before GROUP BY source_id;
    RETURN NULL;
END
$function$
;

CREATE OR REPLACE FUNCTION public.confluence_words_came()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    INSERT INTO confluence_words_uncounted (chunk_id) SELECT chunk_id FROM came;
    RETURN NULL;
END
$function$
;

CREATE OR REPLACE FUNCTION public.confluence_words_changed()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    WITH never AS (
        DELETE FROM confluence_words_uncounted u USING went WHERE u.chunk_id = went.chunk_id RETURNING u.chunk_id
    )
    INSERT INTO confluence_words_uncounted (source_id, length, words)
    SELECT source_id, length, words FROM went WHERE NOT EXISTS (SELECT FROM never WHERE never.chunk_id = went.chunk_id);
    INSERT INTO confluence_words_uncounted (chunk_id) SELECT chunk_id FROM came;
    RETURN NULL;
END
$function$
;

CREATE OR REPLACE FUNCTION public.confluence_words_went()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    WITH never AS (
        DELETE FROM confluence_words_uncounted u USING went WHERE u.chunk_id = went.chunk_id RETURNING u.chunk_id
    )
    INSERT INTO confluence_words_uncounted (source_id, length, words)
    SELECT source_id, length, words FROM went WHERE NOT EXISTS (SELECT FROM never WHERE never.chunk_id = went.chunk_id);
    RETURN NULL;
END
$function$
;

CREATE TRIGGER came AFTER INSERT ON public.confluence_chunk_words REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION confluence_words_came();
CREATE TRIGGER changed AFTER UPDATE ON public.confluence_chunk_words REFERENCING OLD TABLE AS went NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION confluence_words_changed();
CREATE TRIGGER went AFTER DELETE ON public.confluence_chunk_words REFERENCING OLD TABLE AS went FOR EACH STATEMENT EXECUTE FUNCTION confluence_words_went();
CREATE TRIGGER place_came AFTER INSERT ON public.confluence_layers REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION confluence_layers_came();
CREATE TRIGGER place_went AFTER DELETE ON public.confluence_layers REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION confluence_layers_went();
CREATE TRIGGER fill_site BEFORE INSERT ON public.confluence_page_content FOR EACH ROW WHEN ((new.site_id IS NULL)) EXECUTE FUNCTION confluence_fill_content_site();
CREATE TRIGGER fill_site BEFORE INSERT ON public.confluence_pages FOR EACH ROW WHEN ((new.site_id IS NULL)) EXECUTE FUNCTION confluence_fill_page_site();
CREATE TRIGGER follow_source BEFORE UPDATE OF source_id ON public.confluence_pages FOR EACH ROW WHEN (((new.source_id IS DISTINCT FROM old.source_id) AND (new.site_id = old.site_id))) EXECUTE FUNCTION confluence_fill_page_site();
CREATE TRIGGER place_added AFTER INSERT ON public.confluence_tree REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION confluence_tree_added();
CREATE TRIGGER place_moved AFTER UPDATE ON public.confluence_tree REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION confluence_tree_moved();
CREATE TRIGGER place_removed AFTER DELETE ON public.confluence_tree REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION confluence_tree_removed();

COMMENT ON TABLE confluence_api_keys IS 'Keys of the HTTP API';
COMMENT ON COLUMN confluence_api_keys.key_id IS 'the public part of the key, by which it is found';
COMMENT ON COLUMN confluence_api_keys.name IS 'what a person calls it: who or what has the key';
COMMENT ON COLUMN confluence_api_keys.role IS 'read, operate or admin; each may do what those before it may';
COMMENT ON COLUMN confluence_api_keys.sources IS 'the sources that the key may see and touch; empty for all';
COMMENT ON COLUMN confluence_api_keys.hash IS 'sha256: and the SHA-256 digest of key id and secret; without sha256:, bcrypt of it, from an earlier release';
COMMENT ON COLUMN confluence_api_keys.created_at IS 'when it was made';
COMMENT ON COLUMN confluence_api_keys.revoked_at IS 'when it was taken back; it opens nothing since';
COMMENT ON COLUMN confluence_api_keys.account IS 'the account id for which the key reads; empty for nobody in particular';
COMMENT ON COLUMN confluence_api_keys.act_as IS 'whether each request may name the account for which it reads';
COMMENT ON TABLE confluence_chunk_texts IS 'Which text a chunk has; none where that is not looked at yet';
COMMENT ON COLUMN confluence_chunk_texts.chunk_id IS 'the chunk';
COMMENT ON COLUMN confluence_chunk_texts.space_id IS 'the space';
COMMENT ON COLUMN confluence_chunk_texts.key IS 'its text, in confluence_texts';
COMMENT ON COLUMN confluence_chunk_texts.copied IS 'Archon''s column has the vector of this text';
COMMENT ON TABLE confluence_chunk_words IS 'What the search reads of each chunk, whoever wrote it';
COMMENT ON COLUMN confluence_chunk_words.chunk_id IS 'the chunk';
COMMENT ON COLUMN confluence_chunk_words.source_id IS 'its source';
COMMENT ON COLUMN confluence_chunk_words.page_id IS 'its page; null for what is no page';
COMMENT ON COLUMN confluence_chunk_words.place IS 'a hash of address and text: an order that is the same after every load';
COMMENT ON COLUMN confluence_chunk_words.length IS 'words of the text';
COMMENT ON COLUMN confluence_chunk_words.titles IS 'words of the page''s title and the heading';
COMMENT ON COLUMN confluence_chunk_words.words IS 'words of the text, brought to their stem, with their places; parts of identifiers; those of title and heading with ^ before them';
COMMENT ON TABLE confluence_console_sessions IS 'Who is logged in at the console';
COMMENT ON COLUMN confluence_console_sessions.session_hash IS 'SHA-256 of the secret in the cookie, which has 260 random bits';
COMMENT ON COLUMN confluence_console_sessions.key_id IS 'the key it reads for; local for the one in GATEWAY_KEY_FILE';
COMMENT ON COLUMN confluence_console_sessions.created_at IS 'when somebody logged in';
COMMENT ON COLUMN confluence_console_sessions.expires_at IS 'when it ends, whatever happens';
COMMENT ON TABLE confluence_group_members IS 'Members of those groups';
COMMENT ON COLUMN confluence_group_members.source_id IS 'the source';
COMMENT ON COLUMN confluence_group_members.group_id IS 'the group';
COMMENT ON COLUMN confluence_group_members.account_id IS 'the member''s account id';
COMMENT ON TABLE confluence_groups IS 'Groups that layers name';
COMMENT ON COLUMN confluence_groups.source_id IS 'the source whose layers name it';
COMMENT ON COLUMN confluence_groups.group_id IS 'Confluence''s id of the group';
COMMENT ON COLUMN confluence_groups.unknown IS 'why its members could not be read, as a code: it admits nobody; empty if they are known';
COMMENT ON COLUMN confluence_groups.read_at IS 'when its members were read';
COMMENT ON TABLE confluence_layer_principals IS 'Whom each layer admits';
COMMENT ON COLUMN confluence_layer_principals.layer_id IS 'the layer';
COMMENT ON COLUMN confluence_layer_principals.kind IS 'user, group or everyone; others admit nobody';
COMMENT ON COLUMN confluence_layer_principals.principal_id IS 'account id or group id; empty for everyone';
COMMENT ON TABLE confluence_layer_sets IS 'Sets of content layers that nodes of a tree have';
COMMENT ON COLUMN confluence_layer_sets.set_id IS 'a number of this database';
COMMENT ON COLUMN confluence_layer_sets.source_id IS 'the source';
COMMENT ON COLUMN confluence_layer_sets.layers IS 'ids of the layers, ascending; empty for content that nothing restricts';
COMMENT ON TABLE confluence_layers IS 'Objects that restrict who may read them and what is below them';
COMMENT ON COLUMN confluence_layers.layer_id IS 'a number of this database';
COMMENT ON COLUMN confluence_layers.source_id IS 'the source';
COMMENT ON COLUMN confluence_layers.object_kind IS 'site, space or content';
COMMENT ON COLUMN confluence_layers.object_id IS 'Confluence''s id of the space or content; empty for the site';
COMMENT ON COLUMN confluence_layers.unknown IS 'why it could not be read, as a code: it admits nobody; empty if it is known';
COMMENT ON COLUMN confluence_layers.read_at IS 'when it was read';
COMMENT ON TABLE confluence_page_content IS 'A page''s Markdown and conversion losses';
COMMENT ON COLUMN confluence_page_content.page_id IS 'the page''s id';
COMMENT ON COLUMN confluence_page_content.url IS 'the page''s address without an anchor';
COMMENT ON COLUMN confluence_page_content.markdown IS 'the whole page';
COMMENT ON COLUMN confluence_page_content.losses IS 'what the conversion could not keep, by kind and place';
COMMENT ON COLUMN confluence_page_content.headings IS 'headings with their level and anchor';
COMMENT ON COLUMN confluence_page_content.includes IS 'pages that this one transcludes, by id where it is known and by title';
COMMENT ON COLUMN confluence_page_content.pipeline_version IS 'the converter''s and chunker''s generation; a new one rewrites the page';
COMMENT ON COLUMN confluence_page_content.updated_at IS 'when the Markdown was last written';
COMMENT ON COLUMN confluence_page_content.fetched_at IS 'when the body behind the Markdown was read';
COMMENT ON COLUMN confluence_page_content.body_hash IS 'of the content as it was read, where its system counts no versions; the ledger counts them then';
COMMENT ON COLUMN confluence_page_content.site_id IS 'the page''s site';
COMMENT ON COLUMN confluence_page_content.last_edit IS 'what the last version that was written changed in the page''s chunks: how many were inserted, renumbered, kept and removed, and which; NULL for a page that was written before this was kept';
COMMENT ON TABLE confluence_pages IS 'Confluence pages as last synced; chunks are in archon_crawled_pages';
COMMENT ON COLUMN confluence_pages.page_id IS 'Confluence''s page id, unique within its site';
COMMENT ON COLUMN confluence_pages.source_id IS 'the source that it is of; a page has one';
COMMENT ON COLUMN confluence_pages.space_key IS 'key of the space that it was in';
COMMENT ON COLUMN confluence_pages.title IS 'title of the stored version';
COMMENT ON COLUMN confluence_pages.version IS 'version.number of the stored body; what is older, by last_modified and then by this number, never overwrites it';
COMMENT ON COLUMN confluence_pages.last_modified IS 'when Confluence made this version';
COMMENT ON COLUMN confluence_pages.is_deleted IS 'left the space; such a page has no chunks';
COMMENT ON COLUMN confluence_pages.path IS 'materialized path /<ancestor id>/…/<page id>; folders count as ancestors';
COMMENT ON COLUMN confluence_pages.metadata IS 'ancestors, children, created_by, labels, jira_issue_links, user_mentions, internal_links, external_links, asset_links, word_count, content_length';
COMMENT ON COLUMN confluence_pages.created_at IS 'when it was first stored';
COMMENT ON COLUMN confluence_pages.updated_at IS 'when this row last changed';
COMMENT ON COLUMN confluence_pages.kind IS 'page, blogpost, comment or attachment; a comment is a thread and, as an attachment, below its page';
COMMENT ON COLUMN confluence_pages.site_id IS 'the site of its source';
COMMENT ON TABLE confluence_pauses IS 'The last long pause that each site asked for';
COMMENT ON COLUMN confluence_pauses.site IS 'its address, in lower case';
COMMENT ON COLUMN confluence_pauses.since IS 'when the pause began';
COMMENT ON COLUMN confluence_pauses.until IS 'no call before it';
COMMENT ON COLUMN confluence_pauses.why IS 'the call that was answered with it';
COMMENT ON COLUMN confluence_pauses.lifted_at IS 'when somebody last lifted a pause of the site; not before since: this one';
COMMENT ON TABLE confluence_readable_chunks IS 'Chunks of live pages that the account in the setting sluice.reader may see';
COMMENT ON COLUMN confluence_readable_chunks.id IS 'as in archon_crawled_pages';
COMMENT ON COLUMN confluence_readable_chunks.source_id IS 'the source';
COMMENT ON COLUMN confluence_readable_chunks.page_id IS 'Confluence''s id of the page; null for another program''s chunk';
COMMENT ON COLUMN confluence_readable_chunks.url IS 'address of the page';
COMMENT ON COLUMN confluence_readable_chunks.chunk_number IS 'its place in the page';
COMMENT ON COLUMN confluence_readable_chunks.content IS 'its text';
COMMENT ON COLUMN confluence_readable_chunks.metadata IS 'as in archon_crawled_pages';
COMMENT ON TABLE confluence_readable_pages IS 'Live pages that the account in the setting sluice.reader may see';
COMMENT ON COLUMN confluence_readable_pages.page_id IS 'Confluence''s id of the page';
COMMENT ON COLUMN confluence_readable_pages.source_id IS 'its source';
COMMENT ON COLUMN confluence_readable_pages.kind IS 'page, blogpost, comment or attachment';
COMMENT ON COLUMN confluence_readable_pages.space_key IS 'key of its space';
COMMENT ON COLUMN confluence_readable_pages.title IS 'its title';
COMMENT ON COLUMN confluence_readable_pages.version IS 'number of its version';
COMMENT ON COLUMN confluence_readable_pages.last_modified IS 'when the version was made';
COMMENT ON COLUMN confluence_readable_pages.path IS '/<ancestor id>/…/<page id>';
COMMENT ON COLUMN confluence_readable_pages.url IS 'its address';
COMMENT ON COLUMN confluence_readable_pages.metadata IS 'as in confluence_pages';
COMMENT ON COLUMN confluence_readable_pages.markdown IS 'its text';
COMMENT ON TABLE confluence_removals IS 'Every page that a run took out of the knowledge base; kept longer than the run';
COMMENT ON COLUMN confluence_removals.page_id IS 'the page''s id';
COMMENT ON COLUMN confluence_removals.run_id IS 'the run that removed it';
COMMENT ON COLUMN confluence_removals.source_id IS 'the source that it was of';
COMMENT ON COLUMN confluence_removals.title IS 'its title at the time';
COMMENT ON COLUMN confluence_removals.reason IS 'trashed, archived, moved, unreadable, excluded or deleted';
COMMENT ON COLUMN confluence_removals.removed_at IS 'when it left; its chunks went with it';
COMMENT ON COLUMN confluence_removals.restored_at IS 'when it came back';
COMMENT ON COLUMN confluence_removals.purged_at IS 'when its kept Markdown was deleted too';
COMMENT ON COLUMN confluence_removals.layer_set IS 'the set of the layers that it had; null if that was not known';
COMMENT ON TABLE confluence_schedules IS 'When sources are synced by themselves, and what came of it last';
COMMENT ON COLUMN confluence_schedules.source_id IS 'the source; without a row, nobody has said anything about it';
COMMENT ON COLUMN confluence_schedules.is_on IS 'false: somebody has said that the source is synced only when asked';
COMMENT ON COLUMN confluence_schedules.every IS 'the interval, or auto; empty with cron';
COMMENT ON COLUMN confluence_schedules.cron IS 'minute, hour, day of the month, month, day of the week';
COMMENT ON COLUMN confluence_schedules.time_zone IS 'of cron and quiet_hours; empty for UTC';
COMMENT ON COLUMN confluence_schedules.quiet_hours IS 'as 22:00-06:00, in which nothing is done';
COMMENT ON COLUMN confluence_schedules.full_every IS 'how often all pages are compared; empty or never for never';
COMMENT ON COLUMN confluence_schedules.next_at IS 'when the source is due';
COMMENT ON COLUMN confluence_schedules.full_after IS 'no full run by schedule before this time';
COMMENT ON COLUMN confluence_schedules.look_token IS 'who looks at the source now';
COMMENT ON COLUMN confluence_schedules.look_until IS 'until when nobody else does';
COMMENT ON COLUMN confluence_schedules.looked_at IS 'when the source was last looked at';
COMMENT ON COLUMN confluence_schedules.look_result IS 'what came of it: unchanged, requested, busy, waits or failed';
COMMENT ON COLUMN confluence_schedules.look_problem IS 'why it failed, as a code';
COMMENT ON COLUMN confluence_schedules.look_failures IS 'how often in a row it failed';
COMMENT ON COLUMN confluence_schedules.seen_until IS 'nothing had changed up to here since the watermark, by the site''s clock';
COMMENT ON COLUMN confluence_schedules.changed_at IS 'when something had last changed';
COMMENT ON COLUMN confluence_schedules.mended_at IS 'when somebody last mended what made it fail; failures before do not count';
COMMENT ON TABLE confluence_search IS 'How the search stores words; one row';
COMMENT ON COLUMN confluence_search.one IS 'always true: there is one row';
COMMENT ON COLUMN confluence_search.language IS 'the text search configuration of the stored words, as a quoted name';
COMMENT ON TABLE confluence_sites IS 'Each Confluence site, whatever its address; a source of another system is a site of its own';
COMMENT ON COLUMN confluence_sites.site_id IS 'a number of this database';
COMMENT ON COLUMN confluence_sites.cloud_id IS 'Atlassian''s id of the site; null while it is not known, and for what is no Confluence';
COMMENT ON COLUMN confluence_sites.created_at IS 'when the site was first known';
COMMENT ON TABLE confluence_spaces IS 'Which space of which site each source is, whatever its key';
COMMENT ON COLUMN confluence_spaces.source_id IS 'the source';
COMMENT ON COLUMN confluence_spaces.site_id IS 'its site';
COMMENT ON COLUMN confluence_spaces.space_id IS 'Confluence''s id of the space; null while it is not known, and for what is no Confluence';
COMMENT ON COLUMN confluence_spaces.keys IS 'the keys by which Confluence knows the space now, its alias among them, in small letters';
COMMENT ON COLUMN confluence_spaces.old_keys IS 'those by which it did, in small letters';
COMMENT ON COLUMN confluence_spaces.readdress IS 'what the next run does to stored addresses: what they begin with and are to begin with, [{from, to}]';
COMMENT ON COLUMN confluence_spaces.permissions IS 'enforce: Confluence''s permissions decide who sees a page; unrestricted-only: as enforce, and no page with a restriction; open: every key of the source sees every page';
COMMENT ON COLUMN confluence_spaces.permissions_max_age IS 'what was read longer ago counts as unknown';
COMMENT ON COLUMN confluence_spaces.access_read_at IS 'when the last complete reading of permissions began; null before the first';
COMMENT ON COLUMN confluence_spaces.access_problem IS 'why the latest reading of permissions failed, as a code; empty if it did not';
COMMENT ON COLUMN confluence_spaces.sweep_token IS 'who reads the permissions now';
COMMENT ON COLUMN confluence_spaces.sweep_until IS 'until when nobody else does, unless renewed';
COMMENT ON COLUMN confluence_spaces.sweep_tried_at IS 'when the latest reading of permissions began';
COMMENT ON COLUMN confluence_spaces.permissions_chosen IS 'whether somebody has chosen the setting permissions; false: it is left over from before there was one';
COMMENT ON TABLE confluence_sync_pages IS 'Every page that a run listed and how it ended';
COMMENT ON COLUMN confluence_sync_pages.run_id IS 'the run that listed it';
COMMENT ON COLUMN confluence_sync_pages.page_id IS 'Confluence''s page id';
COMMENT ON COLUMN confluence_sync_pages.version IS 'version.number as listed';
COMMENT ON COLUMN confluence_sync_pages.title IS 'title as listed';
COMMENT ON COLUMN confluence_sync_pages.status IS 'Confluence''s status as listed: current, archived and so on';
COMMENT ON COLUMN confluence_sync_pages.parent_id IS 'id of the parent, null at the top of the space';
COMMENT ON COLUMN confluence_sync_pages.parent_kind IS 'page, blogpost, folder, whiteboard, database or embed';
COMMENT ON COLUMN confluence_sync_pages.outcome IS 'null while under way; set once';
COMMENT ON COLUMN confluence_sync_pages.reason IS 'why removed or skipped, or the failure code';
COMMENT ON COLUMN confluence_sync_pages.message IS 'what went wrong, in words';
COMMENT ON COLUMN confluence_sync_pages.stage IS 'the stage that gave the outcome';
COMMENT ON COLUMN confluence_sync_pages.attempts IS 'failed tries so far';
COMMENT ON COLUMN confluence_sync_pages.ended_at IS 'when the outcome was set';
COMMENT ON COLUMN confluence_sync_pages.labels IS 'the page''s labels; null where the listing does not know them';
COMMENT ON COLUMN confluence_sync_pages.bytes IS 'size of the body in storage format';
COMMENT ON COLUMN confluence_sync_pages.fetched_at IS 'when its body was read';
COMMENT ON COLUMN confluence_sync_pages.converted_at IS 'when it was Markdown';
COMMENT ON COLUMN confluence_sync_pages.kind IS 'page, blogpost, comment or attachment, as listed';
COMMENT ON COLUMN confluence_sync_pages.version_at IS 'when the listed version was made; null where the listing does not know it';
COMMENT ON TABLE confluence_sync_runs IS 'Every sync run; run_id is the id of the request';
COMMENT ON COLUMN confluence_sync_runs.run_id IS 'id of the request that asked for the run; the same request twice is one run';
COMMENT ON COLUMN confluence_sync_runs.source_id IS 'the source that is synced';
COMMENT ON COLUMN confluence_sync_runs.requested_mode IS 'what was asked for: incremental or full';
COMMENT ON COLUMN confluence_sync_runs.mode IS 'how the run really lists: the first run of a source is full';
COMMENT ON COLUMN confluence_sync_runs.state IS 'where the run stands; completed, completed_with_failures, held, failed and cancelled are final';
COMMENT ON COLUMN confluence_sync_runs.approve_removals IS 'a person has approved more removals than the brake lets pass';
COMMENT ON COLUMN confluence_sync_runs.requested_at IS 'when it was asked for';
COMMENT ON COLUMN confluence_sync_runs.started_at IS 'when it became the source''s open run';
COMMENT ON COLUMN confluence_sync_runs.listing_started_at IS 'Confluence''s clock when the listing began; becomes the watermark';
COMMENT ON COLUMN confluence_sync_runs.listing_completed_at IS 'when the listing was proven complete';
COMMENT ON COLUMN confluence_sync_runs.listed IS 'pages that the complete listing gave; null until it is complete';
COMMENT ON COLUMN confluence_sync_runs.removal_candidates IS 'stored pages that the listing lacked, added to the ledger to be judged';
COMMENT ON COLUMN confluence_sync_runs.removals_checked_at IS 'when each candidate for removal had been judged';
COMMENT ON COLUMN confluence_sync_runs.sent_at IS 'when pages were last sent to the fetchers; the lease against sending twice';
COMMENT ON COLUMN confluence_sync_runs.listing_until IS 'until when one replica alone lists; null while none does';
COMMENT ON COLUMN confluence_sync_runs.attempt IS 'grows with every listing and every sending; results of an older one are late';
COMMENT ON COLUMN confluence_sync_runs.finished_at IS 'when it came to its final state';
COMMENT ON COLUMN confluence_sync_runs.code IS 'failure code of a run that failed';
COMMENT ON COLUMN confluence_sync_runs.message IS 'the same in words';
COMMENT ON COLUMN confluence_sync_runs.approves_run IS 'the held run whose removals this one may carry out';
COMMENT ON COLUMN confluence_sync_runs.decision IS 'what a person said to the removals of a held run';
COMMENT ON COLUMN confluence_sync_runs.decided_at IS 'when that was said';
COMMENT ON COLUMN confluence_sync_runs.api_calls IS 'calls to Confluence for this run, repetitions included';
COMMENT ON COLUMN confluence_sync_runs.api_bytes IS 'bytes of their answers, after decompression';
COMMENT ON COLUMN confluence_sync_runs.blog_posts IS 'the run is about blog posts too, as its source was set when it was asked for';
COMMENT ON COLUMN confluence_sync_runs.snapshot_seq IS 'sequence number of the newest snapshot of the run: microseconds since 1970, or one more than the last one where the clock went back; 0 before the first';
COMMENT ON COLUMN confluence_sync_runs.notes IS 'what the run did without, and why, in sentences';
COMMENT ON COLUMN confluence_sync_runs.kinds IS 'the kinds that the run is about besides pages, as its source was set when it was asked for: blogpost, comment, attachment';
COMMENT ON COLUMN confluence_sync_runs.only_pages IS 'the failed pages that were asked for, which an incremental run lists, and no others; NULL for one that lists what changed';
COMMENT ON COLUMN confluence_sync_runs.reason IS 'asked or schedule';
COMMENT ON COLUMN confluence_sync_runs.marks IS 'for what a run by schedule was requested: content@version as the site showed it; once it has listed these, they are no reason for another run';
COMMENT ON COLUMN confluence_sync_runs.report IS 'what is counted over all pages of a completed or held run: numbers by kind, times of the stages, the slowest pages; NULL for other runs, and for those that ended before this was kept';
COMMENT ON TABLE confluence_texts IS 'The texts of chunks, each with what became of its vector';
COMMENT ON COLUMN confluence_texts.space_id IS 'the space';
COMMENT ON COLUMN confluence_texts.key IS 'hash of model, dimensions, prefix version and text';
COMMENT ON COLUMN confluence_texts.state IS 'pending, embedded, or failed for good';
COMMENT ON COLUMN confluence_texts.code IS 'failure code of the last try; null after a success';
COMMENT ON COLUMN confluence_texts.tries IS 'tries that failed';
COMMENT ON COLUMN confluence_texts.tokens IS 'that the text has, in the model''s own';
COMMENT ON COLUMN confluence_texts.due_at IS 'not tried before; in the future while a process embeds it';
COMMENT ON COLUMN confluence_texts.seen_at IS 'when a chunk last got this text';
COMMENT ON TABLE confluence_tokens IS 'Whose tokens are stored in archon_settings';
COMMENT ON COLUMN confluence_tokens.name IS 'a source, or the host of a site';
COMMENT ON COLUMN confluence_tokens.stored_at IS 'when a token was first stored under the name';
COMMENT ON COLUMN confluence_tokens.expires_at IS 'when the token stops working, as whoever stored it said; NULL if unknown';
COMMENT ON TABLE confluence_tree IS 'Pages, folders, whiteboards, databases and embeds by parent';
COMMENT ON COLUMN confluence_tree.source_id IS 'the source whose tree it is';
COMMENT ON COLUMN confluence_tree.node_id IS 'Confluence''s id of the page, folder or other node';
COMMENT ON COLUMN confluence_tree.kind IS 'page, blogpost, comment, attachment, folder, whiteboard, database or embed';
COMMENT ON COLUMN confluence_tree.title IS 'its title, which breadcrumbs show';
COMMENT ON COLUMN confluence_tree.parent_id IS 'id of the parent, null at the top of the space';
COMMENT ON COLUMN confluence_tree.parent_kind IS 'page, blogpost, folder, whiteboard, database or embed';
COMMENT ON COLUMN confluence_tree.path IS '/<ancestor id>/…/<node id>; begins with the first ancestor that is not known';
COMMENT ON COLUMN confluence_tree.checked_run IS 'the last run that asked Confluence about this node';
COMMENT ON COLUMN confluence_tree.trail IS 'the titles on the path, one a line';
COMMENT ON COLUMN confluence_tree.stale IS 'path or trail changed, and the stored page does not have it yet';
COMMENT ON COLUMN confluence_tree.failed_run IS 'the run that could not look the container up; the next one asks again';
COMMENT ON COLUMN confluence_tree.access_known IS 'whether the node''s own view restriction, or that it has none, has been read';
COMMENT ON COLUMN confluence_tree.layer_set IS 'the set of the layers of the node and of its ancestors; null if one of them is unknown, or if the node has moved and its stored place is the former one';
COMMENT ON COLUMN confluence_tree.left_out IS 'whether the latest run did not store the page because it is, or may be, restricted';
COMMENT ON TABLE confluence_unread_files IS 'Attachments whose text is not stored, and why';
COMMENT ON COLUMN confluence_unread_files.source_id IS 'the source';
COMMENT ON COLUMN confluence_unread_files.page_id IS 'Confluence''s id of the attachment';
COMMENT ON COLUMN confluence_unread_files.version IS 'the version of the attachment that this is about';
COMMENT ON COLUMN confluence_unread_files.version_at IS 'when that version was made; null if Confluence does not say';
COMMENT ON COLUMN confluence_unread_files.reader IS 'the version of the extractor, and what the file''s name and media type say that it is';
COMMENT ON COLUMN confluence_unread_files.bounds IS 'the extractor''s settings on which the outcome depends';
COMMENT ON COLUMN confluence_unread_files.skipped IS 'true: files of this kind are not read; false: it could not be read';
COMMENT ON COLUMN confluence_unread_files.reason IS 'the reason of the skip, such as format_audio, or the failure code';
COMMENT ON COLUMN confluence_unread_files.message IS 'why it could not be read, for people';
COMMENT ON COLUMN confluence_unread_files.times IS 'how often it ended so';
COMMENT ON TABLE confluence_vector_spaces IS 'Sets of vectors that can be compared: of one model, one length, one prefix';
COMMENT ON COLUMN confluence_vector_spaces.space_id IS 'its vectors are in confluence_vectors_<space_id>';
COMMENT ON COLUMN confluence_vector_spaces.model IS 'as its server calls it';
COMMENT ON COLUMN confluence_vector_spaces.dimensions IS 'of each vector';
COMMENT ON COLUMN confluence_vector_spaces.prefix_version IS 'of what is put before each text';
COMMENT ON COLUMN confluence_vector_spaces.state IS 'filling: not complete; active: searched; retired: searched before';
COMMENT ON COLUMN confluence_vector_spaces.created_at IS 'when filling began';
COMMENT ON COLUMN confluence_vector_spaces.active_at IS 'since when it is, or was, searched';
COMMENT ON TABLE confluence_word_totals IS 'How much text each source has, but for what is not counted yet';
COMMENT ON COLUMN confluence_word_totals.source_id IS 'the source';
COMMENT ON COLUMN confluence_word_totals.chunks IS 'its chunks';
COMMENT ON COLUMN confluence_word_totals.length IS 'words of their texts';
COMMENT ON TABLE confluence_words IS 'Every word of the chunks, with how many hold it';
COMMENT ON COLUMN confluence_words.word IS 'as in confluence_chunk_words.words';
COMMENT ON COLUMN confluence_words.chunks IS 'chunks that hold it, but for those not counted yet';
COMMENT ON TABLE confluence_words_uncounted IS 'Chunks that came or went and whose words are to be counted';
COMMENT ON COLUMN confluence_words_uncounted.id IS 'order of arrival';
COMMENT ON COLUMN confluence_words_uncounted.chunk_id IS 'the chunk that came; null for one that went';
COMMENT ON COLUMN confluence_words_uncounted.source_id IS 'source of one that went';
COMMENT ON COLUMN confluence_words_uncounted.length IS 'words of the text of one that went';
COMMENT ON COLUMN confluence_words_uncounted.words IS 'words of one that went';
COMMENT ON TABLE sluice_migrations IS 'Which of Sluice''s migrations were applied, as the migration tool keeps it';
COMMENT ON COLUMN sluice_migrations.id IS 'order of application';
COMMENT ON COLUMN sluice_migrations.version_id IS 'the number that the file begins with';
COMMENT ON COLUMN sluice_migrations.is_applied IS 'always true; a migration that is taken back has no row';
COMMENT ON COLUMN sluice_migrations.tstamp IS 'when it was applied';
COMMENT ON FUNCTION confluence_admitted(text,text[],text[]) IS 'What a reader is let in to: whole sources, and sets of layers';
COMMENT ON FUNCTION confluence_enable_policies(name) IS 'Lets a role read pages and chunks as far as the account in its setting sluice.reader may see them';
COMMENT ON FUNCTION confluence_enable_row_security(name) IS 'Gives a role the views that show what the account in its setting sluice.reader may see';
COMMENT ON FUNCTION confluence_guard() IS 'Keeps Supabase''s public roles away from Sluice''s tables and rows';
COMMENT ON FUNCTION confluence_keeps(text) IS 'Whether a source is one of Sluice''s';
COMMENT ON FUNCTION confluence_place_layers(text,text[]) IS 'Gives nodes of a tree and their descendants the set of their layers';
COMMENT ON FUNCTION confluence_readable() IS 'What the account in the setting sluice.reader may see: whole sources, and sets of layers';
COMMENT ON FUNCTION confluence_readable_nodes() IS 'What the account in the setting sluice.reader may see of sources that are not open';
