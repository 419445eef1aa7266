package guard

// classics are the ways that do not depend on the database.
func classics() []testCase {
	return []testCase{
		// The scope is missing.
		{"missing", "no_where", "SELECT {select} FROM {table}{where} {end}"},
		{"missing", "where_true", "SELECT {select} FROM {table} WHERE 1 = 1{and} {end}"},
		{"missing", "select_star", "SELECT * FROM {table}{where} {end}"},
		{"missing", "count", "SELECT count(*) FROM {table}{where} {end}"},
		{"missing", "min_max", "SELECT min({column}), max({column}) FROM {table}{where} {end}"},
		{"missing", "group_by_org", "SELECT {column}, count(*) FROM {table}{where} GROUP BY {column} {end}"},
		{"missing", "distinct_orgs", "SELECT DISTINCT {column} FROM {table}{where} {end}"},

		// The scope stands where the database does not read it.
		{"comments", "block_comment", "SELECT {select} FROM {table} /* WHERE {scope} */{where} {end}"},
		{"comments", "line_comment", "SELECT {select} FROM {table}{where} {end} -- WHERE {scope}"},
		{"comments", "comment_after_true", "SELECT {select} FROM {table} WHERE 1 = 1{and} {end} -- AND {scope}"},
		{"comments", "comment_of_column", "SELECT {select} FROM {table} WHERE 1 = 1{and} {end} -- {column}"},
		{"comments", "comment_first", "/* {scope} */ SELECT {select} FROM {table}{where} {end}"},
		{"comments", "line_comment_first", "-- WHERE {scope}\nSELECT {select} FROM {table}{where} {end}"},
		{"comments", "comment_in_condition", "SELECT {select} FROM {table} WHERE 1 = 1 /* AND {scope} */{and} {end}"},

		// The scope stands where it restricts nothing.
		{"elsewhere", "in_text", "SELECT {select} FROM {table} WHERE {text of scope} <> ''{and} {end}"},
		{"elsewhere", "in_select", "SELECT {select}, {scope} AS prober_own FROM {table}{where} {end}"},
		{"elsewhere", "in_order_by", "SELECT {select} FROM {table}{where} ORDER BY {scope} {end}"},
		{"elsewhere", "in_group_by", "SELECT {scope} AS prober_own, count(*) FROM {table}{where} GROUP BY {scope} {end}"},
		{"elsewhere", "in_name", `SELECT {select} AS "{scope}" FROM {table}{where} {end}`},
		{"elsewhere", "in_case", "SELECT {select} FROM {table} WHERE CASE WHEN {scope} THEN 1 ELSE 1 END = 1{and} {end}"},

		// The scope is there, and another condition lets more through.
		{"conditions", "or_true", "SELECT {select} FROM {table} WHERE {scope} OR 1 = 1{and} {end}"},
		{"conditions", "true_or", "SELECT {select} FROM {table} WHERE 1 = 1{and} OR {scope} {end}"},
		{"conditions", "or_in_parentheses", "SELECT {select} FROM {table} WHERE ({scope} OR 1 = 1){and} {end}"},
		{"conditions", "and_before_or", "SELECT {select} FROM {table} WHERE {scope} AND 1 = 1 OR 1 = 1{and} {end}"},
		{"conditions", "or_after_comment", "SELECT {select} FROM {table} WHERE {scope} -- no more\n OR 1 = 1{and} {end}"},
		{"conditions", "or_foreign", "SELECT {select} FROM {table} WHERE ({scope} OR {column} = {foreign}){and} {end}"},
		{"conditions", "in_both", "SELECT {select} FROM {table} WHERE {column} IN ({own}, {foreign}){and} {end}"},
		{"conditions", "not_in_none", "SELECT {select} FROM {table} WHERE {column} NOT IN ('prober-none'){and} {end}"},
		{"conditions", "not_empty", "SELECT {select} FROM {table} WHERE {column} <> ''{and} {end}"},
		{"conditions", "not_own", "SELECT {select} FROM {table} WHERE {column} <> {own}{and} {end}"},
		{"conditions", "not_scope", "SELECT {select} FROM {table} WHERE NOT ({scope}){and} {end}"},
		{"conditions", "like_all", "SELECT {select} FROM {table} WHERE {column} LIKE '%'{and} {end}"},
		{"conditions", "at_least", "SELECT {select} FROM {table} WHERE {column} >= ''{and} {end}"},
		{"conditions", "between", "SELECT {select} FROM {table} WHERE {column} BETWEEN '' AND '~'{and} {end}"},
		{"conditions", "equals_itself", "SELECT {select} FROM {table} WHERE {column} = {column}{and} {end}"},
		{"conditions", "id_equals_itself", "SELECT {select} FROM {table} WHERE {own} = {own}{and} {end}"},
		{"conditions", "not_null", "SELECT {select} FROM {table} WHERE {column} IS NOT NULL{and} {end}"},
		{"conditions", "or_not_null", "SELECT {select} FROM {table} WHERE ({scope} OR {column} IS NOT NULL){and} {end}"},
		{"conditions", "coalesce", "SELECT {select} FROM {table} WHERE coalesce(nullif({column}, {foreign}), {own}) = {own}{and} {end}"},
		{"conditions", "is_not_distinct", "SELECT {select} FROM {table} WHERE {column} IS NOT DISTINCT FROM {column}{and} {end}"},

		// The scope is that of another org.
		{"foreign_org", "foreign", "SELECT {select} FROM {table} WHERE {column} = {foreign}{and} {end}"},
		{"foreign_org", "foreign_in", "SELECT {select} FROM {table} WHERE {column} IN ({foreign}){and} {end}"},
		{"foreign_org", "foreign_reversed", "SELECT {select} FROM {table} WHERE {foreign} = {column}{and} {end}"},
		{"foreign_org", "foreign_and_own_id", "SELECT {select} FROM {table} WHERE {column} = {foreign} AND {own} = {own}{and} {end}"},

		// The scope is that of another query within the same one.
		{"subqueries", "derived", "SELECT {select} FROM (SELECT * FROM {table}{where} {limit}) AS t {end}"},
		{"subqueries", "derived_id", "SELECT {select} FROM (SELECT {select}, {own} AS prober_org FROM {table}{where} {limit}) AS t WHERE prober_org = {own} {end}"},
		{"subqueries", "in_all_orgs", "SELECT {select} FROM {table} WHERE {column} IN (SELECT {column} FROM {table}{where} {limit}){and} {end}"},
		{"subqueries", "exists", "SELECT {select} FROM {table} WHERE EXISTS (SELECT 1 FROM {table} WHERE {scope}{and} {limit}){and} {end}"},
		{"subqueries", "scalar", "SELECT {column}, (SELECT count(*) FROM {table}{where} {limit}) AS n FROM {table} WHERE {scope}{and} {end}"},
		{"subqueries", "cte", "WITH t AS (SELECT * FROM {table}{where} {limit}) SELECT {select} FROM t {end}"},
		{"subqueries", "unused_cte", "WITH t AS (SELECT * FROM {table} WHERE {scope}{and} {limit}) SELECT {select} FROM {table}{where} {end}"},

		{"unions", "union_all", "SELECT {select} FROM {table} WHERE {scope}{and} {limit} UNION ALL SELECT {select} FROM {table}{where} {end}"},
		{"unions", "union_first", "SELECT {select} FROM {table}{where} {limit} UNION ALL SELECT {select} FROM {table} WHERE {scope}{and} {end}"},
		{"unions", "union_distinct", "SELECT {select} FROM {table} WHERE {scope}{and} {limit} UNION DISTINCT SELECT {select} FROM {table}{where} {end}"},
		{"unions", "except", "SELECT {select} FROM {table}{where} EXCEPT SELECT {select} FROM {table} WHERE {scope}{and} {end}"},
		{"unions", "union_in_parentheses", "(SELECT {select} FROM {table} WHERE {scope}{and} {limit}) UNION ALL (SELECT {select} FROM {table}{where} {end})"},

		{"joins", "cross_join", "SELECT {select} FROM (SELECT 1 AS prober_one FROM {table} WHERE {scope}{and} {limit}) AS a CROSS JOIN (SELECT * FROM {table}{where} {limit}) AS b {end}"},
		{"joins", "comma_join", "SELECT {select} FROM (SELECT 1 AS prober_one FROM {table} WHERE {scope}{and} {limit}) AS a, (SELECT * FROM {table}{where} {limit}) AS b {end}"},
		{"joins", "left_join", "SELECT {select} FROM {table} AS e LEFT JOIN (SELECT {own} AS prober_org) AS o ON e.{column} = o.prober_org{where} {end}"},
		{"joins", "scope_of_other_side", "SELECT {select} FROM (SELECT {column} AS prober_org FROM {table} WHERE {scope}{and} {limit}) AS a JOIN (SELECT * FROM {table}{where} {limit}) AS b ON a.prober_org = {own} {end}"},

		{"statements", "second_statement", scoped + "; SELECT {select} FROM {table}{where} {end}"},
		{"statements", "first_statement", "SELECT {select} FROM {table}{where} {end}; " + scoped},

		// The query is written in a way that a search for words may not see.
		{"spelling", "mixed_case", "sElEcT {select} fRoM {table}{where} {end}"},
		{"spelling", "lines_and_tabs", "SELECT\n\t{select}\r\nFROM\n\t{table}{where}\n{end}"},
		{"spelling", "comments_as_spaces", "SELECT/**/{select}/**/FROM/**/{table}{where} {end}"},
		{"spelling", "quoted_table", `SELECT {select} FROM "{name}"{where} {end}`},
		{"spelling", "semicolon", "SELECT {select} FROM {table}{where} {end};"},
		{"spelling", "parentheses", "(SELECT {select} FROM {table}{where} {end})"},
	}
}
