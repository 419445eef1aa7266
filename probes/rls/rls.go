// Package rls asks PostgreSQL, as the application's own role, whether its row-level security keeps tenants apart.
package rls

import (
	"context"
	"errors"
	"slices"

	"prober/internal/postgres"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/probes/internal/breach"
)

// Probe asks a database whether row-level security holds for a role: by its catalogue, which says what the role could read
// or write, and by what it is really shown as each of two test orgs and without an org. It connects as that role and by the way that the application takes, since as anybody else it would prove nothing.
type Probe struct {
	postgres.Settings `yaml:",inline"`

	Address   string            `yaml:"address" required:"true" doc:"host:port of the pool that the application uses, or else of the server"`
	Schema    string            `yaml:"schema" required:"true" doc:"the schema with the tables of the tenants"`
	Tables    []string          `yaml:"tables" doc:"names of tables that must be there"`
	MinTables int               `yaml:"min_tables" doc:"how many tables must be there at least, those that are exempt aside; default: the number of tables"`
	Names     []string          `yaml:"names" doc:"names of further tables, views and functions that messages may show; others are shown as a hash"`
	Exempt    map[string]string `yaml:"exempt" empty:"true" doc:"by the name of a table, view or function that is for all tenants, why it is"`
	Column    string            `yaml:"column" required:"true" doc:"the column that says whose a row is, at which every policy must look"`
	Columns   map[string]string `yaml:"columns" doc:"by table, the column at which its policies look instead, such as a foreign key"`

	Setting  string         `yaml:"setting" required:"true" doc:"the setting of a session that says as which org the application asks, such as app.org_id"`
	Orgs     map[string]Org `yaml:"orgs" required:"true" doc:"by name, two to five test orgs"`
	Canaries []string       `yaml:"canaries" doc:"tables that hold a row of every test org; default: tables"`
	Looks    int            `yaml:"looks" doc:"how often to look whether an org is left on connections of the pool; 0 where there is no pool"`

	Writes bool `yaml:"writes" doc:"whether each test org tries to change, delete and insert rows of another in canaries, which is rolled back"`

	client *postgres.Client
}

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:      func() probe.Probe { return New() },
		Summary:  "whether PostgreSQL's row-level security keeps tenants apart, as the application's own role",
		Measures: []*probe.Measure{breach.Total, breach.LastProven, relationCount},
		Reasons: append([]probe.Reason{
			roleExempt, roleOwns, tablesMissing, disabled, inactive, noOrgColumn, policyOpen, noPolicy, checkOpen, truncateGranted, partitionOpen,
			leakyView, leakyMaterializedView, definerExempt, breach.LeakList, failsOpen, roleLeft, orgLeft,
			breach.ForeignWrite, breach.ForeignDelete,
		}, postgres.Reasons()...),
		Traits: probe.Traits{ProvesDenial: true, WritesToTarget: true},
	}
}

var (
	_ probe.Addresser   = (*Probe)(nil)
	_ probe.Initializer = (*Probe)(nil)
)

// New returns a probe with its default settings.
func New() *Probe { return &Probe{Looks: 20} }

// Addresses lists the one address.
func (p *Probe) Addresses() []string { return []string{p.Address} }

// InitialSamples lists the counter of breaches, at 0, and the time of the last proof.
func (p *Probe) InitialSamples() []probe.Sample {
	samples := breach.Initial(surfaceRows)
	if p.Looks > 0 {
		samples = append(samples, breach.Initial(surfacePool)...)
	}
	if p.Writes {
		samples = append(samples, breach.Initial(surfaceWrites)...)
	}
	return samples
}

// Bounds of the settings.
const (
	maxListed = 200
	maxTables = 10_000
	maxLooks  = 200
)

// Validate reports what is wrong with the settings. It rejects those that would call an empty schema protected.
func (p *Probe) Validate() error {
	var wrong []error
	client, err := p.Client(map[string]string{"address": p.Address})
	wrong = append(wrong, err)
	p.client = client
	if len(p.Tables) == 0 && p.MinTables == 0 {
		wrong = append(wrong, probe.Settingf("", "expected tables or min_tables: 0 of 0 tables are protected in any database"))
	}
	if p.MinTables < 0 || p.MinTables > maxTables {
		wrong = append(wrong, probe.Settingf("min_tables", "expected 1 to %d, got %d", maxTables, p.MinTables))
	}
	if p.Looks != 0 && (p.Looks < clients || p.Looks > maxLooks) {
		wrong = append(wrong, probe.Settingf("looks", "expected 0, or %d to %d, got %d", clients, maxLooks, p.Looks))
	}
	wrong = append(wrong, validateNames("tables", p.Tables), validateNames("names", p.Names),
		validateNames("exempt", sorted.Keys(p.Exempt)), validateNames("columns", sorted.Keys(p.Columns)))
	for _, name := range p.Tables {
		if _, exempt := p.Exempt[name]; exempt {
			wrong = append(wrong, probe.Settingf("exempt."+name, "is one of tables, which must be protected"))
		}
	}
	for _, name := range sorted.Keys(p.Exempt) {
		if p.Exempt[name] == "" {
			wrong = append(wrong, probe.Settingf("exempt."+name, "expected why it is exempt"))
		}
	}
	return errors.Join(append(wrong, p.validateOrgs())...)
}

func validateNames(path string, names []string) error {
	if len(names) > maxListed {
		return probe.Settingf(path, "expected at most %d, got %d", maxListed, len(names))
	}
	for i, name := range names {
		if name == "" || slices.Contains(names[:i], name) {
			return probe.Settingf(path, "expected names, each of them once")
		}
	}
	return nil
}

// Names of the checks.
const (
	checkConnect           = "connect"
	checkRole              = "role"
	checkTables            = "tables"
	checkEnabled           = "enabled"
	checkPartitions        = "partitions"
	checkPolicies          = "policies"
	checkWritePolicies     = "write_policies"
	checkViews             = "views"
	checkMaterializedViews = "materialized_views"
	checkFunctions         = "functions"
	checkControl           = "control"
	checkIsolated          = "isolated"
	checkFailClosed        = "fail_closed"
	checkWrites            = "writes"
	checkResidue           = "residue"
)

// Checks names the checks of a run.
func (p *Probe) Checks() []string {
	checks := []string{
		checkConnect, checkRole, checkTables, checkEnabled, checkPartitions, checkPolicies, checkWritePolicies, checkViews,
		checkMaterializedViews, checkFunctions, checkControl, checkIsolated, checkFailClosed,
	}
	if p.Writes {
		checks = append(checks, checkWrites)
	}
	if p.Looks > 0 {
		checks = append(checks, checkResidue)
	}
	return checks
}

// Ask reads the catalogue and judges it, looks at what the role is shown, and then at what the pool keeps.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	if p.askDatabase(ctx, r) && p.Looks > 0 {
		p.residue(ctx, r)
	}
}

// askDatabase asks by one connection and reports whether there was one. It is closed before others look at the pool, which
// may have no more.
func (p *Probe) askDatabase(ctx context.Context, r *probe.Result) bool {
	conn, err := p.client.Connect(ctx, r, checkConnect, p.Address)
	if err != nil {
		r.Note(checkConnect, postgres.Explain(err))
		return false
	}
	defer conn.Close()
	c, err := p.readCatalogue(conn)
	if err != nil {
		r.Note(checkConnect, postgres.Explain(err))
		return false
	}
	r.Pass(checkConnect, "connected to %s and read the catalogue", conn.Peer())
	p.judge(r, c)
	p.sweep(r, conn, c)
	return true
}
