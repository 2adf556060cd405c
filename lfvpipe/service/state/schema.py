"""The tables. A change of theirs gets a new VERSION and a migration."""

from collections.abc import Mapping
from typing import Final

VERSION: Final = 8

_CHANGES: Final = """
CREATE TABLE changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    access_key TEXT NOT NULL,
    role TEXT NOT NULL,
    operation TEXT NOT NULL,
    project TEXT NOT NULL,
    asked TEXT NOT NULL,
    before_it TEXT NOT NULL,
    after_it TEXT NOT NULL
);
CREATE INDEX changes_by_project ON changes (project, operation, id);
"""

# What people judged to try a model: it goes with its project.
_TRIALS: Final = """
CREATE TABLE trials (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL REFERENCES projects (name) ON DELETE CASCADE,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    created REAL NOT NULL,
    access_key TEXT NOT NULL
);
CREATE INDEX trials_by_project ON trials (project);
CREATE TABLE trial_images (
    trial INTEGER NOT NULL REFERENCES trials (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    source TEXT NOT NULL,
    bytes INTEGER NOT NULL DEFAULT 0,
    problem TEXT NOT NULL DEFAULT '',
    is_anomalous INTEGER,
    confidence REAL,
    facts TEXT NOT NULL DEFAULT '{}',
    verified TEXT,
    added TEXT,
    PRIMARY KEY (trial, place)
) WITHOUT ROWID;
CREATE UNIQUE INDEX trial_images_by_source ON trial_images (trial, source);
"""

# How many images hosted models judged, by the hour since 1970: it goes with its project.
_JUDGED: Final = """
CREATE TABLE judged (
    project TEXT NOT NULL REFERENCES projects (name) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    images INTEGER NOT NULL,
    anomalies INTEGER NOT NULL,
    PRIMARY KEY (project, version, hour)
) WITHOUT ROWID;
CREATE INDEX judged_by_hour ON judged (hour);
"""

# Of the images that were called normal: the sum of their scores, and of how many it is.
_SCORES: Final = """
ALTER TABLE judged ADD COLUMN scored INTEGER NOT NULL DEFAULT 0;
ALTER TABLE judged ADD COLUMN score REAL NOT NULL DEFAULT 0;
"""

# What was beyond a limit, so that it is told once: it goes with its project.
_ALARMS: Final = """
CREATE TABLE alarms (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects (name) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    chart TEXT NOT NULL,
    until INTEGER NOT NULL,
    message TEXT NOT NULL,
    made REAL NOT NULL,
    status TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    next_try REAL NOT NULL,
    problem TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX alarms_by_version ON alarms (project, version, chart);
"""
# Where a person marked the anomaly in an image of a trial, and the mask's types with their colours.
_PAINTINGS: Final = "ALTER TABLE trial_images ADD COLUMN painting TEXT;"

# By the version that they start from, each leading to the next. A migration only adds, since a
# process of an earlier version may have the file open: its statements name their columns.
MIGRATIONS: Final[Mapping[int, str]] = {
    1: "ALTER TABLE models ADD COLUMN detector TEXT NOT NULL DEFAULT 'default';",
    2: "ALTER TABLE models ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE models ADD COLUMN unpublished TEXT;",
    3: _CHANGES,
    4: _TRIALS,
    5: _JUDGED,
    6: f"{_SCORES}{_ALARMS}",
    7: _PAINTINGS,
}

# A dataset points at a content: its JSON lines, which never change once they are ready. So an
# update or a deletion takes nothing away from a model that is still training on the old lines.
TABLES: Final = f"""{_CHANGES}
CREATE TABLE projects (
    name TEXT PRIMARY KEY,
    arn TEXT NOT NULL,
    created REAL NOT NULL,
    versions INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE contents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    state TEXT NOT NULL,
    message TEXT NOT NULL DEFAULT '',
    storage TEXT NOT NULL,
    bucket TEXT,
    key TEXT,
    version_id TEXT,
    base INTEGER,
    changes BLOB,
    total INTEGER NOT NULL DEFAULT 0,
    normal INTEGER NOT NULL DEFAULT 0,
    anomaly INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE entries (
    content INTEGER NOT NULL REFERENCES contents (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    source TEXT NOT NULL,
    label TEXT,
    created REAL,
    line TEXT NOT NULL,
    PRIMARY KEY (content, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX entries_by_source ON entries (content, source);
CREATE TABLE datasets (
    project TEXT NOT NULL REFERENCES projects (name),
    type TEXT NOT NULL,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    status TEXT NOT NULL,
    message TEXT NOT NULL,
    content INTEGER NOT NULL,
    next_content INTEGER,
    PRIMARY KEY (project, type)
) WITHOUT ROWID;
CREATE TABLE models (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL REFERENCES projects (name),
    version INTEGER NOT NULL,
    arn TEXT NOT NULL,
    created REAL NOT NULL,
    description TEXT,
    status TEXT NOT NULL,
    message TEXT NOT NULL,
    output_bucket TEXT NOT NULL,
    output_prefix TEXT,
    kms_key TEXT,
    storage TEXT NOT NULL,
    train_content INTEGER NOT NULL,
    test_content INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    f1 REAL,
    recall REAL,
    precision REAL,
    evaluated REAL,
    width INTEGER,
    height INTEGER,
    min_units INTEGER,
    max_units INTEGER,
    detector TEXT NOT NULL DEFAULT 'default',
    deaths INTEGER NOT NULL DEFAULT 0,
    unpublished TEXT,
    UNIQUE (project, version)
);
CREATE INDEX models_by_status ON models (status);
CREATE TABLE tags (
    arn TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (arn, key)
) WITHOUT ROWID;
CREATE TABLE tokens (
    operation TEXT NOT NULL,
    token TEXT NOT NULL,
    digest TEXT NOT NULL,
    answer TEXT NOT NULL,
    resource TEXT NOT NULL,
    created REAL NOT NULL,
    PRIMARY KEY (operation, token)
) WITHOUT ROWID;
CREATE TABLE packaging_jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL REFERENCES projects (name),
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    configuration TEXT NOT NULL,
    description TEXT,
    storage TEXT NOT NULL,
    status TEXT NOT NULL,
    message TEXT NOT NULL,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    output TEXT,
    UNIQUE (project, name)
);
{_TRIALS}{_JUDGED}{_SCORES}{_ALARMS}{_PAINTINGS}"""
