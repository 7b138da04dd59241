-- What may follow what in the life of a job. `jobs::lifecycle` says the same as a function; a test compares
-- the two. The trigger makes a state that is wrong impossible, whatever the code does.
create table legal_transition (
    from_state text not null,
    to_state   text not null,
    primary key (from_state, to_state)
) strict, without rowid;

insert into legal_transition (from_state, to_state) values
    ('queued', 'running'), ('queued', 'paused'), ('queued', 'stopping'), ('queued', 'cancelled'),
    ('running', 'pausing'), ('running', 'stopping'), ('running', 'cancelling'),
    ('running', 'queued'), ('running', 'paused'),
    ('running', 'completed'), ('running', 'cancelled'), ('running', 'failed'),
    ('pausing', 'running'), ('pausing', 'stopping'), ('pausing', 'cancelling'),
    ('pausing', 'paused'),
    ('pausing', 'completed'), ('pausing', 'cancelled'), ('pausing', 'failed'),
    ('paused', 'queued'), ('paused', 'stopping'), ('paused', 'cancelled'),
    ('stopping', 'cancelling'),
    ('stopping', 'completed'), ('stopping', 'cancelled'), ('stopping', 'failed'),
    ('cancelling', 'cancelled'),
    ('failed', 'queued'), ('failed', 'stopping');

create trigger job_state_is_legal before update of state on job
when old.state <> new.state and not exists (
    select 1 from legal_transition where from_state = old.state and to_state = new.state)
begin
    select raise(abort, 'a job cannot change from this state to that one');
end;

create trigger job_begins_queued before insert on job
when new.state <> 'queued'
begin
    select raise(abort, 'a job begins in the queue');
end;

-- Who made a change: the user through the API, the server by itself, or the worker that reported it.
alter table transition add column actor text not null default 'server'
    check (actor in ('user', 'server', 'worker'));

-- Why the server has paused a job by itself.
alter table job add column hold text check (hold in ('disk_full', 'disk_error'));
-- What kind of failure `error` tells of.
alter table job add column failure text;
-- Batches are this many times smaller than was asked for, because the device had no memory for them.
alter table job add column batch_divisor integer not null default 1;
-- In the queue: within a priority the lowest goes first, then the oldest.
alter table job add column place integer not null default 0;
-- It waits in the queue until then.
alter table job add column not_before text;
-- It is stopped, with what it has, when it has held a device for so long.
alter table job add column time_limit_s integer check (time_limit_s > 0);
-- How long it has held one, but for the time since `active_since`.
alter table job add column ran_s real not null default 0;
alter table job add column active_since text;

create trigger job_gets_device after update of state, device on job
when new.device is not null and new.active_since is null
    and new.state in ('running', 'pausing', 'stopping', 'cancelling')
begin
    update job set active_since = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') where id = new.id;
end;

create trigger job_gives_device_back after update of state on job
when old.active_since is not null
    and new.state not in ('running', 'pausing', 'stopping', 'cancelling')
begin
    update job
    set ran_s = ran_s + max(0, (julianday('now') - julianday(active_since)) * 86400),
        active_since = null
    where id = new.id;
end;

drop index job_queued;
create index job_queued on job (priority desc, place, id) where state in ('queued', 'stopping');
