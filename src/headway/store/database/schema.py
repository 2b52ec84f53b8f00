"""The database's tables, as the ordered list of scripts that made them.

Rule: a script that was released is never changed; a change of the schema is one more script. The number of
scripts that ran is the schema's version (`PRAGMA user_version`).
"""

from __future__ import annotations

_FIRST = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- An unpacked layer; its directory is trees/<algorithm>-<hex of the diff ID>.
CREATE TABLE trees (
    diff_id TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    disk_bytes INTEGER NOT NULL,
    report TEXT NOT NULL
) WITHOUT ROWID;

-- A stack of layers. directory is the top layer's own tree, or one derived for this chain, with its report.
CREATE TABLE chains (
    chain_id TEXT PRIMARY KEY,
    parent TEXT REFERENCES chains ON DELETE CASCADE,
    diff_id TEXT NOT NULL REFERENCES trees ON DELETE CASCADE,
    directory TEXT NOT NULL,
    derived_bytes INTEGER NOT NULL,
    report TEXT
) WITHOUT ROWID;
CREATE INDEX chains_by_parent ON chains (parent);
CREATE INDEX chains_by_diff_id ON chains (diff_id);

-- Which blob was seen to hold which layer; sequence grows, since a clock may go back.
CREATE TABLE layer_blobs (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    digest TEXT NOT NULL,
    diff_id TEXT NOT NULL,
    repository TEXT NOT NULL,
    UNIQUE (diff_id, digest, repository)
);
CREATE INDEX layer_blobs_by_digest ON layer_blobs (digest);

-- created_microseconds orders what created spells in many ways; NULL where it spells nothing.
CREATE TABLE images (
    image_id TEXT PRIMARY KEY,
    created TEXT NOT NULL,
    created_microseconds INTEGER,
    size INTEGER NOT NULL,
    platform TEXT NOT NULL,
    chain_id TEXT,
    manifest TEXT,
    last_tagged REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX images_newest_first ON images (created_microseconds DESC, image_id);
CREATE INDEX images_by_chain ON images (chain_id);

-- spelling is the full one, docker.io/library/alpine:latest; kind is tag or digest.
CREATE TABLE names (
    spelling TEXT PRIMARY KEY,
    repository TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('tag', 'digest')),
    image_id TEXT NOT NULL REFERENCES images
) WITHOUT ROWID;
CREATE INDEX names_by_image ON names (image_id, spelling);
CREATE INDEX names_by_repository ON names (repository, spelling);
-- Registries that have answered before.
CREATE TABLE hosts (
    host TEXT PRIMARY KEY
) WITHOUT ROWID;
"""

# Who needs what, by index, so that removing one image reads no other; and leases: promises that content stays although
# no image needs it (yet), as a pull makes them that is under way or was stopped (docs/adr/0013).
# A later script whose table needs chains, layers or blobs as well replaces the view that says so.
_NEEDS = """
-- purpose says what a lease is for; the lease itself also for which content, so that a tag that moves has several.
CREATE TABLE leases (
    lease TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,
    created REAL NOT NULL,
    used REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX leases_by_purpose ON leases (purpose);

-- content is the digest of a blob (whole or not), a diff ID or a chain ID: whatever has that name stays.
CREATE TABLE leased (
    lease TEXT NOT NULL REFERENCES leases ON DELETE CASCADE,
    content TEXT NOT NULL,
    PRIMARY KEY (lease, content)
) WITHOUT ROWID;
CREATE INDEX leased_by_content ON leased (content);

-- What stood for images that a start found damaged and forgot, until they are pulled again; goes with its lease.
CREATE TABLE lost_names (
    spelling TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    lease TEXT NOT NULL REFERENCES leases ON DELETE CASCADE,
    image_id TEXT NOT NULL,
    manifest TEXT,
    platform TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX lost_names_by_image ON lost_names (image_id);
CREATE INDEX lost_names_by_lease ON lost_names (lease);
CREATE TRIGGER found_again AFTER INSERT ON names BEGIN
    DELETE FROM lost_names WHERE kind = 'digest'
        AND image_id = (SELECT image_id FROM lost_names WHERE spelling = NEW.spelling);
    DELETE FROM lost_names WHERE spelling = NEW.spelling;
END;

-- Every blob that an image came with and keeps: config, manifest, indexes.
CREATE TABLE image_blobs (
    image_id TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
    digest TEXT NOT NULL,
    PRIMARY KEY (image_id, digest)
) WITHOUT ROWID;
CREATE INDEX image_blobs_by_digest ON image_blobs (digest);

INSERT INTO image_blobs SELECT image_id, image_id FROM images;
INSERT OR IGNORE INTO image_blobs SELECT image_id, manifest FROM images WHERE manifest IS NOT NULL;
INSERT OR IGNORE INTO image_blobs
    SELECT image_id, substr(spelling, length(repository) + 2) FROM names WHERE kind = 'digest';

-- Layers that a pull had finished before there were leases.
INSERT INTO leases SELECT 'pulls of an earlier version', 'pulls of an earlier version', 0, 0
    WHERE EXISTS (SELECT 1 FROM trees WHERE diff_id NOT IN (SELECT diff_id FROM chains));
INSERT INTO leased SELECT 'pulls of an earlier version', diff_id FROM trees
    WHERE diff_id NOT IN (SELECT diff_id FROM chains);

CREATE VIEW chain_users (chain_id) AS
    SELECT chain_id FROM images UNION ALL SELECT parent FROM chains UNION ALL SELECT content FROM leased;
CREATE VIEW tree_users (diff_id) AS SELECT diff_id FROM chains UNION ALL SELECT content FROM leased;
CREATE VIEW blob_users (digest) AS SELECT digest FROM image_blobs UNION ALL SELECT content FROM leased;
"""

# What lists and deletes ask of an image, so that neither reads configs; and what happened, newest 1,000.
_IMAGES_AND_EVENTS = """
-- labels is config.Labels as JSON; NULL in a row that was made before there was the column.
ALTER TABLE images ADD COLUMN labels TEXT;
ALTER TABLE images ADD COLUMN parent TEXT REFERENCES images ON DELETE SET NULL;
CREATE INDEX images_by_parent ON images (parent);

-- sequence has no gaps: a change that is rolled back gives its number back.
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    time_nano INTEGER NOT NULL,
    type TEXT NOT NULL,
    action TEXT NOT NULL,
    actor TEXT NOT NULL,
    attributes TEXT NOT NULL
);
"""

# Containers, their read-write layers, and what is mounted: all of them need chains.
_CONTAINERS = """
CREATE TABLE containers (
    container_id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    image_id TEXT,
    image TEXT NOT NULL,
    created_nano INTEGER NOT NULL,
    config TEXT NOT NULL,
    host_config TEXT NOT NULL,
    platform TEXT NOT NULL,
    mount_label TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('created', 'dead', 'removing'))
) WITHOUT ROWID;
CREATE INDEX containers_by_image ON containers (image_id);
CREATE INDEX containers_newest_first ON containers (created_nano DESC, container_id);

