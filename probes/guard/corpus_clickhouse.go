package guard

// clickhouse are ways that only ClickHouse has. None reads a file or opens a connection.
func clickhouse() []testCase {
	return []testCase{
		// Settings of a query take back what the guard has set, such as a filter of the table.
		{"settings", "inner_settings", "SELECT {select} FROM (SELECT * FROM {table}{where} {limit} SETTINGS additional_table_filters = {}) {end}"},
		{"settings", "outer_settings", "SELECT {select} FROM {table}{where} {limit} SETTINGS additional_table_filters = {}{also}"},
		{"settings", "filter_true", "SELECT {select} FROM {table}{where} {limit} SETTINGS additional_table_filters = {'{table}': '1'}{also}"},
		{"settings", "settings_of_cte", "WITH t AS (SELECT * FROM {table}{where} {limit} SETTINGS additional_table_filters = {}) SELECT {select} FROM t {end}"},

		// Functions that read the table under another name.
		{"table_functions", "merge", "SELECT {select} FROM merge({database}, '^{name}$'){where} {end}"},
		{"table_functions", "merge_of_one", "SELECT {select} FROM merge('^{name}$'){where} {end}"},
		{"table_functions", "view", "SELECT {select} FROM view(SELECT * FROM {table}{where} {limit}) {end}"},
		{"table_functions", "view_with_scope", "SELECT {select} FROM view(SELECT * FROM {table}{where} {limit}) WHERE {own} = {own} {end}"},
		{"table_functions", "loop", "SELECT {select} FROM loop({table}){where} {end}"},
		{"table_functions", "merge_tree_index", "SELECT * FROM mergeTreeIndex({database}, '{name}') {end}"},

		// Tables of the server, which know something of every org.
		{"system", "system_parts", "SELECT name, rows FROM system.parts WHERE table = '{name}' {end}"},
		{"system", "system_tables", "SELECT name, total_rows FROM system.tables WHERE name = '{name}' {end}"},
		{"system", "system_columns", "SELECT name, data_compressed_bytes FROM system.columns WHERE table = '{name}' {end}"},
		{"system", "system_processes", "SELECT query_id FROM system.processes {end}"},
		{"system", "system_query_log", "SELECT query_id FROM system.query_log {end}"},
		{"system", "system_with_scope", "SELECT name FROM system.tables WHERE {own} = {own} {end}"},
		{"system", "information_schema", "SELECT table_name FROM information_schema.tables {end}"},

		// Statements about the table and about queries.
		{"introspection", "explain", "EXPLAIN SELECT {select} FROM {table}{where} {end}"},
		{"introspection", "explain_syntax", "EXPLAIN SYNTAX SELECT {select} FROM {table}{where} {end}"},
		{"introspection", "explain_estimate", "EXPLAIN ESTIMATE SELECT {select} FROM {table}{where} {end}"},
		{"introspection", "select_explain", "SELECT * FROM (EXPLAIN SELECT {select} FROM {table}{where} {limit}) {end}"},
		{"introspection", "describe", "DESCRIBE TABLE {table}{settings}"},
		{"introspection", "show_tables", "SHOW TABLES {end}"},
		{"introspection", "show_create", "SHOW CREATE TABLE {table}{settings}"},
		{"introspection", "exists_table", "EXISTS TABLE {table}{settings}"},

		{"formats", "format_json", "SELECT {select} FROM {table}{where} {end} FORMAT JSON"},
		{"formats", "format_lines", "SELECT {select} FROM {table}{where} {end} FORMAT JSONEachRow"},
		{"formats", "format_csv", "SELECT {select} FROM {table}{where} {end} FORMAT CSV"},
		{"formats", "format_then_comment", "SELECT {select} FROM {table}{where} {end} FORMAT JSON -- WHERE {scope}"},

		// Clauses beside WHERE, and clauses in another order.
		{"clauses", "from_first", "FROM {table} SELECT {select}{where} {end}"},
		{"clauses", "prewhere", "SELECT {select} FROM {table} PREWHERE 1 = 1{where} {end}"},
		{"clauses", "prewhere_or", "SELECT {select} FROM {table} PREWHERE {scope} OR 1 = 1{where} {end}"},
		{"clauses", "limit_by", "SELECT {select} FROM {table}{where} LIMIT 5 BY {column} {end}"},
		{"clauses", "array_join", "SELECT {select} FROM {table} ARRAY JOIN [{own}] AS prober_org{where} {end}"},
		{"clauses", "array_join_scope", "SELECT {select} FROM {table} ARRAY JOIN [{own}] AS prober_org WHERE prober_org = {own}{and} {end}"},
		{"clauses", "qualify", "SELECT {select} FROM {table}{where} QUALIFY row_number() OVER (PARTITION BY {column}) < 5 {end}"},
		{"clauses", "distinct_on", "SELECT DISTINCT ON ({column}) {select} FROM {table}{where} {end}"},
		{"clauses", "scalar_with", "WITH (SELECT groupArray({column}) FROM (SELECT {column} FROM {table}{where} {limit})) AS prober_all SELECT prober_all {end}"},
		{"clauses", "all_columns", "SELECT COLUMNS('.') FROM {table}{where} {end}"},
		{"clauses", "apply", "SELECT * APPLY(toString) FROM {table}{where} {end}"},
		{"clauses", "global_in", "SELECT {select} FROM {table} WHERE {column} GLOBAL IN (SELECT {column} FROM {table}{where} {limit}){and} {end}"},

		// A name that the query gives hides the column.
		{"aliases", "alias_hides_column", "SELECT {select}, {own} AS {column} FROM {table} WHERE {scope}{and} {end}"},
		{"aliases", "with_hides_column", "WITH {own} AS {column} SELECT {select} FROM {table} WHERE {scope}{and} {end}"},
		{"aliases", "derived_hides_column", "SELECT {select} FROM (SELECT * REPLACE({own} AS {column}) FROM {table}{where} {limit}) WHERE {scope} {end}"},
		{"aliases", "alias_in_condition", "SELECT {select} FROM {table} WHERE ({own} AS prober_org) = {own}{and} {end}"},

		// Functions that make nothing of a condition.
		{"functions", "or_function", "SELECT {select} FROM {table} WHERE or({scope}, 1){and} {end}"},
		{"functions", "if_function", "SELECT {select} FROM {table} WHERE if({scope}, 1, 1){and} {end}"},
		{"functions", "ignore", "SELECT {select} FROM {table} WHERE NOT ignore({scope}){and} {end}"},
		{"functions", "greatest", "SELECT {select} FROM {table} WHERE greatest({scope}, 1){and} {end}"},
		{"functions", "xor", "SELECT {select} FROM {table} WHERE xor({scope}, {column} <> {own}){and} {end}"},
		{"functions", "at_least_zero", "SELECT {select} FROM {table} WHERE ({scope}) >= 0{and} {end}"},
		{"functions", "in_both_values", "SELECT {select} FROM {table} WHERE ({scope}) IN (0, 1){and} {end}"},
		{"functions", "condition_not_null", "SELECT {select} FROM {table} WHERE ({scope}) IS NOT NULL{and} {end}"},
		{"functions", "index_hint", "SELECT {select} FROM {table} WHERE indexHint({scope}){and} {end}"},
		{"functions", "lambda", "SELECT {select} FROM {table} WHERE arrayExists(x -> x = {own} OR 1 = 1, [{column}]){and} {end}"},
		{"functions", "match", "SELECT {select} FROM {table} WHERE match({column}, '.'){and} {end}"},
		{"functions", "has_array", "SELECT {select} FROM {table} WHERE has([{own}, {foreign}], {column}){and} {end}"},

		// What the lexer takes and a search for words may not.
		{"lexer", "unicode_spaces", "SELECT\u00a0{select}\u00a0FROM\u00a0{table}{where} {end}"},
		{"lexer", "wide_spaces", "SELECT\u3000{select}\u3000FROM\u3000{table}{where} {end}"},
		{"lexer", "form_feeds", "SELECT\f{select}\vFROM\f{table}{where} {end}"},
		{"lexer", "backticks", "SELECT {select} FROM `{name}`{where} {end}"},
		{"lexer", "hash_comment", "SELECT {select} FROM {table}{where} {end} # WHERE {scope}"},
		{"lexer", "quoted_text", "SELECT {select} FROM {table} WHERE $prober$ {scope} $prober$ <> ''{and} {end}"},
		{"lexer", "escaped_quote", `SELECT {select} FROM {table} WHERE '\' AND {column} = ' <> ''{and} {end}`},
		{"lexer", "escaped_foreign", "SELECT {select} FROM {table} WHERE {column} = {escaped foreign}{and} {end}"},
		{"lexer", "equals_twice", "SELECT {select} FROM {table} WHERE {column} == {foreign}{and} {end}"},
		{"lexer", "cast", "SELECT {select} FROM {table} WHERE {own}::String = {own}{and} {end}"},

		// The value is not in the query, and the caller says what it is.
		{"parameters", "named_parameter", "SELECT {select} FROM {table} WHERE {column} = {prober_org:String}{and} {end}"},
		{"parameters", "named_table", "SELECT {select} FROM {prober_table:Identifier}{where} {end}"},
	}
}
