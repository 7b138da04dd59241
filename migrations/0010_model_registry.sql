-- Which network a model's weights are of, and the user's tags for it.
alter table model add column variant text not null default 'short' check (variant in ('short', 'back'));
alter table model add column tags text not null default '[]' check (json_type(tags) = 'array');
