"""M-Bus (EN 13757-2 link layer, EN 13757-3 application layer), pure: bytes in, values out.

``link`` frames bytes, ``telegram`` decodes what a meter says, ``encode`` builds what masters
and meters send. Nothing here waits, connects or knows the time.
"""
