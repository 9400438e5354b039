"""confluence-markdown-exporter, which writes its files itself, with as many workers as it likes."""

import json
import os
import tempfile

import turns

CONFIG = {
    "auth": {"confluence": {turns.SITE: {"username": turns.EMAIL, "api_token": turns.TOKEN}}},
    "connection_config": {"max_workers": 20},
    "export": {
        "output_path": turns.OUT,
        "page_path": "{page_id}.md",
        "log_level": "WARNING",
        "attachments_export": "disabled",  # nobody else here downloads files
        "page_breadcrumbs": False,  # these are not of the page
        "enable_jira_enrichment": False,
        "skip_unchanged": False,
        "cleanup_stale": False,
    },
}

folder = tempfile.mkdtemp()
os.environ["CME_CONFIG_PATH"] = os.path.join(folder, "config.json")
with open(os.environ["CME_CONFIG_PATH"], "w", encoding="utf-8") as f:
    json.dump(CONFIG, f)

from confluence_markdown_exporter.confluence import Space  # reads its settings when it is imported


def work():
    Space.from_url(f"{turns.SITE}/spaces/{turns.SPACE}").export()


turns.run(work)
