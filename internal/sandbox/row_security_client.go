package sandbox

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A dbClient is what the server knows of one connection.
type dbClient struct {
	process int
	session orgSetting // what the last transaction left
	local   orgSetting // of the transaction
}

// now is the setting that holds for a client. What another one left on the connection comes first of what is not the
// transaction's own.
func (d *rowSecurity) now(c *dbClient) orgSetting {
	switch {
	case c.local.set:
		return c.local
	case d.left != "":
		return orgSetting{d.left, true}
	}
	return c.session
}

// rollback ends a transaction. A setting that was made in it is empty afterwards, and not unset.
func (c *dbClient) rollback() {
	if c.local.set {
		c.local, c.session = orgSetting{}, orgSetting{set: true}
	}
}

// A reply is the answer to a statement.
type reply struct {
	columns []string
	rows    [][]string
	err     sqlState // empty: none
}

// unnamed is how a server names columns of expressions.
//
//go:noinline
func unnamed(n int) []string { return slices.Repeat([]string{"?column?"}, n) }

// sharedProcess serves all clients of the pool.
const sharedProcess = 4711

// ask knows the statements of the kind rls by what they are about.
func (d *rowSecurity) ask(c *dbClient, sql string, args []string) reply {
	of := func(columns int, rows [][]string) reply { return reply{columns: unnamed(columns), rows: rows} }
	about := func(words string) bool { return strings.Contains(sql, words) }
	switch {
	case about("relrowsecurity"):
		return of(15, d.relationRows())
	case about("pg_policy"):
		return of(8, d.policyRows())
	case about("prosecdef"):
		return of(3, d.functionRows())
	case about("rolbypassrls"):
		return of(10, d.roleRows())
	case about("SAVEPOINT"), about("'search_path'"):
		return reply{}
	case about("quote_ident"):
		return of(1, [][]string{{"id, org_id"}})
	case about("set_config($1, $2, true)") && len(args) == 2:
		c.local = orgSetting{args[1], true}
		return of(1, [][]string{{args[1]}})
	case about("pg_backend_pid()"):
		process := c.process
		if d.pooled {
			process = sharedProcess
		}
		return of(3, [][]string{{truth(d.now(c).org != ""), strconv.Itoa(process), truth(d.roleLeft)}})
	case about("current_setting($1, true)"):
		return of(1, [][]string{{truth(d.now(c).org != "")}})
	case about("WITH "):
		return d.write(viewer{d.app(), d.now(c)}, sql)
	case about("ctid"):
		return d.places(viewer{d.app(), d.now(c)}, sql)
	case about("EXISTS ("):
		return d.look(viewer{d.app(), d.now(c)}, sql)
	}
	return reply{err: undefinedTable}
}

// existsRow is a question of the sweep.
var existsRow = regexp.MustCompile(`EXISTS \(SELECT 1 FROM "(\w+)"\."(\w+)"(?: WHERE "org_id" (=|IS DISTINCT FROM) '([^']*)')?\)`)

// look answers whether relations show rows.
func (d *rowSecurity) look(v viewer, sql string) reply {
	var row []string
	for _, q := range existsRow.FindAllStringSubmatch(sql, -1) {
		t, err := d.reached(v, q[2], 'r')
		if err != nil {
			return failed(err)
		}
		rows, err := t.visible(v)
		if err != nil {
			return failed(err)
		}
		row = append(row, truth(slices.ContainsFunc(rows, func(org string) bool {
			return q[3] == "" || (org == q[4]) == (q[3] == "=")
		})))
	}
	return reply{columns: unnamed(len(row)), rows: [][]string{row}}
}

// placesOf is the question where the rows of a table are stored.
var placesOf = regexp.MustCompile(`SELECT tableoid, ctid FROM "\w+"\."(\w+)"`)

// places tells the rows apart that relations show. In this database each is of another org.
func (d *rowSecurity) places(v viewer, sql string) reply {
	var row []string
	for _, q := range placesOf.FindAllStringSubmatch(sql, -1) {
		t, err := d.reached(v, q[1], 'r')
		if err != nil {
			return failed(err)
		}
		rows, err := t.visible(v)
		if err != nil {
			return failed(err)
		}
		row = append(row, strings.Join(rows, " "))
	}
	return reply{columns: unnamed(len(row)), rows: [][]string{row}}
}

// failed is the answer if there is none.
//
//go:noinline
func failed(err error) reply { return reply{err: sqlState(err.Error())} }

// reached returns a relation that a role has a privilege on.
func (d *rowSecurity) reached(v viewer, name string, command byte) (*dbRelation, error) {
	t := d.relation(name)
	switch {
	case t == nil:
		return nil, undefinedTable
	case strings.IndexByte(t.privileges(v.role), command) < 0:
		return nil, deniedByPolicy
	}
	return t, nil
}

// Attempts to write, which name a table and an org.
var (
	changeRows = regexp.MustCompile(`\b(UPDATE|DELETE FROM) "\w+"\."(\w+)" .*?WHERE "org_id" = '([^']*)'`)
	insertRow  = regexp.MustCompile(`INSERT INTO "\w+"\."(\w+)" .*jsonb_build_object\('org_id', '([^']*)'\).*WHERE "org_id" = '([^']*)'`)
)

// write answers how many rows an attempt to write concerns. Nothing is ever written, since all of it would be rolled back.
func (d *rowSecurity) write(v viewer, sql string) reply {
	if m := changeRows.FindStringSubmatch(sql); m != nil {
		return d.change(v, m[2], map[string]byte{"UPDATE": 'w', "DELETE FROM": 'd'}[m[1]], m[3])
	}
	if m := insertRow.FindStringSubmatch(sql); m != nil {
		return d.insert(v, m[1], m[3], m[2])
	}
	return reply{err: undefinedTable}
}

// change counts the rows of an org that a role sees and may change or delete. An update is checked as well.
func (d *rowSecurity) change(v viewer, name string, command byte, org string) reply {
	t, err := d.reached(v, name, command)
	if err != nil {
		return failed(err)
	}
	seen, err := t.visible(v)
	if err != nil {
		return failed(err)
	}
	n := 0
	for _, row := range seen {
		allowed, err := t.allows(v, command, usingOf, row)
		if err != nil {
			return failed(err)
		}
		if row != org || !allowed {
			continue
		}
		if written, err := t.allows(v, command, checkOf, row); command == 'w' && (!written || err != nil) {
			return reply{err: deniedByPolicy}
		}
		n++
	}
	return count(n)
}

// insert copies a row of the own org, with another one in it.
func (d *rowSecurity) insert(v viewer, name, own, org string) reply {
	t, err := d.reached(v, name, 'a')
	if err != nil {
		return failed(err)
	}
	seen, err := t.visible(v)
	if err != nil {
		return failed(err)
	}
	if !slices.Contains(seen, own) {
		return count(0)
	}
	if written, err := t.allows(v, 'a', checkOf, org); !written || err != nil {
		return reply{err: deniedByPolicy}
	}
	return count(1)
}

func count(n int) reply {
	return reply{columns: []string{"count"}, rows: [][]string{{strconv.Itoa(n)}}}
}
