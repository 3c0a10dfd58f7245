"""Reading a rendered page back with the standard library's parser."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "input"}
INLINE = {"a", "bdi", "code", "i", "span", "strong", "sub"}


@dataclass
class Page(HTMLParser):
    """Every tag with its attributes, the text outside style and script, and whether tags balance."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    raw: dict[str, list[str]] = field(default_factory=lambda: {"style": [], "script": []})
    open: list[str] = field(default_factory=list)
    crossed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._part(tag)
        if tag in self.raw:
            self.raw[tag].append("")
        if tag not in VOID and tag != "td":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self._part(tag)
        if tag == "td":
            return
        if not self.open or self.open.pop() != tag:
            self.crossed.append(tag)

    def _part(self, tag: str) -> None:
        # Blocks stand apart on the page though their text touches in the source.
        if tag not in INLINE:
            self.words.append(" ")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in self.raw:
            self.raw[self.open[-1]][-1] += data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        """All running text, blanks folded."""
        return " ".join("".join(self.words).split())

    def attributes(self, name: str) -> list[str]:
        """Every value of one attribute."""
        return [attrs[name] or "" for _, attrs in self.tags if name in attrs]


def read(html: str) -> Page:
    """Parse a page; fails on tags that cross or stay open."""
    page = Page()
    page.feed(html)
    page.close()
    assert not page.crossed, page.crossed[:5]
    assert not page.open, page.open
    return page
