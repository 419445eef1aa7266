-- Notes of several orgs, kept apart by row-level security: one policy for each command.
create role anonymous;
create role member;
create schema app;
create schema private;
grant usage on schema app, private to anonymous, member;

create function private.org() returns text language sql stable as $$ select nullif(current_setting('jwt.claims.org', true), '') $$;

create table app.orgs (id uuid primary key default gen_random_uuid(), name text not null unique, plan text not null);
alter table app.orgs enable row level security;
grant select on app.orgs to anonymous, member;
create policy own on app.orgs for select using (name = private.org());
create function app.me() returns app.orgs language sql stable as $$ select * from app.orgs where name = private.org() $$;

create table app.notes (id uuid primary key default gen_random_uuid(), org text not null default private.org(), title text not null);
alter table app.notes enable row level security;
grant select, insert, update, delete on app.notes to anonymous, member;
create policy see on app.notes for select using (org = private.org());
create policy add on app.notes for insert with check (org = private.org());
create policy change on app.notes for update using (org = private.org());
create policy remove on app.notes for delete using (org = private.org());
create function app.search_notes(part text) returns setof app.notes language sql stable as $$
  select * from app.notes where title like '%' || part || '%'
$$;

-- Signing in: PostGraphile signs what is of this type.
create type app.token as (role text, org text, exp integer);
create table private.passwords (org text primary key, password text not null);
create function app.authenticate(org text, password text) returns app.token language sql security definer as $$
  select 'member', p.org, extract(epoch from now() + interval '1 day')::integer
  from private.passwords p where p.org = authenticate.org and p.password = authenticate.password
$$;

insert into app.orgs (name, plan) values ('prober-one', 'test'), ('prober-two', 'test');
insert into private.passwords values ('prober-one', 'password-of-one'), ('prober-two', 'password-of-two');
