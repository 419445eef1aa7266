package rls

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"prober/internal/canary"
	"prober/internal/postgres"
	"prober/internal/probe"
)

// An oid is PostgreSQL's number of a relation or a role, as the server writes it.
type oid string

// A relation is a table, a partition, a view or a materialized view with data of tenants.
type relation struct {
	oid             oid
	schema, name    string
	ident           string // as the configuration names it: with its schema if that is another
	kind            byte   // pg_class.relkind: r, p and f are tables, v a view, m a materialized view
	owner           oid
	enabled, forced bool   // row-level security
	active          bool   // for the role that asks
	invoker         bool   // a view that reads as whoever reads it
	privileges      string // of the role that asks, in the letters of pg_policy.polcmd, r, a, w and d, and t for TRUNCATE
	hasColumn       bool   // the one that says whose a row is
	readsColumn     bool   // the role may read it
	readsAll        bool   // the role may read every column
	parents         []oid  // of a partition or a child table
	reads           []oid  // by a view, directly
	exempt          bool   // for all tenants, by the configuration
}

//go:noinline
func (t *relation) isTable() bool   { return strings.IndexByte("rpf", t.kind) >= 0 }
func (t *relation) isChild() bool   { return len(t.parents) > 0 }
func (t *relation) reachable() bool { return t.privileges != "" }

// may reports whether the role has a privilege, by its letter.
//
//go:noinline
func (t *relation) may(command byte) bool { return strings.IndexByte(t.privileges, command) >= 0 }

// A policy is one of a table.
type policy struct {
	table       oid
	permissive  bool
	command     byte  // pg_policy.polcmd: r, a, w, d, or * for all
	roles       []oid // 0 stands for all roles
	using, with expression
}

// An expression is what a policy tests.
type expression struct {
	given bool
	bound bool // it looks at the column that says whose a row is
}

// A function runs as its owner, and the role may call it.
type function struct {
	ident string
	owner oid
}

// A role is the one that asks, or one that a view or a function runs as.
type role struct {
	self             bool
	super, bypass    bool
	becomesExempt    bool         // it may become another role that is super or bypass
	readsFiles       bool         // it may read or write the server's files, or run programs there
	createsRoles     bool         // it can make itself a member of any role that is not super
	left             bool         // somebody else has set it in the session
	inherits, member map[oid]bool // the roles whose rights it has, and those that it may become
}

// exempt reports whether nothing binds the role.
func (r *role) exempt() bool { return r.super || r.bypass }

// A catalogue is what the database says of itself.
type catalogue struct {
	relations []*relation // by name
	byOID     map[oid]*relation
	policies  map[oid][]policy // by table
	functions []function
	roles     map[oid]*role
	self      *role
}

// Bounds of what is read of a catalogue.
const (
	maxRelations = 10_000
	maxPolicies  = 20_000
	maxFunctions = 2_000
	maxRoles     = 1_000
)

// read returns the rows of an answer, each of so many values.
func read(tx *postgres.Tx, columns int, q postgres.Query) ([][]postgres.Value, error) {
	rows, err := tx.Query(q)
	if err == nil && len(rows.Values) > 0 && len(rows.Columns) != columns {
		err = &postgres.Error{Outcome: probe.Outcomef(probe.Protocol, "expected rows of %d values, got %d", columns, len(rows.Columns))}
	}
	return rows.Values, err
}

// readCatalogue reads all that judge needs, in one transaction.
func (p *Probe) readCatalogue(conn *postgres.Conn) (*catalogue, error) {
	tx, err := conn.Begin(postgres.ReadOnly)
	if err != nil {
		return nil, err
	}
	if _, err := tx.Query(postgres.Query{SQL: ownNames, MaxRows: 1}); err != nil {
		return nil, err
	}
	c := &catalogue{byOID: map[oid]*relation{}, policies: map[oid][]policy{}, roles: map[oid]*role{}}
	for _, read := range []func(*postgres.Tx, *catalogue) error{p.readRelations, p.readPolicies, p.readFunctions, p.readRoles} {
		if err := read(tx, c); err != nil {
			return nil, err
		}
	}
	return c, tx.Rollback()
}