-- Its directory is rw/<mount_id>. chain_id is no foreign key: a chain whose trees are lost is forgotten, and the layer
-- can then still be removed.
CREATE TABLE rw_layers (
    name TEXT PRIMARY KEY,
    mount_id TEXT NOT NULL UNIQUE,
    chain_id TEXT,
    driver TEXT NOT NULL,
    init_report TEXT,
    storage_opt TEXT NOT NULL,
    mount_label TEXT NOT NULL,
    is_removing INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX rw_layers_by_chain ON rw_layers (chain_id);

-- What `headway mount` has mounted and is to stay.
CREATE TABLE mounts (
    target TEXT PRIMARY KEY,
    image_id TEXT,
    chain_id TEXT,
    driver TEXT NOT NULL,
    rw_layer TEXT REFERENCES rw_layers,
    count INTEGER NOT NULL,
    place TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX mounts_by_chain ON mounts (chain_id);
CREATE INDEX mounts_by_image ON mounts (image_id);
CREATE INDEX mounts_by_rw_layer ON mounts (rw_layer);

DROP VIEW chain_users;
CREATE VIEW chain_users (chain_id) AS
    SELECT chain_id FROM images UNION ALL SELECT parent FROM chains UNION ALL SELECT content FROM leased
    UNION ALL SELECT chain_id FROM rw_layers UNION ALL SELECT chain_id FROM mounts;
"""

# Addresses that took a connection for a host name, the latest first, with spaces: for when no name server answers.
# And how many bytes the shortest-lived connection to a registry carried up in whole pieces, and how large those may be.
_ADDRESSES = """
CREATE TABLE connection_lives (
    host TEXT PRIMARY KEY,
    carried INTEGER NOT NULL,
    piece INTEGER NOT NULL,
    seen REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE addresses (
    name TEXT PRIMARY KEY,
    good TEXT NOT NULL
) WITHOUT ROWID;
"""

# Pulls that outlive who asked for them; record is a `PullRecord` as JSON, for nothing in it is searched.
_PULLS = """
CREATE TABLE pulls (
    pull_id TEXT PRIMARY KEY,
    created REAL NOT NULL,
    has_ended INTEGER NOT NULL,
    record TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX pulls_newest_first ON pulls (created DESC, pull_id);

-- What crossed the network, each day in UTC; registry is who was asked, image what for.
CREATE TABLE traffic (
    day TEXT NOT NULL,
    registry TEXT NOT NULL,
    image TEXT NOT NULL,
    received INTEGER NOT NULL,
    useful INTEGER NOT NULL,
    reused INTEGER NOT NULL,
    PRIMARY KEY (day, registry, image)
) WITHOUT ROWID;
"""

# What went up, beside what came.
_SENT = """
ALTER TABLE traffic ADD COLUMN sent INTEGER NOT NULL DEFAULT 0;
"""

MIGRATIONS: tuple[str, ...] = (_FIRST, _NEEDS, _IMAGES_AND_EVENTS, _CONTAINERS, _ADDRESSES, _PULLS, _SENT)
