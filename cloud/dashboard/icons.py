"""Inline drawings: the word mark, the favicon, and a set of 24-unit line icons."""

MARK = (
    '<svg class="mark" viewBox="0 0 32 32" aria-hidden="true">'
    '<rect width="32" height="32" rx="9" fill="var(--accent-fill)"/>'
    '<path d="M7.4 21.6a10 10 0 1 1 17.2 0" fill="none" stroke="#fff" stroke-opacity=".38" '
    'stroke-width="2.6" stroke-linecap="round"/>'
    '<path d="M7.4 21.6a10 10 0 0 1 13.2-13.9" fill="none" stroke="#fff" stroke-width="2.6" '
    'stroke-linecap="round"/>'
    '<path d="M16 18.4 21.6 11.4" stroke="#fff" stroke-width="2.6" stroke-linecap="round"/>'
    '<circle cx="16" cy="18.4" r="2.7" fill="#fff"/></svg>'
)

WORD_MARK = f'{MARK}<span class="word"><i>in</i><b>Metter</b></span>'

FAVICON = MARK.replace("var(--accent-fill)", "#0c7463").replace(
    "<svg ", '<svg xmlns="http://www.w3.org/2000/svg" '
)

_PATHS = {
    "overview": '<rect x="4" y="4" width="7" height="9" rx="1.6"/><rect x="13" y="4" width="7" '
    'height="5" rx="1.6"/><rect x="4" y="15" width="7" height="5" rx="1.6"/><rect x="13" y="11" '
    'width="7" height="9" rx="1.6"/>',
    "meters": '<path d="M5.6 18.5a9 9 0 1 1 12.8 0"/><path d="m12 14 3.6-4.4"/><circle cx="12" '
    'cy="14.4" r="1.4"/>',
    "outputs": '<path d="M3 13.5 12 6l9 7.5"/><path d="M6 12v7h12v-7"/><path d="m12 6 7.5-2"/>',
    "gateways": '<rect x="3.5" y="13" width="17" height="6.5" rx="2"/><path d="M7.2 16.3h.01M10.4 '
    '16.3h.01"/><path d="M15.6 13V9.6M8.6 8.2a5 5 0 0 1 7 0M6.2 5.6a8.6 8.6 0 0 1 11.8 0"/>',
    "events": '<path d="M18 15.6V11a6 6 0 1 0-12 0v4.6L4.4 18h15.2z"/><path d="M10 20.6a2.2 2.2 0 '
    '0 0 4 0"/>',
    "drop": '<path d="M12 3.6c3.2 3.7 6 6.9 6 10.2a6 6 0 0 1-12 0c0-3.3 2.8-6.5 6-10.2z"/>',
    "hot": '<path d="M12 8.2c2.6 3 4.8 5.3 4.8 7.9a4.8 4.8 0 0 1-9.6 0c0-2.6 2.2-4.9 4.8-7.9z"/>'
    '<path d="M7.4 6.6c-1-1.2 1-2 0-3.4M12 5.4c-1-1.2 1-2 0-3.4M16.6 6.6c-1-1.2 1-2 0-3.4"/>',
    "flame": '<path d="M12.4 3c.6 3.4 5.2 5.4 5.2 10.6a5.6 5.6 0 0 1-11.2 0c0-2.4 1.2-3.8 '
    '2.4-5.2.3 1.5 1 2.3 1.9 2.7C10.2 8.2 10.8 5.4 12.4 3z"/>',
    "bolt": '<path d="M13.2 3 5.6 13.4h5.6L10.4 21l7.8-10.8h-5.7z"/>',
    "heat": '<path d="M6 20V4M12 20V4M18 20V4M4 8h16M4 16h16"/>',
    "sun": '<circle cx="12" cy="12" r="4"/><path d="M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 '
    '7M17 17l1.4 1.4M5.6 18.4 7 17M17 7l1.4-1.4"/>',
    "moon": '<path d="M19.5 14.2A8 8 0 1 1 9.8 4.5a6.4 6.4 0 0 0 9.7 9.7z"/>',
    "auto": '<circle cx="12" cy="12" r="8"/><path d="M12 4a8 8 0 0 1 0 16z" fill="currentColor"/>',
    "leave": '<path d="M14 4H7a2 2 0 0 0-2 2v12a2 2 0 0 0 2 2h7M10 12h10M17 9l3 3-3 3"/>',
    "check": '<path d="m5 12.5 4.6 4.5L19 7.5"/>',
    "cross": '<path d="m6.5 6.5 11 11M17.5 6.5l-11 11"/>',
    "warn": '<path d="M12 4 2.9 19.5h18.2zM12 10v4.5M12 17.2v.01"/>',
    "chevron": '<path d="m9.5 6 6 6-6 6"/>',
    "back": '<path d="m14.5 6-6 6 6 6"/>',
    "rule": '<path d="M4 17h4.5l3-10 3.5 10H20"/><path d="M4 11h4M16 11h4" '
    'stroke-dasharray="1.5 2.5"/>',
    "hourglass": '<path d="M7 4h10M7 20h10M8 4c0 5 8 6 8 16M16 4c0 5-8 6-8 16"/>',
    "search": '<circle cx="11" cy="11" r="6"/><path d="m15.6 15.6 4.4 4.4"/>',
    "other": '<circle cx="12" cy="12" r="7.5"/><path d="M12 8v4l2.5 2.5"/>',
}


def icon(name: str) -> str:
    """The markup of a line icon; it takes the colour of the text around it."""
    return f'<svg class="ic" viewBox="0 0 24 24" aria-hidden="true">{_PATHS[name]}</svg>'
