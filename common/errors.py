"""One root of errors. The class answers the caller's only question: may I try again?"""


class InMetterError(Exception):
    """Everything that inMetter raises on purpose; its text is fit for a person."""


class Retryable(InMetterError):
    """The same call may succeed later: no answer, hung up, frame error, broker or storage away."""


class Permanent(InMetterError):
    """The same call will fail again: refused, wrong configuration, undecodable, not found."""


class NoAnswer(Retryable):
    """The device did not answer within its time-out."""


class Unreachable(Retryable):
    """There is no connection, and nothing was sent."""


class Disconnected(Retryable):
    """The connection ended in the middle of an exchange."""


class FrameError(Retryable):
    """The bytes on the line are not a frame of the protocol (noise, checksum, truncation)."""


class Refused(Permanent):
    """The device or the far end understood and said no."""


class Undecodable(Permanent):
    """A whole message arrived, and its content has no valid meaning."""


class NotFound(Permanent):
    """What was named does not exist."""


class NotAllowed(Permanent):
    """The caller may not do this."""


class Outdated(Permanent):
    """What was to be replaced is not any more as the caller has seen it."""


class ConfigError(Permanent):
    """The configuration is wrong; names the file, the line or key, and what was expected."""
