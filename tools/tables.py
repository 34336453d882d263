"""Write the table of options from the options themselves: ``python -m tools.tables [--check]``."""

import re
import sys
from pathlib import Path

from similarity import handover_options, options, search_options
from similarity.declare import REQUIRED

PAGE = Path(__file__).resolve().parent.parent / "docs" / "operators.md"

STEPS = (
    ("frames_from_videos", search_options.FramesOptions),
    ("find_copies", options.CopiesOptions),
    ("compute_embeddings", options.EmbedOptions),
    ("build_similarity_index", search_options.IndexOptions),
    ("sort_by_similarity", search_options.SortOptions),
    ("compare_samples", search_options.CompareOptions),
    ("sweep_thresholds", options.SweepOptions),
    ("cluster_duplicates", options.ClusterOptions),
    ("keep_first_per_cluster", options.KeepOptions),
    ("split_by_cluster", handover_options.SplitOptions),
    ("export_deduplicated", handover_options.ExportOptions),
    ("load_annotations", handover_options.AnnotationsOptions),
    ("group_into_folders", handover_options.FoldersOptions),
    ("write_report", handover_options.ReportOptions),
    ("remove_duplicates", handover_options.RemoveOptions),
    ("restore_removed", handover_options.RestoreOptions),
    ("delete_run", handover_options.DeleteRunOptions),
)


def options_table() -> str:
    """Return one table for all steps; an option that several steps share has one row."""
    users: dict[tuple[str, str], list[str]] = {}
    rows: dict[tuple[str, str], str] = {}
    for operator, step in STEPS:
        for option in step.declared():
            key = (option.name, option.help)
            users.setdefault(key, []).append(operator)
            rows[key] = f"{_default(option.default)} | {option.help}"
    lines = ["| option | default | what it means | used by |", "|---|---|---|---|"]
    for (name, help_text), row in rows.items():
        lines.append(f"| `{name}` | {row} | {', '.join(f'`{user}`' for user in users[name, help_text])} |")
    return "\n".join(lines)


def _default(default: object) -> str:
    if default in (None, REQUIRED):
        return "" if default is None else "(required)"
    return f"`{default}`"


def rendered(text: str, table: str) -> str:
    """Return ``text`` with ``table`` between its two markers."""
    pattern = r"(<!-- options: begin -->\n).*?(\n<!-- options: end -->)"
    return re.sub(pattern, lambda match: match[1] + table + match[2], text, flags=re.DOTALL)


def main() -> int:
    """Write the table, or with ``--check`` fail if it differs."""
    text = PAGE.read_text(encoding="utf-8")
    new = rendered(text, options_table())
    if "--check" in sys.argv:
        return int(new != text)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
