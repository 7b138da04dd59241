-- Files of jobs that have ended, which are to be deleted: first it is said here, together with what the
-- database forgets of them, then it is done, and then the row goes. A crash in between leaves the row, and the
-- next server does the rest.
create table deletion (
    job_id text not null references job (id) on delete cascade,
    part   text not null check (part in ('previous_checkpoint', 'checkpoints', 'files')),
    primary key (job_id, part)
) strict, without rowid;

-- Models of jobs that stay whatever the limits are: they have a tag, another was made from them, or a job begins with
-- them, measures them or compares with them.
create view needed_model as
select id, job_id from model
where job_id is not null and (tags <> '[]' or id in (
    select parent_id from model
    union select params ->> '$.init' from job
    union select params ->> '$.model_id' from job
    union select params ->> '$.compare_with' from job));
