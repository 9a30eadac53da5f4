"""Pages of Great Expectations on which nothing of the data is markup: its own view escapes some of it alone."""

from __future__ import annotations

import copy
import html
from collections.abc import Callable, Mapping
from typing import Any

from great_expectations.render.view import DefaultJinjaPageView
from jinja2 import pass_context
from markupsafe import Markup

_WRITES_HTML = ("render_styling", "render_styling_from_string_template", "attributes_dict_to_html_string")
"""Filters of the templates, beside those that are written anew here."""


class EscapingPageView(DefaultJinjaPageView):
    """Escapes whatever its templates have not written."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.env.autoescape = True
        for name in _WRITES_HTML:
            self.env.filters[name] = _as_markup(self.env.filters[name])

    @pass_context
    def render_content_block(
        self, jinja_context: Any, content_block: Any, index: Any = None, content_block_id: Any = None
    ) -> Any:
        """A block as HTML; a text as it stands, for the template to escape."""
        if isinstance(content_block, list):
            parts = (
                self.render_content_block(jinja_context, part, place, f"{content_block_id}-{place}")
                if isinstance(part, dict) and "content_block_type" in part
                else Markup("<span>{}</span>").format(part)
                for place, part in enumerate(content_block)
            )
            return Markup("").join(parts)
        written = super().render_content_block(jinja_context, content_block, index, content_block_id)
        return Markup(written) if written is not content_block and isinstance(written, str) else written

    def render_string_template(self, template: Any) -> Any:
        """A text with parameters as HTML, nothing of either taken for markup."""
        if not isinstance(template, dict):
            return template
        own = copy.deepcopy(template)
        # Written twice is a dollar that begins no parameter; it would be doubled again.
        own["template"] = html.escape(own.get("template", ""), quote=False).replace("$$", "&#36;")
        if "tooltip" in own:
            own["tooltip"]["content"] = html.escape(str(own["tooltip"]["content"]), quote=False)
        own["params"] = {name: _text(value) for name, value in (own.get("params") or {}).items()}
        return Markup(super().render_string_template(own))


def _as_markup(write: Callable[..., str]) -> Callable[..., Markup]:
    return lambda *given, **named: Markup(write(*given, **named))


def _text(value: Any) -> Any:
    """What is escaped: text alone is."""
    return str(value) if isinstance(value, Mapping | list | tuple) else value
