package rls

import (
	"context"
	"time"

	"prober/internal/postgres"
	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/breach"
)

// surfacePool is what the breaches of the pool are counted under.
const surfacePool = "postgres/pool"

// clients is how many connections look, one after the other. What one of them finds must be what another left.
const clients = 3

// residueQuery asks whether there is an org, or another role than that of the login, though nobody has set one here. It is
// compared at the server, so that nobody's org leaves it.
const residueQuery = "SELECT coalesce(current_setting($1, true), '') <> '', pg_backend_pid(), " + roleLeftExpression

// A residue is what looks at the pool came to.
type residue struct {
	looks       int
	left, roles int            // of the looks that found an org, or a role
	seen        map[string]int // which of the clients was first on a process of the server
	shared      bool           // one process served two clients
	failed      *probe.Outcome
}

// residue notes whether an org is left on connections that the pool hands out.
func (p *Probe) residue(ctx context.Context, r *probe.Result) {
	found := &residue{seen: map[string]int{}}
	for client := range clients {
		share := (p.Looks + clients - 1 - client) / clients
		if err := p.lookAtPool(ctx, r, found, client, share); err != nil {
			why := postgres.Explain(err)
			found.failed = &why
			break
		}
	}
	found.report(r)
}

// lookAtPool looks several times from one connection, outside of any transaction.
func (p *Probe) lookAtPool(ctx context.Context, r *probe.Result, found *residue, client, looks int) error {
	conn, err := p.client.Connect(ctx, r, checkResidue, p.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	for range looks {
		rows, err := conn.Query(postgres.Query{SQL: residueQuery, Args: []string{p.Setting}, MaxRows: 1})
		if err != nil {
			return err
		}
		if len(rows.Values) != 1 || len(rows.Values[0]) != 3 {
			return &postgres.Error{Outcome: probe.Outcomef(probe.Protocol, "expected one row of 3 values")}
		}
		row := rows.Values[0]
		found.add(client, row[0].Text != "f", row[2].Text != "f", row[1].Text)
	}
	return nil
}

func (f *residue) add(client int, org, role bool, process string) {
	f.looks++
	if org {
		f.left++
	}
	if role {
		f.roles++
	}
	if first, seen := f.seen[process]; !seen {
		f.seen[process] = client
	} else if first != client {
		f.shared = true
	}
}

// report notes the check, and counts a breach or the time of the proof.
func (f *residue) report(r *probe.Result) {
	switch {
	case f.left > 0:
		r.Report(checkResidue, orgLeft, "expected no org on a connection of the pool, got one in %d of %s: whoever sets it does so outside of a transaction, or not for the transaction alone", f.left, text.Count(f.looks, "look"))
		r.Measure(breach.Total, 1, surfacePool)
	case f.roles > 0:
		r.Report(checkResidue, roleLeft, "expected the role that logs in, got another in %d of %s: whoever sets it does so outside of a transaction, or not for the transaction alone", f.roles, text.Count(f.looks, "look"))
		r.Measure(breach.Total, 1, surfacePool)
	case f.failed != nil:
		r.Report(checkResidue, asUnproven(f.failed.Reason), "not everything was asked: %s", f.failed.Detail)
	case !f.shared:
		r.Report(checkResidue, probe.ControlFailed, "expected connections that share a process of the server, got none in %s: there is no pool, or it is too busy to say (looks: 0 where the application has none)", text.Count(f.looks, "look"))
	default:
		r.Pass(checkResidue, "no org and no role is left on a connection: %s, at %s", text.Count(f.looks, "look"), text.Plural(len(f.seen), "process of the server", "processes of the server"))
		r.Measure(breach.LastProven, float64(time.Now().Unix()), surfacePool)
	}
}