func (p *Probe) readRelations(tx *postgres.Tx, c *catalogue) error {
	rows, err := read(tx, 15, postgres.Query{SQL: relationsQuery, Args: []string{p.Schema, p.Column, p.columnsJSON()}, MaxRows: maxRelations})
	if err != nil {
		return err
	}
	for _, row := range rows {
		f := fields(row)
		t := &relation{
			oid: f.oid(), schema: f.text(), name: f.text(), kind: f.letter(), owner: f.oid(),
			enabled: f.bool(), forced: f.bool(), active: f.bool(), invoker: f.bool(),
			privileges: f.text(), hasColumn: f.bool(), readsColumn: f.bool(), readsAll: f.bool(), parents: f.oids(), reads: f.oids(),
		}
		t.ident = p.ident(t.schema, t.name)
		_, t.exempt = p.Exempt[t.ident]
		if c.byOID[t.oid] != nil {
			return &postgres.Error{Outcome: probe.Outcomef(probe.Protocol, "expected each relation once, got one twice")}
		}
		c.relations = append(c.relations, t)
		c.byOID[t.oid] = t
	}
	return nil
}

func (p *Probe) readPolicies(tx *postgres.Tx, c *catalogue) error {
	rows, err := read(tx, 8, postgres.Query{SQL: policiesQuery, Args: []string{array(slices.Collect(maps.Keys(c.byOID))), p.Column, p.columnsJSON(), p.Schema}, MaxRows: maxPolicies})
	if err != nil {
		return err
	}
	for _, row := range rows {
		f := fields(row)
		one := policy{
			table: f.oid(), permissive: f.bool(), command: f.letter(), roles: f.oids(),
			using: expression{f.bool(), f.bool()}, with: expression{f.bool(), f.bool()},
		}
		c.policies[one.table] = append(c.policies[one.table], one)
	}
	return nil
}

func (p *Probe) readFunctions(tx *postgres.Tx, c *catalogue) error {
	rows, err := read(tx, 3, postgres.Query{SQL: functionsQuery, MaxRows: maxFunctions})
	if err != nil {
		return err
	}
	for _, row := range rows {
		f := fields(row)
		one := function{ident: p.ident(f.text(), f.text()), owner: f.oid()}
		if _, exempt := p.Exempt[one.ident]; !exempt {
			c.functions = append(c.functions, one)
		}
	}
	return nil
}

func (p *Probe) readRoles(tx *postgres.Tx, c *catalogue) error {
	var owners []oid
	for _, t := range c.relations {
		if !t.isTable() {
			owners = append(owners, t.owner)
		}
	}
	for _, f := range c.functions {
		owners = append(owners, f.owner)
	}
	slices.Sort(owners)
	rows, err := read(tx, 10, postgres.Query{SQL: rolesQuery, Args: []string{array(slices.Compact(owners))}, MaxRows: maxRoles})
	if err != nil {
		return err
	}
	for _, row := range rows {
		f := fields(row)
		id := f.oid()
		one := &role{
			self: f.bool(), super: f.bool(), bypass: f.bool(), becomesExempt: f.bool(), readsFiles: f.bool(), createsRoles: f.bool(),
			left: f.bool(), inherits: set(f.oids()), member: set(f.oids()),
		}
		c.roles[id] = one
		if one.self {
			c.self = one
		}
	}
	if c.self == nil {
		return &postgres.Error{Outcome: probe.Outcomef(probe.Protocol, "expected the role that asks among the roles, got none")}
	}
	return nil
}

// ident names what is in a schema as the configuration does.
func (p *Probe) ident(schema, name string) string {
	if schema == p.Schema {
		return name
	}
	return schema + "." + name
}

// shown returns a name for people: as it is if the configuration has it, else a hash, since a name can say whose data it is.
func (p *Probe) shown(ident string) string {
	_, exempt := p.Exempt[ident]
	_, column := p.Columns[ident]
	if exempt || column || slices.Contains(p.Tables, ident) || slices.Contains(p.Canaries, ident) || slices.Contains(p.Names, ident) {
		return ident
	}
	return canary.Hash(ident)
}

// columnsJSON is what the queries look up the columns of particular tables in.
func (p *Probe) columnsJSON() string {
	text, err := json.Marshal(p.Columns)
	if err != nil || p.Columns == nil {
		return "{}"
	}
	return string(text)
}

// array writes an array of numbers as PostgreSQL reads it.
func array(list []oid) string {
	var b strings.Builder
	for i, id := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(string(id))
	}
	return "{" + b.String() + "}"
}

func set(list []oid) map[oid]bool {
	m := make(map[oid]bool, len(list))
	for _, id := range list {
		m[id] = true
	}
	return m
}
