package rls

// escapes reports whether a role gets rows of any org from a table, or can write them by commands that are given by their
// letters, and the role that asks does not by itself: that is a mistake of the table.
func (c *catalogue) escapes(id oid, t *relation, commands string) bool {
	r := c.roles[id]
	switch {
	case r == nil: // which the server did not say: nothing is known to bind it
		return true
	case !t.enabled:
		return !t.reachable()
	case r.exempt(), r.inherits[t.owner] && !t.forced:
		return true
	}
	for _, command := range []byte(commands) {
		for _, of := range expressionsOf(command) {
			if c.open(t, r, command, of) && !c.open(t, c.self, command, of) {
				return true
			}
		}
	}
	return false
}

// leakyViews are the views in the role's reach that show rows of any org. A view reads tables as its owner unless it is an
// invoker's; what it reads through another view is that view's doing.
func (c *catalogue) leakyViews() (wrong []mistake) {
	for _, v := range c.relations {
		if v.kind != 'v' || !v.reachable() || v.exempt {
			continue
		}
		if what := c.leak(v, v.privileges, map[oid]bool{}); what != "" {
			wrong = append(wrong, mistake{leakyView, v.oid, v.ident, what})
		}
	}
	return wrong
}

// leak says why a view shows rows of any org, or lets them be written by commands; it is empty if it does not. Seen are the views
// that were already looked at.
func (c *catalogue) leak(v *relation, commands string, seen map[oid]bool) string {
	if seen[v.oid] {
		return ""
	}
	seen[v.oid] = true
	for _, id := range v.reads {
		below := c.byOID[id]
		switch {
		case below == nil || below.exempt:
		case below.isTable():
			if !v.invoker && !c.isExempt(below) && c.escapes(v.owner, below, commands) {
				return "its owner is not bound by the policies"
			}
		case below.kind == 'm' && c.holdsTenants(below, map[oid]bool{}):
			return "it reads a materialized view"
		case below.kind == 'v':
			if c.leak(below, commands, seen) != "" {
				return "a view that it reads is leaky"
			}
		}
	}
	return ""
}

// leakyMaterializedViews are those in the role's reach with data of tenants: they are filled by their owner, and no policy can
// be put on them.
func (c *catalogue) leakyMaterializedViews() (wrong []mistake) {
	for _, m := range c.relations {
		if m.kind == 'm' && m.reachable() && !m.exempt && c.holdsTenants(m, map[oid]bool{}) {
			wrong = append(wrong, mistake{leakyMaterializedView, m.oid, m.ident, "has no policies, and the role may read it"})
		}
	}
	return wrong
}

// holdsTenants reports whether a view has a table of tenants below.
func (c *catalogue) holdsTenants(v *relation, seen map[oid]bool) bool {
	if seen[v.oid] {
		return false
	}
	seen[v.oid] = true
	for _, id := range v.reads {
		below := c.byOID[id]
		if below == nil || below.exempt {
			continue
		}
		if below.isTable() && !c.isExempt(below) || !below.isTable() && c.holdsTenants(below, seen) {
			return true
		}
	}
	return false
}

// exemptFunctions are those that run as a role which gets rows of any org from at least one table. What a function reads is
// not known, and a table without row-level security is held against it only if its owner is the table's.
func (c *catalogue) exemptFunctions() (wrong []mistake) {
	for _, f := range c.functions {
		for _, t := range c.relations {
			owns := c.roles[f.owner] == nil || c.roles[f.owner].exempt() || c.roles[f.owner].inherits[t.owner]
			if t.isTable() && !c.isExempt(t) && (t.enabled || owns) && c.escapes(f.owner, t, "r") {
				wrong = append(wrong, mistake{definerExempt, "", f.ident, "SECURITY DEFINER, and its owner is not bound by the policies"})
				break
			}
		}
	}
	return wrong
}
