-- The gateway's one file. All times are epoch milliseconds, UTC.

CREATE TABLE meta (                      -- 'stream': the journal's identity; 'boot': starts so far;
    key   TEXT PRIMARY KEY,              -- 'overflow': lost since the quota was reached; 'machine':
    value TEXT NOT NULL                  -- whose it is; 'former': the stream before, in a renewal;
                                         -- 'own_from': the first number since the cloud was heard
) STRICT, WITHOUT ROWID;

-- Every number that was ever given is in exactly one of entry, lost and gone; the next one is the
-- greatest of them and 1.

CREATE TABLE entry (                     -- append-only
    seq  INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL,               -- when it was appended, by the gateway's wall clock
    boot INTEGER NOT NULL,               -- in which start of the agent
    mono INTEGER NOT NULL,               -- when, in ms by the monotonic clock of that boot
    clock INTEGER NOT NULL,              -- what the wall clock was worth: ClockQuality
    body BLOB NOT NULL
) STRICT;

CREATE INDEX undated ON entry (boot) WHERE clock = 0;

CREATE TABLE boot (                      -- the starts of the agent, and in which boot of the computer
    boot   INTEGER PRIMARY KEY,
    kernel TEXT NOT NULL
) STRICT;

CREATE TABLE clock_fix (                 -- a computer's boot and its time; once written, for ever
    kernel  TEXT PRIMARY KEY,
    offset  INTEGER NOT NULL,            -- wall time minus monotonic time, in ms
    quality INTEGER NOT NULL,            -- who said so: ClockQuality; 0: nobody, it was bounded
    mono    INTEGER NOT NULL             -- when it was learnt, in ms by the monotonic clock
) STRICT, WITHOUT ROWID;

CREATE VIEW dated AS                     -- when entries were appended; null while nobody knows
    SELECT seq, CASE clock WHEN 0 THEN entry.mono + clock_fix.offset ELSE at END AS at
    FROM entry LEFT JOIN boot USING (boot) LEFT JOIN clock_fix USING (kernel);

CREATE TABLE lost (                      -- disjoint ranges of entries that were given up, and why
    first  INTEGER PRIMARY KEY,
    last   INTEGER NOT NULL,
    reason TEXT NOT NULL,
    at     INTEGER NOT NULL
) STRICT;

CREATE TABLE gone (                      -- disjoint ranges of entries that were settled and deleted
    first INTEGER PRIMARY KEY,
    last  INTEGER NOT NULL
) STRICT;

CREATE TABLE salvaged (                  -- what was queued here of entries of damaged files
    stream TEXT NOT NULL,
    first  INTEGER NOT NULL,
    last   INTEGER NOT NULL,
    PRIMARY KEY (stream, first)
) STRICT, WITHOUT ROWID;

CREATE TABLE catalog (                   -- which entries are catalogs
    seq INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE settled (                   -- disjoint ranges of entries that the cloud has dealt with
    first INTEGER PRIMARY KEY,
    last  INTEGER NOT NULL
) STRICT;

CREATE TABLE rejected (                  -- settled, but can never be stored
    seq    INTEGER PRIMARY KEY,
    reason TEXT NOT NULL
) STRICT;

CREATE TABLE register (                  -- the number by which readings name a register, for ever
    no       INTEGER PRIMARY KEY AUTOINCREMENT,
    device   TEXT NOT NULL,
    key      TEXT NOT NULL,
    kind     TEXT NOT NULL,              -- of another kind or scale it is another register
    decimals INTEGER NOT NULL,
    UNIQUE (device, key, kind, decimals)
) STRICT;

CREATE TABLE inbox (                     -- every command that was taken in, and how far it is
    id          TEXT PRIMARY KEY,
    device      TEXT NOT NULL,
    register    TEXT NOT NULL,
    value       INTEGER NOT NULL,
    issued_at   INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    state       TEXT NOT NULL,           -- 'accepted' until there is a result
    report_seq  INTEGER NOT NULL,        -- the entry that said so
    report      BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE counter_state (             -- what is stored of a pushing device, and its counter
    device TEXT PRIMARY KEY,
    state  BLOB NOT NULL
) STRICT, WITHOUT ROWID;
