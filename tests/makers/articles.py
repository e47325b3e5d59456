"""Short articles in the file formats of published corpora, and the sentences they hold."""

from __future__ import annotations

import html
import json
from pathlib import Path

ENGLISH = [
    (
        "Otter",
        [
            "The otter is a river animal. It is ca. 1.2 m long & eats fish.",
            'Dr. Brook kept one (see p. 4). "Is it tame?" we asked.',
        ],
    ),
    ('A "small" <town>', ["The town has 3 < 4 mills!"]),
    ("Mill", ["A mill grinds corn. It stands by a river.", "- wheels", "Water turns it."]),
    ("Only a title", []),
]
ENGLISH_SENTENCES = [
    [
        "The otter is a river animal.",
        "It is ca. 1.2 m long & eats fish.",
        "Dr. Brook kept one (see p. 4).",
        '"Is it tame?" we asked.',
    ],
    ["The town has 3 < 4 mills!"],
    ["A mill grinds corn.", "It stands by a river.", "- wheels", "Water turns it."],
]
CHINESE = [
    ("水獭", ["水獭住在河边。它长约1.2米，吃鱼！", "他问：“它听话吗？”没有人回答。"]),
    ("磨坊", ["磨坊磨面。水推动它。"]),
]
CHINESE_SENTENCES = [
    ["水獭住在河边。", "它长约1.2米，吃鱼！", "他问：“它听话吗？”", "没有人回答。"],
    ["磨坊磨面。", "水推动它。"],
]


def as_text(articles) -> str:
    """As WikiExtractor writes: the title as it is, the text with &, < and > as in HTML."""
    return "".join(
        f'<doc id="{n}" url="https://wiki.example/?curid={n}" title="{title}">\n{title}\n\n'
        + html.escape("\n".join(paragraphs), quote=False)
        + "\n\n</doc>\n"
        for n, (title, paragraphs) in enumerate(articles)
    )


def as_json(articles, with_title=False) -> str:
    """As WikiExtractor writes with --json; other versions of it put the title before the text."""
    return "".join(
        json.dumps(
            {
                "id": str(n),
                "revid": "7",
                "url": f"https://wiki.example/?curid={n}",
                "title": title,
                "text": "\n".join([title, "", *paragraphs] if with_title else paragraphs),
            }
        )
        + "\n"
        for n, (title, paragraphs) in enumerate(articles)
    )


def as_wikitext(articles) -> str:
    return "".join(
        f" \n = {title} = \n \n"
        + "".join(f" {paragraph} \n" for paragraph in paragraphs)
        + " \n = = More = = \n \n = = = Deeper = = = \n"
        for title, paragraphs in articles
    )


def as_own(documents) -> str:
    return "\n\n".join("\n".join(document) for document in documents) + "\n"


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path
