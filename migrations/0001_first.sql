-- Times are UTC, RFC 3339 with milliseconds, so that text order is time order.
-- Ids are UUIDv7, so that id order is order of creation.

create table dataset (
    id           text not null primary key check (length(id) = 36),
    name         text not null,
    status       text not null default 'importing' check (status in ('importing', 'ready', 'failed')),
    error        text,
    content_hash text,
    summary      text check (json_valid(summary)), -- counts and report, once imported
    created_at   text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    finished_at  text,
    check (status <> 'ready' or (content_hash is not null and summary is not null)),
    check (status <> 'failed' or error is not null)
) strict;

create table job (
    id             text not null primary key check (length(id) = 36),
    kind           text not null default 'train' check (kind in ('train')),
    name           text not null,
    state          text not null default 'queued' check (state in (
                       'queued', 'running', 'pausing', 'paused', 'stopping', 'cancelling',
                       'completed', 'cancelled', 'failed')),
    dataset_id     text references dataset (id) on delete set null,
    params         text not null check (json_valid(params)),
    wanted_device  text not null, -- auto, cpu, cuda:0 …
    priority       integer not null default 0,
    device         text,          -- the slot it holds, or held last
    restarts       integer not null default 0,
    progress       text check (json_valid(progress)),
    best           text check (json_valid(best)),
    baseline       text check (json_valid(baseline)),
    error          text,
    worker_pid     integer,       -- of the last worker …
    worker_started integer,       -- … and when it began, in clock ticks since boot
    events_read    integer not null default 0, -- bytes of events.jsonl that are in these tables
    created_at     text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    started_at     text,
    finished_at    text,
    check ((state in ('completed', 'cancelled', 'failed')) = (finished_at is not null)),
    check (state <> 'failed' or error is not null)
) strict;

create index job_queued on job (priority desc, id) where state = 'queued';
create index job_active on job (device)
    where state in ('running', 'pausing', 'stopping', 'cancelling');
create index job_dataset on job (dataset_id);

-- Every change of a job's state, and why.
create table transition (
    id         integer primary key autoincrement,
    job_id     text not null references job (id) on delete cascade,
    from_state text,
    to_state   text not null,
    reason     text not null,
    time       text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) strict;

create index transition_job on transition (job_id);

-- What clients are told, in order; the id is the Last-Event-ID of the stream.
create table event (
    id     integer primary key autoincrement,
    job_id text not null references job (id) on delete cascade,
    type   text not null check (type in ('started', 'step', 'epoch', 'sample', 'state')),
    epoch  integer, -- that it belongs to, where there is one
    body   text not null check (json_valid(body))
) strict;

create index event_job on event (job_id, id);

-- The metrics table; epoch 0 is the untouched baseline.
create table epoch (
    job_id text not null references job (id) on delete cascade,
    epoch  integer not null,
    row    text not null check (json_valid(row)),
    primary key (job_id, epoch)
) strict, without rowid;

create table artifact (
    job_id     text not null references job (id) on delete cascade,
    name       text not null check (name not in ('', '.', '..') and name not like '%/%'),
    size_bytes integer not null,
    sha256     text not null check (length(sha256) = 64),
    primary key (job_id, name)
) strict, without rowid;

create table model (
    id         text not null primary key check (length(id) = 36),
    name       text not null,
    kind       text not null check (kind in ('imported', 'trained')),
    job_id     text unique references job (id) on delete cascade,
    files      text not null check (json_valid(files)),
    metrics    text check (json_valid(metrics)),
    created_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    check ((kind = 'trained') = (job_id is not null))
) strict;

create table idempotency_key (
    key         text not null primary key,
    body_sha256 text not null,
    job_id      text not null references job (id) on delete cascade,
    created_at  text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) strict, without rowid;

create index idempotency_job on idempotency_key (job_id);
