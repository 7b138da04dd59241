-- What the user said about the labels when the archive was uploaded; {} for nothing.
alter table dataset add column import_options text not null default '{}' check (json_valid(import_options));
