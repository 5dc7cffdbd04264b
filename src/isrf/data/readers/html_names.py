"""Elements of HTML, by what they do to the words around them, and attributes without a value. Knows nothing about texts."""

from __future__ import annotations

# fmt: off
INLINE = frozenset((
    "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd",
    "mark", "nobr", "q", "rp", "rt", "ruby", "s", "samp", "small", "strike", "strong", "sub", "sup", "tt", "u",
    "var", "wbr",
))
"""Elements within words: "H<sub>2</sub>O"."""
BESIDE = frozenset((
    "a", "button", "label", "span",
))
"""Elements that stand beside words: a blank where letters would meet."""
DROPPED = frozenset((
    "script", "style", "template", "iframe", "noembed", "noframes", "noscript", "object", "applet", "svg",
    "math", "head",
))
"""Elements whose content nobody sees."""
BLOCKS = frozenset((
    "address", "area", "article", "aside", "audio", "base", "basefont", "blockquote", "body", "br", "canvas",
    "caption", "center", "col", "colgroup", "data", "datalist", "dd", "details", "dialog", "dir", "div", "dl",
    "dt", "embed", "fieldset", "figcaption", "figure", "footer", "form", "frame", "frameset", "h1", "h2", "h3",
    "h4", "h5", "h6", "header", "hgroup", "hr", "html", "img", "input", "legend", "li", "link", "listing",
    "main", "map", "marquee", "menu", "meta", "meter", "nav", "ol", "optgroup", "option", "output", "p",
    "param", "picture", "plaintext", "pre", "progress", "search", "section", "select", "slot", "source",
    "summary", "table", "tbody", "td", "textarea", "tfoot", "th", "thead", "time", "title", "tr", "track", "ul",
    "video", "xmp",
))
WORDS = frozenset((
    "abbr", "address", "applet", "area", "article", "aside", "audio", "base", "body", "button", "caption",
    "center", "code", "data", "details", "dialog", "dir", "embed", "figure", "font", "footer", "form", "frame",
    "head", "header", "input", "label", "legend", "link", "listing", "main", "map", "mark", "math", "menu",
    "meter", "object", "option", "output", "param", "picture", "progress", "ruby", "search", "section",
    "select", "slot", "source", "style", "script", "summary", "table", "template", "time", "title", "track",
    "var", "video", "cite", "big", "small",
))
"""Names that are words too: "<title>" alone in a text is a placeholder, no tag."""
SWITCHES = frozenset((
    "allowfullscreen", "async", "autofocus", "autoplay", "checked", "compact", "controls", "defer", "disabled",
    "hidden", "ismap", "itemscope", "loop", "multiple", "muted", "nomodule", "noshade", "novalidate", "nowrap",
    "open", "readonly", "required", "reversed", "selected",
))
"""Attributes without a value: of "<b and c>" nothing is one, so it is no tag."""
# fmt: on
