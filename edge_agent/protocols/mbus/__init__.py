"""M-Bus (EN 13757-2 link layer, EN 13757-3 application layer), pure: bytes in, values out.

``link`` frames bytes, ``capture`` finds the frames in a recording, ``telegram`` decodes what a
meter says, ``registers`` says what its records are. ``encode`` builds what masters and meters
send, ``answers`` what meters send seldom. Nothing here waits, connects or knows the time.
"""
