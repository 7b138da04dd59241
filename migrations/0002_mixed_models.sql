-- Models may be mixed of a trained one and the untouched one. SQLite cannot change a check, so the
-- table is made anew.
create table model_new (
    id         text not null primary key check (length(id) = 36),
    name       text not null,
    kind       text not null check (kind in ('imported', 'trained', 'mixed')),
    job_id     text unique references job (id) on delete cascade,
    parent_id  text references model (id) on delete set null, -- that it was mixed from
    files      text not null check (json_valid(files)),
    metrics    text check (json_valid(metrics)),
    created_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    check ((kind = 'trained') = (job_id is not null)),
    check (kind = 'mixed' or parent_id is null)
) strict;

insert into model_new (id, name, kind, job_id, files, metrics, created_at)
select id, name, kind, job_id, files, metrics, created_at from model;

drop table model;
alter table model_new rename to model;
