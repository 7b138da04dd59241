-- Files of jobs that have ended, which are to be deleted: first it is said here, together with what the
-- database forgets of them, then it is done, and then the row goes. A crash in between leaves the row, and the
-- next server does the rest.
create table deletion (
    job_id text not null references job (id) on delete cascade,
    part   text not null check (part in ('previous_checkpoint', 'checkpoints', 'files')),
    primary key (job_id, part)
) strict, without rowid;
