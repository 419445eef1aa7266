package rls

import "strings"

// tenantTables calls f for every table with data of tenants that the role can reach.
func (c *catalogue) tenantTables(f func(*relation)) {
	for _, t := range c.relations {
		if t.isTable() && t.reachable() && !c.isExempt(t) {
			f(t)
		}
	}
}

// isExempt reports whether a table, or all that it is a part of, is for all tenants.
//
//go:noinline
func (c *catalogue) isExempt(t *relation) bool { return c.exempts(t, map[oid]bool{}) }

func (c *catalogue) exempts(t *relation, seen map[oid]bool) bool {
	if t == nil || seen[t.oid] {
		return false
	}
	seen[t.oid] = true
	for _, id := range t.parents {
		if !t.exempt && !c.exempts(c.byOID[id], seen) {
			return false
		}
	}
	return t.exempt || len(t.parents) > 0
}

// disabledTables are those without row-level security, partitions aside, and those where it is on but not for the role.
func (c *catalogue) disabledTables() (wrong []mistake) {
	c.tenantTables(func(t *relation) {
		switch {
		case !t.enabled && t.isChild():
		case t.kind == 'f':
			wrong = append(wrong, mistake{disabled, t.oid, t.ident, "a foreign table, which has none"})
		case !t.enabled && t.forced:
			wrong = append(wrong, mistake{disabled, t.oid, t.ident, "forced, but not enabled"})
		case !t.enabled:
			wrong = append(wrong, mistake{disabled, t.oid, t.ident, "not enabled"})
		case !t.active && !c.self.exempt() && (t.forced || !c.self.member[t.owner]):
			wrong = append(wrong, mistake{inactive, t.oid, t.ident, "enabled, but not active for the role"})
		}
	})
	return wrong
}

// openPartitions are partitions and child tables without row-level security: policies of a parent hold only for whoever asks
// the parent.
func (c *catalogue) openPartitions() (wrong []mistake) {
	c.tenantTables(func(t *relation) {
		if t.isChild() && !t.enabled {
			wrong = append(wrong, mistake{partitionOpen, t.oid, t.ident, "can be reached by itself, without row-level security"})
		}
	})
	return wrong
}

// commands are what policies are about, by the letters of pg_policy.polcmd.
var commands = []struct {
	letter byte
	name   string
}{{'r', "SELECT"}, {'a', "INSERT"}, {'w', "UPDATE"}, {'d', "DELETE"}}

// openPolicies are the tables of which the role gets rows by a policy that does not look at their org, or by none.
func (c *catalogue) openPolicies() (wrong []mistake) {
	c.tenantTables(func(t *relation) {
		open := c.openCommands(t, "rwd", usingOf)
		switch {
		case !t.enabled:
		case !t.hasColumn && !t.isChild():
			wrong = append(wrong, mistake{noOrgColumn, t.oid, t.ident, "has no such column"})
		case open != "":
			wrong = append(wrong, mistake{policyOpen, t.oid, t.ident, "open for " + open})
		case t.may('r') && !t.isChild() && !c.self.exempt() && len(c.applicable(t, c.self, 'r', usingOf)) == 0:
			wrong = append(wrong, mistake{noPolicy, t.oid, t.ident, "no policy for SELECT: the role sees nothing, and nothing is proven"})
		}
	})
	return wrong
}

// openChecks are the tables into which the role can write rows of any org, and those of others that it can empty.
func (c *catalogue) openChecks() (wrong []mistake) {
	c.tenantTables(func(t *relation) {
		if t.may('t') && !c.self.inherits[t.owner] {
			wrong = append(wrong, mistake{truncateGranted, t.oid, t.ident, "TRUNCATE is granted, to which no policy applies"})
		}
		if open := c.openCommands(t, "aw", withOf); t.enabled && open != "" && t.hasColumn {
			wrong = append(wrong, mistake{checkOpen, t.oid, t.ident, "WITH CHECK is open for " + open})
		}
	})
	return wrong
}

// openCommands names those of some commands that the role may use and that no policy restricts to an org.
func (c *catalogue) openCommands(t *relation, letters string, of func(policy) expression) string {
	var open []string
	for _, command := range commands {
		if strings.IndexByte(letters, command.letter) >= 0 && t.may(command.letter) && c.open(t, c.self, command.letter, of) {
			open = append(open, command.name)
		}
	}
	return strings.Join(open, ", ")
}

// usingOf is the expression that decides which rows a policy shows.
func usingOf(p policy) expression { return p.using }

// withOf is the expression that decides which rows a policy lets be written.
func withOf(p policy) expression {
	if p.with.given || p.command == 'a' {
		return p.with
	}
	return p.using
}

// expressionsOf returns what decides about a command, by its letter.
func expressionsOf(command byte) []func(policy) expression {
	switch command {
	case 'a':
		return []func(policy) expression{withOf}
	case 'w':
		return []func(policy) expression{usingOf, withOf}
	case 'r', 'd':
		return []func(policy) expression{usingOf}
	}
	return nil
}

// applicable returns the permissive policies for a role and a command that have an expression.
func (c *catalogue) applicable(t *relation, r *role, command byte, of func(policy) expression) (permissive []policy) {
	for _, p := range c.policies[t.oid] {
		if p.permissive && p.appliesTo(r, command) && of(p).given {
			permissive = append(permissive, p)
		}
	}
	return permissive
}

// open reports whether a role gets, or may write, rows of any org. Permissive policies are ORed, so one that does not look at
// the org opens the table, unless a restrictive one does.
func (c *catalogue) open(t *relation, r *role, command byte, of func(policy) expression) bool {
	for _, p := range c.policies[t.oid] {
		if !p.permissive && p.appliesTo(r, command) && of(p).bound {
			return false
		}
	}
	for _, p := range c.applicable(t, r, command, of) {
		if !of(p).bound {
			return true
		}
	}
	return false
}

// appliesTo reports whether a policy is for a role and a command.
func (p policy) appliesTo(r *role, command byte) bool {
	if p.command != '*' && p.command != command {
		return false
	}
	for _, id := range p.roles {
		if id == "0" || r.inherits[id] {
			return true
		}
	}
	return false
}
