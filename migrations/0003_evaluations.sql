-- Jobs may evaluate. SQLite cannot change a check, but a column goes with its own; every job so far
-- has trained. (A new table instead would take with it, by cascade, all that belongs to the jobs.)
alter table job drop column kind;
alter table job add column kind text not null default 'train' check (kind in ('train', 'evaluate'));
