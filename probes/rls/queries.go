package rls

// tag begins what is asked of the application's tables, so that whoever reads the server's statistics knows who asks.
const tag = "/* prober */ "

// ownNames lets no object of the database stand for one of the catalogue, whatever the role's search path is.
const ownNames = `SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)`

// relationsQuery lists the tables of a schema ($1), their partitions and child tables wherever these are, and the views and
// materialized views above them, through any number of others. $2 is the column that says whose a row is, and $3 has other
// columns by table, in JSON.
const relationsQuery = `
WITH RECURSIVE tables AS (
  SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1::text AND c.relkind IN ('r', 'p', 'f')
  UNION
  SELECT i.inhrelid FROM tables t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
), reads AS MATERIALIZED (
  SELECT DISTINCT r.ev_class AS view, d.refobjid AS relation
  FROM pg_catalog.pg_rewrite r
  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
  WHERE r.ev_type = '1' AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> r.ev_class
), relations AS (
  SELECT oid FROM tables
  UNION
  SELECT r.view FROM relations x JOIN reads r ON r.relation = x.oid
)
SELECT c.oid, n.nspname, c.relname, c.relkind, c.relowner, c.relrowsecurity, c.relforcerowsecurity, row_security_active(c.oid),
  EXISTS (SELECT 1 FROM pg_options_to_table(c.reloptions) o WHERE o.option_name = 'security_invoker' AND o.option_value::boolean),
  CASE WHEN has_schema_privilege(n.oid, 'USAGE') THEN
    CASE WHEN has_any_column_privilege(c.oid, 'SELECT') THEN 'r' ELSE '' END ||
    CASE WHEN has_any_column_privilege(c.oid, 'INSERT') THEN 'a' ELSE '' END ||
    CASE WHEN has_any_column_privilege(c.oid, 'UPDATE') THEN 'w' ELSE '' END ||
    CASE WHEN has_table_privilege(c.oid, 'DELETE') THEN 'd' ELSE '' END ||
    CASE WHEN has_table_privilege(c.oid, 'TRUNCATE') THEN 't' ELSE '' END
  ELSE '' END,
  own.attname IS NOT NULL, coalesce(has_column_privilege(c.oid, own.attnum, 'SELECT'), false), has_table_privilege(c.oid, 'SELECT'),
  (SELECT string_agg(i.inhparent::text, ' ') FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid),
  (SELECT string_agg(r.relation::text, ' ') FROM reads r WHERE r.view = c.oid)
FROM relations x JOIN pg_catalog.pg_class c ON c.oid = x.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute own ON own.attrelid = c.oid AND own.attnum > 0 AND NOT own.attisdropped AND own.attname = coalesce(
  $3::jsonb ->> (CASE n.nspname WHEN $1::text THEN '' ELSE n.nspname || '.' END || c.relname), $2::text)
ORDER BY n.nspname = $1::text DESC, n.nspname, c.relname`

// policiesQuery lists the policies of tables ($1). $2 and $3 are as above, and $4 is the schema. An expression looks at a column if the dependencies of its policy say so and
// the column is in its tree, where a variable of the table itself is written with its number, 0 for the whole row. The second
// is needed since dependencies are those of both expressions together.
const policiesQuery = `
SELECT p.polrelid, p.polpermissive, p.polcmd, array_to_string(p.polroles, ' '),
  p.polqual IS NOT NULL,
  coalesce(p.polqual::text ~ ':varno 1 :varattno 0 ' OR looks.depends AND p.polqual::text ~ (':varno 1 :varattno ' || looks.attnum || ' '), false),
  p.polwithcheck IS NOT NULL,
  coalesce(p.polwithcheck::text ~ ':varno 1 :varattno 0 ' OR looks.depends AND p.polwithcheck::text ~ (':varno 1 :varattno ' || looks.attnum || ' '), false)
FROM pg_catalog.pg_policy p
JOIN pg_catalog.pg_class c ON c.oid = p.polrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
  SELECT a.attnum, EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = p.oid
      AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = p.polrelid AND d.refobjsubid = a.attnum) AS depends
  FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = p.polrelid AND a.attnum > 0 AND NOT a.attisdropped
    AND a.attname = coalesce($3::jsonb ->> (CASE n.nspname WHEN $4::text THEN '' ELSE n.nspname || '.' END || c.relname), $2::text)
) looks ON true
WHERE p.polrelid = ANY ($1::oid[])
ORDER BY p.polrelid, p.polname`

// functionsQuery lists the functions that run as their owner and that the role may call, by their name or through a view, for
// which it needs no right on their schema. Triggers cannot be called, and what belongs to an extension is its author's.
const functionsQuery = `
SELECT DISTINCT n.nspname, p.proname, p.proowner
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND p.prorettype NOT IN ('pg_catalog.trigger'::regtype, 'pg_catalog.event_trigger'::regtype)
  AND has_function_privilege(p.oid, 'EXECUTE')
  AND (has_schema_privilege(n.oid, 'USAGE') OR EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.refclassid = 'pg_catalog.pg_proc'::regclass AND d.refobjid = p.oid))
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY 1, 2`

// roleLeftExpression is true where the role is another than the one that logs in, and the login does not set it.
const roleLeftExpression = `(current_user <> session_user AND NOT EXISTS (
    SELECT 1 FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) c WHERE c = 'role=' || current_user
      AND s.setrole IN (0, (SELECT l.oid FROM pg_catalog.pg_roles l WHERE l.rolname = session_user))
      AND s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database()))))`

// rolesQuery lists the role that asks, those that it may become, and some others ($1), with the roles whose rights they have
// and those that they may become. A superuser has and may be all of them. Whoever logged in as another role may become that one
// again. Before version 16, CREATEROLE lets a role grant itself any other that is no superuser.
const rolesQuery = `
SELECT r.oid, r.rolname = current_user, r.rolsuper, r.rolbypassrls,
  EXISTS (SELECT 1 FROM pg_catalog.pg_roles g WHERE (g.rolsuper OR g.rolbypassrls) AND (pg_has_role(r.oid, g.oid, 'MEMBER')
    OR r.rolname = current_user AND pg_has_role(session_user, g.oid, 'MEMBER'))),
  EXISTS (SELECT 1 FROM pg_catalog.pg_roles g WHERE g.rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
    AND pg_has_role(r.oid, g.oid, 'MEMBER')),
  EXISTS (SELECT 1 FROM pg_catalog.pg_roles g WHERE g.rolcreaterole AND pg_has_role(r.oid, g.oid, 'MEMBER'))
    AND current_setting('server_version_num')::int < 160000,
  r.rolname = current_user AND ` + roleLeftExpression + `,
  (SELECT string_agg(g.oid::text, ' ') FROM pg_catalog.pg_roles g WHERE NOT r.rolsuper AND pg_has_role(r.oid, g.oid, 'USAGE')),
  (SELECT string_agg(g.oid::text, ' ') FROM pg_catalog.pg_roles g WHERE NOT r.rolsuper AND (pg_has_role(r.oid, g.oid, 'MEMBER')
    OR r.rolname = current_user AND pg_has_role(session_user, g.oid, 'MEMBER')))
FROM pg_catalog.pg_roles r
WHERE r.rolname = current_user OR r.oid = ANY ($1::oid[])
  OR NOT (SELECT s.rolsuper FROM pg_catalog.pg_roles s WHERE s.rolname = session_user) AND pg_has_role(session_user, r.oid, 'MEMBER')`
