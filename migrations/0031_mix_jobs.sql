-- Jobs may mix. SQLite cannot change a check, so a column with the new one takes the old one's place.
alter table job add column kind_new text not null default 'train' check (kind_new in ('train', 'evaluate', 'mix'));
update job set kind_new = kind;
alter table job drop column kind;
alter table job rename column kind_new to kind;

-- Of a job that extends a finished one: the epochs that the finished one was asked for.
alter table job add column extends_epochs integer check (extends_epochs > 0);

-- A mixed model may belong to the job that mixed it. The check belongs to the whole table, so the table is rebuilt.
-- Parents are set last: dropping the old table would set them to null.
create temporary table parent as select id, parent_id from model where parent_id is not null;
drop view needed_model;
create table model_new (
    id         text not null primary key check (length(id) = 36),
    name       text not null,
    kind       text not null check (kind in ('imported', 'trained', 'mixed')),
    job_id     text unique references job (id) on delete cascade,
    parent_id  text references model (id) on delete set null, -- the model it was mixed from
    files      text not null check (json_valid(files)),
    metrics    text check (json_valid(metrics)),
    created_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    variant    text not null default 'short' check (variant in ('short', 'back')),
    tags       text not null default '[]' check (json_type(tags) = 'array'),
    check (kind <> 'trained' or job_id is not null),
    check (kind <> 'imported' or job_id is null),
    check (kind = 'mixed' or parent_id is null)
) strict;
insert into model_new (id, name, kind, job_id, files, metrics, created_at, variant, tags)
select id, name, kind, job_id, files, metrics, created_at, variant, tags from model;
drop table model;
alter table model_new rename to model;
update model set parent_id = parent.parent_id from parent where parent.id = model.id;
drop table parent;

-- As in 0030.
create view needed_model as
select id, job_id from model
where job_id is not null and (tags <> '[]' or id in (
    select parent_id from model
    union select params ->> '$.init' from job
    union select params ->> '$.model_id' from job
    union select params ->> '$.compare_with' from job));
